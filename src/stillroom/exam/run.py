"""The stage: exam/questions.parquet in; a journal for each taker, exam/answers.parquet and exam.json out."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from itertools import combinations
from pathlib import Path
from typing import Any

from stillroom.base.progress import Progress, Silent
from stillroom.base.records import Question, Reply
from stillroom.client.blocking import run_to_end
from stillroom.client.engine import EngineCounts, ask_all
from stillroom.client.pacing import PaceLimits
from stillroom.client.request import requests_for
from stillroom.client.settings import Endpoint
from stillroom.exam.marking import Marks, mark
from stillroom.exam.paper import read_paper, refuse_overlap
from stillroom.exam.settings import ExamSettings
from stillroom.exam.statistics import compare
from stillroom.store.files import write_json
from stillroom.store.journal import Journal
from stillroom.store.tables import EXAM_ANSWERS, write_table

TRAINED = ("answers_only", "student")
"""The takers that learned from the run's own questions."""
_SILENT = Silent()


def exam(
    folder: Path, takers: Mapping[str, Endpoint], settings: ExamSettings, progress: Progress = _SILENT
) -> dict[str, Any]:
    """Ask every taker the same questions, judge the replies, compare the takers. Returns exam.json.

    Each taker is asked through the engine with a journal of its own, `exam/TAKER.sqlite`: what was answered before is
    not asked again. A taker is known by its endpoint's model, so other weights need another model name. Raises
    DataError for questions that are unfit or were trained on, StoreError for files that cannot be read or written, and
    TeacherError where a taker does not answer at all.
    """
    started = time.monotonic()
    questions = read_paper(folder / "exam" / "questions.parquet")
    training = folder / "questions.parquet"
    if training.exists() and any(taker in takers for taker in TRAINED):
        refuse_overlap(questions, training)
    for position, (taker, endpoint) in enumerate(takers.items()):
        _ask(folder, taker, endpoint, questions, settings, _TakerProgress(progress, position, takers, len(questions)))
    marks = [Marks(taker, endpoint.model) for taker, endpoint in takers.items()]
    write_table(
        folder / "exam" / "answers.parquet",
        EXAM_ANSWERS,
        (row for one in marks for row in mark(one, _answered(folder, one.taker, takers, questions, settings))),
    )
    report = {
        "n": len(questions),
        "max_tokens": settings.max_tokens,
        "families": sorted({question.family for question in questions if question.family}),
        "takers": {one.taker: one.figures() for one in marks},
        "comparisons": [{"a": a.taker, "b": b.taker, **asdict(compare(a.right, b.right))} for a, b in _pairs(marks)],
        "seconds": round(time.monotonic() - started, 3),
    }
    write_json(folder / "exam.json", report)
    return report


def _ask(
    folder: Path,
    taker: str,
    endpoint: Endpoint,
    questions: list[Question],
    settings: ExamSettings,
    progress: _TakerProgress,
) -> None:
    with Journal(_journal_path(folder, taker)) as journal:
        run_to_end(
            ask_all(
                requests_for(questions, endpoint, settings.sampling()),
                endpoint,
                journal,
                pace=PaceLimits(concurrency=settings.concurrency),
                retries=settings.retries,
                on_progress=progress,
            )
        )


def _answered(
    folder: Path, taker: str, takers: Mapping[str, Endpoint], questions: list[Question], settings: ExamSettings
) -> Iterator[tuple[Question, Reply]]:
    """Every question with the taker's reply, which is in the journal under the request's key."""
    with Journal(_journal_path(folder, taker)) as journal:
        for question, request in zip(
            questions, requests_for(questions, takers[taker], settings.sampling()), strict=True
        ):
            reply = journal.reply(request.key)
            assert reply is not None, f"the engine left {taker} without a reply to {question.id}"
            yield question, reply


def _pairs(marks: list[Marks]) -> Iterator[tuple[Marks, Marks]]:
    """Every two takers, the one that should be better first: the student against the others, then the rest."""
    rank = {"student": 0, "teacher": 1, "answers_only": 2, "base": 3}
    return combinations(sorted(marks, key=lambda one: rank.get(one.taker, len(rank))), 2)


def _journal_path(folder: Path, taker: str) -> Path:
    return folder / "exam" / f"{taker}.sqlite"


class _TakerProgress:
    """The engine's counts of one taker, as progress of the whole examination."""

    def __init__(self, progress: Progress, position: int, takers: Mapping[str, Endpoint], n: int) -> None:
        self._progress = progress
        self._taker = list(takers)[position]
        self._before = position * n
        self._total = len(takers) * n

    def __call__(self, counts: EngineCounts) -> None:
        done = counts.settled + counts.shared + counts.replies
        self._progress.update("exam", self._before + done, self._total, taker=self._taker)
