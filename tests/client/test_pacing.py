from __future__ import annotations

import random
from collections import deque
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillroom.client.pacing import PaceController, PaceLimits, Result, Sent
from stillroom.client.rate_headers import NO_RATE_HEADERS, Allowance, RateHeaders


def send_all(pace: PaceController, now: float, tokens: int = 0) -> list[Sent]:
    sent = []
    while pace.room(now, tokens) > 0:
        sent.append(pace.sent(now, tokens))
    return sent


def answer_all(pace: PaceController, now: float, sent: list[Sent]) -> None:
    for call in sent:
        pace.returned(now, call, "answered")


def grown(limits: PaceLimits, in_flight: int) -> tuple[PaceController, list[Sent], float]:
    """A controller with so many calls in flight, none of which was ever refused; and the time."""
    pace, now = PaceController(limits, 0.0), 0.0
    sent = send_all(pace, now)
    while pace.in_flight < in_flight:
        now += 1.0
        answer_all(pace, now, sent)
        sent = send_all(pace, now)
    return pace, sent, now


def test_the_first_call_goes_alone_until_it_is_answered() -> None:
    pace = PaceController(PaceLimits(64), 0.0)
    (first,) = send_all(pace, 0.0)
    assert pace.room(3600.0) == 0
    assert pace.opens_at(3600.0) is None
    assert pace.why() == "1 in flight: waits for a first answer"
    pace.returned(3600.0, first, "failed")
    (second,) = send_all(pace, 3601.0)
    pace.returned(3602.0, second, "answered")
    assert len(send_all(pace, 3602.0)) == 2


def test_until_a_first_reply_has_ended_its_beginning_is_enough() -> None:
    pace = PaceController(PaceLimits(64), 0.0)
    sent = send_all(pace, 0.0)
    for begun in (1, 3, 7, 15):
        assert pace.in_flight == begun
        for call in sent:
            pace.begun(2.0, call)
        sent = send_all(pace, 2.0)
    assert pace.in_flight == 31
    pace.returned(300.0, sent[0], "answered")
    in_flight = pace.in_flight + len(send_all(pace, 300.0))
    for call in sent[1:]:
        pace.begun(301.0, call)  # from now on an answer is what counts
    assert pace.in_flight + len(send_all(pace, 301.0)) == in_flight


def test_a_first_call_that_is_refused_is_tried_again_later_and_alone() -> None:
    pace = PaceController(PaceLimits(64), 0.0)
    (first,) = send_all(pace, 0.0)
    pace.returned(0.1, first, "refused")
    assert pace.room(0.1) == 0
    opens_at = pace.opens_at(0.1)
    assert opens_at is not None
    assert len(send_all(pace, opens_at)) == 1


def test_it_doubles_in_a_round_trip_up_to_the_users_limit() -> None:
    pace, now, counts = PaceController(PaceLimits(20), 0.0), 0.0, []
    for _ in range(7):
        sent = send_all(pace, now)
        counts.append(len(sent))
        now += 1.0
        answer_all(pace, now, sent)
    assert counts == [1, 2, 4, 8, 16, 20, 20]
    send_all(pace, now)
    assert pace.why() == "20 in flight: your limit"


def test_it_grows_without_waiting_for_replies_that_take_minutes() -> None:
    pace, now = PaceController(PaceLimits(64), 0.0), 120.0
    answer_all(pace, now, send_all(pace, 0.0))
    send_all(pace, now)
    while pace.in_flight < 64 and now < 240.0:
        opens_at = pace.opens_at(now)
        assert opens_at is not None
        now = opens_at
        send_all(pace, now)
    assert pace.in_flight == 64
    assert now == pytest.approx(120 + 5 * 10)


def test_a_burst_of_refusals_cuts_once_to_what_was_accepted() -> None:
    pace, sent, now = grown(PaceLimits(1000), 64)
    for call in sent[50:]:  # the first fifty are accepted, and stay in flight
        pace.returned(now + 0.05, call, "refused")
    assert pace.in_flight == 50
    assert pace.concurrency == 50
    assert pace.room(now + 0.06) == 0
    assert pace.why() == "50 in flight: learned from refusals"


def test_retry_after_is_kept_and_the_newest_one_counts() -> None:
    pace, sent, now = grown(PaceLimits(1000), 8)
    pace.returned(now + 0.1, sent[-1], "refused", RateHeaders(60.0))
    assert pace.room(now + 59.0) == 0
    assert pace.opens_at(now + 0.1) == pytest.approx(now + 60.1)
    assert pace.why() == "waits 60 s: Retry-After"
    pace.returned(now + 0.2, sent[-2], "refused", RateHeaders(12.0))
    assert pace.opens_at(now + 0.2) == pytest.approx(now + 12.2)
    pace.returned(now + 0.3, sent[-3], "refused", RateHeaders(107.0))
    assert pace.opens_at(now + 0.3) == pytest.approx(now + 107.3)
    (probe,) = send_all(pace, now + 107.3)  # one call tries whether it is open
    pace.returned(now + 107.4, probe, "refused", RateHeaders(5.0))
    assert pace.opens_at(now + 107.4) == pytest.approx(now + 112.4)


