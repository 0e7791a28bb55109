"""Each question with its replies, one question at a time, whatever order the two tables are in."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import duckdb

from stillroom.base.errors import DataError
from stillroom.base.records import Question
from stillroom.store.tables import REPLIES, count_rows, read_questions, read_rows

Row = dict[str, Any]
"""One row of replies.parquet."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question and its replies, ordered by sample."""

    question: Question
    replies: list[Row]


def asked_questions(questions: Path, replies: Path) -> Iterator[Asked]:
    """Every question that has replies, ordered by id; memory does not grow with the number of rows.

    Raises StoreError for a table that cannot be read, DataError for a reply whose question is not there.
    """
    for table in (questions, replies):
        count_rows(table)  # The clear error about a file that is missing, damaged or too new.
    with tempfile.TemporaryDirectory(dir=replies.parent, prefix=".check-") as folder:
        by_id = _sorted_copy(questions, Path(folder) / "questions.parquet", "id")
        by_question = _sorted_copy(replies, Path(folder) / "replies.parquet", "question_id, sample, key")
        ordered = read_questions(by_id)
        question = next(ordered, None)
        for question_id, rows in groupby(read_rows(by_question, REPLIES.names), key=itemgetter("question_id")):
            while question is not None and question.id < question_id:
                question = next(ordered, None)
            if question is None or question.id != question_id:
                raise DataError(
                    f"{replies} has a reply to question {question_id}, which is not in {questions}.",
                    "Run `stillroom ask` again: it writes both from the journal.",
                )
            yield Asked(question, list(rows))


def _sorted_copy(table: Path, copy: Path, order: str) -> Path:
    """The table in another order. DuckDB sorts what does not fit into memory on disk, beside the copy."""
    source, target = (str(path).replace("'", "''") for path in (table, copy))
    with duckdb.connect(":memory:") as connection:
        connection.execute("set temp_directory = $1", [str(copy.parent)])
        connection.execute(
            f"copy (select * from read_parquet('{source}') order by {order}) to '{target}' (format parquet)"
        )
    return copy
