from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from tests.watch.links.made_hours import DAYS, SINCE_DAY, Counts, Rates, habits, lived, population

from stillroom.watch.links.in_step import in_step

Make = Callable[[np.random.Generator], Rates]


def office(members: int) -> Make:
    """Office hours of one time zone whose working day crosses midnight in UTC."""
    return lambda random: habits(random, members, zone=16)


def clocks_changed(random: np.random.Generator) -> Rates:
    rates = habits(random, 20, zone=16)
    rates[:, 14:] = np.roll(rates[:, 14:], 1, axis=2)
    return rates


def begun_on_some_day(random: np.random.Generator) -> Rates:
    rates = habits(random, 20, zone=16)
    for one in rates:
        one[: random.integers(0, 25)] = 0
    return rates


def days_off_in_common(random: np.random.Generator) -> Rates:
    rates = habits(random, 20, zone=16)
    rates[:, 17] *= 0.05
    rates[:, 18, 12:] *= 0.1
    return rates


def night_jobs(random: np.random.Generator) -> Rates:
    rates = np.zeros((12, DAYS, 24))
    rates[:, :, 2:5] = random.lognormal(2, 1, (12, 1, 1))
    return rates


@pytest.mark.parametrize(
    "make",
    [office(3), office(20), clocks_changed, begun_on_some_day, days_off_in_common, night_jobs],
    ids=["office of 3", "office of 20", "clocks changed", "begun on some day", "days off in common", "night jobs"],
)
def test_habits_that_a_whole_group_has_tie_nobody(make: Make) -> None:
    everyone = population(np.random.default_rng(0))
    found = []
    for seed in range(8):
        random = np.random.default_rng((1, seed))
        tested = in_step(lived(random, make(random)), everyone, SINCE_DAY)
        assert tested is not None
        found.append(tested.log10_p)
    assert min(found) > -3
    assert np.mean(np.array(found) <= -1) <= 0.25


def test_hours_in_which_the_service_was_away_for_all_tie_nobody() -> None:
    for seed in range(3):
        random = np.random.default_rng((2, seed))
        service = np.ones((DAYS, 24))
        for day in random.choice(DAYS, 6, replace=False):
            begin = random.integers(0, 18)
            service[day, begin : begin + 6] = 0
        around_the_clock = random.lognormal(0.7, 1, (25, 1, 1)) * np.ones((25, DAYS, 24))
        hours = random.poisson(around_the_clock * service).reshape(25, -1)
        found = in_step(hours, population(random, service), SINCE_DAY)
        blind = in_step(hours, np.full(DAYS * 24, 0.5), SINCE_DAY)
        assert found is not None
        assert blind is not None
        assert found.log10_p > -1.5
        assert blind.log10_p < -7, "what the population did is what explains it"


def batches(random: np.random.Generator, members: int, own_share: float) -> Counts:
    """Three hours of each day, others every day, in which all work; beside it each one's own life."""
    own = lived(random, habits(random, members)).reshape(members, DAYS, 24)
    together = np.zeros((DAYS, 24))
    for day in range(DAYS):
        begin = random.integers(0, 21)
        together[day, begin : begin + 3] = 1
    rates = together * (own.sum(axis=(1, 2)) / DAYS / 3)[:, None, None]
    counts: Counts = random.poisson(rates * (1 - own_share)) + random.poisson(own * own_share)
    return counts.reshape(members, -1)


@pytest.mark.parametrize(("members", "own_share", "log10_p"), [(3, 0.0, -3), (6, 0.5, -7), (40, 0.8, -20)])
def test_batches_that_all_work_on_at_once_are_found(members: int, own_share: float, log10_p: float) -> None:
    everyone = population(np.random.default_rng(0))
    for seed in range(3):
        found = in_step(batches(np.random.default_rng((3, seed)), members, own_share), everyone, SINCE_DAY)
        assert found is not None
        assert found.log10_p < log10_p
        assert found.together > found.expected_together


def test_what_is_said_of_it() -> None:
    hours = np.zeros((2, DAYS, 24))
    for day, hour in enumerate(np.random.default_rng(4).integers(0, 24, DAYS)):
        hours[:, day, hour] = 5
    found = in_step(hours.reshape(2, -1), np.full(DAYS * 24, 0.1), SINCE_DAY)
    assert found is not None
    assert (found.members, found.together) == (2, DAYS)
    assert found.sentence == (
        "Two of these 2 accounts were active in the same hour 28 times; "
        f"had each kept its habits but not its company, {found.expected_together:.0f} times."
    )
    assert found.expected_together < 12


@pytest.mark.parametrize(
    "hours", [np.zeros((0, DAYS * 24)), np.zeros((4, DAYS * 24)), np.ones((4, DAYS * 24)), np.ones((1, DAYS * 24))]
)
def test_groups_that_can_show_nothing_show_nothing(hours: Counts) -> None:
    found = in_step(hours, np.zeros(DAYS * 24), SINCE_DAY)
    assert found is not None
    assert found.log10_p == 0


def test_less_than_two_weeks_is_not_known() -> None:
    assert in_step(np.ones((3, 13 * 24)), np.ones(13 * 24), SINCE_DAY) is None


def test_hours_that_are_no_hours_are_refused() -> None:
    with pytest.raises(ValueError, match="whole days"):
        in_step(np.ones((3, 25)), np.ones(25), SINCE_DAY)
    with pytest.raises(ValueError, match="0 or more"):
        in_step(-np.ones((3, 24)), np.ones(24), SINCE_DAY)
    with pytest.raises(ValueError, match="0 or more"):
        in_step(np.full((3, 24), np.nan), np.ones(24), SINCE_DAY)
    with pytest.raises(ValueError, match="28 days and the population 27"):
        in_step(np.ones((3, 28 * 24)), np.ones(27 * 24), SINCE_DAY)


def test_the_same_group_has_the_same_figure() -> None:
    hours = batches(np.random.default_rng(5), 5, 0.5)
    everyone = population(np.random.default_rng(0))
    assert in_step(hours, everyone, SINCE_DAY) == in_step(hours, everyone, SINCE_DAY)


def test_windows_need_not_be_whole_weeks() -> None:
    random = np.random.default_rng(6)
    everyone = population(random)
    hours = batches(random, 6, 0.0)
    for days, later in ((17, 3), (23, 5)):
        found = in_step(hours[:, : days * 24], everyone[: days * 24], SINCE_DAY + later)
        assert found is not None
        assert found.log10_p < -4
