"""Signals of content from question banks: how much of a bank an organisation asked, how evenly and in which order.

A benchmark's test split is asked by everybody who runs the benchmark, so it is measured apart and never scores.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stillroom.watch.signals.content import knows_prompts
from stillroom.watch.signals.organisations import Column, Measured, Organisations, Rows, numbers, ratio
from stillroom.watch.signals.repeats import dispersion
from stillroom.watch.window import Bank, Window

TEST_SPLITS = frozenset({"test", "validation", "valid", "dev", "eval"})
FEWEST_IN_ORDER = 50
FEWEST_ASKED, LEAST_COVERAGE = 20, 0.01
"""Different questions of a bank, and the share of it, below which nothing is said: likeness alone brings some about."""
FEWEST_KNOWN = 50
BEYOND_CHANCE = 3.0
"""Standard deviations."""


@dataclass(frozen=True, slots=True)
class BankUse:
    """What every organisation asked of one bank; arrays over organisations."""

    bank: Bank
    questions: Column
    """Different ones."""
    calls: Column
    evenness: Column
    """Signed; see `_evenness`."""
    even_questions: Column
    even_calls: Column
    """What the evenness is of."""
    dispersion: Column
    """See `repeats.dispersion`."""
    order: Column


def bank_uses(window: Window, organisations: Organisations) -> list[BankUse]:
    uses = []
    for bank in window.banks:
        is_its = (pc.field("bank") == bank.name) & (pc.field("question") < bank.questions)
        uses.append(_use(bank, organisations, *organisations.rows(window.bank_hits.filter(is_its))))
    return uses


def _use(bank: Bank, organisations: Organisations, rows: Rows, table: pa.Table) -> BankUse:
    pairs, at = np.unique(rows * bank.questions + numbers(table, "question").astype(np.int64), return_inverse=True)
    owner = pairs // bank.questions
    first_at = np.full(len(pairs), np.inf)
    np.minimum.at(first_at, at, numbers(table, "first_at"))
    questions = organisations.total(owner)
    calls, exact_calls = (organisations.total(rows, numbers(table, name)) for name in ("calls", "exact_calls"))
    exact = organisations.total(owner[np.bincount(at, numbers(table, "exact_calls"), minlength=len(pairs)) > 0])
    counts = np.bincount(at, numbers(table, "calls"), minlength=len(pairs)).astype(np.float64)
    spread = dispersion(organisations, owner, counts)
    # Whoever asks each question equally often has drawn it once.
    draws = np.where(spread < -BEYOND_CHANCE, questions, calls)
    evenness = _evenness(questions, draws, bank.questions)
    exact_evenness = _evenness(exact, exact_calls, bank.questions)
    # Where a bank's questions are like each other, what is only alike may be counted to the wrong one.
    is_exact = np.nan_to_num(exact_evenness, nan=-np.inf) > np.nan_to_num(evenness, nan=-np.inf)
    return BankUse(
        bank,
        questions,
        calls,
        evenness=np.where(is_exact, exact_evenness, evenness),
        even_questions=np.where(is_exact, exact, questions),
        even_calls=np.where(is_exact, exact_calls, calls),
        dispersion=spread,
        order=_order(organisations, owner, first_at, questions),
    )


def _evenness(questions: Column, calls: Column, size: int) -> Column:
    """By how many standard deviations more different questions were asked than by as many draws at random.

    The classical occupancy problem, with the normal approximation (Johnson and Kotz, "Urn Models", 1977). Popular
    questions that come again and again make it negative; a list that is worked off makes it positive.
    """
    load = calls / size
    empty = np.exp(-load)
    expected = size * (1 - empty)
    variance = size * empty * (1 - (1 + load) * empty)
    evenness = (questions - expected) / np.sqrt(np.maximum(variance, 1))
    return np.where(_is_asked(questions, size), evenness, np.nan)


def _is_asked(questions: Column, size: Column | int) -> npt.NDArray[np.bool_]:
    asked: npt.NDArray[np.bool_] = (questions >= FEWEST_ASKED) & (questions >= LEAST_COVERAGE * size)
    return asked


def _order(organisations: Organisations, owner: Rows, first_at: Column, questions: Column) -> Column:
    """|Spearman's correlation| of a question's place in the bank with when it was first asked, less two standard
    errors, 0 at least.

    `owner`, `first_at`: a row for each question that an organisation asked, sorted by both: a row's rank is its place.
    """
    started = np.searchsorted(owner, np.arange(len(organisations)))[owner]
    place = np.arange(len(owner)) - started
    asked = _ranks_within(owner, first_at) - started
    count = np.maximum(questions, 1)
    x, y = (each - (organisations.total(owner, each) / count)[owner] for each in (place, asked))
    spread = np.sqrt(organisations.total(owner, x**2) * organisations.total(owner, y**2))
    correlation = np.abs(organisations.total(owner, x * y)) / np.maximum(spread, 1e-12)
    order = np.maximum(correlation - 2 / np.sqrt(np.maximum(count - 1, 1)), 0)
    return np.where(questions >= FEWEST_IN_ORDER, order, np.nan)


def _ranks_within(owner: Rows, values: Column) -> Column:
    """The rank of each value among all, sorted by owner first; equal values of one owner share their mean rank."""
    order = np.lexsort((values, owner))
    is_next = np.ones(len(order), np.bool_)
    is_next[1:] = (np.diff(owner[order]) != 0) | (np.diff(values[order]) != 0)
    ends = np.append(np.flatnonzero(is_next), len(order))
    ranks = np.empty(len(order))
    ranks[order] = np.repeat((ends[:-1] + ends[1:] - 1) / 2, np.diff(ends))
    return ranks


def measure_banks(window: Window, organisations: Organisations, calls: Column) -> Measured:
    uses = bank_uses(window, organisations)
    asked = sum((use.questions for use in uses), np.zeros(len(organisations)))
    is_known = knows_prompts(window, organisations) | (asked > 0)
    if "prompt_print" in window.missing:
        is_known[:] = False
    train = _strongest([use for use in uses if not is_test(use.bank)], organisations, is_known, calls)
    test = _strongest([use for use in uses if is_test(use.bank)], organisations, is_known, calls)
    return Measured(
        train.values | {"test_bank_coverage": test.values["bank_coverage"]},
        train.facts | {f"test_{name}": column for name, column in test.facts.items()},
        train.labels | {f"test_{name}": labels for name, labels in test.labels.items()},
    )


def is_test(bank: Bank) -> bool:
    return (bank.split or "").casefold() in TEST_SPLITS


_FACTS = (
    "bank_questions",
    "bank_size",
    "bank_calls",
    "bank_evenness_signed",
    "bank_even_questions",
    "bank_even_calls",
    "bank_dispersion",
)


def _strongest(
    uses: list[BankUse],
    organisations: Organisations,
    is_known: npt.NDArray[np.bool_],
    calls: Column,
) -> Measured:
    """Of each organisation, the bank of which it asked the largest share."""
    nothing = np.full(len(organisations), np.nan)
    names = ("bank_coverage", "bank_share", "bank_evenness", "bank_order")
    if not uses:
        facts = dict.fromkeys(_FACTS, nothing)
        return Measured(
            dict.fromkeys(names, nothing), facts, dict.fromkeys(("bank", "bank_split"), [None] * len(organisations))
        )
    coverage = np.stack([use.questions / use.bank.questions for use in uses])
    best = coverage.argmax(axis=0)
    each = np.arange(len(organisations))

    def of_best(columns: list[Column]) -> Column:
        chosen: Column = np.stack(columns)[best, each]
        return chosen

    questions, bank_calls = of_best([use.questions for use in uses]), of_best([use.calls for use in uses])
    evenness = of_best([use.evenness for use in uses])
    size = of_best([np.full(len(organisations), float(use.bank.questions)) for use in uses])
    is_asked = _is_asked(questions, size)
    values = {
        "bank_coverage": np.where(is_known, np.where(is_asked, coverage[best, each], 0), np.nan),
        "bank_share": np.where(
            is_known & is_asked, ratio(bank_calls, calls, FEWEST_KNOWN), np.where(is_known, 0, np.nan)
        ),
        "bank_evenness": np.where(is_known, np.nan_to_num(np.maximum(evenness, 0)), np.nan),
        "bank_order": np.where(is_known, np.nan_to_num(of_best([use.order for use in uses])), np.nan),
    }
    values["bank_share"] = np.minimum(values["bank_share"], 1)
    facts = {
        "bank_questions": questions,
        "bank_size": size,
        "bank_calls": bank_calls,
        "bank_evenness_signed": evenness,
        "bank_even_questions": of_best([use.even_questions for use in uses]),
        "bank_even_calls": of_best([use.even_calls for use in uses]),
        "bank_dispersion": of_best([use.dispersion for use in uses]),
    }
    labels: list[str | None] = [
        uses[place].bank.name if some else None for place, some in zip(best, is_asked, strict=True)
    ]
    splits = [uses[place].bank.split if some else None for place, some in zip(best, is_asked, strict=True)]
    return Measured(values, facts, {"bank": labels, "bank_split": splits})
