"""Whether texts are a collection of questions, so that looking for it is not looking for a person.

Whoever looks up who asked a few given questions may hide them among others that nobody asks. So a bank has many
questions that differ; texts that say the same, that are filled into one template, or that are strings of words do not
make them many. That alone cannot tell a real collection from one that somebody took pains to write: every bank stands
in the audit log, with its questions kept, and so does whoever was shown how much of it accounts asked.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from stillroom.base.errors import DataError
from stillroom.text.normal import normalised, skeleton
from stillroom.text.sketch import PLACES, Sketcher

LEAST_QUESTIONS = 500
MOST_QUESTIONS = 1_000_000

_SHORTEST = 20
"""Bytes. Shorter texts ("hi", "please go on") are asked by anybody."""
_OF_ONE_TEMPLATE = 3
"""Questions with one skeleton that count."""
_NEARLY_THE_SAME = 45
"""Of 64 places of a sketch: a likeness of 0.7."""
_COMMON = 0.01
"""A pair of neighbouring words is common if this share of the questions has it."""
_LOOKED_AT = 10_000
"""Questions, at most, that are compared in their words: evenly out of all of them."""
_WORD = re.compile(r"[^\W\d_]")
_WORDS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W\d_\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")
"""Signs of scripts that are written without spaces count as words."""


@dataclass(frozen=True, slots=True)
class Collection:
    questions: tuple[str, ...]
    """Each once, in their order."""
    repeated: int
    """Texts that are the same as an earlier one, but for case and spacing."""
    too_short: int
    """Texts that are too short to be anybody's question in particular."""


def collection_of(texts: Iterable[str], name: str) -> Collection:
    """Raises DataError, calling the file `name`, where they are too few, too alike, or no sentences."""
    by_form: dict[str, str] = {}
    repeated = too_short = 0
    for text in texts:
        form = normalised(text)
        if len(form.encode("utf-8", "surrogatepass")) < _SHORTEST or not _WORD.search(form):
            too_short += 1
        elif form in by_form:
            repeated += 1
        else:
            by_form[form] = text
        if len(by_form) > MOST_QUESTIONS:
            raise DataError(f"{name} has more than {MOST_QUESTIONS:,} questions.", "Make several banks of it.")
    left_out = f" ({repeated:,} repeated, {too_short:,} too short)" if repeated or too_short else ""
    if len(by_form) < LEAST_QUESTIONS:
        raise _too_few(f"{name} has {len(by_form):,} different questions{left_out}")
    different = _different(list(by_form), list(by_form.values()))
    if different < LEAST_QUESTIONS:
        raise _too_few(
            f"{name} has {len(by_form):,} questions{left_out}, of which only {different:,} are neither nearly the same"
            " as another nor filled into one template"
        )
    if _share_of_strings_of_words(list(by_form)) > 0.5:
        raise DataError(
            f"Most texts of {name} are no sentences: hardly any two words stand side by side in two of them.",
            "A bank is a collection of questions as people or models write them.",
        )
    return Collection(tuple(by_form.values()), repeated, too_short)


def _too_few(what: str) -> DataError:
    return DataError(
        f"{what}; a bank has {LEAST_QUESTIONS} or more.",
        "Looking up who asked a few given questions is not what banks are for.",
    )


def _different(forms: Sequence[str], texts: Sequence[str]) -> int:
    """How many count as different; stops at LEAST_QUESTIONS."""
    sketcher = Sketcher(bytes(range(32)))
    templates: Counter[str | None] = Counter()
    kept: NDArray[np.uint8] = np.zeros((LEAST_QUESTIONS, PLACES), np.uint8)
    count = 0
    for form, text in zip(forms, texts, strict=True):
        template = skeleton(text)
        templates[template] += 1
        if templates[template] > _OF_ONE_TEMPLATE:
            continue
        sketch = np.frombuffer(sketcher.sketch(form) or b"", np.uint8)
        if count and int((kept[:count] == sketch).sum(axis=1).max()) >= _NEARLY_THE_SAME:
            continue
        kept[count] = sketch
        count += 1
        if count == LEAST_QUESTIONS:
            break
    return count


def _share_of_strings_of_words(forms: Sequence[str]) -> float:
    """Of the texts, those in which no two neighbouring words are neighbours in other texts as well.

    In questions that people or models write such pairs ("how many", "in the") are everywhere, whatever they are about.
    """
    pairs = [_pairs(form) for form in forms[:: len(forms) // _LOOKED_AT + 1]]
    holders = Counter(pair for each in pairs for pair in each)
    least = max(3, len(pairs) * _COMMON)
    return sum(not any(holders[pair] >= least for pair in each) for each in pairs) / len(pairs)


def _pairs(form: str) -> set[tuple[str, str]]:
    words = _WORDS.findall(form[:2_000])
    return set(pairwise(words))
