from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from tests.watch.links.made_hours import DAYS, SINCE_DAY, Counts, Rates, habits, lived

from stillroom.watch.links.turns import relay, turns

HOUR = 3_600_000_000
DAY = 24 * HOUR
SINCE, UNTIL = SINCE_DAY * DAY, (SINCE_DAY + DAYS) * DAY


def one_zone(random: np.random.Generator) -> Rates:
    return habits(random, 21, zone=16)


def around_the_world(random: np.random.Generator) -> Rates:
    return np.concatenate([habits(random, 1, zone=zone) for zone in (0, 6, 12, 18)])


def working_days_and_weekends(random: np.random.Generator) -> Rates:
    rates = habits(random, 8)
    weekend = (np.arange(SINCE_DAY, SINCE_DAY + DAYS) + 3) % 7 >= 5
    rates[:4, weekend] = 0
    rates[4:, ~weekend] = 0
    return rates


def one_week_each(random: np.random.Generator) -> Rates:
    rates, week = habits(random, 21), (SINCE_DAY + 3 + np.arange(DAYS)) // 7
    for one in rates:
        one[week != random.choice(week)] = 0
    return rates


def two_holidays(random: np.random.Generator) -> Rates:
    rates = habits(random, 21)
    rates[::2, 17] *= 0.05
    rates[1::2, 10] *= 0.05
    return rates


def half_of_them_at_a_launch(random: np.random.Generator) -> Rates:
    rates = habits(random, 21)
    rates[::2, 15:17] *= 5
    return rates


def some_days_each(random: np.random.Generator) -> Rates:
    rates = habits(random, 21)
    for one in rates:
        begin = random.integers(0, DAYS)
        one[:begin], one[begin + random.integers(1, 6) :] = 0, 0
    return rates


@pytest.mark.parametrize(
    "make",
    [
        one_zone,
        around_the_world,
        working_days_and_weekends,
        two_holidays,
        half_of_them_at_a_launch,
        one_week_each,
        some_days_each,
    ],
)
def test_habits_are_no_turns(make: Callable[[np.random.Generator], Rates]) -> None:
    found = []
    for seed in range(6):
        random = np.random.default_rng((1, seed))
        tested = turns(lived(random, make(random)), SINCE_DAY)
        assert tested is not None
        found.append(tested.log10_p)
    assert min(found) > -3
    assert np.mean(np.array(found) <= -1) <= 0.25


def in_turn(random: np.random.Generator, members: int, unit: str) -> Counts:
    rates = np.zeros((members, DAYS, 24))
    for day in range(DAYS):
        if unit == "day":
            rates[day % members, day, 8:18] = 20
        else:
            for begin, member in enumerate(random.integers(members, size=6)):
                rates[member, day, 4 * begin : 4 * begin + 4] = 20
    return random.poisson(rates).reshape(members, -1)


@pytest.mark.parametrize(
    ("members", "unit", "log10_p"), [(2, "day", -2), (5, "day", -3), (10, "hour", -7), (30, "hour", -9)]
)
def test_members_that_keep_out_of_each_others_way_are_found(members: int, unit: str, log10_p: float) -> None:
    for seed in range(3):
        found = turns(in_turn(np.random.default_rng((2, seed)), members, unit), SINCE_DAY)
        assert found is not None
        assert found.log10_p < log10_p
        assert found.shared <= 0.05 * found.busy


def in_teams(random: np.random.Generator, members: int, own_share: float) -> Counts:
    """Five teams, one a day; beside it each one's own life."""
    own = lived(random, habits(random, members)).reshape(members, DAYS, 24)
    on_duty = np.arange(DAYS) % 5 == (np.arange(members) % 5)[:, None]
    rates = on_duty[:, :, None] * (own.sum(axis=(1, 2)) / on_duty.sum(axis=1) / 24)[:, None, None]
    counts: Counts = random.poisson(rates * (1 - own_share)) + random.poisson(own * own_share)
    return counts.reshape(members, -1)


@pytest.mark.parametrize(("members", "own_share", "log10_p"), [(20, 0.0, -6), (40, 0.5, -5), (150, 0.5, -10)])
def test_teams_that_work_by_turns_are_found(members: int, own_share: float, log10_p: float) -> None:
    for seed in range(2):
        found = turns(in_teams(np.random.default_rng((7, seed)), members, own_share), SINCE_DAY)
        assert found is not None
        assert found.by == "team"
        assert found.log10_p < log10_p
        assert found.explained > 1.5 * found.expected_explained
        assert found.sentence.startswith(
            f"These {members} accounts work in teams by turns: the days on which one is busy "
        )


def test_what_is_said_of_turns() -> None:
    found = turns(in_turn(np.random.default_rng(3), 5, "day"), SINCE_DAY)
    assert found is not None
    assert found.by == "day"
    assert found.sentence == (
        "These 5 accounts take turns: in 28 of the 28 days in which any is busier than usual, only one is."
    )


