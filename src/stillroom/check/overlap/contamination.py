"""Questions that an examination holds as well: every candidate is compared, and the rules decide."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from stillroom.base.progress import Progress
from stillroom.check.overlap.corpus import BATCH, Corpus
from stillroom.check.overlap.examination import Examination
from stillroom.check.overlap.rules import Found, Verdict, compare
from stillroom.text.flat import Flat

MOST_LISTED = 5
"""Examined questions that are listed for one question, the likest first."""
_LIKEST_FIRST: tuple[Found, ...] = ("copy", "near_copy", "quoted_part", "numbers_swapped", "in_doubt")


class Hit(NamedTuple):
    question: int
    """Its position in the corpus."""
    examined: int
    """Its position in the examination."""
    rule: Found
    score: float


def contaminated(corpus: Corpus, examination: Examination, progress: Progress) -> Iterator[Hit]:
    """Every question with the examined ones that it may have been made from, ordered by question."""
    generated: dict[int, int] = {}
    for number, (_, text) in enumerate(examination.texts):
        if text.parameters:
            generated.setdefault(text.parameters, number)
    for start in range(0, len(corpus), BATCH):
        rows = np.arange(start, min(start + BATCH, len(corpus)))
        texts = corpus.words.texts(rows)
        pairs = examination.candidates(texts).tolist()
        candidates = {row: [examined for _, examined in some] for row, some in groupby(pairs, key=itemgetter(0))}
        for row in range(len(rows)):
            same = examination.positions.get(int(corpus.said[start + row]))
            same_task = generated.get(int(corpus.parameters[start + row]))
            others = set(candidates.get(row, ())) - {same, same_task}
            hits = [Hit(start + row, each, "copy", 1.0) for each in {same, same_task} if each is not None]
            hits += _compared(corpus, examination, texts, start, row, others)
            hits.sort(key=lambda hit: (_LIKEST_FIRST.index(hit.rule), -hit.score, hit.examined))
            yield from hits[:MOST_LISTED]
        progress.update("overlap: examinations", start + len(rows), len(corpus))


def _compared(
    corpus: Corpus, examination: Examination, texts: Flat, start: int, row: int, candidates: set[int]
) -> Iterator[Hit]:
    if not candidates:
        return
    question = examination.question_side(texts.text(row))
    family = int(corpus.families[start + row])
    for examined in candidates:
        # Tasks of one family share their template: whether they are the same is a matter of their parameters.
        if family and family == examination.texts[examined][1].family:
            continue
        verdict: Verdict | None = compare(question, examination.side(examined))
        if verdict is not None:
            yield Hit(start + row, examined, *verdict)
