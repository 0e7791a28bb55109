"""The rules by which a question is held to be made from one of an examination.

Their thresholds were chosen on one half of the planted questions of benchmarks/data/contamination; what they are worth
is measured on the other half (docs/overlap.md).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from stillroom.check.overlap.side import (
    SHORT,
    Side,
    asks_otherwise,
    holds,
    likeness,
    longest_run,
    shared_formulas,
    shared_numbers,
    shared_skeleton,
    shared_weight,
)

Found = Literal["copy", "near_copy", "numbers_swapped", "quoted_part", "in_doubt"]

ALIKE = 0.5
"""From this likeness on, with mostly the same numbers, a question is the other one reworded."""
LONG, LONG_SKELETON = 200, 0.05
"""Longer texts (in words) have many words in common by chance: a rewording has some runs of words in common, too."""
MOSTLY_SAME_NUMBERS = 0.6
"""Share of all numbers of either question that both have."""
SAME_FORMULAS = 0.5
"""Share of the examined question's formulas that a rewording of it holds: the words around a formula say little."""
SHORT_ALIKE = 0.72
"""Share of common words, numbers and symbols from which on a short question is the other one reworded."""
SHORT_ALIKE_WITH_NUMBERS = 0.5
"""The same where both have numbers, and the same ones, which say as much as `SHORT_LIKENESS`."""
SHORT_LIKENESS = 0.75
"""Likeness by which the numbers of short questions tell something."""
SAME_SKELETON = 0.35
"""Share of common runs of three words, numbers as holes, from which on it is the same text with other numbers."""
WHOLE_SKELETON = 0.7
"""The same as a share of the examined question's runs alone, since it may stand among other text."""
FEWEST_RUNS = 3
"""Runs of a skeleton that is judged by."""
QUOTED = 28.0
"""Nats that the words of a run weigh together which is too long to be there by chance."""
QUOTED_SHARE = 0.2
"""Share of the examined question that such a run is at least: a few lines of a long program may well be anybody's."""
LONG_QUOTED = 150.0
"""Nats of a run that is a quotation of however long a question."""
MUCH_QUOTED = 0.4
"""A run that is such a share of the examined question is a quotation even where the rest has its numbers swapped."""
IN_DOUBT = 0.3
"""From this likeness on a second opinion may find a rewording."""
_ROOM_AROUND_SHORT = 25
"""Tokens beside a short question that it may stand among: in a longer text, a few words may well be there by chance."""
_FEWEST_TOKENS = 3
"""A question of fewer tokens is found only where a text is nothing else."""


class Verdict(NamedTuple):
    rule: Found
    score: float
    """Between 0 and 1: for `copy` 1, for `quoted_part` the copied share of the examined question's words, for
    `numbers_swapped` the share of common runs of words, for the others the likeness."""


def compare(question: Side, examined: Side) -> Verdict | None:
    """None where no rule holds. `in_doubt` is for a second opinion, and nothing without one."""
    if question.is_short or examined.is_short:
        return _compare_short(question, examined)
    if holds(question.words, examined.words):
        return Verdict("copy", 1.0)
    # Without numbers in the examined question, those beside its rewording mean nothing.
    has_numbers = bool(examined.numbers)
    agreement = shared_numbers(question, examined) if has_numbers else 1.0
    alike = likeness(question, examined) if has_numbers else shared_weight(question.content, examined.content)
    common, of_examined = shared_skeleton(question, examined)
    # A number that is only left out, or written as a word, makes no other question.
    swapped = bool(question.numbers - examined.numbers) and bool(examined.numbers - question.numbers)
    if of_examined >= WHOLE_SKELETON and len(examined.skeleton_runs) >= FEWEST_RUNS:
        return Verdict("numbers_swapped", of_examined) if swapped else Verdict("near_copy", alike)
    same_statement = agreement >= MOSTLY_SAME_NUMBERS and shared_formulas(question, examined) >= SAME_FORMULAS
    if same_statement and alike >= ALIKE and (len(examined.words) <= LONG or common >= LONG_SKELETON):
        return Verdict("near_copy", alike)
    weight, words = longest_run(question, examined)
    quoted = words / len(examined.words)
    if swapped and common >= SAME_SKELETON and quoted < MUCH_QUOTED:
        return Verdict("numbers_swapped", common)
    if weight >= (QUOTED if quoted >= QUOTED_SHARE else LONG_QUOTED):
        return Verdict("quoted_part", quoted)
    return Verdict("in_doubt", alike) if same_statement and alike >= IN_DOUBT else None


def _compare_short(question: Side, examined: Side) -> Verdict | None:
    if _stands_in(question, examined):
        return Verdict("copy", 1.0)
    alike = shared_weight(question.telling, examined.telling)
    same_formulas = len(examined.words) < SHORT or shared_formulas(question, examined) >= SAME_FORMULAS
    if question.numbers == examined.numbers and same_formulas and not asks_otherwise(question, examined):
        same_sum = bool(question.numbers) and question.operators == examined.operators
        telling_numbers = same_sum and likeness(question, examined) >= SHORT_LIKENESS
        if alike >= (SHORT_ALIKE_WITH_NUMBERS if telling_numbers else SHORT_ALIKE):
            return Verdict("near_copy", alike)
        return Verdict("in_doubt", alike) if alike >= IN_DOUBT else None
    if question.skeleton == examined.skeleton:
        return Verdict("numbers_swapped", 1.0)
    return None


def _stands_in(question: Side, examined: Side) -> bool:
    spare = len(question.tokens) - len(examined.tokens)
    if len(examined.tokens) < _FEWEST_TOKENS:
        fits = spare == 0
    else:
        fits = spare <= _ROOM_AROUND_SHORT or len(examined.words) >= SHORT
    return fits and holds(question.tokens, examined.tokens)
