"""The tables that the check writes. Rows wait on the disk until it is known which of them are wanted."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stillroom.base.records import Question
from stillroom.check.counts import Counts
from stillroom.check.decide import Decision
from stillroom.check.held_out import HeldOut
from stillroom.check.rows import TOOLS, Row
from stillroom.check.sorting import write_sorted
from stillroom.store.files import replacing
from stillroom.store.schemas import REJECTED, TRACES
from stillroom.store.tables import ROWS_PER_GROUP, message_row, open_parquet, table_writer

_GOOD = pa.schema(
    [
        *TRACES,
        pa.field("sample", pa.int64()),
        pa.field("extracted", pa.string()),
        pa.field("mix", pa.int64()),
        pa.field("place", pa.int64()),
    ]
)
_REJECTED = pa.schema([*REJECTED, pa.field("place", pa.int64())])

LeftOut = Mapping[int, tuple[str, str]]
"""Reason and detail by the number of the good row, counted from 0."""


class Spool:
    """Rows on their way to the final tables: the good ones, and those that have a reason against them.

    Each keeps its place in the order in which they came. Use it as a context manager; its files lie in `folder`.
    """

    def __init__(self, folder: Path, counts: Counts, terms: str | None) -> None:
        self._folder = folder
        self._counts = counts
        self._terms = terms
        self._place = 0
        self._stack = ExitStack()
        self._is_good_open = ExitStack()

    def __enter__(self) -> Spool:
        self._good, self._bad = self._folder / "good.parquet", self._folder / "bad.parquet"
        self._write_bad = self._stack.enter_context(table_writer(self._bad, _REJECTED))
        self._write_good = self._is_good_open.enter_context(table_writer(self._good, _GOOD))
        return self

    def __exit__(self, *error: Any) -> None:
        self._is_good_open.__exit__(*error)
        self._stack.__exit__(*error)

    def add(self, question: Question, decision: Decision, pass_rate: float | None) -> None:
        if decision.reason is None:
            self._write_good(
                _trace_row(question, decision, pass_rate, self._terms)
                | {
                    "sample": decision.reply["sample"],
                    "extracted": decision.judgement.extracted if decision.judgement else None,
                    "mix": decision.reply["mix"],
                    "place": self._next_place(),
                }
            )
        else:
            self._reject(_rejected_row(question, decision), decision.reply["mix"])

    def add_unreadable(self, row: Row) -> None:
        """A row that holds no question and no reply: `mix`, and what is known of the columns of a rejected row."""
        known = {name: row.get(name) for name in REJECTED.names} | {"messages": []}
        self._reject(known, row["mix"])

    def finish(self, target: Path, left_out: LeftOut, held_out: HeldOut | None) -> None:
        """Write traces.parquet, rejected.parquet, and held_out.parquet for the questions in `held_out`, in `target`."""
        self._is_good_open.close()
        with ExitStack() as stack:
            write_traces = stack.enter_context(_batch_writer(target / "traces.parquet", TRACES))
            write_held_out = write_traces
            if held_out is not None:
                write_held_out = stack.enter_context(_batch_writer(target / "held_out.parquet", TRACES))
            first = 0
            for batch in open_parquet(self._good).iter_batches(ROWS_PER_GROUP):
                columns = batch.select(["verdict", "family", "source", "licence", "mix", "question_id"]).to_pylist()
                kept, held = [], []
                for number, row in enumerate(columns, first):
                    is_kept = number not in left_out
                    is_held = is_kept and held_out is not None and row["question_id"] in held_out
                    kept.append(is_kept and not is_held)
                    held.append(is_held)
                    if is_kept:
                        self._count(None, row)
                        self._counts.held_out += is_held
                out = pa.array([not (a or b) for a, b in zip(kept, held, strict=True)])
                write_traces(batch.filter(pa.array(kept)).select(TRACES.names))
                if any(held):
                    write_held_out(batch.filter(pa.array(held)).select(TRACES.names))
                numbers = [first + index for index, is_out in enumerate(out.to_pylist()) if is_out]
                for number, row in zip(numbers, batch.filter(out).to_pylist(), strict=True):
                    self._reject(_as_rejected(row, *left_out[number]), row["mix"], row["place"])
                first += batch.num_rows
        if held_out is None:
            (target / "held_out.parquet").unlink(missing_ok=True)
        self._stack.close()
        self._write_rejected(target / "rejected.parquet", is_sorted=not left_out)

    def _reject(self, row: Row, mix: int | None, place: int | None = None) -> None:
        self._write_bad(row | {"place": self._next_place() if place is None else place})
        self._count(row["reason"], row | {"mix": mix})

    def _count(self, reason: str | None, row: Row) -> None:
        self._counts.add(reason, row["verdict"], row["family"], row["source"], row["licence"], row["mix"])

    def _next_place(self) -> int:
        self._place += 1
        return self._place

    def _write_rejected(self, path: Path, *, is_sorted: bool) -> None:
        source = self._bad
        if not is_sorted:
            source = self._folder / "bad-sorted.parquet"
            write_sorted([self._bad], _REJECTED, ["place"], source)
        with _batch_writer(path, REJECTED) as write:
            for batch in open_parquet(source).iter_batches(ROWS_PER_GROUP, columns=REJECTED.names):
                write(batch)


@contextmanager
def _batch_writer(path: Path, schema: pa.Schema) -> Iterator[Any]:
    """Yields what writes a batch of rows; the file is put in place when it is whole."""
    with replacing(path) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as writer:

        def write(batch: pa.RecordBatch) -> None:
            if batch.num_rows:
                writer.write_table(pa.Table.from_batches([batch]).cast(schema))

        yield write


def _about(question: Question, decision: Decision) -> Row:
    judgement, reply = decision.judgement, decision.reply
    return {
        "question_id": question.id,
        "verdict": judgement.verdict if judgement else None,
        "judged_by": decision.judged_by,
        "teacher": reply["teacher"],
        "tokens": reply["completion_tokens"],
        "reply_key": reply["key"],
        "receipt": reply["receipt"],
        "source": question.source,
        "licence": question.licence,
        "family": question.family,
        "kind": question.kind,
        "expected": question.answer,
    }


def _trace_row(question: Question, decision: Decision, pass_rate: float | None, terms: str | None) -> Row:
    """The question's own messages, then the reply, which is trained on; and so are the calls that led to it."""
    reply = decision.reply
    said = {
        "role": "assistant",
        "content": reply["answer"].strip(),
        "reasoning": (reply["reasoning"] or "").strip() or None,
        "tool_calls": reply["tool_calls"],
        "train": True,
    }
    last = max((place for place, message in enumerate(question.messages) if message.role == "user"), default=0)
    prompt = [
        message_row(message) | {"train": decision.is_from_elsewhere and place > last and message.role == "assistant"}
        for place, message in enumerate(question.messages)
    ]
    tools = question.meta.get(TOOLS) if decision.is_from_elsewhere else None
    return _about(question, decision) | {
        "messages": [*prompt, said],
        "pass_rate": pass_rate,
        "terms_id": reply["terms"] if decision.is_from_elsewhere else terms,
        "tools": json.dumps(tools, ensure_ascii=False) if tools else None,
    }


def _rejected_row(question: Question, decision: Decision) -> Row:
    return _about(question, decision) | {
        "sample": decision.reply["sample"],
        "reason": decision.reason,
        "detail": decision.detail,
        "extracted": decision.judgement.extracted if decision.judgement else None,
        "reasoning": decision.reply["reasoning"],
        "answer": decision.reply["answer"],
        "messages": [message_row(message) for message in question.messages],
    }


def _as_rejected(good: Row, reason: str, detail: str) -> Row:
    """A good row that is not wanted. Its question's messages are untrained anyhow."""
    *asked, said = good["messages"]
    known = {name: good[name] for name in REJECTED.names if name in good}
    return known | {
        "reason": reason,
        "detail": detail,
        "reasoning": said["reasoning"],
        "answer": said["content"],
        "messages": [message | {"train": None} for message in asked],
    }
