"""From pairs, coins and answers to what a test finds: the same for the owner and for anybody who computes it again.

The differences are worked out without the coins; only then are these looked at.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from stillroom.base.errors import DataError
from stillroom.base.progress import Progress, Silent
from stillroom.probe.asked import is_usable
from stillroom.probe.balance import balance
from stillroom.probe.closeness import closeness
from stillroom.probe.familywise import AccountTest, by_account, max_t
from stillroom.probe.measures import MEASURES, all_differences
from stillroom.probe.plan import LIKELIHOOD, Plan, asking_seed
from stillroom.probe.power import number_needed
from stillroom.probe.references import (
    BesideReferences,
    Texts,
    beside_references,
    reference_checks,
    references_of,
    usable_texts,
)
from stillroom.probe.relative import relative_to_base
from stillroom.probe.sensitivity import odds_tolerated
from stillroom.probe.statement import (
    AccountResult,
    CoinChecks,
    Counts,
    Picture,
    ReferenceChecks,
    Result,
    TeacherCloseness,
    TellingPair,
)
from stillroom.probe.swap_test import SwapTest, swap_distribution, swap_test, toward_served
from stillroom.probe.units import units_of
from stillroom.store.siblings import Answer, Likelihood, Opening, Pair

LIKELIHOOD_VERSION = 1
POWER = 0.9
"""With which a pilot's number of pairs finds what the pilot found."""
MOST_TELLING = 12
_SILENT = Silent()
_DIGITS = 10
_BIN, _FURTHEST = 0.25, 5.0

Differences = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that a test is computed from."""

    plan: Plan
    pairs: Sequence[Pair]
    """In the order of their ids."""
    openings: Sequence[Opening]
    """One for each pair, in the same order."""
    answers: Sequence[Answer]
    likelihoods: Sequence[Likelihood]
    thirds: Sequence[Answer] | None
    """Further draws of the teacher; None: there are none. Where the plan has references they are these."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What is worked out without the coins."""

    differences_MN: Differences
    """Of the plan's measures, the primary one first."""
    units_N: NDArray[np.int64]
    counts: Counts
    beside: BesideReferences | None


@dataclass(frozen=True, slots=True)
class Judged:
    """The members of a Statement that are computed."""

    result: Result
    is_positive: bool
    others: tuple[Result, ...]
    accounts: tuple[AccountResult, ...]
    counts: Counts
    closeness: TeacherCloseness | None
    needed: int | None
    picture: Picture
    telling: tuple[TellingPair, ...]
    coins: CoinChecks
    references: ReferenceChecks | None


def measure(evidence: Evidence, progress: Progress = _SILENT) -> Measured:
    """Raises DataError where answers are lacking, the references are not the plan's, or this version of stillroom lacks
    a measure of it."""
    plan, pairs = evidence.plan, evidence.pairs
    references = references_of(plan, evidence.thirds)
    differences_MN = differences(plan, pairs, evidence.answers, evidence.likelihoods, references, progress)
    beside = beside_references(plan, pairs, usable_texts(evidence.answers), references)
    return Measured(differences_MN, units_of(pairs), _counts(evidence, differences_MN[0]), beside)


