"""The part of a worker's call log that is being written: lines that are appended, each with a checksum.

    CRC-32 in eight hex digits, a space, JSON, a newline

The JSON is a list: `["header", {...}]` first, then `["begun", [values]]` for an intent and
`["settled", [values], sketch in base64 or null, receipt or null, earlier prints or null, when]`, with the values of a
call in the order of the header's `columns`. A line is in the system's hands when `append` returns, so that it survives
a `kill -9` of the process; what a power cut may take is what was written since the last `sync`. A line that was cut
short by either is known by its checksum.
"""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self
from zlib import crc32

import orjson

from stillroom.base.errors import StoreError
from stillroom.base.records import Call
from stillroom.serve.meter.rows import CALL_COLUMNS, call_row, call_values
from stillroom.text.prints import EarlierPrints

_VERSION = 1
_LARGEST_INTEGER = 2**53 - 1
_HEADER, _CHECKSUM = b'["header"', len(b"01234567 ")
_PREFIX, _SUFFIX, _DIGITS = "open-", ".log", 8


class LogFull(StoreError):  # noqa: N818 - the outcome is the name
    """Nothing more can be written down, so no further call may be passed on."""


@dataclass(frozen=True, slots=True)
class Settled:
    """A settled call as the segment holds it."""

    row: dict[str, Any]
    sketch: bytes | None
    receipt: str | None
    earlier: dict[str, Any] | None
    at: int
    """When this was written, UTC in microseconds."""


@dataclass(frozen=True, slots=True)
class Begun:
    row: dict[str, Any]
    line: bytes


def begun_line(call: Call) -> bytes:
    return _line(["begun", call_values(call)])


