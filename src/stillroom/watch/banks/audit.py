"""Who did what with banks and looked at whose hits: a log that is only appended to, each record naming the one before.

`WATCH/audit.jsonl` holds a line of canonical JSON for each act. A record's digest is over its line; the next record has
it as `previous`, so that none can be altered, dropped or put in between without every later digest being another one.
Whoever may write the file can write a new one from the first line on, or cut off its end: against that, a digest that
was kept elsewhere is looked for (`audit_problems(..., seen=...)`), and a bank is read only if the log has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from stillroom.base.canonical import canonical_bytes, digest_bytes
from stillroom.base.clock import SystemClock
from stillroom.base.errors import StoreError, UsageError
from stillroom.store.append_only import append_line, whole_lines
from stillroom.store.lock import alone_in

ROLE = "owner"
"""Whoever may add and remove banks: the gateway's owner, and nobody who works for it in another role."""
ADDED, REMOVED, LOOKED, FORGOTTEN = "bank added", "bank removed", "hits looked at", "account forgotten"

_FILE = "audit.jsonl"
_LONGEST = 500
_DAY_US = 86_400_000_000
_MOST_US = 253_402_300_800_000_000
"""The end of the year 9999: what can be shown as a date."""
_FIELDS = {"index": int, "at": int, "act": str, "by": str, "role": str, "reason": str, "detail": dict}


@dataclass(frozen=True, slots=True)
class AuditRecord:
    index: int
    """Counts from 0."""
    at: int
    """UTC in microseconds."""
    act: str
    by: str
    role: str
    reason: str
    detail: dict[str, Any]
    """What the act was about, such as `bank` and `digest`."""
    previous: str | None
    """Digest of the record before."""

    @property
    def digest(self) -> str:
        return digest_bytes(canonical_bytes(asdict(self)))


def record_act(
    watch: Path, act: str, *, by: str, role: str, reason: str, detail: dict[str, Any] | None = None
) -> AuditRecord:
    """Write down an act; it is on the disk then, and may be done.

    Raises UsageError where nobody is named, or no reason or role is given; StoreError.
    """
    with audit_locked(watch):
        return append_record(watch, act, by=by, role=role, reason=reason, detail=detail)


def record_look(watch: Path, *, by: str, role: str, findings: Sequence[str], banks: Sequence[str]) -> AuditRecord:
    """Write down that somebody was shown how much of banks the accounts of findings asked; returns the record of it.

    Who looks at the same once more on the same day (UTC) is in the log already. Raises as `record_act` does.
    """
    detail = {"findings": [*findings], "banks": [*banks]}
    with audit_locked(watch):
        today = SystemClock().now_us() // _DAY_US
        for record in reversed(read_audit(watch)):
            if record.at // _DAY_US != today:
                break
            if (record.act, record.by, record.role, record.detail) == (LOOKED, by.strip(), role, detail):
                return record
        reason = f"finding {findings[0]}" if len(findings) == 1 else f"{len(findings):,} findings"
        return append_record(watch, LOOKED, by=by, role=role, reason=reason, detail=detail)


def audit_locked(watch: Path) -> AbstractContextManager[None]:
    """One at a time changes banks or the log; the others wait. Raises StoreError."""
    return alone_in(watch, "audit.lock")


def append_record(
    watch: Path, act: str, *, by: str, role: str, reason: str, detail: dict[str, Any] | None = None
) -> AuditRecord:
    """`record_act`, for whoever holds the lock."""
    check_named(by, role, reason)
    before = read_audit(watch)
    record = AuditRecord(
        index=len(before),
        at=SystemClock().now_us(),
        act=act,
        by=by.strip(),
        role=role,
        reason=reason.strip(),
        detail=detail or {},
        previous=before[-1].digest if before else None,
    )
    append_line(watch / _FILE, canonical_bytes(asdict(record)))
    return record


def check_named(by: str, role: str, reason: str) -> None:
    """Raises UsageError for what says nothing."""
    for what, text in (("who does it", by), ("in which role", role), ("why", reason)):
        if not text.strip() or len(text) > _LONGEST or not text.isprintable():
            raise UsageError(
                f"It has to be written down {what}: {text[:60]!r} does not say it.",
                f"Give one line of at most {_LONGEST} characters.",
            )


def check_owner(by: str, role: str, reason: str) -> None:
    """`check_named`; raises UsageError for another role than the owner's, too."""
    check_named(by, role, reason)
    if role != ROLE:
        raise UsageError(f"This is for an {ROLE}, and {by} acts as {role!r}.", "Have an owner of the gateway do it.")


def read_audit(watch: Path) -> list[AuditRecord]:
    """All records. A last line that a kill cut short does not count. Raises StoreError, naming a line that is none."""
    records = []
    for number, line in enumerate(whole_lines(watch / _FILE), 1):
        record = _parsed(line)
        if record is None:
            raise StoreError(f"{watch / _FILE}, line {number}, is no record.", "Put the file back from a backup.")
        records.append(record)
    return records


def audit_problems(watch: Path, seen: str | None = None) -> list[str]:
    """What shows that the log is not as it was written: sentences, each naming its line; none if it is whole.

    `seen`: the digest of a record that must still be in it. Raises StoreError where the file cannot be read.
    """
    problems: list[str] = []
    previous: str | None = None
    digests = set()
    for number, line in enumerate(whole_lines(watch / _FILE)):
        record = _parsed(line)
        if record is None or canonical_bytes(asdict(record)) != line:
            problems.append(f"Line {number + 1} is not as a record is written.")
        elif record.index != number or record.previous != previous:
            problems.append(f"Line {number + 1} does not follow the line before it.")
        previous = digest_bytes(line)
        digests.add(previous)
    if seen is not None and seen not in digests:
        problems.append(f"No record has the digest {seen}: the log was cut short or rewritten.")
    return problems


def _parsed(line: bytes) -> AuditRecord | None:
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(value, dict) or value.keys() != {*_FIELDS, "previous"}:
        return None
    if not all(type(value[name]) is kind for name, kind in _FIELDS.items()):
        return None
    is_record = isinstance(value["previous"], str | None) and 0 <= value["at"] < _MOST_US
    return AuditRecord(**value) if is_record else None
