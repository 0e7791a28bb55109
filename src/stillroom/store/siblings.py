"""Sibling replies as tables: what the test of a suspect reads.

    pairs.parquet        both replies to one request, in the order drawn: nothing in it says which was served
    openings.parquet     which of the two was, to whom, and what proves it; the owner's alone until the pairs are opened
    answers.parquet      what a suspect says to the same questions
    likelihoods.parquet  how likely a model holds each of the two, where it can be asked

The coin of the escrow chose between the first and the second reply drawn, so that this order gives nothing away.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from stillroom.base.canonical import digest
from stillroom.base.errors import DataError
from stillroom.store.files import replacing
from stillroom.store.schemas import table_schema

Coin = Literal[0, 1]
"""0: the first of the two was served; 1: the second."""
Row = TypeVar("Row", "Pair", "Opening", "Answer", "Likelihood")


_text, _integer, _number, _bytes = pa.string(), pa.int64(), pa.float64(), pa.binary()

PAIRS = table_schema(
    "pair", ("pair_id", _text), ("question_id", _text), ("messages", _text), ("first", _text), ("second", _text)
)
OPENINGS = table_schema(
    "opening",
    ("pair_id", _text),
    ("account", _text),
    ("at", _integer),
    ("coin", pa.int8()),
    ("coin_from", _text),
    ("escrow_digest", _text),
    ("salt", _bytes),
    ("route", _text),
    ("request", _bytes),
    ("served", _bytes),
    ("sealed", _bytes),
)
ANSWERS = table_schema(
    "answer",
    ("question_id", _text),
    ("sample", _integer),
    ("text", _text),
    ("finish_reason", _text),
    ("asked_at", _integer),
)
LIKELIHOODS = table_schema(
    "likelihood",
    ("pair_id", _text),
    ("model", _text),
    ("first", _number),
    ("second", _number),
    ("tokens", _integer),
    ("asked_at", _integer),
)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two replies of one teacher to one request, with the same settings."""

    pair_id: str
    """The call's id, or any other text that names this pair alone."""
    question_id: str
    """`question_id_of` its messages: pairs of one question share it."""
    messages: str
    """JSON: the request's messages, as `[{"role": ..., "content": ...}, ...]`."""
    first: str
    """A whole reply as text; reasoning that was given stands before the answer, in a `<think>` block."""
    second: str


@dataclass(frozen=True, slots=True)
class Opening:
    pair_id: str
    account: str
    at: int
    """When the served one was sealed, UTC microseconds."""
    coin: Coin
    coin_from: Literal["recorded", "assumed"] = "recorded"
    """`recorded`: tossed and committed to before either was served. `assumed`: there was no coin; the second reply was
    drawn later."""
    escrow_digest: str | None = None
    salt: bytes | None = None
    route: str | None = None
    request: bytes | None = None
    served: bytes | None = None
    """Bodies as they came from the model, which `escrow_digest` is over. Null where there is none."""
    sealed: bytes | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    question_id: str
    sample: int
    """0, 1, ...: several answers to one question."""
    text: str
    """As a pair's replies: reasoning, if any, in a `<think>` block before the answer."""
    finish_reason: str | None = None
    asked_at: int | None = None
    """UTC microseconds."""


@dataclass(frozen=True, slots=True)
class Likelihood:
    """Natural logarithms of the probability that a model gives to each of a pair's replies, over the same number of
    tokens from the start of each."""

    pair_id: str
    model: Literal["suspect", "base"]
    first: float
    second: float
    tokens: int
    """Of each of the two."""
    asked_at: int | None = field(default=None)


SCHEMAS: dict[type[Any], pa.Schema] = {Pair: PAIRS, Opening: OPENINGS, Answer: ANSWERS, Likelihood: LIKELIHOODS}


def question_id_of(messages: Sequence[Mapping[str, Any]]) -> str:
    """The digest of the messages' roles and contents."""
    return digest([[message["role"], message["content"]] for message in messages])


def messages_json(messages: Sequence[Mapping[str, Any]]) -> str:
    return orjson.dumps([{"role": each["role"], "content": each["content"]} for each in messages]).decode()


def write_rows(path: Path, kind: type[Row], rows: Iterable[Row]) -> None:
    """A Parquet file of them; whole or not at all."""
    table = pa.Table.from_pylist([asdict(row) for row in rows], schema=SCHEMAS[kind])
    with replacing(path) as aside:
        pq.write_table(table, aside, compression="zstd")


def read_rows(path: Path, kind: type[Row]) -> list[Row]:
    """Raises DataError, naming the file, where it is no such table."""
    schema = SCHEMAS[kind]
    try:
        table = pq.read_table(path)
        rows = table.select(schema.names).cast(schema).to_pylist()
        return [kind(**row) for row in rows]
    except (pa.ArrowException, OSError, KeyError, ValueError, UnicodeDecodeError) as error:
        said = str(error).partition("\n")[0]
        raise DataError(f"{path} is no table of {kind.__name__.lower()} rows: {said}.", "Make it again.") from error
