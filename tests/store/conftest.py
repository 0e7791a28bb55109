from __future__ import annotations

from collections.abc import Callable

import pytest

from stillroom.base.canonical import digest
from stillroom.base.records import Reply
from stillroom.store.journal import Outcome

MakeReply = Callable[..., Reply]
MakeOutcome = Callable[..., Outcome]


def key_of(name: str) -> str:
    return digest(name)


@pytest.fixture(scope="session")
def make_reply() -> MakeReply:
    def make(name: str = "a", **changes: object) -> Reply:
        values: dict[str, object] = {
            "key": key_of(name), "question_id": "q1", "sample": 0,
            "teacher": "t", "served_model": "t-1", "fingerprint": None,
            "endpoint": "http://localhost/v1", "asked_at": 1, "latency_us": 2, "status": "ok", "error_kind": None,
            "reasoning_form": "none", "finish_reason": "stop", "prompt_tokens": 3, "cached_tokens": None,
            "completion_tokens": 4, "reasoning_tokens": None, "counted_by": "provider", "cost_usd": "0.0000012",
            "price_id": "p", "receipt": None, "max_tokens": 9, "http_status": 200, "choice": 0,
            "raw": b'{"choices": []}',
        }  # fmt: skip
        return Reply(**{**values, **changes})  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="session")
def make_outcome() -> MakeOutcome:
    def make(number: int, *replies: Reply, **changes: object) -> Outcome:
        values: dict[str, object] = {
            "status": "ok", "error_kind": None, "cost_usd": "0.0000012", "tokens": 7, "replies": replies,
        }  # fmt: skip
        return Outcome(number, **{**values, **changes})  # type: ignore[arg-type]

    return make
