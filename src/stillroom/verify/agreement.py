"""Agreement among samples, where no answer is known: the one that most samples come to (Wang et al. 2022, arXiv
2203.11171, "self-consistency").

What is compared is the final answer, found and compared as the verifier of the question's kind does it: numbers as
numbers, choices as letters, mathematics by math-verify, JSON as values, all else as text. A sample that was refused,
was cut, or came to no clear answer agrees with nobody, and counts all the same: the share is of all samples asked.

The answers of the largest group are `right`, and everybody else's are `unsure`, not wrong: that many samples of one
model agree shows that it is consistent, and a model can be consistently mistaken. Whoever turns agreement on takes that
for right; nobody has to take it for proof that the others erred.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from stillroom.base.records import Kind, Message, Question
from stillroom.verify import Judgement, verify_many

LEAST_AGREEING = 3
"""Samples. Two that agree, or one that agrees with itself, show nothing."""

# References that no answer gives, with which a verifier says what it takes for the answer, and whether that is clear.
_NOBODYS_ANSWER = {"number": "98765432123456787", "math": "98765432123456787", "choice": "Z", "json": '"\ue000"'}
_NOBODYS_TEXT = "\ue000"


def agree(kind: Kind, answers: Sequence[str | None], at_least: float) -> list[Judgement]:
    """Judge all samples of one question, in their order, by each other. None: a sample that brought no answer.

    `at_least` is the share of all samples that must agree, above 0.5 and at most 1. Questions of kind code, task and
    instructions have many right answers: theirs are not compared, and stay unverifiable.
    Raises ValueError for another share, StillroomError when the process that compares cannot be started.
    """
    if not 0.5 < at_least <= 1:
        raise ValueError("the share that must agree is above 0.5 and at most 1")
    if kind in ("code", "task", "instructions"):
        return [Judgement("unverifiable", f"answers of kind {kind} are not compared with each other")] * len(answers)
    started = time.perf_counter()
    found = _final_answers(kind, answers)
    needed = max(LEAST_AGREEING, math.ceil(Fraction(str(at_least)) * len(answers)))
    group = _largest_group(kind, [one.extracted for one in found if one.extracted is not None], needed)
    agreeing = sum(one.extracted in group for one in found)
    if agreeing < needed:
        judged = [_without_agreement(one, needed, len(answers)) for one in found]
    else:
        share = f"{agreeing} of {len(answers)} samples agree"
        judged = [_with_agreement(one, one.extracted in group, share) for one in found]
    each_s = (time.perf_counter() - started) / max(1, len(answers))
    return [replace(one, seconds=each_s) for one in judged]


def _final_answers(kind: Kind, answers: Sequence[str | None]) -> list[Judgement]:
    """Of each sample what it comes to, in `extracted`: None, and why, where that is not clear."""
    given = [answer for answer in answers if answer is not None and answer.strip()]
    compared = _question(kind, _NOBODYS_ANSWER.get(kind, _NOBODYS_TEXT))
    judged = iter(verify_many([(compared, answer) for answer in given]))
    found = []
    for answer in answers:
        if answer is None or not answer.strip():
            found.append(Judgement("unsure", "this sample has no answer"))
            continue
        judgement = next(judged)
        is_clear = judgement.verdict == "wrong" and bool(judgement.extracted)
        reason = judgement.reason if judgement.verdict == "unsure" else "no answer was found"
        found.append(Judgement("unsure", reason, judgement.extracted if is_clear else None))
    return found


def _largest_group(kind: Kind, texts: Sequence[str], needed: int) -> set[str]:
    """The answers, as they are written, that mean the same as the one that stands first of the largest group.

    The most frequent writing is compared with all others, then the most frequent of those that are left, and so on
    until no group can have `needed` samples any more. The order of the samples makes no difference.
    """
    counts = Counter(texts)
    waiting = sorted(counts, key=lambda text: (-counts[text], text))
    largest: set[str] = set()
    while sum(counts[text] for text in waiting) >= max(needed, sum(counts[text] for text in largest) + 1):
        first, *others = waiting
        judged = verify_many([(_question(kind, first), text) for text in others])
        group = {first, *(text for text, one in zip(others, judged, strict=True) if one.verdict == "right")}
        if sum(counts[text] for text in group) > sum(counts[text] for text in largest):
            largest = group
        waiting = [text for text in waiting if text not in group]
    return largest


def _without_agreement(found: Judgement, needed: int, samples: int) -> Judgement:
    reason = f"{needed} of {samples} samples would have to agree" if found.extracted is not None else found.reason
    return Judgement("unsure", reason, found.extracted)


def _with_agreement(found: Judgement, is_member: bool, share: str) -> Judgement:
    if is_member:
        return Judgement("right", share, found.extracted)
    return Judgement("unsure", f"{share}, and not with this one", found.extracted)


def _question(kind: Kind, reference: str) -> Question:
    return Question(
        id="agreement",
        messages=(Message(role="user", content=""),),  # which leaves open what units it asks for
        answer=reference,
        kind="exact" if kind == "none" else kind,
        source="agreement",
    )
