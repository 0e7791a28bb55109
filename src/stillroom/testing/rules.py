"""Which requests meet which fault, when that is said by rule and not one by one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from stillroom.testing.faults import Fault


@dataclass(frozen=True, slots=True)
class Rule:
    """A fault, and the requests that meet it. What is not said narrows nothing down: a rule with a fault alone meets
    every request.

    Requests are counted from 1, those that the rule's `question` matches, however the others are answered.
    """

    fault: Fault
    question: str | None = None
    """Only requests whose last message contains this text."""
    after: int = 0
    """Not the first so many."""
    first: int | None = None
    """Only so many, those passed over by `after` left out."""
    every: int = 1
    """Only each k-th, those passed over by `after` left out."""
    share: float | None = None
    """Only this part of the requests (0 to 1), at random. The shares of several rules are parts of one whole: 0.1 and
    0.2 are 30 of 100 requests, and their sum is at most 1."""


def draw(seed: int, question: str, attempt: int) -> tuple[float, float]:
    """Two random numbers in [0, 1). The same for the same seed, question and attempt, whatever else is asked before."""
    text = f"{seed} {attempt} {question}".encode("utf-8", errors="replace")
    number = int.from_bytes(hashlib.blake2b(text, digest_size=16).digest())
    return (number >> 75) / 2**53, (number & (2**53 - 1)) / 2**53


class RuleBook:
    """Applies rules in their order: the first that a request falls under gives its fault."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        """Raises ValueError where the shares are more than a whole."""
        if sum(rule.share or 0.0 for rule in rules) > 1 + 1e-9:
            raise ValueError("the shares of the rules are more than 1 together")
        self._rules = tuple(rules)
        self._counts = [0] * len(rules)

    def fault_for(self, question: str, drawn: float) -> Fault | None:
        """`drawn`: a number in [0, 1) that decides which share, if any, the request belongs to."""
        met: Fault | None = None
        share_begins = 0.0
        for index, rule in enumerate(self._rules):
            if rule.question is not None and rule.question not in question:
                continue
            self._counts[index] += 1
            if rule.share is not None:
                share_begins, begins = share_begins + rule.share, share_begins
                if not begins <= drawn < begins + rule.share:
                    continue
            if met is None and _counts_in(rule, self._counts[index] - rule.after):
                met = rule.fault
        return met


def _counts_in(rule: Rule, number: int) -> bool:
    return number >= 1 and number % rule.every == 0 and (rule.first is None or number <= rule.first)
