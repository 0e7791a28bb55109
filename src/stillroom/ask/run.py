"""The stage: questions.parquet in; ask.sqlite, replies.parquet, attempts.parquet and ask.json out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, fields, replace
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from stillroom.ask.earlier import Earlier
from stillroom.ask.enough import AskUntilRight, IsRight
from stillroom.ask.prompt import prompt_messages, with_prompt
from stillroom.ask.settings import AskSettings, TeacherSettings
from stillroom.ask.standing import Standing
from stillroom.base.canonical import canonical_bytes
from stillroom.base.clock import SystemClock
from stillroom.base.errors import BudgetReached, RecipeError, StoreError, TeacherError
from stillroom.base.progress import Progress, Silent
from stillroom.base.records import Reply
from stillroom.client.blocking import run_to_end
from stillroom.client.counts import facts_of as counts_facts_of
from stillroom.client.engine import EngineCounts, ask_all
from stillroom.client.pacing import PaceLimits
from stillroom.client.permit_file import load_permit
from stillroom.client.price import usd
from stillroom.client.reply import PARSER_VERSION, ParsedReply, parse_reply, read_reply
from stillroom.client.request import ChatRequest, RequestSettings, sent_json
from stillroom.client.told_receipt import read_receipt
from stillroom.store.files import remove_unfinished, write_json
from stillroom.store.journal import Finished, Journal, Spent
from stillroom.store.permits import keep_permit, kept_permits
from stillroom.store.schemas import ATTEMPTS, REPLIES
from stillroom.store.tables import count_rows, query, read_question_rows, read_questions, write_table

Again = Literal["truncated", "failed", "refused", "empty"]
LONGER_LIMITS = (4096, 16384, 32768)
"""Token limits that replies cut short are asked again with, one after the other, as far as they are larger."""

_NONE_IS: dict[Again, str] = {
    "truncated": "No reply was cut by a limit below these: nothing was asked again.",
    "failed": "No reply has failed: nothing was asked again.",
    "refused": "No reply was refused: nothing was asked again.",
    "empty": "No reply is empty: nothing was asked again.",
}
_SILENT = Silent()
_WRITTEN = ("replies.parquet", "attempts.parquet", "ask.json")
_WRITTEN_AT_ONCE = 500


def ask(
    folder: Path,
    teacher: TeacherSettings,
    settings: AskSettings,
    progress: Progress = _SILENT,
    *,
    is_right: IsRight | None = None,
    again: Again | None = None,
    longer_limits: Sequence[int] = LONGER_LIMITS,
) -> dict[str, Any]:
    """Ask every question of the run in `folder` and write the replies. Returns what ask.json holds.

    Questions that an earlier run of the same settings settled are not asked again, but for replies of status `again`:
    these are, `truncated` ones with `longer_limits` in turn. `is_right` judges answers where the settings say
    `stop_after_right`. Raises StoreError for the run's own files, TeacherError where the teacher will not answer at
    all, BudgetReached at a limit of the settings, RecipeError for an unknown price or a missing key.
    """
    clock = SystemClock()
    started = clock.monotonic()
    with Journal(folder / "ask.sqlite") as journal:
        for name in _WRITTEN:
            remove_unfinished(folder / name)
        journal.rederive(PARSER_VERSION, read_again)
        asking = Asking(folder, teacher, settings, journal, progress, is_right)
        try:
            first = asking.all_questions()
            if again == "truncated":
                asked_again = sum(map(asking.cut_replies, longer_limits))
            elif again is not None:
                asked_again = asking.replies_that_are(again)
            if again is not None and not asked_again and not first.by_status[again]:
                progress.say(_NONE_IS[again])
        except (KeyboardInterrupt, BudgetReached, TeacherError, StoreError) as stop:
            if (note := asking.where_it_stands()) is not None:
                stop.add_note(note)
            if isinstance(stop, StoreError):  # a full disk holds no tables either
                raise
            # What came so far can be checked and trained on: perhaps it is enough.
            write_replies(folder, teacher, settings, journal, clock.monotonic() - started, is_whole=False)
            raise
        return write_replies(folder, teacher, settings, journal, clock.monotonic() - started)


class Asking:
    """The passes over a run's questions, all through one journal."""

    def __init__(
        self,
        folder: Path,
        teacher: TeacherSettings,
        settings: AskSettings,
        journal: Journal,
        progress: Progress,
        is_right: IsRight | None,
    ) -> None:
        self._folder = folder
        self._questions = folder / "questions.parquet"
        self._rows = count_rows(self._questions)
        self._teacher, self._settings, self._journal, self._progress = teacher, settings, journal, progress
        if settings.stop_after_right is not None and is_right is None:
            raise RecipeError("stop_after_right needs somebody who can tell what is right.", "Hand in is_right.")
        self._is_right = is_right
        self._spent_before = journal.spent()
        """When the pass began, earlier runs included."""
        self._began_us = SystemClock().now_us()
        self._standing: Standing | None = None

    def where_it_stands(self) -> str | None:
        """What is left, failed and spent, in sentences; None where nothing has come yet."""
        is_limited = self._settings.max_tokens is not None
        return None if self._standing is None else self._standing.in_words(self._journal, is_limited=is_limited)

    def all_questions(self) -> EngineCounts:
        questions, teacher, settings = self._questions, self._teacher, self._settings
        wanted, most = settings.stop_after_right, settings.most_samples
        total = self._rows * most
        earlier = self.earlier(requests(questions, teacher, settings))
        if wanted is not None and self._is_right is not None:  # those that are whole have to be judged, too
            enough = AskUntilRight(wanted, most, self._is_right)
            first = _with_questions(questions, teacher, settings, wanted)
            return self.ask(first, total, before=earlier.samples, follow_up=enough)
        passed_over = earlier.samples_of_whole
        lacking = requests(questions, teacher, settings, without=earlier)
        counts = self.ask(lacking, total, before=earlier.samples, passed_over=passed_over)
        counts.requests += passed_over
        counts.settled += passed_over
        return counts

    def earlier(self, asked: Iterator[ChatRequest]) -> Earlier:
        """What earlier runs settled of what will be asked."""
        earlier = Earlier(self._journal, self._teacher.addresses)
        if self._spent_before.calls:  # a run that begins has nothing to look up, and a million digests to make
            earlier.look(asked)
        return earlier

    def cut_replies(self, limit: int) -> int:
        """Ask those again that a smaller limit cut. Returns how many."""
        return self._ask_again(
            lambda found: found.status == "truncated" and found.max_tokens is not None and found.max_tokens < limit,
            limit,
        )

    def replies_that_are(self, status: str) -> int:
        """Ask those again whose reply had this status when the run was started. Returns how many."""
        return self._ask_again(lambda found: found.status == status and found.asked_at < self._began_us, None)

    def _ask_again(self, only: Callable[[Finished], bool], limit: int | None) -> int:
        def chosen() -> Iterator[ChatRequest]:
            asked = requests(self._questions, self._teacher, self._settings, limit)
            return _have_replies(self._journal, asked, only)

        if total := sum(len(request.samples) for request in chosen()):
            self._spent_before = self._journal.spent()
            self.ask(chosen(), total, only=only)
        return total

    def ask(
        self, to_ask: Iterator[ChatRequest], total: int, before: int = 0, passed_over: int = 0, **options: Any
    ) -> EngineCounts:
        """One pass. `before`: samples that earlier runs settled, of which `passed_over` are not in `to_ask`."""
        settings = self._settings
        is_counted = settings.max_calls is not None or settings.max_total_tokens is not None
        spent_before = self._spent_before if is_counted else None
        is_most = settings.stop_after_right is not None
        if self._teacher.permit is not None:
            keep_permit(self._folder, *load_permit(Path(self._teacher.permit)))

        def report(counts: EngineCounts) -> None:
            # The engine meets what is settled on its way, long after it is known; and a little that was settled since.
            done = max(before, passed_over + counts.settled) + counts.shared + counts.replies
            self._standing = Standing(done, total, is_most, dict(counts.by_status), dict(counts.failures))
            self._progress.update("ask", done, total, **facts_of(counts, settings, spent_before))

        self._standing = Standing(before, total, is_most, {}, {})
        counts = EngineCounts(spent_usd=self._spent_before.usd)
        self._progress.update("ask", before, total, **facts_of(counts, settings, spent_before))  # minutes may pass now
        counts = run_to_end(
            ask_all(
                to_ask,
                self._teacher,
                self._journal,
                pace=PaceLimits(
                    concurrency=settings.concurrency,
                    requests_per_minute=settings.requests_per_minute,
                    tokens_per_minute=settings.tokens_per_minute,
                ),
                limits=settings.limits(),
                retries=settings.retries,
                strict_limit=False,
                on_progress=report,
                announce=self._progress.say,
                **options,
            )
        )
        if counts.bad_receipts > 1:
            bad = counts.bad_receipts
            self._progress.say(f"{bad:,} calls were answered with a receipt that is none: their replies have none.")
        return counts