def settled_line(
    call: Call, sketch: bytes | None = None, receipt: str | None = None, earlier: EarlierPrints | None = None
) -> bytes:
    reprinted = None if earlier is None else {**asdict(earlier), "minhash": _base64(earlier.minhash)}
    return _line(["settled", call_values(call), _base64(sketch), receipt, reprinted, time.time_ns() // 1000])


def _base64(sketch: bytes | None) -> str | None:
    return None if sketch is None else base64.b64encode(sketch).decode("ascii")


def _header_line(worker: str, number: int, at_us: int) -> bytes:
    header = {"version": _VERSION, "worker": worker, "segment": number, "at": at_us, "columns": CALL_COLUMNS}
    return _line(["header", header])


def _line(value: list[Any]) -> bytes:
    try:
        data = orjson.dumps(value, option=orjson.OPT_STRICT_INTEGER)
    except TypeError:
        data = orjson.dumps(_storable(value), option=orjson.OPT_STRICT_INTEGER)
    return b"%08x %b\n" % (crc32(data), data)


def _storable(value: Any) -> Any:
    """For what clients send that JSON has no form for: numbers beyond every count, and text that is no Unicode."""
    if isinstance(value, (list, tuple)):
        return [_storable(item) for item in value]
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    is_huge = isinstance(value, int) and abs(value) > _LARGEST_INTEGER
    return None if is_huge else value


class SegmentFile:
    """One open segment. Not for several threads at once."""

    def __init__(self, path: Path, descriptor: int, number: int) -> None:
        self.path = path
        self.number = number
        self._descriptor = descriptor
        self._size = os.fstat(descriptor).st_size
        self._is_torn = False

    @classmethod
    def prepare(cls, folder: Path, number: int, at_us: int) -> Self:
        """A new one, with its header, under a name at which nobody looks yet. Raises LogFull."""
        path = folder / f".{segment_name(number)}.part"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
        try:
            segment = cls(path, os.open(path, flags, 0o600), number)
        except OSError as error:
            raise _not_written(path, error) from error
        segment.append(_header_line(folder.name, number, at_us))
        return segment

    @classmethod
    def reopen(cls, path: Path) -> Self:
        """One that another process left. What follows its last whole line is cut off. Raises StoreError."""
        try:
            os.truncate(path, _length_of_whole_lines(path))
            return cls(path, os.open(path, os.O_WRONLY | os.O_APPEND), segment_number(path))
        except OSError as error:
            raise _not_written(path, error) from error

    def publish(self) -> None:
        """Give it its name: from now on it is part of the log."""
        path = self.path.with_name(segment_name(self.number))
        self.path.replace(path)
        self.path = path

    def append(self, lines: bytes) -> None:
        """All of it, or nothing: raises LogFull, and the file is as before, where the system takes no more."""
        data = b"\n" + lines if self._is_torn else lines
        written = 0
        try:
            while written < len(data):
                written += os.write(self._descriptor, data[written:] if written else data)
        except OSError as error:
            if written:
                self._take_back()
            raise _not_written(self.path, error) from error
        self._size += written
        self._is_torn = False

    def _take_back(self) -> None:
        try:
            os.ftruncate(self._descriptor, self._size)
        except OSError:
            # The piece stays, with a newline after it before anything else: a line that does not count.
            self._size = os.fstat(self._descriptor).st_size
            self._is_torn = True

    def sync(self) -> None:
        """Wait until it is on the disk. Raises OSError."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)


def segment_name(number: int) -> str:
    return f"{_PREFIX}{number:0{_DIGITS}d}{_SUFFIX}"


def sealed_folder(folder: Path, number: int) -> Path:
    """Where a segment's tables lie once it is sealed."""
    return folder / f"{number:0{_DIGITS}d}"


def segment_number(path: Path) -> int:
    return int(path.name.removeprefix(_PREFIX).removesuffix(_SUFFIX))


def open_segments(folder: Path) -> list[Path]:
    """The segments of a worker's folder that are not sealed, in their order."""
    return sorted(folder.glob(f"{_PREFIX}{'[0-9]' * _DIGITS}*{_SUFFIX}"), key=segment_number)


def read_segment(path: Path, holding: bytes = b"") -> Iterator[Begun | Settled | None]:
    """The lines of an open segment, in their order; None for one that is damaged. Only those that hold a text, which
    takes a fraction of the time.

    A last line without its newline is still being written, or was cut off with its process: it does not count, and is
    not damage. Raises StoreError for a file that is newer than this version or cannot be read.
    """
    columns: Sequence[str] = CALL_COLUMNS
    for line in _whole_lines(path):
        if holding not in line and not line.startswith(_HEADER, _CHECKSUM):
            continue
        value = _checked(line)
        if value is None:
            yield None
        elif value[0] == "begun":
            yield Begun(call_row(columns, value[1]), line)
        elif value[0] == "settled":
            yield _settled(columns, value)
        else:
            columns = _columns_of(path, value)


def unsettled(paths: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """The calls that were begun in these segments and not settled in them, by their id, oldest first."""
    found: dict[str, dict[str, Any]] = {}
    done: set[str] = set()
    for path in paths:
        for line in read_segment(path):
            if isinstance(line, Begun):
                found.setdefault(line.row["call_id"], line.row)
            elif isinstance(line, Settled):
                done.add(line.row["call_id"])
    return {call_id: row for call_id, row in found.items() if call_id not in done}


def _settled(columns: Sequence[str], value: list[Any]) -> Settled:
    _, values, sketch, receipt, earlier, at = value
    if earlier is not None and earlier["minhash"] is not None:
        earlier["minhash"] = base64.b64decode(earlier["minhash"])
    decoded = None if sketch is None else base64.b64decode(sketch)
    return Settled(call_row(columns, values), decoded, receipt, earlier, at)


def _columns_of(path: Path, value: list[Any]) -> Sequence[str]:
    header = value[1] if value[0] == "header" and isinstance(value[1], dict) else {}
    if header.get("version") != _VERSION:
        raise StoreError(
            f"{path} was written by another version of stillroom than this one reads.",
            "Start the gateway once with the version that wrote it, and stop it: then it is sealed.",
        )
    columns: Sequence[str] = header["columns"]
    return columns


def _whole_lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    yield line
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}.") from error


def _length_of_whole_lines(path: Path) -> int:
    return sum(len(line) for line in _whole_lines(path))


def _checked(line: bytes) -> list[Any] | None:
    try:
        data = line[9:-1]
        if int(line[:8], 16) != crc32(data) or line[8:9] != b" ":
            return None
        value = orjson.loads(data)
    except ValueError:
        return None
    return value if isinstance(value, list) and len(value) > 1 else None


def _not_written(path: Path, error: OSError) -> LogFull:
    return LogFull(
        f"{path} cannot be written: {error.strerror or error}.",
        "Free space on its disk; until then no call is passed on.",
    )