def judge(evidence: Evidence, measured: Measured) -> Judged:
    """Open the coins. The only part in which they are looked at."""
    plan, differences_MN, units_N = evidence.plan, measured.differences_MN, measured.units_N
    coins_N = np.array([opening.coin for opening in evidence.openings], dtype=np.int8)
    adjusted_M = max_t(differences_MN, coins_N, units_N, seed=asking_seed(plan.digest))
    tests = [swap_test(differences_N, coins_N, units_N) for differences_N in differences_MN]
    names = [each.name for each in plan.measures]
    of_accounts = by_account(differences_MN[0], coins_N, units_N, [each.account for each in evidence.openings])
    has_thirds = evidence.thirds is not None and plan.samples > 0
    return Judged(
        result=_result(names[0], tests[0], tests[0].p_value),
        is_positive=tests[0].p_value <= plan.level and not plan.is_pilot,
        others=tuple(map(_result, names[1:], tests[1:], map(float, adjusted_M[1:]))),
        accounts=tuple(_account(of_accounts[name], names[0], plan.level) for name in sorted(of_accounts)),
        counts=measured.counts,
        closeness=closeness(evidence.pairs, evidence.answers, evidence.thirds or ()) if has_thirds else None,
        needed=_needed(plan, toward_served(differences_MN[0], coins_N, units_N)),
        picture=_picture(tests[0], differences_MN[0], coins_N, units_N),
        telling=_telling(evidence, differences_MN[0], coins_N),
        coins=_coins(evidence, differences_MN[0], coins_N, units_N),
        references=None if measured.beside is None else reference_checks(measured.beside, coins_N, units_N),
    )


def differences(
    plan: Plan,
    pairs: Sequence[Pair],
    answers: Iterable[Answer],
    likelihoods: Iterable[Likelihood],
    references: Texts | None = None,
    progress: Progress = _SILENT,
) -> Differences:
    """difference_MN of the plan's measures, the primary one first: likeness to the first reply less to the second.

    Of measures of texts it is relative to that of the references, where there are some. Coins have no part in it.
    Rounded to ten significant digits, so that what is equal on one machine is not taken for
    different on another, whose sums end in other bits. Raises DataError for a measure that there is not.
    """
    names = [measure.name for measure in plan.measures]
    _check_versions(plan)
    texts = [name for name in names if name != LIKELIHOOD]
    rows: dict[str, Differences] = {}
    if texts:
        told = partial(progress.update, "compare")
        found = all_differences(pairs, usable_texts(answers), texts, references=references, on_progress=told)
        rows = dict(zip(texts, found, strict=True))
    if LIKELIHOOD in names:
        rows[LIKELIHOOD] = _likelihood_differences(plan, pairs, likelihoods)
    return np.stack([_rounded(rows[name]) for name in names])


def _check_versions(plan: Plan) -> None:
    known = {name: measure.version for name, measure in MEASURES.items()} | {LIKELIHOOD: LIKELIHOOD_VERSION}
    for measure in plan.measures:
        if known.get(measure.name) != measure.version:
            raise DataError(
                f"This version of stillroom does not have version {measure.version} of the measure {measure.name!r}.",
                f"Use the one that made the plan: {plan.software}.",
            )


def _likelihood_differences(plan: Plan, pairs: Sequence[Pair], likelihoods: Iterable[Likelihood]) -> Differences:
    """log p(first) - log p(second) of the suspect, relative to the same of its base where the plan names one."""
    figures: dict[tuple[str, str], float] = {}
    for each in likelihoods:
        if (each.pair_id, each.model) in figures:
            raise DataError(f"There are two likelihoods of the {each.model} for pair {each.pair_id}.")
        is_there = each.tokens and math.isfinite(each.first) and math.isfinite(each.second)
        figures[each.pair_id, each.model] = each.first - each.second if is_there else math.nan
    found = np.array([figures.get((pair.pair_id, "suspect"), math.nan) for pair in pairs])
    if plan.base is not None:
        base = np.array([figures.get((pair.pair_id, "base"), math.nan) for pair in pairs])
        return relative_to_base(found, base)
    return found


def _rounded(values: Differences) -> Differences:
    """To ten significant digits."""
    return np.array([float(f"{value:.{_DIGITS - 1}e}") for value in values], dtype=np.float64)


