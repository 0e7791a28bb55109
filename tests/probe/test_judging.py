"""What a test computes: blind until the coins, alike on machines whose last bits differ, and adding up."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom
from tests.probe.probes import ask, gathered, make_probe, planned, signer
from tests.probe.test_plan import PLAN

from stillroom.base.errors import DataError
from stillroom.probe.comparing import statement_differences
from stillroom.probe.judging import Evidence, Judged, _rounded, differences, judge, measure
from stillroom.probe.opening import open_plan
from stillroom.probe.plan import LIKELIHOOD, MeasureNamed, Plan
from stillroom.probe.relative import relative_to_base
from stillroom.store.siblings import Answer, Likelihood, Opening, Pair

BY_LIKELIHOOD = PLAN.model_copy(
    update={"primary": MeasureNamed(name=LIKELIHOOD, version=1), "samples": 0, "may_lack": 0.5}
)


def evidence(plan: Plan = PLAN, count: int = 20, **change: Any) -> Evidence:
    found = gathered(count)
    answers = [
        Answer(pair.question_id, sample, pair.first if sample else pair.second, "stop", 1)
        for pair in found.pairs
        for sample in range(2)
    ]
    return replace(Evidence(plan, found.pairs, found.openings, answers, [], None), **change)


def figures(pairs: list[Pair], model: Any, gains: list[float]) -> list[Likelihood]:
    return [
        Likelihood(pair.pair_id, model, -40.0 + gain, -40.0, 30, 1) for pair, gain in zip(pairs, gains, strict=True)
    ]


def judged(given_evidence: Evidence) -> Judged:
    return judge(given_evidence, measure(given_evidence))


def test_the_differences_are_the_same_whatever_the_coins() -> None:
    one = evidence()
    turned: list[Opening] = [replace(each, coin=1 - each.coin) for each in one.openings]  # type: ignore[arg-type]
    assert np.array_equal(measure(one).differences_MN, measure(replace(one, openings=turned)).differences_MN)
    assert judged(one).result.nearer_served == judged(replace(one, openings=turned)).result.nearer_sealed


def test_the_bare_count_has_a_p_value_of_its_own() -> None:
    result = judged(evidence()).result
    assert result.sign_p_value == pytest.approx(binom.sf(result.nearer_served - 1, result.informative, 0.5))


def test_likelihood_is_relative_to_the_base_where_there_is_one() -> None:
    pairs = gathered(4).pairs
    both = [*figures(pairs, "suspect", [5, 1, 5, 1]), *figures(pairs, "base", [2, -2, 2, -2])]
    assert differences(BY_LIKELIHOOD, pairs, [], both).tolist() == [[5.0, 1.0, 5.0, 1.0]]
    with_base = BY_LIKELIHOOD.model_copy(update={"base": "abacus-base"})
    relative = relative_to_base(np.array([5.0, 1.0, 5.0, 1.0]), np.array([2.0, -2.0, 2.0, -2.0]))
    assert differences(with_base, pairs, [], both)[0] == pytest.approx(relative)
    assert np.isnan(differences(with_base, pairs, [], both[:4])).all()
    broken = [replace(both[0], first=-math.inf), replace(both[1], tokens=0), both[2]]
    assert np.isnan(differences(BY_LIKELIHOOD, pairs, [], broken)).tolist() == [[True, True, False, True]]
    with pytest.raises(DataError, match="two likelihoods of the suspect"):
        differences(BY_LIKELIHOOD, pairs, [], [both[0], *both])


def test_a_measure_of_another_version_is_not_computed() -> None:
    newer = PLAN.model_copy(update={"primary": MeasureNamed(name="ngrams", version=999)})
    with pytest.raises(DataError, match="does not have version 999 of the measure 'ngrams'"):
        measure(evidence(newer))


def test_every_pair_is_used_identical_or_unanswered() -> None:
    one = evidence(PLAN.model_copy(update={"may_lack": 0.5}))
    same = [replace(pair, second=pair.first) if number < 3 else pair for number, pair in enumerate(one.pairs)]
    silent = {pair.question_id for pair in same[2:7]}
    answers = [replace(each, text="") if each.question_id in silent else each for each in one.answers]
    counts = judged(replace(one, pairs=same, answers=answers)).counts
    assert (counts.pairs, counts.identical, counts.unanswered, counts.used) == (20, 3, 4, 13)
    assert (counts.answers, counts.unusable_answers) == (40, 10)


def test_the_picture_is_of_all_that_coins_could_have_given() -> None:
    one = evidence(BY_LIKELIHOOD)
    coins = [opening.coin for opening in one.openings]
    learned = [
        Likelihood(pair.pair_id, "suspect", 0.0 if coin else 1.0, 1.0 if coin else 0.0, 30, 1)
        for pair, coin in zip(one.pairs, coins, strict=True)
    ]
    found = judged(replace(one, likelihoods=learned))
    assert sum(found.picture.shares) == pytest.approx(1)
    assert len(found.picture.edges) == len(found.picture.shares) + 1
    assert found.picture.observed == pytest.approx(math.sqrt(20))
    assert [each.difference for each in found.telling] == [1.0] * 12


@given(
    st.lists(st.floats(min_value=-1e300, max_value=1e300, allow_subnormal=False), min_size=1, max_size=30),
    st.integers(min_value=-2, max_value=2),
)
def test_rounding_keeps_signs_sizes_and_ties_and_drops_last_bits(values: list[float], ulps: int) -> None:
    exact = np.array(values)
    moved = exact + ulps * np.spacing(exact)
    rounded = _rounded(exact)
    assert np.array_equal(np.sign(rounded), np.sign(exact))
    assert np.allclose(rounded, exact, rtol=1e-9, atol=1e-320)
    # At the edge between two roundings a last bit does decide: then the two are neighbours.
    assert np.allclose(_rounded(moved), rounded, rtol=3e-10, atol=1e-320)
    assert np.array_equal(_rounded(np.array([np.nan, 0.0, 0.1 + 0.2])), [np.nan, 0.0, 0.3], equal_nan=True)


def test_statements_are_compared_to_what_can_be_the_same_on_two_machines(tmp_path: Path) -> None:
    probe = make_probe(tmp_path / "probe", 20)
    answers = ask(planned(probe).pack, probe, tmp_path / "answers")
    said = open_plan(probe, "first", answers, signer(probe), "Olga").statement
    assert statement_differences(said, said) == []
    close = replace(said, result=replace(said.result, p_value=said.result.p_value * (1 + 1e-9)))
    assert statement_differences(said, close) == []
    changes: list[dict[str, Any]] = [
        {"result": replace(said.result, p_value=said.result.p_value * 0.99)},
        {"result": replace(said.result, nearer_served=said.result.nearer_served + 1)},
        {"is_positive": not said.is_positive},
        {"accounts": ()},
        {"counts": replace(said.counts, used=said.counts.used - 1)},
    ]
    for change in changes:
        assert statement_differences(said, replace(said, **change)) != []
    tiny = replace(said, result=replace(said.result, p_value=1e-200))
    assert statement_differences(tiny, replace(said, result=replace(said.result, p_value=1e-100))) != []
