"""The stage: questions.parquet and replies.parquet in; traces.parquet, rejected.parquet and check.json out.

The order of work, of which a row's reason is the first that fits: filters, overlap of questions, verifiers, agreement,
judge, duplicates, selection within a question, selection among all.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from stillroom.base.progress import Progress, Silent
from stillroom.base.records import Question
from stillroom.check.counts import Counts, Tally
from stillroom.check.decide import Decision, pass_rate, reject_by_verdict, reject_duplicates
from stillroom.check.elsewhere import Elsewhere, ReadRows, read_elsewhere
from stillroom.check.filters import Filters, TokenCount
from stillroom.check.held_out import HeldOut
from stillroom.check.judging import Decided, judged, verified
from stillroom.check.overlap.find import find_overlap
from stillroom.check.overlap.hits import LeftOut
from stillroom.check.pass_rates import read_pass_rates
from stillroom.check.rows import Tables, sorted_tables
from stillroom.check.selection import OWN, Lots, select_of_question
from stillroom.check.settings import CheckSettings
from stillroom.check.writing import Spool
from stillroom.store.files import write_json
from stillroom.store.lock import FolderLock
from stillroom.store.tables import count_rows, query
from stillroom.verify.sandbox import Protection, sandbox_protection

_SILENT = Silent()


def check(
    folder: Path,
    settings: CheckSettings,
    progress: Progress = _SILENT,
    *,
    examinations: Sequence[Path] = (),
    read_rows: ReadRows | None = None,
    count_tokens: TokenCount | None = None,
    terms: str | None = None,
) -> dict[str, Any]:
    """Check the replies of the run in `folder` and write what is kept, what is not and why. Returns check.json.

    Every reply, and every row of the files of `settings.mix`, is in exactly one of traces.parquet, held_out.parquet and
    rejected.parquet. `examinations`: questions that nobody should be trained on. `read_rows` opens the files of the
    settings; it may be None where these name none. `count_tokens` is the student's tokenizer; `terms` are those of
    the run's own rows. Raises StoreError and DataError for tables and files that cannot be read or do not belong
    together, StoreError while another check of the folder is at work, and what asking the judge raises.
    """
    return _Check(folder, settings, progress, read_rows, count_tokens, terms).run(examinations)


class _Check:
    """One run of the stage: what is known so far."""

    def __init__(
        self,
        folder: Path,
        settings: CheckSettings,
        progress: Progress,
        read_rows: ReadRows | None,
        count_tokens: TokenCount | None,
        terms: str | None,
    ) -> None:
        self._folder = folder
        self._settings = settings
        self._progress = progress
        self._read_rows = read_rows
        self._terms = terms
        self._filters = Filters(settings, count_tokens)
        self._counts = Counts()
        self._lots = Lots(settings.seed)
        self._judge: dict[str, Any] = {}
        self._sandbox: Protection | None = None
        """What keeps in the code of answers, where there is any."""
        self._unknown_difficulty = 0
        """Questions that `pass_rate` says nothing about."""

    def run(self, examinations: Sequence[Path]) -> dict[str, Any]:
        started = time.monotonic()
        settings, folder = self._settings, self._folder
        with ExitStack() as stack:
            stack.callback(FolderLock(folder / "check.lock", f"The check of {folder}").release)
            for left in folder.glob(".check-*"):  # by a check that was killed: nobody else holds the lock
                shutil.rmtree(left)
            temporary = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=folder, prefix=".check-")))
            elsewhere = self._elsewhere(temporary)
            tables = stack.enter_context(sorted_tables(folder, elsewhere.tables if elsewhere else None))
            overlap = find_overlap(
                tables.questions, examinations, settings.overlap, folder / "overlap.parquet", self._progress
            )
            spool = stack.enter_context(Spool(temporary, self._counts, self._terms))
            self._decide(tables, overlap.left_out, spool)
            for row in elsewhere.unreadable_rows() if elsewhere else ():
                spool.add_unreadable(row)
            left_out = self._lots.left_out(settings)
            spool.finish(folder, left_out, self._held_out())
        report = self._report(left_out) | {
            "overlap": overlap.report(),
            "seconds": round(time.monotonic() - started, 3),
        }
        write_json(folder / "check.json", report)
        return report

    def _elsewhere(self, temporary: Path) -> Elsewhere | None:
        if not self._settings.mix:
            return None
        own = self._folder / "questions.parquet"
        return read_elsewhere(temporary, own, self._settings.mix, self._opened())

    def _opened(self) -> ReadRows:
        assert self._read_rows is not None, "the settings name files, and nobody said how to read them"
        return self._read_rows

    def _decide(self, tables: Tables, left_out: Mapping[str, LeftOut], spool: Spool) -> None:
        settings = self._settings
        expected = count_rows(tables.rows)
        rates = read_pass_rates(Path(settings.pass_rates), self._opened()) if settings.pass_rates else {}
        decided = verified(self._fit(tables, left_out), settings.agreement)
        if settings.judge is not None:
            decided = judged(decided, settings.judge, self._folder, self._progress, self._judge)
        done = 0
        for question, decisions in decided:
            reject_by_verdict(question, decisions, settings)
            reject_duplicates(decisions)
            rate = pass_rate(decisions)
            self._select(question.id, decisions, rates, rate)
            for decision in decisions:
                self._add(spool, question, decision, rate)
            done += len(decisions)
            self._progress.update("check", done, expected, kept=len(self._lots))

    def _fit(self, tables: Tables, left_out: Mapping[str, LeftOut]) -> Iterator[Decided]:
        for asked in tables:
            if asked.question.kind == "code" and self._sandbox is None:
                self._sandbox = sandbox_protection()
                self._progress.say(self._sandbox.sentence)
            decisions = [Decision(reply) for reply in asked.replies]
            overlap = left_out.get(asked.question.id)
            for decision, found in zip(decisions, self._filters.unfit(asked.question, asked.replies), strict=True):
                if found is not None:
                    decision.reject(*found)
                elif overlap is not None:
                    decision.reject(overlap.reason, overlap.detail)
            yield asked.question, decisions

    def _select(
        self, question_id: str, decisions: Sequence[Decision], rates: Mapping[str, float], rate: float | None
    ) -> None:
        given = next((each.reply["pass_rate"] for each in decisions if each.reply["pass_rate"] is not None), None)
        difficulty = rates.get(question_id) if self._settings.pass_rates else rate if rate is not None else given
        if self._settings.pass_rate is not None and difficulty is None:
            self._unknown_difficulty += 1
        select_of_question(decisions, self._settings, difficulty)

    def _add(self, spool: Spool, question: Question, decision: Decision, rate: float | None) -> None:
        reply = decision.reply
        if decision.reason is None:
            origin = OWN if reply["mix"] is None else int(reply["mix"])
            is_long = (
                self._settings.long_share is not None and self._filters.tokens(reply)[0] >= self._settings.long_from
            )
            self._lots.add(f"{question.id} {reply['key']}", question.source, origin, is_long=is_long)
        spool.add(question, decision, reply["pass_rate"] if decision.is_from_elsewhere else rate)

    def _of_file(self, number: int, all_kept: int) -> dict[str, Any]:
        source, tally = self._settings.mix[number], self._counts.files.get(number, Tally())
        share = tally.kept / all_kept if all_kept else None
        return {"path": source.path, "weight": source.weight, "share": share} | tally.report()

    def _held_out(self) -> HeldOut | None:
        settings = self._settings
        if not settings.held_out:
            return None
        sql = "select question_id, other_id from overlap where other_source is null"
        pairs = query(sql, overlap=self._folder / "overlap.parquet").to_pylist()
        return HeldOut(settings.held_out, settings.seed, ((pair["question_id"], pair["other_id"]) for pair in pairs))

    def _report(self, left_out: Mapping[int, tuple[str, str]]) -> dict[str, Any]:
        settings, report = self._settings, self._counts.report()
        assert report["rows"] == report["kept"] + sum(report["rejected"].values())
        if settings.judge is not None:
            report["judge"] = self._judge
        if self._sandbox is not None:
            report["sandbox"] = self._sandbox.as_json()
        if settings.pass_rate is not None:
            report["unknown_difficulty"] = self._unknown_difficulty
        if settings.long_share is not None:
            report["long_share"] = {"wanted": settings.long_share, "kept": self._lots.share_of_long(left_out)}
        if settings.mix:
            report["mix"] = [self._of_file(number, report["kept"]) for number in range(len(settings.mix))]
        return report
