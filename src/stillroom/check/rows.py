"""Each question with its replies, one question at a time, whatever order the tables are in."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stillroom.base.errors import DataError
from stillroom.base.records import Question
from stillroom.check.sorting import write_sorted
from stillroom.store.schemas import QUESTIONS, REPLIES
from stillroom.store.tables import read_questions, read_rows, write_questions

Row = dict[str, Any]
"""A row of `ROWS`: a reply of the teacher, or one from elsewhere."""

ROWS = (
    REPLIES.append(pa.field("mix", pa.int64()))
    .append(pa.field("pass_rate", pa.float64()))
    .append(pa.field("tool_calls", pa.string()))
    .append(pa.field("terms", pa.string()))
)
"""replies.parquet, with the number of the file in `check.mix` that a row comes from (null: the teacher's), what that
file says of its question's pass rate, the calls of the reply (JSON), and what the recipe says of the file's terms."""

TOOLS = "tools"
"""The key of the `meta` of a question from elsewhere that says what may be called to answer it."""


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
    for table, columns in ((replies, REPLIES.names), (questions, QUESTIONS.names)):
        next(read_rows(table, columns), None)  # the clear error about a file that is missing, damaged or too new
    with tempfile.TemporaryDirectory(dir=folder, prefix=".check-") as name:
        sorted_ = Tables(Path(name) / "questions.parquet", Path(name) / "rows.parquet")
        schema = pq.read_schema(questions)
        if schema.field("messages").type != QUESTIONS.field("messages").type:
            write_questions(
                Path(name) / "as-text.parquet", read_questions(questions)
            )  # of version 1, or another tool's
            questions = Path(name) / "as-text.parquet"
        others = [] if elsewhere is None else [elsewhere]
        write_sorted([questions, *(each.questions for each in others)], QUESTIONS, ["id"], sorted_.questions)
        _refuse_orphans(sorted_.questions, replies)
        by = ["question_id", "sample", "key"]
        write_sorted([replies, *(each.rows for each in others)], ROWS, by, sorted_.rows)
        yield sorted_


def _refuse_orphans(questions: Path, replies: Path) -> None:
    answered = pq.read_table(replies, columns=["question_id"])["question_id"].unique()
    orphans = answered.filter(pc.invert(pc.is_in(answered, pq.read_table(questions, columns=["id"])["id"])))
    if len(orphans):
        raise DataError(
            f"There is a reply to question {orphans[0]}, which is not in questions.parquet.",
            "Run `stillroom ask` again: it writes both from the journal.",
        )