def requests(
    questions: Path,
    teacher: TeacherSettings,
    settings: AskSettings,
    limit: int | None = None,
    without: Earlier | None = None,
) -> Iterator[ChatRequest]:
    """A request for each question, with every sample that could be asked. `limit`: tokens, in place of the recipe's.

    `without`: what has looked at these requests before; those that were whole are left out.
    """
    shared = RequestSettings(teacher, settings.sampling(), limit)
    samples = tuple(range(settings.most_samples))
    before = prompt_messages(settings, Path())
    rows = read_question_rows(questions)
    for question_id, stored in rows if without is None else without.lacking(rows):
        messages = sent_json(stored)
        if before:
            messages = canonical_bytes(with_prompt(before, json.loads(messages)))
        yield ChatRequest(question_id, messages, shared, samples)


def _with_questions(
    questions: Path, teacher: TeacherSettings, settings: AskSettings, samples: int
) -> Iterator[ChatRequest]:
    """The same with the questions themselves, for whoever judges the answers, and with the first samples only."""
    for request, question in zip(requests(questions, teacher, settings), read_questions(questions), strict=True):
        first = request.only(range(samples))
        first.question = question
        yield first


def _have_replies(
    journal: Journal, to_ask: Iterator[ChatRequest], only: Callable[[Finished], bool]
) -> Iterator[ChatRequest]:
    """Of each request the samples whose reply `only` says yes to; requests without one are left out."""
    while block := list(islice(to_ask, _WRITTEN_AT_ONCE)):
        found = journal.finished([key for request in block for key in request.keys])
        for request in block:
            samples = [
                sample
                for sample, key in zip(request.samples, request.keys, strict=True)
                if key in found and only(found[key])
            ]
            if samples:
                yield request.only(samples)


