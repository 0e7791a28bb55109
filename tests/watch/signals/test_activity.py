from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.watch.signals.windows import DAYS, SINCE, day, days, model, window

from stillroom.watch.signals.activity import chance_variation
from stillroom.watch.signals.measure import Signals, signals_of


def value(signals: Signals, name: str, organisation: str) -> float:
    return float(signals.values[name][signals.organisations.names.index(organisation)])


def test_the_accounts_of_an_organisation_are_one_customer() -> None:
    signals = signals_of(window(days("a", 10, "firm") + days("b", 20, "firm") + days("c", 5, "other")))
    assert signals.organisations.names == ("firm", "other")
    assert value(signals, "volume", "firm") == 30
    assert signals.organisations.accounts_of(0) == ("a", "b")
    assert signals.sentence("volume", 0) == "It made 840 calls from 2 accounts in 28 days: 30.0 a day."


def test_an_account_counts_to_its_last_organisation_and_to_itself_where_nobody_names_one() -> None:
    rows = [day("a", 0, organisation="old"), day("a", 5, organisation="new"), day("b", 0)]
    rows[2]["organisation"] = None
    later = day("a", 6)
    later["organisation"] = None
    signals = signals_of(window([*rows, later]))
    assert signals.organisations.names == ("b", "new")


def test_calls_that_carry_a_permit_are_in_no_signal() -> None:
    signals = signals_of(window(days("a", 0, permitted_calls=1000) + days("b", 10)))
    assert value(signals, "volume", "org a") == 0
    assert signals.facts["permitted_calls"].tolist() == [28_000, 0]


def test_growth_is_the_last_week_against_the_days_before() -> None:
    rows = [day("a", at, 10 if at < DAYS - 7 else 40) for at in range(DAYS)] + days("b", 10)
    signals = signals_of(window(rows))
    assert value(signals, "growth", "org a") == pytest.approx(41 / 11)
    assert value(signals, "growth", "org b") == pytest.approx(1)
    said = signals.sentence("growth", 0)
    assert said == "In the last seven days it made 40.0 calls a day, and 10.0 a day in the days before."


def test_growth_is_absent_of_a_customer_who_is_new_and_of_a_short_window() -> None:
    new = [day("new", at, 100) for at in range(DAYS - 5, DAYS)]
    assert np.isnan(value(signals_of(window(new)), "growth", "org new"))
    short = [day("a", at, 100) for at in range(10)]
    assert np.isnan(value(signals_of(window(short, until_day=SINCE + 10)), "growth", "org a"))