def test_members_in_step_take_no_turns() -> None:
    random = np.random.default_rng(4)
    together = random.poisson(np.broadcast_to(random.random((DAYS, 24)) < 0.2, (8, DAYS, 24)) * 9).reshape(8, -1)
    found = turns(together, SINCE_DAY)
    assert found is not None
    assert found.log10_p > -0.1


@pytest.mark.parametrize("members", [0, 1, 4])
def test_members_that_show_nothing(members: int) -> None:
    found = turns(np.ones((members, DAYS * 24)), SINCE_DAY)
    assert found is not None
    assert (found.members, found.log10_p) == (0, 0)
    assert turns(np.ones((members, 13 * 24)), SINCE_DAY) is None


def benign_lives(random: np.random.Generator, members: int, at_a_launch: float) -> tuple[Counts, Counts]:
    """First and last calls in office hours; some begin on the day of a launch."""
    days = np.sort(random.uniform(-14, 42, (members, 2)), axis=1).clip(0, DAYS - 1)
    begins_there = (random.random(members) < at_a_launch) & (days[:, 1] > 15)
    days[begins_there, 0] = 15 + random.random(begins_there.sum())
    at = np.floor(days) + (9 + 9 * (days % 1)) / 24
    lives = SINCE + np.sort(at * DAY, axis=1).astype(np.int64)
    return lives[:, 0], lives[:, 1]


@pytest.mark.parametrize(("members", "at_a_launch"), [(5, 0.0), (40, 0.0), (40, 0.4), (400, 0.0)])
def test_lives_that_begin_and_end_by_themselves_are_no_relay(members: int, at_a_launch: float) -> None:
    found = []
    for seed in range(60):
        tested = relay(*benign_lives(np.random.default_rng((5, seed)), members, at_a_launch), SINCE, UNTIL)
        assert tested is not None
        found.append(tested.log10_p)
    assert np.mean(np.array(found) <= -1) <= 0.1
    assert min(found) > -3


def chain(random: np.random.Generator, members: int, gap_hours: float) -> tuple[Counts, Counts]:
    ends = np.sort(random.uniform(1.5, 26.5, members - 1))
    begins = ends + random.uniform(0, gap_hours / 24, members - 1)
    first = SINCE + np.concatenate([[0], begins * DAY]).astype(np.int64)
    last = SINCE + np.concatenate([ends * DAY, [27.9 * DAY]]).astype(np.int64)
    return np.minimum(first, last), last


@pytest.mark.parametrize(("members", "others", "log10_p"), [(6, 0, -4), (12, 0, -8), (30, 20, -10)])
def test_accounts_that_go_on_where_another_stopped_are_found(members: int, others: int, log10_p: float) -> None:
    for seed in range(5):
        random = np.random.default_rng((6, seed))
        both = [
            np.concatenate(pair)
            for pair in zip(chain(random, members, 1), benign_lives(random, others, 0), strict=True)
        ]
        found = relay(both[0], both[1], SINCE, UNTIL)
        assert found is not None
        assert found.log10_p < log10_p


def test_many_that_begin_when_many_stop_are_one_coincidence() -> None:
    moment, around = SINCE + 12 * DAY, np.arange(20) * HOUR // 60
    first = np.concatenate([np.full(20, SINCE), moment + HOUR // 2 + around])
    last = np.concatenate([moment - around, np.full(20, UNTIL - 1)])
    found = relay(first, last, SINCE, UNTIL)
    assert found is not None
    assert (found.starts, found.taken_over) == (1, 1)
    assert found.log10_p > -1.5


def test_what_is_said_of_a_relay() -> None:
    ends = SINCE + np.array([3, 9, 14, 22]) * DAY + np.array([1, 7, 13, 20]) * HOUR
    first, last = np.concatenate([[SINCE], ends + HOUR // 2]), np.concatenate([ends, [UNTIL - 1]])
    found = relay(first, last, SINCE, UNTIL)
    assert found is not None
    assert found.sentence == (
        f"4 of 4 beginnings came within an hour of another account's end; by chance {found.expected:.1f} would have."
    )


def test_lives_that_are_none_are_refused_and_short_windows_say_nothing() -> None:
    assert relay([], [], SINCE, SINCE + 13 * DAY) is None
    empty = relay([], [], SINCE, UNTIL)
    assert empty is not None
    assert (empty.starts, empty.log10_p) == (0, 0)
    for first, last in ((SINCE - 1, SINCE), (SINCE, UNTIL), (SINCE + 2, SINCE + 1)):
        with pytest.raises(ValueError, match="lie within the window"):
            relay([first], [last], SINCE, UNTIL)
