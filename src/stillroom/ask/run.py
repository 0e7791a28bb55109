"""The stage: questions.parquet in; ask.sqlite, replies.parquet, attempts.parquet and ask.json out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any

from stillroom.ask.settings import AskSettings, TeacherSettings
from stillroom.base.clock import SystemClock
from stillroom.base.errors import StoreError
from stillroom.base.progress import Progress, Silent
from stillroom.client.blocking import run_to_end
from stillroom.client.engine import EngineCounts, ask_all
from stillroom.client.reply import read_reply
from stillroom.client.request import ChatRequest, requests_for
from stillroom.store.files import write_json
from stillroom.store.journal import Journal
from stillroom.store.tables import ATTEMPTS, REPLIES, count_rows, query, read_questions, write_table

_SILENT = Silent()


def ask(folder: Path, teacher: TeacherSettings, settings: AskSettings, progress: Progress = _SILENT) -> dict[str, Any]:
    """Ask every question of the run in `folder` and write the replies. Returns what ask.json holds.

    Questions that an earlier run of the same settings settled are not asked again. Raises StoreError for the run's own
    files, TeacherError where the teacher will not answer at all, RecipeError for an unknown price or a missing key.
    """
    questions, replies, attempts = (folder / f"{name}.parquet" for name in ("questions", "replies", "attempts"))
    rows = count_rows(questions)

    def requests() -> Iterator[ChatRequest]:
        return requests_for(read_questions(questions), teacher, settings.sampling(), settings.samples)

    def report(counts: EngineCounts) -> None:
        done = counts.settled + counts.shared + counts.replies
        progress.update("ask", done, rows * settings.samples, **_facts(counts))

    clock = SystemClock()
    started = clock.monotonic()
    with Journal(folder / "ask.sqlite") as journal:
        run_to_end(
            ask_all(
                requests(),
                teacher,
                journal,
                concurrency=settings.concurrency,
                retries=settings.retries,
                clock=clock,
                on_progress=report,
            )
        )
        write_table(replies, REPLIES, _reply_rows(journal, requests()))
        write_table(attempts, ATTEMPTS, map(asdict, journal.attempts()))
    facts = {
        "asked": rows,
        "samples": settings.samples,
        **_totals(replies, attempts),
        "seconds": round(clock.monotonic() - started, 3),
        "teacher": teacher.model,
        "base_url": teacher.base_url,
    }
    write_json(folder / "ask.json", facts)
    return facts


def _totals(replies: Path, attempts: Path) -> dict[str, Any]:
    """Sums over the two tables. A reply that several questions share has a row for each, and its tokens count once."""
    (counts,) = query(
        """
        with once as (select distinct on (key) * exclude (reasoning, answer) from replies)
        select
            (select count(*) from replies) as replies,
            (select count(*) from replies) - count(*) as shared,
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
        "cost_usd": None if cost is None else format(cost.normalize(), "f"),
        "by_status": {row["status"]: row["rows"] for row in by_status.to_pylist()},
    }


def _reply_rows(journal: Journal, requests: Iterator[ChatRequest]) -> Iterator[dict[str, Any]]:
    """One row for each question and sample, in the order of the questions: never in the order of arrival."""
    for request in requests:
        reply = journal.reply(request.key)
        if reply is None:
            raise StoreError(
                f"{journal.path} has no reply to question {request.question_id}, sample {request.sample}.",
                "Was questions.parquet changed meanwhile? Run the same command again.",
            )
        row = asdict(reply)
        del row["raw"]
        text = read_reply(reply)
        # A reply that two questions share was journaled under the id of the one that was asked first.
        row |= {"question_id": request.question_id, "sample": request.sample}
        yield row | {"reasoning": text.reasoning, "answer": text.answer, "block": text.block}


def _facts(counts: EngineCounts) -> dict[str, object]:
    facts: dict[str, object] = {"calls": counts.calls, "completion_tokens": counts.completion_tokens}
    if counts.cost_usd:
        facts["cost_usd"] = format(counts.cost_usd.normalize(), "f")
    return facts | {status: count for status, count in sorted(counts.by_status.items()) if status != "ok"}
