from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillroom.client.retry import LONGEST_RETRY_AFTER_S, LONGEST_WAIT_S, read_retry_after, retries_allowed, wait_s

NOON_US = 1_767_268_800_000_000  # Thu, 01 Jan 2026 12:00:00 GMT


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        (" 12 ", 12.0),
        ("1.5", 1.5),
        ("Thu, 01 Jan 2026 12:01:00 GMT", 60.0),
        ("Thu, 01 Jan 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("-3", None),
        ("", None),
        ("1e5", None),
        ("Thu, 99 Jan 2026 12:00:00 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    assert read_retry_after(value, NOON_US) == seconds


@given(st.text())
def test_no_header_raises(value: str) -> None:
    read_retry_after(value, NOON_US)


@given(st.integers(0, 200), st.integers())
def test_waits_double_up_to_a_limit(retry: int, seed: int) -> None:
    seconds = wait_s(retry, None, random.Random(seed))
    assert min(0.25 * 2**retry, LONGEST_WAIT_S / 2) <= seconds <= min(0.5 * 2**retry, LONGEST_WAIT_S)


@given(st.floats(0, 1e12))
def test_a_wait_that_is_asked_for_is_kept(asked: float) -> None:
    assert wait_s(0, asked, random.Random(1)) >= min(asked, LONGEST_RETRY_AFTER_S)


def test_how_often() -> None:
    assert [retries_allowed(kind, 5) for kind in (None, "http_400", "too_long", "content_filter", "no_answer")] == [
        0
    ] * 5
    assert [retries_allowed(kind, 5) for kind in ("http_429", "http_500", "timeout", "connection")] == [5] * 4
    assert [retries_allowed(kind, 5) for kind in ("no_text", "no_choices", "not_json")] == [2] * 3
    assert retries_allowed("no_text", 1) == 1
