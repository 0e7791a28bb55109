"""The benchmark of asking still runs: ours through the harness that measures everybody, at a small size."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from stillroom.testing import MisbehavingTeacher


@pytest.fixture(autouse=True)
def _benchmarks_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))


class CountedTeacher:
    def __init__(self, teacher: MisbehavingTeacher) -> None:
        self._teacher = teacher
        self.base_url = teacher.base_url

    def requests(self) -> int:
        return self._teacher.requests


@pytest.mark.parametrize("module", ["with_engine", "with_stage", "with_pyreqwest"])
def test_a_contender_is_measured(module: str) -> None:
    from benchmarks.ask_contenders.environments import Environment
    from benchmarks.ask_contenders.measured import contender, measure

    with MisbehavingTeacher() as teacher, contender(module, Environment(Path(sys.executable), {})) as process:
        server = CountedTeacher(teacher)
        measure(process, server, 1000, 10, 8)
        figures = measure(process, server, 0, 40, 8)
        assert (figures.questions, figures.requests, teacher.requests) == (40, 40, 50)
        assert 0 < figures.asking_s <= figures.whole_s
        assert 0 <= figures.asking_cpu_s <= figures.whole_cpu_s
        assert figures.memory_mb > 10


def test_streams_are_measured() -> None:
    from benchmarks.ask_contenders.environments import Environment
    from benchmarks.ask_contenders.streams import measure_streams

    figures = measure_streams("with_engine_streams", Environment(Path(sys.executable), {}), 12, 100, streams=8)
    assert figures.seconds > 0
    assert figures.memory_mb > 10


def test_what_nginx_answers_is_a_reply() -> None:
    import json

    from benchmarks.ask_contenders.contender import is_good
    from benchmarks.ask_contenders.local_nginx import REPLY

    from stillroom.client.reply import parse_reply

    parsed = parse_reply(json.dumps(REPLY).encode())
    assert (parsed.status, parsed.usage.completion_tokens) == ("ok", 14)
    assert is_good(REPLY)