def _counts(evidence: Evidence, primary_N: Differences) -> Counts:
    """Raises DataError where more questions lack an answer than the plan allows."""
    plan, pairs = evidence.plan, evidence.pairs
    is_identical = np.array([pair.first == pair.second for pair in pairs])
    is_unanswered = np.isnan(primary_N) & ~is_identical
    questions = {pair.question_id for pair in pairs}
    lacking = {pair.question_id for pair, lacks in zip(pairs, is_unanswered, strict=True) if lacks}
    if len(lacking) > plan.may_lack * len(questions):
        raise DataError(
            f"{len(lacking):,} of {len(questions):,} questions lack what the measure {plan.primary.name!r} needs: more "
            f"than the plan allows ({plan.may_lack:.0%}).",
            "Have the suspect asked again for what is missing: the same command goes on where it stopped.",
        )
    usable = sum(map(is_usable, evidence.answers))
    return Counts(
        pairs=len(pairs),
        used=int(np.sum(~is_identical & ~is_unanswered)),
        identical=int(np.sum(is_identical)),
        unanswered=int(np.sum(is_unanswered)),
        questions=len(questions),
        answered_questions=len(questions) - len(lacking),
        answers=len(evidence.answers),
        unusable_answers=len(evidence.answers) - usable,
    )


def _result(measure: str, test: SwapTest, adjusted: float) -> Result:
    return Result(
        measure=measure,
        p_value=test.p_value,
        adjusted_p=adjusted,
        statistic=float(test.statistic),
        spread=test.spread,
        units=test.units,
        informative=test.informative,
        nearer_served=test.nearer_served,
        nearer_sealed=test.nearer_sealed,
        share=test.share,
        share_low=None if test.share is None else test.share_low,
        share_high=None if test.share is None else test.share_high,
        sign_p_value=test.sign_p_value,
    )


def _account(found: AccountTest, measure: str, level: float) -> AccountResult:
    return AccountResult(
        account=found.account,
        pairs=found.test.pairs + found.test.unanswered,
        shared_units=found.shared_units,
        shared_with=found.shared_with,
        result=_result(measure, found.test, found.test.p_value),
        holm_p=found.adjusted_p_value,
        is_accused=found.adjusted_p_value <= level,
    )


def _needed(plan: Plan, oriented_U: Differences) -> int | None:
    if not plan.is_pilot:
        return None
    try:
        return number_needed(oriented_U, plan.level, POWER)
    except DataError:  # it is too small, or shows too little, to tell: which a pilot may
        return None


def _coins(
    evidence: Evidence, differences_N: Differences, coins_N: NDArray[np.int8], units_N: NDArray[np.int64]
) -> CoinChecks:
    found = balance(evidence.pairs, coins_N, units_N)
    return CoinChecks(
        first_served=found.first_served,
        split_p_value=found.coins_p_value,
        served_longer=found.served_longer,
        served_shorter=found.served_shorter,
        length_p_value=found.length_p_value,
        odds_tolerated=odds_tolerated(differences_N, coins_N, units_N, evidence.plan.level),
    )


def _picture(
    test: SwapTest, differences_N: Differences, coins_N: NDArray[np.int8], units_N: NDArray[np.int64]
) -> Picture:
    spread = test.spread or 1.0
    values, masses = swap_distribution(differences_N, coins_N, units_N)
    edges = np.arange(-_FURTHEST - _BIN / 2, _FURTHEST + _BIN, _BIN)
    inside = np.clip(values / spread, edges[0], edges[-1])
    shares, _ = np.histogram(inside, edges, weights=masses)
    return Picture(
        edges=tuple(map(float, edges)),
        shares=tuple(round(float(share), 12) for share in shares),
        observed=round(test.statistic / spread, 12),
    )


def _telling(evidence: Evidence, differences_N: Differences, coins_N: NDArray[np.int8]) -> tuple[TellingPair, ...]:
    toward_N = np.where(coins_N == 0, differences_N, -differences_N)
    found = [
        TellingPair(pair.pair_id, opening.account, float(toward))
        for pair, opening, toward in zip(evidence.pairs, evidence.openings, toward_N, strict=True)
        if not math.isnan(toward) and toward != 0
    ]
    return tuple(sorted(found, key=lambda each: (-abs(each.difference), each.pair_id))[:MOST_TELLING])
