"""The search for overlap: questions and examinations in, overlap.parquet and the questions to leave out."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from stillroom.base.progress import Progress, Silent
from stillroom.check.overlap.contamination import contaminated
from stillroom.check.overlap.corpus import Corpus, read_corpus
from stillroom.check.overlap.duplicates import near, same
from stillroom.check.overlap.examination import Examination
from stillroom.check.overlap.hits import Overlap
from stillroom.check.overlap.opinion import SecondOpinion
from stillroom.check.overlap.settings import OverlapSettings
from stillroom.check.overlap.table import Found, write_overlap
from stillroom.check.overlap.texts import Text, examination_texts, question_texts
from stillroom.store.tables import count_rows

_SILENT = Silent()


def find_overlap(
    questions: Path,
    examinations: Sequence[Path],
    settings: OverlapSettings,
    table: Path,
    progress: Progress = _SILENT,
    second_opinion: SecondOpinion | None = None,
) -> Overlap:
    """Compare the questions with each other and with the examinations' questions, and write every hit to `table`.

    `questions` is a questions.parquet; `examinations` are questions.parquet too, or files of JSON lines, CSV or Parquet
    (`settings.against` is added to them). `second_opinion` is asked about pairs that the rules alone cannot decide.
    The order of rows does not matter. Raises StoreError and DataError for files that cannot be read.
    """
    total = count_rows(questions)
    table.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=table.parent, prefix=".overlap-") as name:
        folder = Path(name)
        corpus = read_corpus(question_texts(questions), folder / "words", progress, total)
        for missing in sorted(set(settings.overrule) - set(corpus.ids)):
            progress.say(f"check.overlap.overrule names {missing}, which is not a question of this run.")
        examination = Examination(_examined([*examinations, *map(Path, settings.against)]), corpus.counts)
        found = [
            *_repeated(corpus, settings, progress),
            *_examined_too(corpus, examination, second_opinion is not None, progress),
        ]
        return write_overlap(table, questions, found, total, settings, second_opinion, folder)


def _examined(paths: Sequence[Path]) -> Iterator[tuple[str, Text]]:
    for path in paths:
        for text in examination_texts(path):
            yield str(path), text


def _repeated(corpus: Corpus, settings: OverlapSettings, progress: Progress) -> Iterator[Found]:
    stays = np.ones(len(corpus), np.bool_)
    overruled = set(settings.overrule)
    kept = frozenset(place for place, identity in enumerate(corpus.ids) if identity in overruled)
    pairs = [*same(corpus.same, "same_text", stays), *same(corpus.parameters, "same_parameters", stays)]
    pairs += near(corpus, stays, settings.near, kept, progress)
    for pair in pairs:
        yield Found(corpus.ids[pair.question], pair.rule, pair.score, corpus.ids[pair.other])


def _examined_too(corpus: Corpus, examination: Examination, with_doubts: bool, progress: Progress) -> Iterator[Found]:
    if not len(examination):
        return
    for hit in contaminated(corpus, examination, progress):
        if hit.rule != "in_doubt" or with_doubts:
            source, text = examination.texts[hit.examined]
            yield Found(corpus.ids[hit.question], hit.rule, hit.score, text.id, source, text.text)
