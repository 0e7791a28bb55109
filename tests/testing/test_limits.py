"""Scripted limits, under a clock of the test's own."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

import pytest
from pydantic import ValidationError

from stillroom.testing.limits import LimitKeeper, Limits, Refusal

MINUTE = 28_000_000 * 60.0
"""A moment at which a minute of the clock begins."""


def taken(keeper: LimitKeeper, seconds: range, per_second: int) -> int:
    """How many of `per_second` requests in each of these seconds are taken."""
    moments = [MINUTE + second + number / per_second for second in seconds for number in range(per_second)]
    return sum(keeper.admit(now, 0) is None for now in moments)


def test_a_token_bucket_fills_one_by_one() -> None:
    keeper = LimitKeeper(Limits(requests_per_minute=600, burst=20), MINUTE)
    assert taken(keeper, range(60), 30) == pytest.approx(20 + 600, abs=1)
    assert taken(keeper, range(60, 120), 9) == 540  # below the limit all are taken
    assert taken(keeper, range(300, 301), 100) == pytest.approx(20 + 10, abs=1)  # no more than it holds


def test_a_bucket_holds_a_whole_minute_where_nothing_else_is_said() -> None:
    keeper = LimitKeeper(Limits(requests_per_minute=600), MINUTE)
    assert sum(keeper.admit(MINUTE, 0) is None for _ in range(700)) == 600
    assert keeper.admit(MINUTE, 0) == Refusal("rate_limit", 0.1)


def test_a_fixed_minute_begins_on_the_clock() -> None:
    keeper = LimitKeeper(Limits(requests_per_minute=600, window="fixed_minute"), MINUTE + 50)
    assert taken(keeper, range(50, 60), 100) == 600
    refusal = keeper.admit(MINUTE + 59.5, 0)
    assert refusal == Refusal("rate_limit", 0.5)
    assert taken(keeper, range(60, 120), 11) == 600
    assert taken(keeper, range(300, 360), 9) == 540


def test_requests_in_flight() -> None:
    keeper = LimitKeeper(Limits(in_flight=2, requests_per_minute=1), MINUTE)
    refusal = keeper.admit(MINUTE, 2)
    assert refusal is not None
    assert refusal.name == "in_flight_limit"
    assert keeper.admit(MINUTE, 1) is None  # the refused one has used up nothing
    refusal = keeper.admit(MINUTE, 1)
    assert refusal is not None
    assert refusal.name == "rate_limit"


def test_how_a_refusal_says_when_to_come_back() -> None:
    refusal = Refusal("rate_limit", 2.25)

    def told(limits: Limits) -> dict[str, str]:
        return dict(LimitKeeper(limits, MINUTE).retry_after(refusal, MINUTE))

    assert told(Limits()) == {"Retry-After": "3"}
    assert told(Limits(retry_after="none")) == {}
    date = parsedate_to_datetime(told(Limits(retry_after="date"))["Retry-After"])
    assert date.timestamp() == MINUTE + 3


def test_headers_tell_what_is_left() -> None:
    keeper = LimitKeeper(Limits(requests_per_minute=60, burst=10, headers=True), MINUTE)
    for _ in range(4):
        keeper.admit(MINUTE, 0)
    assert dict(keeper.headers(MINUTE + 0.5)) == {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "6",
        "x-ratelimit-reset-requests": "3.500s",
    }
    keeper = LimitKeeper(Limits(requests_per_minute=60, window="fixed_minute", headers=True), MINUTE)
    keeper.admit(MINUTE, 0)
    assert dict(keeper.headers(MINUTE + 20))["x-ratelimit-reset-requests"] == "40.000s"
    assert LimitKeeper(Limits(requests_per_minute=60), MINUTE).headers(MINUTE) == ()
    assert LimitKeeper(Limits(in_flight=1, headers=True), MINUTE).headers(MINUTE) == ()


def test_a_burst_needs_a_bucket() -> None:
    with pytest.raises(ValidationError, match="token bucket"):
        Limits(burst=3)
    with pytest.raises(ValidationError, match="token bucket"):
        Limits(burst=3, requests_per_minute=60, window="fixed_minute")
