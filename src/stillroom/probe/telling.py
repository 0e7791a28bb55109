"""The pairs in which the suspect differs most between the two replies, side by side with what it said."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from stillroom.probe.asked import is_usable
from stillroom.probe.question_text import question_text
from stillroom.probe.statement import TellingPair
from stillroom.store.siblings import Answer, Opening, Pair

SHOWN = 1_200
"""Characters of a text."""
ANSWERS_SHOWN = 2
RUN = 4
"""So many words in a row count as taken from a text."""
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Part:
    text: str
    is_common: bool
    """Of a reply: an answer has it, too, and the other reply has not. Of an answer: one of the two replies has it."""


@dataclass(frozen=True, slots=True)
class Shown:
    parts: tuple[Part, ...]
    left_out: int
    """Characters after them."""


@dataclass(frozen=True, slots=True)
class SideBySide:
    account: str
    question: Shown
    served: Shown
    sealed: Shown
    answers: tuple[Shown, ...]
    more_answers: int
    is_nearer_served: bool
    difference: float


def side_by_side(
    telling: Sequence[TellingPair],
    pairs: Sequence[Pair],
    openings: Sequence[Opening],
    answers: Sequence[Answer],
) -> list[SideBySide]:
    """The telling pairs in their order. Raises KeyError for one that is not among `pairs` and `openings`."""
    pair_of = {pair.pair_id: pair for pair in pairs}
    opening_of = {opening.pair_id: opening for opening in openings}
    answers_of: dict[str, list[Answer]] = {pair_of[each.pair_id].question_id: [] for each in telling}
    for answer in answers:
        if answer.question_id in answers_of and is_usable(answer):
            answers_of[answer.question_id].append(answer)
    return [
        _side_by_side(each, pair, opening_of[each.pair_id], answers_of[pair.question_id])
        for each in telling
        for pair in [pair_of[each.pair_id]]
    ]


def _side_by_side(telling: TellingPair, pair: Pair, opening: Opening, answers: Sequence[Answer]) -> SideBySide:
    served, sealed = (pair.first, pair.second) if opening.coin == 0 else (pair.second, pair.first)
    said = [answer.text for answer in sorted(answers, key=lambda each: each.sample)]
    runs_of_served, runs_of_sealed = _runs(served), _runs(sealed)
    in_answers = frozenset().union(*map(_runs, said))
    return SideBySide(
        account=telling.account,
        question=_plain(question_text(pair)),
        served=_shown(served, (in_answers & runs_of_served) - runs_of_sealed),
        sealed=_shown(sealed, (in_answers & runs_of_sealed) - runs_of_served),
        answers=tuple(_shown(text, runs_of_served ^ runs_of_sealed) for text in said[:ANSWERS_SHOWN]),
        more_answers=max(0, len(said) - ANSWERS_SHOWN),
        is_nearer_served=telling.difference > 0,
        difference=telling.difference,
    )


def _plain(text: str) -> Shown:
    return Shown((Part(text[:SHOWN], False),), max(0, len(text) - SHOWN))


def _shown(text: str, common: frozenset[tuple[str, ...]]) -> Shown:
    """The text's beginning, in which the words of each common run are told from the others."""
    beginning = text[:SHOWN]
    words = list(_WORD.finditer(beginning))
    keys = [word.group().lower() for word in words]
    is_common = [False] * len(words)
    for start in range(len(words) - RUN + 1):
        if tuple(keys[start : start + RUN]) in common:
            is_common[start : start + RUN] = [True] * RUN
    return Shown(tuple(_parts(beginning, words, is_common)), len(text) - len(beginning))


def _parts(text: str, words: Sequence[re.Match[str]], is_common: Sequence[bool]) -> Iterator[Part]:
    """Words with the white space and the signs between them; what lies between two kinds is plain."""
    at = 0
    for common, group in groupby(zip(words, is_common, strict=True), key=lambda each: each[1]):
        found = [word for word, _ in group]
        if common:
            if found[0].start() > at:
                yield Part(text[at : found[0].start()], False)
            at = found[-1].end()
            yield Part(text[found[0].start() : at], True)
    if at < len(text):
        yield Part(text[at:], False)


def _runs(text: str) -> frozenset[tuple[str, ...]]:
    words = [word.lower() for word in _WORD.findall(text)]
    return frozenset(tuple(words[start : start + RUN]) for start in range(len(words) - RUN + 1))
