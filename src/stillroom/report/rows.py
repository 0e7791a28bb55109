"""The replies of a run as a person looks at them: kept, rejected or not checked yet, found by filters.

The tables may hold millions of rows. DuckDB looks through the columns that a filter needs; of the rest, only the rows
that are shown are read.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal

import duckdb
import orjson
import pyarrow.parquet as pq

from stillroom.base.errors import StoreError
from stillroom.report.staleness import is_stale
from stillroom.store.tables import count_rows

Part = Literal["kept", "held_out", "rejected", "not_checked"]

CHECKED: dict[Part, str] = {
    "kept": "traces.parquet",
    "held_out": "held_out.parquet",
    "rejected": "rejected.parquet",
}
REPLIES, QUESTIONS = "replies.parquet", "questions.parquet"
_MEMORY = "1GB"
_TOGETHER = 256
"""Rows that are read from a table at a time, around one that is shown."""


@dataclass(frozen=True, slots=True)
class RowFilter:
    """What to look for; None: whatever there is."""

    kept: bool | None = None
    """Held-out rows are kept ones."""
    verdict: str | None = None
    reason: str | None = None
    source: str | None = None
    question: str | None = None
    """An id, or the beginning of one, with or without `sha256:`."""
    search: str | None = None
    """Words that stand in the question, the reasoning or the answer, in any case."""
    shortest: int | None = None
    """The fewest characters of reasoning and answer together."""
    longest: int | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """One reply with its question; None is unknown, or not there."""

    part: Part
    question_id: str | None
    reply_key: str | None
    reason: str | None
    detail: str | None
    verdict: str | None
    judged_by: str | None
    source: str | None
    family: str | None
    kind: str | None
    question: str
    reasoning: str | None
    answer: str | None
    expected: str | None
    extracted: str | None
    tokens: int | None
    teacher: str | None

    @property
    def length(self) -> int:
        """Characters of reasoning and answer."""
        return len(self.reasoning or "") + len(self.answer or "")


@dataclass(frozen=True, slots=True)
class Group:
    """The rows of one part with one reason that a filter finds."""

    part: Part
    reason: str | None
    rows: int
    shown: list[Shown]


@dataclass(frozen=True, slots=True)
class Found:
    groups: list[Group]
    """Kept ones first, then the others by how many there are."""
    is_checked: bool
    is_stale: bool
    """The check is older than the replies: those that it does not know are `not_checked`."""

    @property
    def rows(self) -> int:
        return sum(group.rows for group in self.groups)


def find_rows(folder: Path, wanted: RowFilter, most: int) -> Found:
    """At most `most` rows of each part and reason, by the digests of their keys: any run of the same tables shows the
    same, and rows that are added move none of them. Raises StoreError for a table that is missing or damaged.
    """
    tables = {part: folder / name for part, name in CHECKED.items() if (folder / name).exists()}
    checked = {"kept", "rejected"} <= tables.keys()
    stale = checked and (folder / REPLIES).exists() and is_stale(folder, "check")
    if not checked:
        tables = {}
    if stale or not checked:
        tables["not_checked"] = folder / REPLIES
    view = _view(folder, tables, stale=stale)
    with _connection() as connection:
        connection.execute(f"create view everything as {view}")
        groups = connection.execute(_GROUPS.format(where=_where(wanted)), _values(wanted) | {"most": most}).fetchall()
        chosen: dict[Part, set[int]] = defaultdict(set)
        for part, _, _, numbers in groups:
            chosen[part].update(numbers)
        shown = {part: _read(tables[part], numbers) for part, numbers in chosen.items()}
        asked = _questions(connection, folder, shown.get("not_checked", {}).values())
    return Found(
        [
            Group(part, reason, rows, [_shown(part, shown[part][number], asked) for number in numbers])
            for part, reason, rows, numbers in groups
        ],
        is_checked=checked,
        is_stale=stale,
    )


@contextmanager
def _connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with tempfile.TemporaryDirectory(prefix="stillroom-") as spill:
        config: dict[str, str | bool | int | float | list[str]] = {"memory_limit": _MEMORY, "temp_directory": spill}
        with duckdb.connect(":memory:", config=config) as connection:
            yield connection


def in_turn(groups: Iterable[Group]) -> list[Shown]:
    """One row of each group, then the next of each, and so on."""
    turns = zip_longest(*(group.shown for group in groups))
    return [row for turn in turns for row in turn if row is not None]


_GROUPS = """
select part, reason, count(*) as rows,
       min_by(number, md5(concat_ws(' ', question_id, coalesce(reply_key, number::varchar))), $most) as numbers
from everything where {where}
group by part, reason
order by part not in ('kept', 'held_out'), part = 'held_out', rows desc, reason
"""

_SAID = "lower(concat_ws(' ', array_to_string(list_transform(messages, lambda m: m.content), ' '), {reply}))"
_KEPT = """
select '{part}' as part, file_row_number as number, question_id, reply_key, null as reason, verdict, source,
       {said} as said, len(coalesce(messages[-1].reasoning, '')) + len(messages[-1].content) as length
from read_parquet({table}, file_row_number = true)
"""
_REJECTED = """
select 'rejected' as part, file_row_number as number, question_id, reply_key, reason, verdict, source,
       {said} as said, len(coalesce(reasoning, '')) + len(coalesce(answer, '')) as length
from read_parquet({table}, file_row_number = true)
"""
_NOT_CHECKED = """
select 'not_checked' as part, reply.file_row_number as number, question_id, key as reply_key, null as reason,
       null as verdict, question.source,
       lower(concat_ws(' ', question.messages::varchar, reply.reasoning, reply.answer)) as said,
       len(coalesce(reply.reasoning, '')) + len(coalesce(reply.answer, '')) as length
