from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from stillroom.client.retry import LONGEST_WAIT_S, retries_allowed, wait_s


@given(st.integers(0, 200), st.integers())
def test_waits_double_up_to_a_limit(retry: int, seed: int) -> None:
    seconds = wait_s(retry, random.Random(seed))
    assert min(0.25 * 2**retry, LONGEST_WAIT_S / 2) <= seconds <= min(0.5 * 2**retry, LONGEST_WAIT_S)


def test_how_often() -> None:
    assert [retries_allowed(kind, 5) for kind in (None, "http_400", "too_long", "content_filter", "no_answer")] == [
        0
    ] * 5
    assert [retries_allowed(kind, 5) for kind in ("http_429", "http_500", "timeout", "connection")] == [5] * 4
    assert [retries_allowed(kind, 5) for kind in ("no_text", "no_choices", "not_json")] == [2] * 3
    assert retries_allowed("no_text", 1) == 1