def read_again(reply: Reply) -> Reply:
    """The row that today's reader makes of a reply's raw body. What it cost stays what it was."""
    if reply.http_status is None:
        return reply
    read = parse_reply(reply.raw, reply.http_status, reply.choice)
    changes: dict[str, Any] = {
        name: getattr(read, name)
        for name in ("status", "error_kind", "reasoning_form", "finish_reason", "served_model", "fingerprint")
    }
    if reply.counted_by != "estimate":
        usage = asdict(read.usage)
        changes |= usage | {"counted_by": "provider" if any(value is not None for value in usage.values()) else None}
    if reply.receipt is None:  # one that came in a header is in no body
        changes["receipt"] = read_receipt({}, reply.raw).receipt
    return replace(reply, **changes)


def write_replies(
    folder: Path,
    teacher: TeacherSettings,
    settings: AskSettings,
    journal: Journal,
    seconds: float,
    *,
    is_whole: bool = True,
) -> dict[str, Any]:
    """The tables and ask.json, from what the journal holds. `is_whole` False: questions may lack replies."""
    questions, replies, attempts = (folder / f"{name}.parquet" for name in ("questions", "replies", "attempts"))
    may_lack = not is_whole or settings.stop_after_right is not None
    journal.shrink()
    write_table(replies, REPLIES, _reply_rows(journal, requests(questions, teacher, settings), may_lack))
    write_table(attempts, ATTEMPTS, map(asdict, journal.attempts()))
    spent = journal.spent()
    journal.shrink()
    facts = {
        "asked": count_rows(questions),
        "samples": settings.most_samples,
        "is_whole": is_whole,
        **_totals(replies, attempts),
        "permits": [permit["claims"]["jti"] for permit in kept_permits(folder)],
        "spent_usd": usd(spent.usd),
        "unknown_usd": usd(spent.unknown_usd),
        "seconds": round(seconds, 3),
        "teacher": teacher.model,
        "base_url": teacher.base_url,
    }
    write_json(folder / "ask.json", facts)
    return facts


