"""Texts that go round in a loop: the same words again and again, at the end or in the middle.

A loop is a run of exact copies of one unit, of any length from one character to a page, without anything in between.
It is found by probes: a short piece of the text is looked for further on, and the distance at which it comes again is
taken for the unit's length, if the text agrees with itself at that distance for long enough. Such a search is done by
the interpreter's own string functions, in a time that grows with the length of the text alone.

A list whose numbers run on ("Step 17: add 1. Step 18: ...") is no loop in this sense, and neither is a thought that
comes back in other words.
"""

from __future__ import annotations

from dataclasses import dataclass

PROBE = 24
"""Characters of a probe: fewer come again by chance, more would miss nothing but loops that are not called so."""
STEP = 64
"""Characters between two probes."""
LONGEST_UNIT = 4096
LEAST_COPIES = 4
LEAST_LENGTH = 300
"""Characters of the whole loop."""
LEAST_SIGNS = 1000
"""The same for a unit without any letter: rules, tables and digits repeat themselves where nothing is wrong."""


@dataclass(frozen=True, slots=True)
class Loop:
    start: int
    length: int
    unit: str

    @property
    def copies(self) -> int:
        return self.length // len(self.unit)


def find_loop(text: str) -> Loop | None:
    """The first loop in a text; None where there is none."""
    start, end = 0, len(text) - PROBE
    while start < end:
        again = text.find(text[start : start + PROBE], start + 1, start + LONGEST_UNIT + PROBE)
        if again < 0:
            start += STEP
            continue
        loop = _loop_at(text, start, again - start)
        if _counts(loop):
            return loop
        # Where the text stops agreeing with what it was found to repeat, a longer unit may begin.
        start = max(start + STEP, loop.start + loop.length - len(loop.unit) - PROBE + 1)
    return None


def _loop_at(text: str, start: int, unit: int) -> Loop:
    """The run around `start` in which the text agrees with itself `unit` characters further on."""
    end = start + _agreement(text, start, start + unit) + unit
    earliest = max(0, start - STEP)  # the probe before this one would have seen what begins earlier
    while start > earliest and text[start - 1] == text[start - 1 + unit]:
        start -= 1
    return Loop(start, end - start, text[start : start + unit])


def _agreement(text: str, one: int, other: int) -> int:
    """For how many characters the text at `one` is the same as at `other`."""
    agreed, step = 0, PROBE
    while step:
        here, there = text[one + agreed : one + agreed + step], text[other + agreed : other + agreed + step]
        if len(there) == step and here == there:
            agreed += step
            step *= 2
        else:
            step //= 2
    return agreed


def _counts(loop: Loop) -> bool:
    if loop.copies < LEAST_COPIES:
        return False
    has_letters = any(character.isalpha() for character in loop.unit)
    return loop.length >= (LEAST_LENGTH if has_letters else LEAST_SIGNS)
