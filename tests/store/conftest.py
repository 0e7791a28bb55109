from __future__ import annotations

from collections.abc import Callable

import pytest

from stillroom.base.records import Attempt, Reply

MakeReply = Callable[..., Reply]
MakeAttempt = Callable[..., Attempt]


@pytest.fixture(scope="session")
def make_reply() -> MakeReply:
    def make(key: str = "sha256:a", **changes: object) -> Reply:
        values: dict[str, object] = {
            "key": key, "question_id": "q1", "sample": 0, "teacher": "t", "served_model": "t-1", "fingerprint": None,
            "endpoint": "http://localhost/v1", "asked_at": 1, "latency_us": 2, "status": "ok", "error_kind": None,
            "reasoning_form": "none", "finish_reason": "stop", "prompt_tokens": 3, "cached_tokens": None,
            "completion_tokens": 4, "reasoning_tokens": None, "counted_by": "provider", "cost_usd": "0.0000012",
            "price_id": "p", "receipt": None, "max_tokens": 9, "raw": b'{"choices": []}',
        }  # fmt: skip
        return Reply(**{**values, **changes})  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="session")
def make_attempt() -> MakeAttempt:
    def make(key: str = "sha256:a", attempt: int = 0, **changes: object) -> Attempt:
        values: dict[str, object] = {"sent_at": 5, "status": "ok", "error_kind": None, "cost_usd": "0.0000012"}
        return Attempt(key=key, attempt=attempt, **{**values, **changes})  # type: ignore[arg-type]

    return make
