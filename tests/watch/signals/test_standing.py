from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tests.watch.signals.windows import ordinary, window

from stillroom.base.errors import DataError
from stillroom.watch.signals.definitions import SIGNALS
from stillroom.watch.signals.measure import signals_of
from stillroom.watch.signals.organisations import Column
from stillroom.watch.signals.standing import Distribution, Standings, fit_standings


def fitted(values: Column, scale: str = "linear", step: float = 0.1) -> Distribution:
    found = Distribution.of(
        values, [f"o{place}" for place in range(len(values))], "log" if scale == "log" else "linear", step
    )
    assert found is not None
    return found


def evidence(distribution: Distribution, values: Column) -> Column:
    """Of newcomers."""
    return distribution.evidence(values, [f"newcomer {place}" for place in range(len(values))])


def test_a_standing_is_the_share_whose_value_is_lower() -> None:
    distribution = fitted(np.arange(1000.0))
    standing = distribution.standing(np.array([-1.0, 0.0, 250.0, 990.0, 5000.0, np.nan]))
    assert standing[:5] == pytest.approx([0, 0, 0.25, 0.99, 1], abs=0.002)
    assert np.isnan(standing[5])


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_evidence_of_ordinary_values_is_as_rare_as_it_says(scale: str) -> None:
    random = np.random.default_rng(0)

    def draw(count: int) -> Column:
        return random.exponential(1, count) if scale == "linear" else random.lognormal(1, 1, count)

    found = evidence(fitted(draw(2000), scale, 1), draw(200_000))
    for least in (0.5, 1, 2, 3):
        # Rarer is what counting one more organisation, and the longest of several tails, costs.
        assert 0.2 * 10**-least < np.mean(found >= least) < 1.3 * 10**-least


def test_evidence_goes_on_beyond_what_was_ever_seen() -> None:
    distribution = fitted(np.random.default_rng(0).exponential(1, 2000))
    at_most, twice = evidence(distribution, np.array([distribution.largest[-1], 2 * distribution.largest[-1]]))
    assert 3 <= at_most < 3.4
    assert 5 < twice < 8


def test_a_second_hump_in_the_tail_is_no_surprise() -> None:
    values = np.zeros(2000)
    values[:5] = [0.5, 0.55, 0.6, 0.65, 0.7]
    beside, beyond = evidence(fitted(values), np.array([0.6, 0.75]))
    assert beside < 3
    assert beyond < 3.5


def test_where_nobody_does_it_a_little_is_not_yet_much() -> None:
    nobody = fitted(np.zeros(2000))
    none, little, much = evidence(nobody, np.array([0.0, 0.001, 0.5]))
    assert none == 0
    assert little < 3
    assert much > 5


def test_too_few_organisations_make_no_distribution() -> None:
    names = [f"o{place}" for place in range(69)]
    assert Distribution.of(np.append(np.arange(19.0), [np.nan] * 50), names, "linear", 1) is None
    assert Distribution.of(np.append(np.arange(20.0), [np.nan] * 49), names, "linear", 1) is not None


@given(
    arrays(np.float64, st.integers(20, 300), elements=st.floats(0, 1e6)),
    arrays(np.float64, 20, elements=st.floats(0, 1e9)),
    st.sampled_from(["linear", "log"]),
)
def test_more_is_never_less_telling(
    values: Column,
    asked: Column,
    scale: str,
) -> None:
    distribution = fitted(values, scale)
    for column in (evidence(distribution, np.sort(asked)), distribution.standing(np.sort(asked))):
        assert np.isfinite(column).all()
        assert (np.diff(column) >= -1e-9).all()


def test_standings_are_kept_as_json() -> None:
    signals = signals_of(window(**ordinary(100)))
    standings = fit_standings(signals)
    again = Standings.from_json(json.loads(json.dumps(standings.as_json())))
    assert again.days == 28
    for name, distribution in standings.signals.items():
        column = signals.values[name]
        names = signals.organisations.names
        assert (again.signals[name].evidence(column, names) == distribution.evidence(column, names)).all()
    assert again.families.keys() == {"content", "time"}


@pytest.mark.parametrize(
    "said", [{}, {"days": 28}, {"days": 28, "signals": {"volume": {}}, "families": {}}, {"days": "x"}]
)
def test_other_json_is_refused(said: dict[str, object]) -> None:
    with pytest.raises(DataError, match="no standings"):
        Standings.from_json(said)


def test_what_is_absent_everywhere_has_no_distribution() -> None:
    parts = ordinary(100)
    standings = fit_standings(signals_of(window(**parts, missing=frozenset({"turns", "n"}))))
    assert not {"never_repeated", "breadth", "many_samples", "new_model"} & standings.signals.keys()
    assert {"volume", "bank_coverage"} <= standings.signals.keys() <= {signal.name for signal in SIGNALS}


def test_organisations_of_confirmed_findings_are_left_out() -> None:
    signals = signals_of(window(**ordinary(100)))
    names = signals.organisations.names
    largest = int(np.argmax(signals.values["volume"]))
    everyone, others = fit_standings(signals), fit_standings(signals, {names[largest], "nobody"})
    assert others.signals["volume"].n == everyone.signals["volume"].n - 1
    assert others.signals["volume"].largest[-1] < everyone.signals["volume"].largest[-1]


def test_nobody_is_held_against_itself() -> None:
    values = np.append(np.zeros(1999), 0.9)
    distribution = fitted(values)
    again = distribution.evidence(np.array([0.9]), ["o1999"])
    newcomer = evidence(distribution, np.array([0.9]))
    assert again > 6 > 3.4 > newcomer
    rarely = distribution.evidence(np.array([0.0]), ["o1999"])
    assert rarely == 0