def _totals(replies: Path, attempts: Path) -> dict[str, Any]:
    """Sums over the two tables. A reply that several questions share has a row for each, and its tokens count once."""
    (counts,) = query(
        """
        with once as (
            select distinct on (key)
                prompt_tokens, completion_tokens, reasoning_tokens, cached_tokens, price_id, served_model, receipt
            from replies
        )
        select
            (select count(*) from replies) as replies,
            (select count(*) from replies) - count(*) as shared,
            count(receipt) as with_receipt,
            sum(prompt_tokens)::bigint as prompt_tokens,
            sum(completion_tokens)::bigint as completion_tokens,
            sum(reasoning_tokens)::bigint as reasoning_tokens,
            sum(cached_tokens)::bigint as cached_tokens,
            string_agg(distinct price_id, ', ' order by price_id) as price_id,
            coalesce(list(distinct served_model order by served_model) filter (served_model is not null), [])
                as served_models
        from once
        """,
        replies=replies,
    ).to_pylist()
    (calls,) = query(
        """
        select count(*) as calls, count(*) filter (status = 'unknown') as unknown_calls,
            sum(cost_usd::decimal(38, 18)) as cost_usd
        from attempts
        """,
        attempts=attempts,
    ).to_pylist()
    by_status = query("select status, count(*) as rows from replies group by status order by status", replies=replies)
    cost: Decimal | None = calls["cost_usd"]
    return {
        **counts,
        **calls,
        "cost_usd": usd(cost),
        "by_status": {row["status"]: row["rows"] for row in by_status.to_pylist()},
    }


_REPLY_COLUMNS = [field.name for field in fields(Reply) if field.name != "raw"]


def _reply_rows(journal: Journal, asked: Iterator[ChatRequest], may_lack: bool) -> Iterator[dict[str, Any]]:
    """One row for each question and sample, in the order of the questions: never in the order of arrival."""
    while block := list(islice(asked, _WRITTEN_AT_ONCE)):
        found = journal.replies_of([key for request in block for key in request.keys])
        for request in block:
            for sample, key in zip(request.samples, request.keys, strict=True):
                reply = found.get(key)
                if reply is not None:
                    yield _reply_row(reply, request.question_id, sample, read_reply(reply))
                elif not may_lack:
                    raise StoreError(
                        f"{journal.path} has no reply to question {request.question_id}, sample {sample}.",
                        "Was questions.parquet changed meanwhile? Run the same command again.",
                    )


def _reply_row(reply: Reply, question_id: str, sample: int, text: ParsedReply) -> dict[str, Any]:
    row = {name: getattr(reply, name) for name in _REPLY_COLUMNS}
    # A reply that two questions share was journaled under the id of the one that was asked first.
    row["question_id"], row["sample"] = question_id, sample
    row["reasoning"], row["answer"], row["block"] = text.reasoning, text.answer, text.block
    return row


def facts_of(counts: EngineCounts, settings: AskSettings, before: Spent | None) -> dict[str, object]:
    """`stillroom.client.counts.facts_of`, and whether there may be fewer replies than the settings allow."""
    is_most = settings.stop_after_right is not None
    return {**counts_facts_of(counts, settings.limits(), before), "total_is_most": is_most}
