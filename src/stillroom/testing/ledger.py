"""The teacher's own books: what each call was answered with, and what it costs, whatever a client believes."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from stillroom.base.errors import DataError

_MILLION = Decimal(1_000_000)


class Price(BaseModel):
    """USD for one million tokens."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input_per_million: Decimal = Field(ge=0)
    output_per_million: Decimal = Field(ge=0)
    cached_per_million: Decimal | None = Field(default=None, ge=0)
    """Prompt tokens that came from the cache; None: they cost what input costs."""

    def cost_usd(self, prompt_tokens: int, cached_tokens: int, completion_tokens: int) -> Decimal:
        """`cached_tokens` are among `prompt_tokens`."""
        cached_price = self.input_per_million if self.cached_per_million is None else self.cached_per_million
        cost = (prompt_tokens - cached_tokens) * self.input_per_million + cached_tokens * cached_price
        return (cost + completion_tokens * self.output_per_million) / _MILLION


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One call. The tokens are those that the bill is for: 0 where the call is not charged."""

    at_us: int
    """When it was received: UTC, microseconds since 1970."""
    request_id: str | None
    """The X-Client-Request-Id header."""
    question: str
    """The text of the last message."""
    prompt_tokens: int
    """Cached ones included; counted once, however many choices were asked for."""
    cached_tokens: int
    completion_tokens: int
    """Of all choices together."""
    charged_usd: Decimal
    status: int | None
    """The HTTP status of the response; None where the connection ends without one."""
    fault: str | None
    """The fault's name, or which limit refused the call; None: answered well."""


class Ledger:
    """Entries in the order of arrival. An entry is made before a byte of its response is sent.

    path: each entry is appended to this file as a line of JSON, in one write to the operating system: it is there when
    the teacher's process is killed (not when the machine loses its power). Entries that the file already has stay.
    """

    def __init__(self, price: Price | None = None, path: Path | None = None) -> None:
        self.entries: list[LedgerEntry] = []
        self.charged_usd = Decimal(0)
        self.prompt_tokens = 0
        self.charged_tokens = 0
        """Completion tokens."""
        self.by_fault: Counter[str] = Counter()
        self._cost = lru_cache(maxsize=4096)(price.cost_usd) if price is not None else None
        self._path = path
        self._file: int | None = None

    def open(self) -> None:
        """Before the first entry. Raises DataError where the file cannot be written."""
        self._file = None if self._path is None else _open_for_append(self._path)

    def add(self, entry: LedgerEntry) -> None:
        self.entries.append(entry)
        self.charged_usd += entry.charged_usd
        self.prompt_tokens += entry.prompt_tokens
        self.charged_tokens += entry.completion_tokens
        if entry.fault is not None:
            self.by_fault[entry.fault] += 1
        if self._file is not None:
            os.write(self._file, _line(entry))

    def cost_usd(self, prompt_tokens: int, cached_tokens: int, completion_tokens: int) -> Decimal:
        """Zero where the teacher has no price."""
        return Decimal(0) if self._cost is None else self._cost(prompt_tokens, cached_tokens, completion_tokens)

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def read_ledger(path: Path) -> Iterator[LedgerEntry]:
    """The entries of a ledger file, in order; it may still be growing. Raises DataError, naming the line."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.endswith(b"\n"):  # otherwise the teacher is writing it, or was killed while it did
                    yield _entry(line, f"{path}, line {number}")
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.", "Name a ledger that a teacher wrote.") from error


def _line(entry: LedgerEntry) -> bytes:
    # ASCII: half a surrogate pair in a question can be escaped, but not encoded.
    return json.dumps(asdict(entry) | {"charged_usd": format(entry.charged_usd, "f")}).encode("ascii") + b"\n"


def _entry(line: bytes, place: str) -> LedgerEntry:
    try:
        fields: dict[str, Any] = json.loads(line)
        return LedgerEntry(**fields | {"charged_usd": Decimal(fields["charged_usd"])})
    except (ValueError, TypeError, KeyError, ArithmeticError) as error:
        raise DataError(f"{place} is not an entry of a ledger.", "Name a ledger that a teacher wrote.") from error


def _open_for_append(path: Path) -> int:
    """The file's descriptor, at its end, after the last whole line."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}.", "Name a file in a folder of yours.") from error
    os.ftruncate(descriptor, _end_of_lines(descriptor))
    return descriptor


def _end_of_lines(descriptor: int) -> int:
    """How many bytes the whole lines of a file have: what follows was being written when its writer was killed."""
    end = os.fstat(descriptor).st_size
    while end > 0:
        begin = max(0, end - 65536)
        newline = os.pread(descriptor, end - begin, begin).rfind(b"\n")
        if newline >= 0:
            return begin + newline + 1
        end = begin
    return 0
