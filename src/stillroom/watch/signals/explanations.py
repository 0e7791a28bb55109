"""Benign explanations of one organisation's calls: what speaks for each, what against, and which signals it covers.

What an explanation that holds covers is no evidence. A client can make itself look like most of these, so none covers
more than its story tells: a template or a bank of questions is not explained by many turns or many user labels, and
a bank that is worked off question by question is explained by nothing but a benchmark's test split.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from stillroom.base.records import Explanation
from stillroom.watch.signals.bank_coverage import BEYOND_CHANCE
from stillroom.watch.signals.sentences import Seen, percent

BANK = frozenset({"bank_coverage", "bank_share", "bank_evenness", "bank_order"})
TEMPLATE = frozenset({"template_concentration", "template_fillings"})
SAMPLING = frozenset({"many_samples", "asks_logprobs", "asks_grading"})


@dataclass(frozen=True, slots=True)
class Tested:
    """One explanation of one organisation. `holds`: more speaks for it than against."""

    name: str
    holds: bool
    is_ruled_out: bool
    sentence: str
    covers: frozenset[str]
    """Signals of content that are no evidence while it holds."""

    def as_record(self) -> Explanation:
        return Explanation(self.name, self.is_ruled_out, self.sentence)


def explanations_of(seen: Seen) -> tuple[Tested, ...]:
    """All that can be tested with what is known, those that hold first."""
    tested = [found for test in _TESTS.values() if (found := test(seen)) is not None]
    return tuple(sorted(tested, key=lambda each: (not each.holds, each.is_ruled_out)))


def _benchmark_run(seen: Seen) -> Tested | None:
    value = seen.numbers
    test_coverage, coverage = _known(value["test_bank_coverage"]), _known(value["bank_coverage"])
    if test_coverage == 0 and coverage == 0:
        return None
    asks_other = coverage > 0 and value["bank_questions"] > 0.1 * _known(value["test_bank_questions"])
    is_said = seen.labels["bank_split"] is not None
    said = ["For it: " + (_of_test_bank(seen) if test_coverage > 0 else "nothing that is known.")]
    if coverage > 0:
        asked = f"{seen.counted('bank_questions', 'question')} of the bank {seen.labels['bank']}"
        said.append(
            f"Against it: {asked}, which is not a test split."
            if is_said
            else f"Open: {asked}, of which nobody said whether it is a test split."
        )
    return Tested(
        "benchmark run",
        holds=test_coverage >= 0.5 and not asks_other,
        is_ruled_out=asks_other and is_said and test_coverage < 0.5,
        sentence=" ".join(said),
        covers=SAMPLING | {"never_repeated", "breadth", "long_replies"},
    )


def _of_test_bank(seen: Seen) -> str:
    value = seen.numbers
    each = value["test_bank_calls"] / max(value["test_bank_questions"], 1)
    return (
        f"it asked {percent(value['test_bank_coverage'])} of the test split {seen.labels['test_bank']}, each question "
        f"{each:.1f} times, of {seen.counted('models', 'model')}."
    )


def _tutoring(seen: Seen) -> Tested | None:
    value = seen.numbers
    if _known(value["bank_coverage"]) == 0:
        return None
    repeats = value["bank_calls"] / max(value["bank_questions"], 1)
    spread = _known(value["bank_evenness_signed"])
    is_worked_off = spread > BEYOND_CHANCE or _known(value["bank_order"]) > 0.2
    come_again = spread < -BEYOND_CHANCE and _known(value["bank_dispersion"]) > BEYOND_CHANCE
    holds = come_again and not is_worked_off and (value["users"] >= 20 or repeats >= 1.2)
    side = "For" if value["users"] >= 20 or repeats >= 1.2 else "Against"
    labels = f"{side} it: {seen.counted('users', 'user label')}, and each question of the bank {repeats:.1f} times."
    how = (
        "Against it: pupils meet popular questions again and again, and here the bank was worked off."
        if is_worked_off
        else "For it: popular questions came again, more than by chance."
        if come_again
        else "Against it: no question is more popular than another, as far as so many calls can show."
    )
    return Tested("tutoring", holds, is_worked_off, f"{labels} {how}", BANK | {"never_repeated", "breadth"})


def _batch_job(seen: Seen) -> Tested | None:
    value = seen.numbers
    if not _known(value["template_fillings"]) > 0.2:
        return None
    long_share, reasoning = value["long_replies"], _known(value["asks_reasoning"])
    is_known = not np.isnan(long_share)
    holds = is_known and long_share < 0.2 and reasoning < 0.2 and _known(value["bank_coverage"]) == 0
    is_ruled_out = is_known and long_share > 0.8
    sentence = f"For it: one job over the customer's own texts fills a template in {seen.count('fillings')} ways. " + (
        f"{'Against' if long_share >= 0.2 else 'For'} it: {percent(long_share)} of its calls were short questions "
        "with long replies, and a job that sorts or extracts has short ones."
        if is_known
        else "Whether its replies are short, as such a job's are, is not known."
    )
    return Tested("batch job", holds, is_ruled_out, sentence, TEMPLATE | {"never_repeated"})


def _agent(seen: Seen) -> Tested | None:
    single = seen.numbers["single_turn"]
    if np.isnan(single):
        return None
    holds, is_ruled_out = single < 0.5, single > 0.9
    sentence = (
        f"{'For' if holds else 'Against'} it: {percent(1 - single)} of its calls went on with a conversation, as an "
        "agent's do."
    )
    return Tested("agent", holds, is_ruled_out, sentence, frozenset({"asks_reasoning", "long_replies"}))


def _reseller(seen: Seen) -> Tested | None:
    users, calls = seen.numbers["users"], seen.numbers["calls"]
    if users < 10:
        return None
    each = calls / users
    holds = each >= 3
    sentence = f"For it: {seen.counted('users', 'user label')}, {each:.1f} calls of each. " + (
        "Against it: the labels are what the client says, and prove nobody."
        if holds
        else "Against it: hardly any label comes back, as customers do; and the labels are what the client says."
    )
    return Tested("reseller", holds, each < 1.5, sentence, frozenset({"breadth", "never_repeated"}))


def _labelling_firm(seen: Seen) -> Tested | None:
    grading, accounts = seen.numbers["asks_grading"], seen.numbers["accounts"]
    if not _known(grading) > 0.1:
        return None
    holds = accounts >= 5 and _known(seen.numbers["bank_coverage"]) == 0
    side = "For" if accounts >= 5 else "Against"
    sentence = (
        f"For it: {percent(grading)} of its calls asked to grade something. {side} it: it has "
        f"{seen.counted('accounts', 'account')}, where such a firm has one for each of many people."
    )
    return Tested("labelling firm", holds, False, sentence, SAMPLING | TEMPLATE)


def _application(seen: Seen) -> Tested | None:
    others = _known(seen.numbers["template_others"])
    if others < 3:
        return None
    holds = others >= 20 and _known(seen.numbers["bank_coverage"]) == 0
    sentence = (
        f"For it: {'many' if holds else 'some'} other customers use its main template, as the tenants of one "
        "application do. " + ("" if holds else "Against it: they are few.")
    ).strip()
    return Tested("application", holds, False, sentence, TEMPLATE | {"never_repeated"})


def _known(value: float) -> float:
    """nan counts as nothing seen."""
    return 0.0 if np.isnan(value) else value


_TESTS: dict[str, Callable[[Seen], Tested | None]] = {
    "benchmark run": _benchmark_run,
    "tutoring": _tutoring,
    "batch job": _batch_job,
    "agent": _agent,
    "reseller": _reseller,
    "labelling firm": _labelling_firm,
    "application": _application,
}
NAMES = tuple(_TESTS)