def test_waiting_holds_no_slot_and_answers_still_count() -> None:
    pace, sent, now = grown(PaceLimits(1000), 8)
    pace.returned(now + 0.1, sent.pop(), "refused", RateHeaders(30.0))
    answer_all(pace, now + 1.0, sent)
    assert pace.in_flight == 0
    assert pace.room(now + 29.0) == 0


def test_refusals_in_a_row_wait_longer_each_time() -> None:
    pace, sent, now = grown(PaceLimits(1000), 4)
    for call in sent:
        pace.returned(now, call, "refused")
    waits = []
    for _ in range(12):
        while pace.room(now) > 0:
            pace.returned(now + 0.01, pace.sent(now), "refused")
        opens_at = pace.opens_at(now + 0.01)
        assert opens_at is not None
        waits.append(opens_at - now - 0.01)
        now = opens_at
    waits = [round(wait, 6) for wait in waits]
    assert waits[-1] == 15.0
    assert waits == sorted(waits)


def test_failures_in_a_row_shut_it_until_an_answer() -> None:
    pace, sent, now = grown(PaceLimits(1000), 16)
    for call in sent:
        pace.returned(now, call, "failed")
    assert pace.room(now) == 0
    assert pace.why().endswith("calls failed in a row")
    now += 0.5
    (probe,) = send_all(pace, now)
    assert pace.opens_at(now + 60.0) is None  # only its reply opens
    pace.returned(now + 60.0, probe, "answered")
    assert pace.room(now + 60.0) > 0


def test_calls_without_an_answer_make_it_careful() -> None:
    pace, sent, now = grown(PaceLimits(1000), 64)
    before = pace.concurrency
    pace.returned(now + 600.0, sent[0], "silent")
    pace.returned(now + 600.0, sent[1], "silent")
    assert pace.concurrency == int(0.7 * before)
    assert "not answered" in pace.why()


def test_nothing_is_sent_when_the_headers_say_that_nothing_is_left() -> None:
    pace, sent, now = grown(PaceLimits(1000), 8)
    newest = sent[-1]
    pace.returned(now + 0.1, newest, "answered", RateHeaders(None, Allowance(60, 0, 20.0), None))
    assert pace.room(now + 0.1) == 0
    assert pace.why() == "waits 20 s: no calls left, say the server's headers"
    opens_at = pace.opens_at(now + 0.1)
    assert opens_at == pytest.approx(newest.at + 20.0, abs=0.2)
    answer_all(pace, now + 1.0, sent[:-1])
    assert opens_at is not None
    assert pace.room(opens_at) > 0


def test_calls_in_flight_are_taken_off_what_the_headers_say_is_left() -> None:
    pace, sent, now = grown(PaceLimits(1000), 8)
    oldest = sent[0]
    since = 8 - 1
    pace.returned(now + 0.1, oldest, "answered", RateHeaders(None, Allowance(1000, since, 20.0), None))
    assert pace.room(now + 0.1) == 0


def test_older_news_of_what_is_left_do_not_replace_newer() -> None:
    pace, sent, now = grown(PaceLimits(1000), 8)
    pace.returned(now + 0.1, sent[-1], "answered", RateHeaders(None, Allowance(60, 0, 20.0), None))
    pace.returned(now + 0.2, sent[0], "answered", RateHeaders(None, Allowance(60, 50, 20.0), None))
    assert pace.room(now + 0.3) == 0


def test_few_left_are_spread_until_the_reset() -> None:
    pace, sent, now = grown(PaceLimits(1000), 8)
    pace.returned(now, sent[-1], "answered", RateHeaders(None, Allowance(600, 20, 40.0), None))
    answer_all(pace, now, sent[:-1])
    times, end = [], now + 39.0
    while now < end:
        if pace.room(now) > 0:
            times.append(now)
            pace.returned(now, pace.sent(now), "answered")
        opens_at = pace.opens_at(now)
        assert opens_at is not None
        now = max(opens_at, now + 0.001)
    assert 18 <= len(times) <= 20
    assert min(later - earlier for earlier, later in pairwise(times)) > 1.5


def test_a_days_allowance_is_not_spread_over_the_day() -> None:
    pace, sent, now = grown(PaceLimits(1000), 8)
    pace.returned(now, sent[-1], "answered", RateHeaders(None, Allowance(10_000, 4_000, 43_200.0), None))
    assert pace.room(now) > 0


def test_tokens_left_are_counted_in_calls() -> None:
    pace = PaceController(PaceLimits(64), 0.0)
    first = pace.sent(0.0, 100)
    pace.returned(1.0, first, "answered", RateHeaders(None, None, Allowance(None, 1000, 3600.0)))
    assert pace.room(1.0, 400) == 2
    assert pace.room(1.0, 1001) == 0


