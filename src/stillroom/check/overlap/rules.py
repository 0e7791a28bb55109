"""The rules by which a question is held to be made from one of an examination.

Their thresholds were chosen on one half of the planted questions of benchmarks/data/contamination; what they are worth
is measured on the other half (docs/overlap.md).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from stillroom.check.overlap.side import Side, holds, longest_run, shared_numbers, shared_weight

Found = Literal["copy", "near_copy", "numbers_swapped", "quoted_part", "in_doubt"]

ALIKE = 0.33
"""From this share of common words on, with mostly the same numbers, a question is the other one reworded."""
ALIKE_WITHOUT_NUMBERS = 0.5
"""The same for questions without numbers, which say less about whether they are the same."""
SHORT_ALIKE = 0.7
"""The same for short questions, numbers and symbols counted as words."""
IN_DOUBT = 0.25
"""From here on a second opinion may find a rewording."""
MOSTLY_SAME_NUMBERS = 0.5
SWAPPED = 0.55
"""From this share of common words on, with mostly other numbers, a question is the other one with its numbers swapped."""
SAME_SKELETON = 0.8
"""Share of the examined question's runs of three words, numbers as holes, from which on it is the same sentences."""
QUOTED = 28.0
"""Nats that the words of a run weigh together which is too long to be there by chance."""
_ROOM_AROUND_SHORT = 25
"""Tokens beside a short question that it may stand among: in a longer text, a few words may well be there by chance."""
_FEWEST_TOKENS = 3
"""A question of fewer tokens is found only where a text is nothing else."""


class Verdict(NamedTuple):
    rule: Found
    score: float
    """Between 0 and 1: for `copy` 1, for `quoted_part` the copied share of the examined question's words, for the
    others the share of common words by weight."""


def compare(question: Side, examined: Side) -> Verdict | None:
    """None where no rule holds. `in_doubt` is for a second opinion, and nothing without one."""
    if question.is_short or examined.is_short:
        return _compare_short(question, examined)
    if holds(question.words, examined.words):
        return Verdict("copy", 1.0)
    alike = shared_weight(question.content, examined.content)
    agreement = shared_numbers(question.numbers, examined.numbers)
    skeleton = len(question.skeleton_runs & examined.skeleton_runs) / len(examined.skeleton_runs)
    if skeleton >= SAME_SKELETON:
        return Verdict("near_copy" if agreement == 1 else "numbers_swapped", alike)
    has_numbers = bool(question.numbers and examined.numbers)
    if agreement >= MOSTLY_SAME_NUMBERS:
        if alike >= (ALIKE if has_numbers else ALIKE_WITHOUT_NUMBERS):
            return Verdict("near_copy", alike)
    elif alike >= SWAPPED:
        return Verdict("numbers_swapped", alike)
    weight, words = longest_run(question, examined)
    if weight >= QUOTED:
        return Verdict("quoted_part", words / len(examined.words))
    if agreement >= MOSTLY_SAME_NUMBERS and alike >= IN_DOUBT:
        return Verdict("in_doubt", alike)
    return None


def _compare_short(question: Side, examined: Side) -> Verdict | None:
    spare = len(question.tokens) - len(examined.tokens)
    if spare == 0 if len(examined.tokens) < _FEWEST_TOKENS else spare <= _ROOM_AROUND_SHORT:
        if holds(question.tokens, examined.tokens):
            return Verdict("copy", 1.0)
    alike = shared_weight(question.telling, examined.telling)
    if question.numbers == examined.numbers:
        if alike >= SHORT_ALIKE:
            return Verdict("near_copy", alike)
        return Verdict("in_doubt", alike) if alike >= IN_DOUBT else None
    if question.skeleton == examined.skeleton:
        return Verdict("numbers_swapped", alike)
    return None
