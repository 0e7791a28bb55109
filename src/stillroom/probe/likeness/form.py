"""The form of a model's answers: how long they are, and how often each outward feature stands in them.

That a suspect resembles the teacher more than other models do says nothing where those others write at another length,
or in another form. So only models of the suspect's own form are compared with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stillroom.text.counted import listed
from stillroom.text.think import CLOSE, OPEN
from stillroom.text.words import tokens

LONGEST_RATIO = 1.5
"""Each quartile of the lengths may be so many times the other model's."""
LARGEST_DIFFERENCE = 0.3
"""Of the shares of answers that have a feature."""
QUARTILES = (0.25, 0.5, 0.75)

# Of a text without white space around it. None of them takes long, whatever the text is: nobody vouches for it.
FEATURES: Mapping[str, re.Pattern[str]] = {
    "reasoning in a block": re.compile(rf"{OPEN}|{CLOSE}"),
    "several lines": re.compile(r"\n"),
    "lists": re.compile(r"^[ \t]*(?:[-*+•]|\d+[.)])[ \t]+\S", re.MULTILINE),
    "headings": re.compile(r"^[ \t]*#{1,6}[ \t]+\S", re.MULTILINE),
    "bold or italics": re.compile(r"\*[^\s*][^*\n]*\*"),
    "code blocks": re.compile(r"```"),
    "formulas": re.compile(r"\$[^$\n]+\$|\\[(\[]|\\[a-zA-Z]{1,30}\{"),
    "tables": re.compile(r"^[ \t]*\|[^|\n]*\|", re.MULTILINE),
    "a marked result": re.compile(
        r"\\boxed|####|^[ \t]*(?:the )?(?:final )?answer[ \t]*(?:is|:)", re.IGNORECASE | re.MULTILINE
    ),
    "JSON": re.compile(r"\A[{\[].*[}\]]\Z", re.DOTALL),
    "letters that are not Latin": re.compile(r"[\u0370-\u1cff\u2c80-\ud7ff\U00010000-\U0001ffff]"),
}


@dataclass(frozen=True, slots=True)
class Form:
    quartiles: tuple[float, float, float]
    """Of the answers' lengths in words, numbers and signs."""
    shares: Mapping[str, float]
    """Of the answers that have a feature, by its name: 0 to 1."""


def form_of(answers: Sequence[str]) -> Form:
    """Of at least one answer."""
    texts = [text.strip() for text in answers]
    lengths = [len(tokens(text)) for text in texts]
    low, middle, high = (float(value) for value in np.quantile(lengths, QUARTILES))
    shares = {name: sum(map(bool, map(sign.search, texts))) / len(texts) for name, sign in FEATURES.items()}
    return Form((low, middle, high), shares)


def differences(one: Form, other: Form) -> str | None:
    """In what the two forms differ too much to be compared, as words; None where they match."""
    found = list(_found(one, other))
    return listed(found) if found else None


def _found(one: Form, other: Form) -> Iterator[str]:
    pairs = zip(one.quartiles, other.quartiles, strict=True)
    # One more word on each side: answers of one word and of two are no reason to part them.
    if any(max(a + 1, b + 1) > LONGEST_RATIO * min(a + 1, b + 1) for a, b in pairs):
        yield f"length ({_quartiles(one)} words in quartiles, the suspect's {_quartiles(other)})"
    for name, share in one.shares.items():
        if abs(share - other.shares[name]) > LARGEST_DIFFERENCE:
            yield f"{name} ({share:.0%} of its answers, the suspect's {other.shares[name]:.0%})"


def _quartiles(form: Form) -> str:
    return "/".join(f"{length:.0f}" for length in form.quartiles)