def test_limits_that_no_call_fits_are_told_apart() -> None:
    limits = PaceLimits(8, tokens_per_minute=1000)
    assert limits.can_carry(1000)
    assert not limits.can_carry(1001)
    assert PaceController(limits, 0.0).opens_at(0.0, 1001) is None
    assert PaceLimits(8).can_carry(1_000_000)


def test_a_call_whose_tokens_are_not_known_counts_once_they_are() -> None:
    pace = PaceController(PaceLimits(8, tokens_per_minute=1000), 0.0)
    pace.returned(1.0, pace.sent(0.0), "answered", NO_RATE_HEADERS, 1200)
    assert pace.room(1.0) == 0
    opens_at = pace.opens_at(1.0)
    assert opens_at == pytest.approx(60.1)


def test_refused_calls_give_their_tokens_back_and_silent_ones_do_not() -> None:
    pace = PaceController(PaceLimits(8, tokens_per_minute=1000), 0.0)
    pace.returned(0.1, pace.sent(0.0, 600), "silent")
    assert pace.room(0.2, 600) == 0
    pace = PaceController(PaceLimits(8, tokens_per_minute=1000), 0.0)
    pace.returned(0.1, pace.sent(0.0, 600), "refused")
    assert pace.room(5.0, 600) == 1


RESULTS: list[Result] = ["answered", "answered", "answered", "refused", "failed", "silent"]
ALLOWANCES = st.builds(
    Allowance, st.one_of(st.none(), st.integers(0, 1000)), st.integers(0, 1000), st.floats(0, 100_000)
)
HEADERS = st.one_of(
    st.just(NO_RATE_HEADERS),
    st.builds(
        RateHeaders,
        st.one_of(st.none(), st.floats(0, 300)),
        st.one_of(st.none(), ALLOWANCES),
        st.one_of(st.none(), ALLOWANCES),
    ),
)


class LastMinute:
    """What was sent in the last 60 seconds, exactly."""

    def __init__(self) -> None:
        self.entries = deque[list[float]]()

    def add(self, now: float, amount: float) -> list[float]:
        self.entries.append([now, amount])
        return self.entries[-1]

    def total(self, now: float) -> float:
        while self.entries and self.entries[0][0] <= now - 60:
            self.entries.popleft()
        return sum(amount for _, amount in self.entries)


@given(
    concurrency=st.integers(1, 40),
    requests_per_minute=st.one_of(st.none(), st.integers(1, 400)),
    tokens_per_minute=st.one_of(st.none(), st.integers(500, 20_000)),
    told=st.lists(HEADERS, min_size=1, max_size=6),
    results=st.lists(st.sampled_from(RESULTS), min_size=1, max_size=12),
    seed=st.integers(0, 2**32),
)
def test_the_users_limits_are_never_passed_and_it_is_never_stuck(
    concurrency: int,
    requests_per_minute: int | None,
    tokens_per_minute: int | None,
    told: list[RateHeaders],
    results: list[Result],
    seed: int,
) -> None:
    """Whatever comes back, in whatever order."""
    draw = random.Random(seed)
    pace = PaceController(PaceLimits(concurrency, requests_per_minute, tokens_per_minute), 1e6)
    now, in_flight = 1e6, list[tuple[Sent, list[float]]]()
    requests, tokens = LastMinute(), LastMinute()
    for _ in range(120):
        size = draw.choice([1, 40, 400])
        room = pace.room(now, size)
        assert 0 <= room <= concurrency
        for _ in range(min(room, draw.randint(1, 40))):
            in_flight.append((pace.sent(now, size), tokens.add(now, size)))
            requests.add(now, 1)
        assert pace.in_flight == len(in_flight) <= concurrency
        assert requests_per_minute is None or requests.total(now) <= requests_per_minute
        assert tokens_per_minute is None or tokens.total(now) <= tokens_per_minute
        opens_at = pace.opens_at(now, size)
        if not in_flight:  # then time alone must open it, and does
            assert opens_at is not None
            now = opens_at
            assert pace.room(now, size) > 0 or pace.opens_at(now, size) not in (None, now)
        elif opens_at is not None and opens_at > now and draw.random() < 0.3:
            now = opens_at
        else:
            now += draw.choice([0.0, 0.001, 0.1, 5.0])
            call, entry = in_flight.pop(draw.randrange(len(in_flight)))
            result = draw.choice(results)
            used = draw.choice([None, call.tokens // 2]) if result == "answered" else None
            if used is not None or result == "refused":
                entry[1] = used or 0
            pace.returned(now, call, result, draw.choice(told), used)
        assert pace.why()


@pytest.mark.parametrize("limit", [0, 1000])
def test_a_told_limit_below_the_worst_case_of_a_call_lets_one_go_at_each_reset(limit: int) -> None:
    pace, now, went = PaceController(PaceLimits(concurrency=8), 0.0), 0.0, 0
    told = RateHeaders(None, None, Allowance(limit=limit, remaining=min(limit, 900), reset_s=1.0))
    while now < 60:
        if pace.room(now, 1500) > 0:
            pace.returned(now + 0.1, pace.sent(now, 1500), "answered", told, 40)
            went += 1
        now += 0.1
    assert went >= 20
