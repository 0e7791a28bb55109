"""The stage: sets of questions in; a journal of each taker, exam/answers.parquet, lm-eval's files and exam.json out."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stillroom.base.progress import Progress, Silent
from stillroom.base.records import Question, Reply
from stillroom.client.blocking import run_to_end
from stillroom.client.engine import EngineCounts, ask_all
from stillroom.client.pacing import PaceLimits
from stillroom.client.request import requests_for
from stillroom.client.settings import Endpoint
from stillroom.exam.comparison import comparisons, group_comparisons, groups
from stillroom.exam.figures import figures, mean_of_sets
from stillroom.exam.lm_eval import write_lm_eval
from stillroom.exam.marking import Marks, mark
from stillroom.exam.paper import read_paper, refuse_overlap
from stillroom.exam.settings import ExamSettings, Paper
from stillroom.exam.ship import ship
from stillroom.store.files import write_json
from stillroom.store.journal import Journal
from stillroom.store.schemas import EXAM_ANSWERS
from stillroom.store.tables import write_table
from stillroom.verify.sandbox import sandbox_protection

SCHEMA_VERSION = 2
"""Of exam.json. Version 2: sets of questions, several samples, groups."""
TRAINED = ("answers_only", "student")
"""The takers that learned from the run's own questions."""
_SILENT = Silent()


@dataclass(frozen=True, slots=True)
class _Set:
    """A set of questions, in memory: an examination is small."""

    paper: Paper
    questions: list[Question]

    @property
    def replies(self) -> int:
        return len(self.questions) * self.paper.samples


def exam(
    folder: Path,
    takers: Mapping[str, Endpoint],
    settings: ExamSettings,
    progress: Progress = _SILENT,
    *,
    learned_from: Mapping[str, Path] | None = None,
) -> dict[str, Any]:
    """Ask every taker the same questions, judge the replies, compare the takers. Returns exam.json.

    Each taker is asked through the engine with a journal of its own, `exam/TAKER.sqlite`: what was answered before is
    not asked again. A taker is known by its endpoint's model, so other weights need another model name. `learned_from`
    is the table of traces that a taker was trained on; the run's own students learned from `traces.parquet`.

    Raises DataError for questions that are unfit or were trained on, StoreError for files that cannot be read or
    written, and TeacherError where a taker does not answer at all.
    """
    started = time.monotonic()
    sets = [_Set(paper, read_paper(folder / paper.file)) for paper in settings.papers()]
    questions = [question for each in sets for question in each.questions]
    for table, taker in _tables_learned_from(folder, takers, learned_from or {}).items():
        refuse_overlap(questions, table, taker)
    sandbox = sandbox_protection() if any(question.kind == "code" for question in questions) else None
    if sandbox is not None:
        progress.say(sandbox.sentence)  # before anything is paid for: where it is not enough, no code is judged
    total = sum(each.replies for each in sets)
    for position, (taker, endpoint) in enumerate(takers.items()):
        _ask(folder, taker, endpoint, sets, settings, _Counted(progress, taker, position * total, len(takers) * total))
    marks = {taker: [Marks(taker, endpoint.model, each.paper) for each in sets] for taker, endpoint in takers.items()}
    write_table(folder / "exam" / "answers.parquet", EXAM_ANSWERS, _all_rows(folder, takers, sets, marks))
    write_lm_eval(folder / "exam", {each.paper.name: each.questions for each in sets}, marks)
    results = _results(marks, settings)
    report = {"schema_version": SCHEMA_VERSION, "max_tokens": settings.max_tokens, **results}
    report["ship"] = ship(results, settings)
    if sandbox is not None:
        report["sandbox"] = sandbox.as_json()
    report["seconds"] = round(time.monotonic() - started, 3)
    write_json(folder / "exam.json", report)
    return report


