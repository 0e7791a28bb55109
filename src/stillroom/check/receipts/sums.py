"""What only all rows together show: a receipt that is used twice, and calls beyond a permit's.

DuckDB does it, on the disk where there are many rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from stillroom.base.permit import Permit
from stillroom.check.receipts.reasons import REASONS

_MEMORY = "256MB"
_AT_ONCE = 2048
_MOST = 2**62
"""Of calls and tokens: a permit may say more than a column holds."""

_USED_TWICE = """
create table used_twice as
select file, row from (
    select file, row, same, content,
        row_number() over (partition by receipt, choice, question_id order by file, row) as nth,
        first_value(content) over (partition by receipt, choice order by file, row) as first_content
    from vouched
)
where nth > same or content <> first_content
"""
_CALLS = """
create table calls as
select permit, receipt,
    count(*) over in_time as nth,
    sum(tokens) over in_time as total
from (select permit, receipt, min(at_us) as at_us, max(tokens) as tokens from vouched group by permit, receipt)
window in_time as (partition by permit order by at_us, receipt rows unbounded preceding)
"""
_BEYOND = """
create table beyond as
select file, row, 'permit_calls' as reason, 'its call was number ' || nth || ' under permit ' || jti || ', of ' || calls
    as detail
from vouched join calls using (permit, receipt) join limits on permit = jti where nth > limits.calls
union all
select file, row, 'permit_tokens', 'with its call, permit ' || jti || ' had given ' || total || ' tokens, of ' || tokens
from (select file, row, permit, receipt from vouched) join calls using (permit, receipt) join limits on permit = jti
where total > limits.tokens
"""
_ALL = """
select file, row, question_id, reply_key, reason, detail from (
    select file, row, question_id, reply_key, reason, detail from found
    union all
    select file, row, question_id, reply_key, 'used_twice', 'another row has used its receipt'
    from vouched join used_twice using (file, row)
    union all
    select file, row, question_id, reply_key, reason, detail from vouched join beyond using (file, row)
)
order by file, row, list_position(?, reason)
"""


class Sums:
    """Over the tables that the processes have left."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def bad_rows(self) -> Iterator[dict[str, Any]]:
        """Each bad row once, in order, with the first reason that fits."""
        cursor = self._connection.execute(_ALL, [list(REASONS)])
        names = [column[0] for column in cursor.description or ()]
        before: tuple[int, int] | None = None
        while rows := cursor.fetchmany(_AT_ONCE):
            for values in rows:
                row = dict(zip(names, values, strict=True))
                if (row["file"], row["row"]) != before:
                    before = (row["file"], row["row"])
                    yield row

    def used(self) -> dict[str, dict[str, int]]:
        """Calls and tokens by permit, of rows that are what their receipts say, and how many rows they are."""
        rows = self._connection.execute(
            """
            select permit, any_value(rows), max(nth), max(total)
            from calls join (select permit, count(*) as rows from vouched group by permit) using (permit)
            group by permit
            """
        ).fetchall()
        return {permit: {"rows": rows, "calls": calls, "tokens": int(tokens)} for permit, rows, calls, tokens in rows}

    def by_prompt(self) -> dict[str, int]:
        """Rows by `Vouched.prompt`."""
        return dict(self._connection.execute("select prompt, count(*) from vouched group by prompt").fetchall())


@contextmanager
def sums(
    found: Sequence[Path], vouched: Sequence[Path], permits: Mapping[str, Permit], temporary: Path
) -> Iterator[Sums]:
    """For tables of `FOUND` and of `VOUCHED`."""
    settings: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": _MEMORY,
        "temp_directory": str(temporary),
        "preserve_insertion_order": False,
    }
    with duckdb.connect(str(temporary / "sums.duckdb"), config=settings) as connection:
        for name, files in (("found", found), ("vouched", vouched)):
            connection.read_parquet([str(file) for file in files]).create_view(name)
        connection.execute("create table limits (jti text, calls bigint, tokens bigint)")
        for permit in permits.values():
            most = [None if limit is None else min(limit, _MOST) for limit in (permit.calls, permit.tokens)]
            connection.execute("insert into limits values (?, ?, ?)", [permit.jti, *most])
        for statement in (_USED_TWICE, _CALLS, _BEYOND):
            connection.execute(statement)
        yield Sums(connection)
