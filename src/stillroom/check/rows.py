"""Each question with its replies, one question at a time, whatever order the tables are in."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from stillroom.base.errors import DataError
from stillroom.base.records import Question
from stillroom.store.tables import REPLIES, count_rows, query, read_questions, read_rows

Row = dict[str, Any]
"""A row of `ROWS`: a reply of the teacher, or one from elsewhere."""

ROWS = REPLIES.append(pa.field("mix", pa.int64())).append(pa.field("pass_rate", pa.float64()))
"""replies.parquet, with the number of the file in `check.mix` that a row comes from (null: the teacher's), and what
that file says of its question's pass rate."""
_MEMORY = "256MB"
"""For sorting; what does not fit is sorted on the disk."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question and its replies: the teacher's by sample, then those from elsewhere by key."""

    question: Question
    replies: list[Row]


@dataclass(frozen=True, slots=True)
class Tables:
    """Questions and rows (`ROWS`) that belong together, in the order of the questions' ids."""

    questions: Path
    rows: Path

    def __iter__(self) -> Iterator[Asked]:
        """Every question that has replies, in the order of ids; memory does not grow with the number of rows."""
        ordered = read_questions(self.questions)
        question = next(ordered, None)
        for question_id, rows in groupby(read_rows(self.rows, ROWS.names), key=itemgetter("question_id")):
            while question is not None and question.id < question_id:
                question = next(ordered, None)
            assert question is not None, "sorted_tables has looked for every question"
            assert question.id == question_id
            yield Asked(question, list(rows))


@contextmanager
def sorted_tables(folder: Path, elsewhere: Tables | None = None) -> Iterator[Tables]:
    """The tables of the run in `folder`, and those from elsewhere, merged and sorted, in temporary files.

    Raises StoreError for a table that cannot be read, DataError for a reply whose question is not there.
    """
    questions, replies = folder / "questions.parquet", folder / "replies.parquet"
    for table in (replies, questions):
        count_rows(table)  # The clear error about a file that is missing, damaged or too new.
    with tempfile.TemporaryDirectory(dir=folder, prefix=".check-") as name:
        sorted_ = Tables(Path(name) / "questions.parquet", Path(name) / "rows.parquet")
        asked, rows = from_table(questions), from_table(replies)
        if elsewhere is None:
            rows = f"select *, null::bigint as mix, null::double as pass_rate from ({rows})"
        else:
            asked += f" union all by name ({from_table(elsewhere.questions)})"
            rows += f" union all by name ({from_table(elsewhere.rows)})"
        copies = [(asked, "id", sorted_.questions), (rows, "question_id, sample nulls last, key", sorted_.rows)]
        write_sorted(Path(name), copies)
        _refuse_orphans(sorted_)
        yield sorted_


def _refuse_orphans(tables: Tables) -> None:
    sql = "select question_id from rows where question_id not in (select id from questions) limit 1"
    orphans = query(sql, questions=tables.questions, rows=tables.rows).column(0).to_pylist()
    if orphans:
        raise DataError(
            f"There is a reply to question {orphans[0]}, which is not in questions.parquet.",
            "Run `stillroom ask` again: it writes both from the journal.",
        )


def write_sorted(temporary: Path, copies: Iterable[tuple[str, str, Path]]) -> None:
    """Write each query's rows, by the columns named, to a Parquet file. What does not fit into memory waits on disk."""
    with duckdb.connect(":memory:", config={"memory_limit": _MEMORY, "temp_directory": str(temporary)}) as connection:
        for rows, order, target in copies:
            ordered = f"{rows} order by {order}"
            connection.execute(f"copy ({ordered}) to {_quoted(target)} (format parquet, row_group_size 8192)")


def from_table(path: Path) -> str:
    return f"select * from read_parquet({_quoted(path)})"


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
