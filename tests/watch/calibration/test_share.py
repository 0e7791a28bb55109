"""A share of organisations that alarm, and an interval that holds what it says."""

from __future__ import annotations

import numpy as np
import pytest

from stillroom.watch.calibration.share import alarm_share, interval

ORGANISATIONS = [f"org{number}" for number in range(2_000)]


def test_nobody_alarmed_is_not_certain_to_be_nobody() -> None:
    share = alarm_share([], ORGANISATIONS, weeks=2)
    assert (share.share, share.low) == (0.0, 0.0)
    assert share.high == pytest.approx(1 - 0.025 ** (1 / 2_000))  # the exact bound of none among 2,000
    assert share.expected_per_month == 0.0


def test_alarms_are_told_by_the_month() -> None:
    share = alarm_share(["org1", "org7", "org7"], ORGANISATIONS, weeks=2)
    assert share.alarmed == 2
    assert share.share == 0.001
    assert share.low < 0.001 < share.high
    assert share.expected_per_month == pytest.approx(365.25 / 12 / 7)
    low, high = share.expected_per_month_interval
    assert low < share.expected_per_month < high


def test_alarms_that_come_from_one_kind_of_client_are_less_sure() -> None:
    kinds = {name: str(number % 20) for number, name in enumerate(ORGANISATIONS)}
    one_kind = [name for name in ORGANISATIONS if kinds[name] == "3"][:60]
    all_kinds = ORGANISATIONS[:60]
    together = alarm_share(one_kind, ORGANISATIONS, weeks=2, clusters=kinds)
    apart = alarm_share(all_kinds, ORGANISATIONS, weeks=2, clusters=kinds)
    assert together.share == apart.share
    assert together.clusters == 20
    assert together.high > 2 * apart.high


def test_one_kind_says_nothing_of_how_kinds_differ() -> None:
    share = alarm_share(["org1"], ORGANISATIONS, weeks=2, clusters=dict.fromkeys(ORGANISATIONS, "same"))
    assert (share.low, share.high) == (0.0, 1.0)


@pytest.mark.parametrize(("share", "overdispersion"), [(0.001, 0.0), (0.01, 0.0), (0.01, 0.05), (0.05, 0.1)])
def test_the_interval_holds_the_truth_as_often_as_it_says(share: float, overdispersion: float) -> None:
    draw = np.random.default_rng(11)
    rounds, held = 20, 0
    for _ in range(rounds):
        sizes = np.bincount(draw.integers(0, 80, 2_000), minlength=80)
        shares = np.full(80, share)
        if overdispersion:
            strength = (1 - overdispersion) / overdispersion
            shares = draw.beta(share * strength, (1 - share) * strength, 80)
        low, high = interval(draw.binomial(sizes, shares), sizes)
        held += low <= share <= high
    assert held >= 18


def test_who_alarmed_is_among_the_organisations() -> None:
    with pytest.raises(ValueError, match="stranger alarmed"):
        alarm_share(["stranger"], ORGANISATIONS, weeks=2)


def test_every_organisation_is_of_a_kind() -> None:
    with pytest.raises(ValueError, match="org1999 is in no cluster"):
        alarm_share([], ORGANISATIONS, weeks=2, clusters=dict.fromkeys(ORGANISATIONS[:-1], "same"))


@pytest.mark.parametrize(("organisations", "weeks"), [([], 2.0), (["a"], 0.0)])
def test_a_share_of_nobody_is_none(organisations: list[str], weeks: float) -> None:
    with pytest.raises(ValueError, match="needs organisations and weeks"):
        alarm_share([], organisations, weeks=weeks)
