from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from stillroom.client import transport
from stillroom.client.settings import Endpoint
from stillroom.client.transport import Answered, NotAnswered, Transport
from stillroom.testing import Answer, MisbehavingTeacher
from stillroom.testing.faults import huge_body, raw_body

QUESTION = b'{"model": "teacher", "messages": [{"role": "user", "content": "2 + 2?"}]%b}'


def send(base_url: str, *, stream: bool = False, **options: Any) -> Answered | NotAnswered:
    async def once() -> Answered | NotAnswered:
        async with Transport(Endpoint(model="teacher", base_url=base_url, stream=stream)) as to:
            return await to.send(QUESTION % (b', "stream": true' if stream else b""), "1", **options)

    return asyncio.run(once())


@pytest.mark.parametrize("megabytes", [0, 0.05, 0.5, 3.3])
@pytest.mark.parametrize("stream", [False, True])
def test_bodies_of_any_size_come_whole(megabytes: float, stream: bool) -> None:
    with MisbehavingTeacher(always=huge_body(megabytes)) as teacher:
        answer = send(teacher.base_url, stream=stream)
    assert isinstance(answer, Answered)
    assert len(answer.body) >= megabytes * 1e6
    assert answer.body.endswith(b"[DONE]\n\n" if stream else b"}")


@pytest.mark.parametrize("stream", [False, True])
def test_of_a_body_without_an_end_nothing_is_kept(monkeypatch: pytest.MonkeyPatch, stream: bool) -> None:
    monkeypatch.setattr(transport, "LARGEST_BODY", 1 << 20)
    with MisbehavingTeacher(always=huge_body(2)) as teacher:
        answer = send(teacher.base_url, stream=stream)
    assert answer == NotAnswered("too_large", "more than 1 MiB came")


def test_a_body_is_unpacked_when_there_is_room() -> None:
    log: list[str] = []

    async def may_unpack() -> None:
        log.append("unpacked")

    with MisbehavingTeacher(lambda _: Answer("4")) as teacher:
        options: dict[str, Callable[[], Any]] = {"begun": lambda: log.append("begun"), "may_unpack": may_unpack}
        send(teacher.base_url, stream=True, **options)
        assert log == ["begun", "unpacked"]
        send(teacher.base_url, stream=False, **options)
        assert log == ["begun", "unpacked", "unpacked"]
        log.clear()
    with MisbehavingTeacher(always=raw_body(b"\n: nothing yet\n\n")) as teacher:
        send(teacher.base_url, stream=True, **options)
        assert log == ["unpacked"]
