"""The stage: questions.parquet and replies.parquet in; traces.parquet, rejected.parquet and check.json out."""

from __future__ import annotations

import json
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any, TypeVar

from stillroom.base.progress import Progress, Silent
from stillroom.base.records import JudgedBy, Message, Question, Trace
from stillroom.check.decide import Decision, after_judging, before_judging
from stillroom.check.reasons import REASONS
from stillroom.check.rows import Asked, Row, asked_questions
from stillroom.check.settings import CheckSettings
from stillroom.store.files import write_json
from stillroom.store.tables import REJECTED, count_rows, message_row, write_table, write_traces
from stillroom.verify import verify_many

QUESTIONS_AT_ONCE = 64
"""How many questions' replies are in memory, and are verified side by side."""
NO_FAMILY = "no family"
_SILENT = Silent()

_T = TypeVar("_T")


def check(folder: Path, settings: CheckSettings, progress: Progress = _SILENT) -> dict[str, Any]:
    """Check the replies of the run in `folder` and write what is kept, what is not and why. Returns check.json.

    Every reply is in exactly one of traces.parquet and rejected.parquet. Raises StoreError and DataError for tables
    that cannot be read or do not belong together.
    """
    started = time.monotonic()
    counts = _Counts(count_rows(folder / "replies.parquet"), progress)
    # Both tables come out of one pass: the rejected rows wait on disk while the traces are written.
    with tempfile.TemporaryFile("w+", encoding="utf-8", dir=folder) as spool:
        write_traces(folder / "traces.parquet", _traces(folder, settings, counts, spool))
        spool.seek(0)
        write_table(folder / "rejected.parquet", REJECTED, map(json.loads, spool))
    report = counts.report() | {"seconds": round(time.monotonic() - started, 3)}
    assert report["rows"] == report["kept"] + sum(report["rejected"].values())
    assert report["rows"] == counts.expected_rows
    write_json(folder / "check.json", report)
    return report


class _Counts:
    def __init__(self, expected_rows: int, progress: Progress) -> None:
        self.expected_rows = expected_rows
        self.progress = progress
        self.rows = 0
        self.kept = 0
        self.rejected: Counter[str] = Counter()
        self.verdicts: Counter[str] = Counter()
        self.families: dict[str, Counter[str]] = {}

    def add(self, question: Question, decision: Decision) -> None:
        family = self.families.setdefault(question.family or NO_FAMILY, Counter())
        self.rows += 1
        family["rows"] += 1
        if decision.judgement is not None:
            self.verdicts[decision.judgement.verdict] += 1
        if decision.reason is None:
            self.kept += 1
            family["kept"] += 1
        else:
            self.rejected[decision.reason] += 1
        self.progress.update("check", self.rows, self.expected_rows, kept=self.kept)

    def report(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "kept": self.kept,
            "rejected": {reason: self.rejected[reason] for reason in REASONS if self.rejected[reason]},
            "verdicts": {name: self.verdicts[name] for name in ("right", "wrong", "unsure", "unverifiable")},
            "families": {
                family: {"rows": counts["rows"], "kept": counts["kept"]}
                for family, counts in sorted(self.families.items())
            },
        }


def _traces(folder: Path, settings: CheckSettings, counts: _Counts, spool: IO[str]) -> Iterator[Trace]:
    asked = asked_questions(folder / "questions.parquet", folder / "replies.parquet")
    for question, decisions, pass_rate in _decided(asked, settings):
        for decision in decisions:
            counts.add(question, decision)
            if decision.reason is None:
                yield _trace(question, decision, pass_rate)
            else:
                spool.write(json.dumps(_rejected_row(question, decision)) + "\n")


def _decided(
    asked: Iterable[Asked], settings: CheckSettings
) -> Iterator[tuple[Question, list[Decision], float | None]]:
    for some in _batches(asked, QUESTIONS_AT_ONCE):
        decided = [(one.question, before_judging(one, settings)) for one in some]
        waiting = [(question, each) for question, decisions in decided for each in decisions if each.reason is None]
        judgements = verify_many([(question, decision.reply["answer"]) for question, decision in waiting])
        for (_, decision), judgement in zip(waiting, judgements, strict=True):
            decision.judgement = judgement
        for question, decisions in decided:
            pass_rate = after_judging(question, decisions, settings)
            yield question, decisions, pass_rate


def _batches(items: Iterable[_T], size: int) -> Iterator[list[_T]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def _trace(question: Question, decision: Decision, pass_rate: float | None) -> Trace:
    """The question's own messages, then the teacher's reply, which alone is trained on."""
    reply = decision.reply
    assert decision.judgement is not None
    prompt = [message.model_copy(update={"train": False}) for message in question.messages]
    reasoning = (reply["reasoning"] or "").strip() or None
    said = Message(role="assistant", content=reply["answer"].strip(), reasoning=reasoning, train=True)
    return Trace(
        question_id=question.id,
        messages=(*prompt, said),
        verdict=decision.judgement.verdict,
        pass_rate=pass_rate,
        tokens=reply["completion_tokens"],
        teacher=reply["teacher"],
        reply_key=reply["key"],
        receipt=reply["receipt"],
        source=question.source,
        licence=question.licence,
        family=question.family,
        kind=question.kind,
        expected=question.answer,
        judged_by=_judged_by(decision),
    )


def _rejected_row(question: Question, decision: Decision) -> Row:
    judgement = decision.judgement
    return {
        "question_id": question.id,
        "sample": decision.reply["sample"],
        "reply_key": decision.reply["key"],
        "reason": decision.reason,
        "detail": decision.detail,
        "verdict": judgement.verdict if judgement else None,
        "extracted": judgement.extracted if judgement else None,
        "expected": question.answer,
        "family": question.family,
        "reasoning": decision.reply["reasoning"],
        "answer": decision.reply["answer"],
        "messages": [message_row(message) for message in question.messages],
        "kind": question.kind,
        "source": question.source,
        "licence": question.licence,
        "teacher": decision.reply["teacher"],
        "tokens": decision.reply["completion_tokens"],
        "receipt": decision.reply["receipt"],
        "judged_by": _judged_by(decision),
    }


def _judged_by(decision: Decision) -> JudgedBy | None:
    judged = decision.judgement is not None and decision.judgement.verdict != "unverifiable"
    return "verifier" if judged else None