def test_hours_count_by_how_many_there_are_and_not_by_which_they_are() -> None:
    def at_hours(account: str, hours: list[int]) -> dict[str, object]:
        filled: dict[str, Any] = {f"hour_{hour:02}": 2400 // len(hours) if hour in hours else 0 for hour in range(24)}
        return day(account, 0, 2400, **filled)

    signals = signals_of(
        window([at_hours("day", [*range(9, 17)]), at_hours("night", [*range(8)]), at_hours("all", [*range(24)])])
    )
    assert value(signals, "round_the_clock", "org all") == pytest.approx(1)
    assert value(signals, "round_the_clock", "org day") == value(signals, "round_the_clock", "org night")
    assert value(signals, "round_the_clock", "org day") == pytest.approx(1 / 3, abs=0.01)


def test_few_calls_say_nothing_of_hours_and_bursts() -> None:
    signals = signals_of(window([day("a", 0, 40), day("a", 1, 40)]))
    for name in ("round_the_clock", "bursts", "steadiness", "growth"):
        assert np.isnan(value(signals, name, "org a"))
    assert value(signals, "volume", "org a") == 80 / DAYS


def test_a_constant_rate_has_no_bursts_and_one_busy_hour_has() -> None:
    random = np.random.default_rng(0)
    even, burst = [], []
    for at in range(DAYS):
        counts = random.poisson(5, 24)
        by_hour: dict[str, Any] = {f"hour_{h:02}": int(c) for h, c in enumerate(counts)}
        even.append(day("even", at, int(counts.sum()), **by_hour))
        zeros: dict[str, Any] = {f"hour_{h:02}": 0 for h in range(24)}
        burst.append(day("burst", at, 120, **(zeros | {"hour_03": 120})))
    signals = signals_of(window(even + burst))
    assert value(signals, "bursts", "org even") < 0.05
    assert value(signals, "bursts", "org burst") == pytest.approx(23, abs=1)
    assert "busiest hour had 120 calls" in signals.sentence("bursts", 0)


def test_an_organisations_accounts_share_its_bursts() -> None:
    zeros: dict[str, Any] = {f"hour_{h:02}": 0 for h in range(24)}
    rows = []
    for at in range(DAYS):
        for place in range(24):  # each account at an hour of its own: together a constant rate
            rows.append(day(f"a{place}", at, 10, "firm", **(zeros | {f"hour_{place:02}": 10})))
    assert value(signals_of(window(rows)), "bursts", "firm") == 0


@pytest.mark.parametrize("mean_s", [5.0, 60.0, 300.0, 1200.0])
def test_gaps_by_chance_are_steady_as_chance_is(mean_s: float) -> None:
    gaps = np.random.default_rng(1).exponential(mean_s, 40_000)
    gaps = gaps[gaps <= 600]
    row = day("a", 0, gaps=len(gaps), gaps_s=float(gaps.sum()), gaps_square_s=float((gaps**2).sum()))
    assert value(signals_of(window([row])), "steadiness", "org a") == pytest.approx(1, abs=0.03)


def test_a_clockwork_is_steadier_than_chance_and_bursts_are_less_so() -> None:
    steady = day("steady", 0, gaps=1000, gaps_s=30_000.0, gaps_square_s=1000 * (30.0**2 + 3.0**2))
    ragged = day("ragged", 0, gaps=1000, gaps_s=30_000.0, gaps_square_s=1000 * 30.0**2 * 10)
    signals = signals_of(window([steady, ragged]))
    assert value(signals, "steadiness", "org steady") == pytest.approx(10, rel=0.01)
    assert value(signals, "steadiness", "org ragged") == pytest.approx(1 / 3, rel=0.01)
    assert signals.sentence("steadiness", 1).endswith("vary 10.0 times less than those of calls that come by chance.")
    assert signals.sentence("steadiness", 0).endswith("vary 3.0 times more than those of calls that come by chance.")


def test_gaps_cut_at_ten_minutes_are_held_against_a_distribution_cut_there() -> None:
    assert chance_variation(np.array([1.0]))[0] == pytest.approx(1, abs=0.01)
    assert chance_variation(np.array([299.9]))[0] == pytest.approx(1 / np.sqrt(3), abs=0.01)


def _launch(first: int, users: int = 6) -> list[dict[str, object]]:
    return [model(f"a{place}", "new", 30 + 10 * place, first + place) for place in range(users)]


def test_who_moves_to_a_new_model_at_once_is_told_from_who_does_later() -> None:
    activity = [row for place in range(6) for row in days(f"a{place}", 10)]
    models = [model(f"a{place}", "old", 100) for place in range(6)] + _launch(20)
    signals = signals_of(window(activity, models=models))
    assert value(signals, "new_model", "org a0") == pytest.approx(30 / 80)
    assert value(signals, "new_model", "org a1") == pytest.approx(40 / 80)  # shortly after midnight
    assert value(signals, "new_model", "org a2") == 0
    assert "It called new when it had just appeared (2024-10-24), and 37.5 %" in signals.sentence("new_model", 0)
    assert signals.sentence("new_model", 2) == "It took up no new model when it had just appeared."


def test_a_model_of_the_first_week_or_of_few_is_no_launch() -> None:
    activity = [row for place in range(6) for row in days(f"a{place}", 10)]
    for models in (_launch(3), _launch(20, users=4)):
        assert np.isnan(signals_of(window(activity, models=models)).values["new_model"]).all()
