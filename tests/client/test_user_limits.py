from __future__ import annotations

from collections import deque
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillroom.client.spacing import SLACK_S, SlidingMinute, Spacing
from stillroom.client.user_limits import UserLimits

STEPS = st.lists(st.tuples(st.floats(0, 90), st.integers(0, 1000)), max_size=60)


@given(st.floats(0, 1e9), STEPS)
def test_a_minute_is_never_below_what_was_added_in_it(start: float, steps: list[tuple[float, int]]) -> None:
    now, minute, added = start, SlidingMinute(start), deque[tuple[float, int]]()
    for passed, amount in steps:
        now += passed
        minute.add(now, amount)
        added.append((now, amount))
        last_60_s = sum(amount for at, amount in added if at > now - 60)
        last_60_2_s = sum(amount for at, amount in added if at > now - 60.2)
        assert last_60_s <= minute.total(now) <= last_60_2_s


@given(st.floats(0, 1e9), STEPS, st.integers(0, 2000))
def test_it_falls_when_it_says(start: float, steps: list[tuple[float, int]], most: int) -> None:
    now, minute = start, SlidingMinute(start)
    for passed, amount in steps:
        now += passed
        minute.add(now, amount)
    falls_to = minute.falls_to(now, most)
    assert falls_to >= now
    if falls_to > now:
        assert minute.total((now + falls_to) / 2) > most or falls_to - now < 0.2
    assert minute.total(falls_to) <= most


def test_a_correction_goes_where_the_amount_was_added() -> None:
    minute = SlidingMinute(0.0)
    minute.add(0.0, 500)
    minute.add(30.0, 100)
    minute.correct(0.0, -400)
    assert minute.total(59.9) == 200
    assert minute.total(60.1) == 100
    minute.correct(0.0, -100)  # it has left the minute by now
    assert minute.total(60.2) == 100


def test_spacing_is_even_and_makes_up_for_a_late_timer_only() -> None:
    spacing, sent = Spacing(), list[float]()
    for tick in range(1000):
        now = tick * 0.01
        while spacing.room(now, 0.1):
            spacing.sent(now, 0.1)
            sent.append(now)
    assert len(sent) == pytest.approx(100, abs=1)
    assert all(later - earlier > 0.1 - SLACK_S - 1e-9 for earlier, later in pairwise(sent))


@pytest.mark.parametrize("per_minute", [1, 7, 60, 600, 30_000])
def test_calls_are_spread_over_the_minute_and_lose_nothing(per_minute: int) -> None:
    limits = UserLimits(per_minute, None, 0.0)
    sent, now = list[float](), 0.0
    while now < 600.0:
        for _ in range(limits.room(now, 0)):
            limits.sent(now, 0)
            sent.append(now)
        opens_at = limits.opens_at(now, 0)
        assert opens_at is not None
        assert opens_at > now
        now = opens_at
    assert len(sent) >= 0.985 * 10 * per_minute
    window = deque[float]()
    for at in sent:
        window.append(at)
        while window[0] <= at - 60:
            window.popleft()
        assert len(window) <= per_minute


def test_tokens_come_back_when_the_usage_is_known() -> None:
    limits = UserLimits(None, 1000, 0.0)
    assert limits.room(0.0, 400) == 2
    limits.sent(0.0, 400)
    limits.sent(0.0, 400)
    assert limits.room(1.0, 400) == 0
    assert limits.opens_at(1.0, 400) == pytest.approx(60.1)
    assert limits.why(1.0) is None
    limits.correct(0.0, 50 - 400)
    assert limits.room(1.0, 400) == 1
    limits.sent(1.0, 400)
    limits.correct(1.0, 550 - 400)  # it took more than it was to take
    assert limits.room(1.0, 1) == 0
    assert limits.why(1.0) == "1,000 tokens a minute: your limit"


def test_a_call_larger_than_the_minute_can_never_be_sent() -> None:
    assert UserLimits(None, 1000, 0.0).opens_at(0.0, 1001) is None
    assert UserLimits(None, 1000, 0.0).room(0.0, 1001) == 0