from read_parquet({table}, file_row_number = true) as reply
left join read_parquet({questions}) as question on question.id = reply.question_id
"""
_WITH_STALE = """
select * from ({checked})
where reply_key is null or (question_id, reply_key) in (select (question_id, key) from read_parquet({replies}))
union all
select * from ({unchecked})
where (question_id, reply_key) not in (select (question_id, reply_key) from ({checked}) where reply_key is not null)
"""


def _view(folder: Path, tables: Mapping[Part, Path], *, stale: bool) -> str:
    for table in tables.values():
        count_rows(table)  # the clear error about a file that is damaged or too new
    parts = []
    for part, table in tables.items():
        if part == "not_checked":
            continue
        names = set(pq.read_schema(table).names)
        if "judged_by" not in names:
            raise StoreError(
                f"{table} was written by an earlier stillroom.", "Run stillroom check with this recipe again."
            )
        sql, reply = (_REJECTED, "reasoning, answer") if part == "rejected" else (_KEPT, "messages[-1].reasoning")
        parts.append(sql.format(part=part, table=_quoted(table), said=_SAID.format(reply=reply)))
    checked = " union all ".join(parts)
    if "not_checked" not in tables:
        return checked
    replies, questions = folder / REPLIES, folder / QUESTIONS
    count_rows(questions)
    unchecked = _NOT_CHECKED.format(table=_quoted(replies), questions=_quoted(questions))
    if not stale:
        return unchecked
    return _WITH_STALE.format(checked=checked, unchecked=unchecked, replies=_quoted(replies))


def _where(wanted: RowFilter) -> str:
    kept = "part in ('kept', 'held_out')" if wanted.kept else "part = 'rejected'"
    tests = {
        "verdict = $verdict": wanted.verdict,
        "reason = $reason": wanted.reason,
        "source = $source": wanted.source,
        "(starts_with(question_id, $question) or starts_with(question_id, 'sha256:' || $question))": wanted.question,
        "contains(said, lower($search))": wanted.search,
        "length >= $shortest": wanted.shortest,
        "length <= $longest": wanted.longest,
        kept: wanted.kept,
    }
    return " and ".join(test for test, value in tests.items() if value is not None) or "true"


def _values(wanted: RowFilter) -> dict[str, Any]:
    names = ("verdict", "reason", "source", "question", "search", "shortest", "longest")
    return {name: value for name in names if (value := getattr(wanted, name)) is not None}


def _read(table: Path, numbers: set[int]) -> dict[int, Mapping[str, Any]]:
    """Those rows of a table, by their numbers; no other part of it is read than that around each."""
    found: dict[int, Mapping[str, Any]] = {}
    with pq.ParquetFile(table) as file:
        first = 0
        for group in range(file.num_row_groups):
            after = first + file.metadata.row_group(group).num_rows
            here = {number for number in numbers if first <= number < after}
            if here:
                for batch in file.iter_batches(_TOGETHER, row_groups=[group]):
                    inside = [number for number in here if first <= number < first + batch.num_rows]
                    found |= {number: batch.slice(number - first, 1).to_pylist()[0] for number in inside}
                    first += batch.num_rows
            first = after
    return found


def _questions(
    connection: duckdb.DuckDBPyConnection, folder: Path, replies: Iterable[Mapping[str, Any]]
) -> dict[str, Mapping[str, Any]]:
    """The questions of replies that the check does not know, by id."""
    ids = sorted({reply["question_id"] for reply in replies})
    if not ids:
        return {}
    names = ("id", "messages", "answer", "source", "family", "kind")
    sql = (
        f"select {', '.join(names)} from read_parquet({_quoted(folder / QUESTIONS)}) where id in (select unnest($ids))"
    )
    rows = connection.execute(sql, {"ids": ids}).fetchall()
    return {row[0]: dict(zip(names, row, strict=True)) for row in rows}


def _shown(part: Part, row: Mapping[str, Any], asked: Mapping[str, Mapping[str, Any]]) -> Shown:
    if part == "not_checked":
        question = asked.get(row["question_id"], {})
        messages, reply = _messages(question.get("messages")), row
        row = {**row, **{name: question.get(name) for name in ("source", "family", "kind")}}
        row |= {"expected": question.get("answer"), "reply_key": row["key"], "tokens": row["completion_tokens"]}
    elif part == "rejected":
        messages, reply = row["messages"], row
    else:
        *messages, last = row["messages"]
        reply = {"reasoning": last["reasoning"], "answer": last["content"]}
    names = ("question_id", "reply_key", "source", "family", "kind", "expected", "tokens", "teacher")
    return Shown(
        part=part,
        question=_said(messages),
        reasoning=reply["reasoning"],
        answer=reply["answer"],
        **{name: row[name] for name in names},
        **{name: row.get(name) for name in ("reason", "detail", "verdict", "judged_by", "extracted")},
    )


def _messages(messages: Any) -> list[Any]:
    """Of a question: canonical JSON, or nested in tables of other tools."""
    return list(orjson.loads(messages)) if isinstance(messages, str) else list(messages or [])


def _said(messages: Sequence[Mapping[str, Any]]) -> str:
    """A conversation as text; who speaks is said where it is not the user alone."""
    if len(messages) == 1 and messages[0]["role"] == "user":
        return str(messages[0]["content"])
    return "\n\n".join(f"{message['role']}: {message['content']}" for message in messages)


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
