"""The log of plans: all that was planned, asked and opened, in its order, so that nobody picks the run that suits.

`plans.jsonl` holds a line of JSON for each record: `{"record": {...}, "jws": "..."}`. A record says its place (`index`,
from 0) and the digest of the one before it (`previous`); the JWS is over the record. Records are only ever appended.
`stamps/` has what authorities outside answered when they were asked to sign that a record was there (RFC 3161).

Whoever may write to the folder, and has the key, can write another log from its first line on; against that stand the
stamps, and the copies of the log that earlier bundles carry.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stillroom.base.canonical import canonical_bytes, digest_bytes
from stillroom.base.errors import StoreError, UsageError
from stillroom.base.signatures import LATEST
from stillroom.base.validation import first_problem
from stillroom.probe.plan import NAME, Digest, Text, is_spelled
from stillroom.store.append_only import append_line, whole_lines
from stillroom.store.files import write_atomically
from stillroom.store.lock import alone_in

RECORD_TYPE = "stillroom-probe-log+jws"
"""The `typ` of the records' signatures."""
FILE = "plans.jsonl"
_MOST_BYTES = 1 << 28

Event = Literal["planned", "pack given", "answers received", "opened", "bundle made", "bundle given", "abandoned"]
Sign = Callable[[dict[str, Any]], str]
"""Gives the compact JWS of a record, of the type RECORD_TYPE."""


class LogRecord(BaseModel):
    """What did not happen at an event is null: a digest of answers, a p-value."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    index: int = Field(ge=0)
    previous: Digest | None
    """The digest of the record before; of the first one, null."""
    at: int = Field(ge=0, le=LATEST * 1_000_000)
    """UTC microseconds."""
    event: Event
    plan: str = Field(pattern=f"^{NAME}$")
    plan_digest: Digest
    suspect: Text
    by: Text
    is_pilot: bool = False
    level: Annotated[float, Field(gt=0, lt=0.5)]
    primary: Text
    """The name of the plan's primary measure."""
    pairs: int = Field(ge=1)
    p_value: float | None = Field(default=None, ge=0, le=1)
    """Of `opened`, of the primary measure."""
    digest_of: Digest | None = None
    """Of `answers received`: of the answers and figures; of `opened`: of the statement; of the bundle's events: of its
    manifest."""
    note: Text | None = None
    """To whom a pack or a bundle was given, or why a plan was given up."""
    software: Text

    def to_bytes(self) -> bytes:
        return canonical_bytes(self.model_dump(mode="json"))

    @property
    def digest(self) -> str:
        return digest_bytes(self.to_bytes())


@dataclass(frozen=True, slots=True)
class LogLine:
    record: LogRecord
    jws: str


def read_log(path: Path) -> list[LogLine]:
    """All records of a plans.jsonl. A last line that a kill cut short does not count.

    Raises StoreError, naming the line, for one that is none, or that does not follow the one before it. It may come
    from a stranger: what is no file, or larger than any log, is refused.
    """
    lines: list[LogLine] = []
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise StoreError(f"{path} is no file.", "Put the file back from a backup.")
    if path.exists() and path.stat().st_size > _MOST_BYTES:
        raise StoreError(f"{path} is larger than {_MOST_BYTES:,} bytes, which it may not be.")
    for number, written in enumerate(whole_lines(path), 1):
        line = _parsed(written, f"{path}, line {number}")
        previous = lines[-1].record.digest if lines else None
        if (line.record.index, line.record.previous) != (number - 1, previous):
            raise StoreError(
                f"{path}, line {number}, does not follow the line before it: one is missing, moved or altered.",
                "Put the file back from a backup.",
            )
        lines.append(line)
    return lines


def append_record(probe: Path, facts: dict[str, Any], sign: Sign) -> LogLine:
    """Add a record's place to its facts, sign it and write it down; it is on the disk then. For who holds the lock.

    `probe`: the folder. Raises UsageError for a text that is empty or too long, StoreError.
    """
    path = probe / FILE
    before = read_log(path)
    previous = before[-1].record.digest if before else None
    try:
        record = LogRecord.model_validate({**facts, "index": len(before), "previous": previous})
    except ValidationError as error:
        raise UsageError(f"This cannot be written into the log: {first_problem(error)}.") from error
    if before and record.at < before[-1].record.at:
        raise StoreError(
            f"The last record of {path} is of a later time than this machine's clock shows.", "Set the clock right."
        )
    line = LogLine(record, sign(record.model_dump(mode="json")))
    append_line(path, _written(line))
    return line


def write_log(path: Path, lines: Sequence[LogLine]) -> None:
    """A copy of a log, or of its beginning."""
    write_atomically(path, b"".join(_written(line) + b"\n" for line in lines))


def log_locked(probe: Path) -> AbstractContextManager[None]:
    """One at a time plans, opens or gives something out; the others wait. Raises StoreError."""
    return alone_in(probe, "plans.lock")


def records_of(lines: Sequence[LogLine], plan_digest: str) -> list[LogRecord]:
    """Those of one plan, in their order."""
    return [line.record for line in lines if line.record.plan_digest == plan_digest]


def _written(line: LogLine) -> bytes:
    return orjson.dumps({"record": line.record.model_dump(mode="json"), "jws": line.jws})


def _parsed(written: bytes, name: str) -> LogLine:
    remedy = "Put the file back from a backup."
    try:
        value = orjson.loads(written)
    except orjson.JSONDecodeError as error:
        raise StoreError(f"{name}, is not JSON.", remedy) from error
    if not isinstance(value, dict) or value.keys() != {"record", "jws"} or not isinstance(value["jws"], str):
        raise StoreError(f"{name}, is no record of a log of plans.", remedy)
    try:
        record = LogRecord.model_validate_json(orjson.dumps(value["record"]))
    except orjson.JSONEncodeError as error:  # nested hundreds deep
        raise StoreError(f"{name}, is no record of a log of plans.", remedy) from error
    except ValidationError as error:
        raise StoreError(f"{name}, is no record of a log of plans: {first_problem(error)}.", remedy) from error
    if not is_spelled(record, canonical_bytes(value["record"])):
        raise StoreError(f"{name}, is not spelled as a record is.", remedy)
    return LogLine(record, value["jws"])
