"""One call as the gateway's log has it, with what proves that it stood there: for anyone who has the owner's keys.

    calls.jsonl    a line of JSON for each call

A line holds the whole row as it was sealed, its salt, its place in its segment, the path from its commitment to the
segment's Merkle root, and the signed record of the chain that says the root and the time. docs/calls.md says how a row
is committed to. Where an authority outside stamped that record or a later one, the first line of each segment has it.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from stillroom.base.call_commitment import RECORD_TYPE, commitment
from stillroom.base.canonical import canonical_bytes, digest
from stillroom.base.errors import DataError
from stillroom.base.signatures import PublicKeys, SignatureRefused, open_token
from stillroom.store.files import write_atomically
from stillroom.store.merkle import root_of_path

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

FILE = "calls.jsonl"
MOST_LINE_BYTES = 1 << 20
_LONGEST_PATH = 64
_AGAIN = "Take the file again from whoever made it."


@dataclass(frozen=True, slots=True)
class LogStamp:
    """A time stamp (RFC 3161) of a record, or of one that comes after it in its chain."""

    later: tuple[Mapping[str, Any], ...]
    """The records from the one after it to the one that was stamped, each of which names the one before."""
    response: bytes

    def at(self, record: Mapping[str, Any], roots: Sequence[Certificate] | None) -> datetime:
        """When the authority had seen the record. Raises DataError where it had not, or is none of `roots`."""
        from stillroom.store.time_stamps import stamped_at

        last = record
        for each in self.later:
            if each.get("previous") != digest(last):
                raise DataError("A time stamp is of a record that does not follow from that of the calls.", _AGAIN)
            last = each
        return stamped_at(self.response, canonical_bytes(last), roots)


@dataclass(frozen=True, slots=True)
class LoggedCall:
    row: Mapping[str, Any]
    """As it was committed to: `sketch`, `earlier` and `receipt` are members of it, nulls are not."""
    salt: bytes
    place: int
    """Of the row in its segment, from 0."""
    path: tuple[bytes, ...]
    """To the root, the lowest node first."""
    record: Mapping[str, Any]
    """Of the segment, from the chain: `merkle_root`, `rows`, `at` (UTC microseconds) and so on."""
    jws: str | None
    """The gateway's signature over the record."""
    stamp: LogStamp | None = None
    """Of calls of one record, the same one."""

    @property
    def call_id(self) -> str:
        return str(self.row.get("call_id"))

    def is_in_segment(self) -> bool:
        """Whether the row is one of those that the record's Merkle root is over."""
        rows, root = self.record.get("rows"), self.record.get("merkle_root")
        if type(rows) is not int:
            return False
        try:
            leaf = commitment(self.salt, canonical_bytes(self.row))
        except ValueError:  # nested hundreds deep: nobody committed to that
            return False
        found = root_of_path(leaf, self.place, rows, self.path)
        return found is not None and found.hex() == root

    def signed_at(self, keys: PublicKeys) -> int:
        """When its owner signed that it stood in the log, UTC microseconds.

        Raises SignatureRefused where the owner did not, and DataError where the row is not of the record.
        """
        if not self.is_in_segment():
            raise DataError(
                f"The call {self.call_id} is not in the segment of the log that it is said to be in.", _AGAIN
            )
        if self.jws is None:
            raise SignatureRefused("signature", f"The record of the call {self.call_id} is not signed.")
        claims, key = open_token(self.jws, RECORD_TYPE, keys)
        at = self.record.get("at")
        if canonical_bytes(claims) != canonical_bytes(self.record) or type(at) is not int:
            raise SignatureRefused("claims", f"What was signed for the call {self.call_id} is something else.")
        key.check_time(at // 1_000_000, int(time.time()))
        return at


def write_calls(path: Path, calls: Iterable[LoggedCall]) -> None:
    """Whole or not at all."""
    stamped: set[str] = set()
    lines = []
    for call in calls:
        written, name = _as_json(call), digest(call.record)
        if call.stamp is not None and name not in stamped:
            stamped.add(name)
            response = base64.b64encode(call.stamp.response).decode()
            written["stamp"] = {"later": call.stamp.later, "response": response}
        lines.append(orjson.dumps(written) + b"\n")
    write_atomically(path, b"".join(lines))


def read_calls(path: Path) -> list[LoggedCall]:
    """Raises DataError, naming the line, for one that is no call of a log. What it says is not checked here."""
    try:
        with path.open("rb") as file:
            calls = [_parsed(line, f"{path}, line {number}") for number, line in enumerate(_lines(file, path), 1)]
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.", _AGAIN) from error
    stamps: dict[str, LogStamp] = {}
    for call in calls:
        if call.stamp is not None:
            stamps.setdefault(digest(call.record), call.stamp)
    return [replace(call, stamp=stamps.get(digest(call.record))) for call in calls] if stamps else calls


def _lines(file: Any, path: Path) -> Iterable[bytes]:
    number = 0
    while line := file.readline(MOST_LINE_BYTES + 1):
        number += 1
        if len(line) > MOST_LINE_BYTES:
            raise DataError(f"{path}, line {number} is longer than {MOST_LINE_BYTES} bytes.", _AGAIN)
        yield line


def _as_json(call: LoggedCall) -> dict[str, Any]:
    return {
        "row": call.row,
        "salt": call.salt.hex(),
        "place": call.place,
        "path": [node.hex() for node in call.path],
        "record": call.record,
        "jws": call.jws,
    }


def _parsed(line: bytes, name: str) -> LoggedCall:
    try:
        value = orjson.loads(line)
        row, record, jws, place, path = (value[each] for each in ("row", "record", "jws", "place", "path"))
        salt, nodes = bytes.fromhex(value["salt"]), tuple(bytes.fromhex(node) for node in path)
        stamp = _stamp(value.get("stamp"))
        digest(record)  # nested hundreds deep, it has none
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{name} is no call of a log.", _AGAIN) from error
    if (
        not (isinstance(row, dict) and isinstance(record, dict) and isinstance(row.get("call_id"), str))
        or not (jws is None or isinstance(jws, str))
        or type(place) is not int
        or len(nodes) > _LONGEST_PATH
    ):
        raise DataError(f"{name} is no call of a log.", _AGAIN)
    return LoggedCall(row, salt, place, nodes, record, jws, stamp)


def _stamp(value: Any) -> LogStamp | None:
    """Raises one of what `_parsed` looks for."""
    if value is None:
        return None
    later = tuple(value["later"])
    if not all(isinstance(record, dict) and digest(record) for record in later):
        raise TypeError("not records")
    return LogStamp(later, base64.b64decode(value["response"], validate=True))