def _tables_learned_from(
    folder: Path, takers: Mapping[str, Endpoint], learned_from: Mapping[str, Path]
) -> dict[Path, str]:
    """Each table of traces that somebody learned from, with the taker who did, or the first of them."""
    found: dict[Path, str] = {}
    own = folder / "traces.parquet"
    if own.exists() and any(taker in takers for taker in TRAINED):
        found[own] = "student"
    for taker, table in learned_from.items():
        if taker in takers:
            found.setdefault(table, taker)
    return found


def _ask(
    folder: Path,
    taker: str,
    endpoint: Endpoint,
    sets: Sequence[_Set],
    settings: ExamSettings,
    counted: _Counted,
) -> None:
    with Journal(_journal_path(folder, taker)) as journal:
        for each in sets:
            run_to_end(
                ask_all(
                    requests_for(each.questions, endpoint, each.paper.sampling, each.paper.samples),
                    endpoint,
                    journal,
                    pace=PaceLimits(concurrency=settings.concurrency),
                    retries=settings.retries,
                    on_progress=counted,
                )
            )
            counted.before += each.replies


def _all_rows(
    folder: Path, takers: Mapping[str, Endpoint], sets: Sequence[_Set], marks: Mapping[str, Sequence[Marks]]
) -> Iterator[dict[str, Any]]:
    for taker, endpoint in takers.items():
        with Journal(_journal_path(folder, taker)) as journal:
            for each, of_set in zip(sets, marks[taker], strict=True):
                yield from mark(of_set, _answered(journal, endpoint, each))


def _answered(journal: Journal, endpoint: Endpoint, each: _Set) -> Iterator[tuple[Question, Reply]]:
    """Every question with the taker's replies, which are in the journal under the request's keys."""
    requests = requests_for(each.questions, endpoint, each.paper.sampling, each.paper.samples)
    for question, request in zip(each.questions, requests, strict=True):
        for key in request.keys:
            reply = journal.reply(key)
            assert reply is not None, f"the engine left {endpoint.model} without a reply to {question.id}"
            yield question, reply


def _results(marks: Mapping[str, Sequence[Marks]], settings: ExamSettings) -> dict[str, Any]:
    whole = _part(marks, settings)
    if not settings.sets:
        return {**whole, "sets": {}}
    sets: dict[str, dict[str, Any]] = {}
    for position, paper in enumerate(settings.papers()):
        asked = {"samples": paper.samples, **paper.sampling.model_dump(include={"temperature", "top_p", "max_tokens"})}
        of_set = {taker: [parts[position]] for taker, parts in marks.items()}
        sets[str(paper.name)] = {**asked, **_part(of_set, settings)}
    for taker, found in whole["takers"].items():
        found["mean_of_sets"] = mean_of_sets([of_set["takers"][taker] for of_set in sets.values()])
    return {**whole, "sets": sets}


def _part(marks: Mapping[str, Sequence[Marks]], settings: ExamSettings) -> dict[str, Any]:
    """Everybody's figures in one set, or in all of them together."""
    first = next(iter(marks.values()))
    return {
        "n": sum(len(part.families()) for part in first),
        "families": sorted({family for part in first for family in part.families() if family}),
        "takers": {taker: figures(parts) for taker, parts in marks.items()},
        "comparisons": comparisons(marks),
        "groups": groups(marks, settings.groups),
        "group_comparisons": group_comparisons(marks, settings.groups),
    }


def _journal_path(folder: Path, taker: str) -> Path:
    return folder / "exam" / f"{taker}.sqlite"


class _Counted:
    """The engine's counts of one taker in one set, as progress of the whole examination."""

    def __init__(self, progress: Progress, taker: str, before: int, total: int) -> None:
        self._progress, self._taker, self._total = progress, taker, total
        self.before = before
        """Replies before this set."""

    def __call__(self, counts: EngineCounts) -> None:
        done = counts.settled + counts.shared + counts.replies
        self._progress.update("exam", self.before + done, self._total, taker=self._taker)
