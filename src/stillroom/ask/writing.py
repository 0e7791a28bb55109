"""What a run of asking leaves: replies.parquet, attempts.parquet and ask.json, from the journal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, fields
from decimal import Decimal
from pathlib import Path
from typing import Any

from stillroom.ask.requests import requests
from stillroom.ask.settings import AskSettings, TeacherSettings
from stillroom.base.batches import batched
from stillroom.base.errors import StoreError
from stillroom.base.records import Reply
from stillroom.client.price import usd
from stillroom.client.reply import ParsedReply, read_reply
from stillroom.client.request import ChatRequest
from stillroom.store.files import remove_unfinished, write_json
from stillroom.store.journal import Journal
from stillroom.store.permits import kept_permits
from stillroom.store.schemas import ATTEMPTS, REPLIES
from stillroom.store.tables import count_rows, query, write_table

_WRITTEN = ("replies.parquet", "attempts.parquet", "ask.json")
_WRITTEN_AT_ONCE = 500
_REPLY_COLUMNS = [field.name for field in fields(Reply) if field.name != "raw"]


def remove_unfinished_replies(folder: Path) -> None:
    """What a killed run had begun to write of them."""
    for name in _WRITTEN:
        remove_unfinished(folder / name)


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


def _reply_rows(journal: Journal, asked: Iterator[ChatRequest], may_lack: bool) -> Iterator[dict[str, Any]]:
    """One row for each question and sample, in the order of the questions: never in the order of arrival."""
    for block in batched(asked, _WRITTEN_AT_ONCE):
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
