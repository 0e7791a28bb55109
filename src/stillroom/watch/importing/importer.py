"""Calls from elsewhere, into the tables that `watch` reads. docs/import.md says what comes of what."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson

from stillroom.base.errors import DataError, StoreError
from stillroom.base.progress import Progress
from stillroom.store.calls import CALLS
from stillroom.store.files import remove_unfinished, replacing, write_atomically, write_json
from stillroom.store.secrets import Secrets
from stillroom.text.counted import counted
from stillroom.watch.importing.mapping import ImportMapping
from stillroom.watch.importing.reading import records
from stillroom.watch.importing.record import Record, Unreadable
from stillroom.watch.importing.rows import ImportedCall, LeftOut, Rejected, Rows
from stillroom.watch.importing.segments import ImportedSegments

SCHEMA_VERSION = 1
_GATEWAYS_OWN = ("row", "salt", "counted_by", "receipt_id", "escrow_digest")
COLUMNS = (*(name for name in CALLS.names if name not in _GATEWAYS_OWN), "minhash")
"""Of which a manifest says how often they are known."""
_WHICH_SECRET = ".which-secret"
_DAY_US = 86_400_000_000
_BETWEEN_UPDATES = 1000
_TRIED = 10_000
"""Where the first rows are rejected, all of them for one reason, the mapping is wrong, and not the rows."""


@dataclass(slots=True)
class Imported:
    """What an import did. `rows` is the sum of calls, already_there, left_out and rejected."""

    rows: int = 0
    calls: int = 0
    """That were not there yet."""
    already_there: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    """Rows that are no calls of a model, by reason."""
    rejected: Counter[str] = field(default_factory=Counter)
    """Rows that cannot be read as calls, by reason."""
    known: Counter[str] = field(default_factory=Counter)
    """In how many of the calls a column is known."""
    unreadable: list[dict[str, Any]] = field(default_factory=list)
    """Values that could not be read and are unknown: column, problem, how many, where the first one is."""
    never_seen: list[str] = field(default_factory=list)
    """Fields that the mapping names and no row had."""
    first_at: int | None = None
    last_at: int | None = None
    """Of the calls that were not there yet; UTC in microseconds."""
    segments: int = 0
    manifest: Path = Path()
    rejected_rows: Path | None = None
    """Where each rejected row's place and reason stand; None where there is none."""

    @property
    def missing(self) -> list[str]:
        """Columns that are not known of a single call: what needs them is absent."""
        return [name for name in COLUMNS if not self.known[name]] if self.calls else []


def import_calls(
    source: Path, mapping: ImportMapping, out: Path, secrets: Secrets, progress: Progress | None = None
) -> Imported:
    """Add the calls of one file to `out`/`mapping.name`, but for those that are there.

    `secrets`: the gateway's, so that what is printed can be compared with what the gateway prints. Texts are printed
    and kept nowhere. A row that cannot be read is told in the file of rejected rows; memory does not grow with rows.
    Killed at any moment, it is done again, and no call is lost or there twice.

    Raises DataError where the file is not what the mapping says, StoreError where `out` cannot be used, is a gateway's
    own log, or was printed with another secret.
    """
    if not source.is_file():
        raise DataError(f"{source} is no file.", "Name one file; `mapping.name` keeps those of one source together.")
    done = Imported()
    rows = Rows(mapping, secrets, latest_us=time.time_ns() // 1000 + _DAY_US)
    _refuse_gateways_own(out)
    _refuse_another_secret(out, secrets)
    with ImportedSegments(out / mapping.name) as segments:
        imports = segments.folder / "imports"
        number = _next_number(imports)
        rejected = imports / f"{number:08}.rejected.jsonl"
        remove_unfinished(rejected)
        with ExitStack() as stack:
            file = stack.enter_context(stack.enter_context(replacing(rejected)).open("wb"))
            for each in records(source, mapping):
                reason = _take(each, rows, segments, done)
                if done.rows % _BETWEEN_UPDATES == 0 and progress is not None:
                    progress.update("import", done.rows, None, calls=done.calls, rejected=done.rejected.total())
                if reason is not None:
                    file.write(orjson.dumps({"row": each.place, "reason": reason}, option=orjson.OPT_APPEND_NEWLINE))
                    if done.rows == _TRIED == done.rejected[reason]:
                        raise _nothing_readable(source, done)
            segments.seal()
        done.segments = segments.sealed
        done.rejected_rows = rejected if done.rejected else None
        if done.rejected_rows is None:
            rejected.unlink()
        done.never_seen = rows.never_seen
        done.unreadable = [
            {"column": column, "problem": problem, "values": count, "first_row": rows.problems.first[column, problem]}
            for (column, problem), count in rows.problems.counts.items()
        ]
        done.manifest = imports / f"{number:08}.json"
        write_json(done.manifest, _manifest(source, mapping, done))
    if done.rows and done.rejected.total() == done.rows:
        raise _nothing_readable(source, done)
    return done


def _take(each: Record | Unreadable, rows: Rows, segments: ImportedSegments, done: Imported) -> str | None:
    """The reason why it is rejected; None where it is not."""
    done.rows += 1
    row = Rejected(each.reason) if isinstance(each, Unreadable) else rows.identify(each)
    if isinstance(row, Rejected):
        done.rejected[row.reason] += 1
        return row.reason
    if isinstance(row, LeftOut):
        done.left_out[row.reason] += 1
    elif segments.is_new(row.call_id):
        made = rows.call(row)
        segments.add(made)
        _count(made, done)
    else:
        done.already_there += 1
    return None


def _count(made: ImportedCall, done: Imported) -> None:
    done.calls += 1
    done.known.update(name for name, value in made.call.items() if value is not None)
    if made.minhash is not None:
        done.known["minhash"] += 1
    at = made.call["at"]
    done.first_at = at if done.first_at is None else min(done.first_at, at)
    done.last_at = at if done.last_at is None else max(done.last_at, at)


def _manifest(source: Path, mapping: ImportMapping, done: Imported) -> dict[str, Any]:
    settings = mapping.model_dump_json(by_alias=True, exclude_none=True).encode()
    return {
        "schema_version": SCHEMA_VERSION,
        "source": source.name,
        "name": mapping.name,
        "format": mapping.format,
        "mapping_digest": f"sha256:{sha256(settings).hexdigest()}",
        "imported_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "rows": done.rows,
        "calls": done.calls,
        "already_there": done.already_there,
        "left_out": dict(done.left_out),
        "rejected": dict(done.rejected),
        "rejected_rows": None if done.rejected_rows is None else done.rejected_rows.name,
        "first_at": done.first_at,
        "last_at": done.last_at,
        "columns": {name: done.known[name] / done.calls for name in COLUMNS} if done.calls else {},
        "missing": done.missing,
        "unreadable": done.unreadable,
        "never_seen": done.never_seen,
    }


def _refuse_gateways_own(out: Path) -> None:
    """Its segments are signed one by one: a further one there would be a forged one."""
    if next(out.glob("*/chain.jsonl"), None) or next(out.glob("*/open-*.log"), None):
        raise StoreError(f"{out} is the log of a gateway.", "Name another folder; `stillroom watch` reads both.")


def _refuse_another_secret(out: Path, secrets: Secrets) -> None:
    """What two secrets printed never matches: nobody would notice."""
    told, here = secrets.derive("imported calls", "which secret")[:8].hex(), out / _WHICH_SECRET
    try:
        known = here.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        write_atomically(here, told + "\n")
        return
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"{here} cannot be read.", "Name a folder that imported calls can lie in.") from error
    if known != told:
        remedy = "Name the state folder with that secret, or another folder for what this one prints."
        raise StoreError(f"What is in {out} was printed with another secret.", remedy)


def _next_number(imports: Path) -> int:
    found = [int(path.stem) for path in imports.glob("*.json") if path.stem.isdecimal()]
    return max(found, default=0) + 1


def _nothing_readable(source: Path, done: Imported) -> DataError:
    reason, count = done.rejected.most_common(1)[0]
    what = f"{source}: none of {counted(done.rows, 'row')} can be read as a call; of {counted(count, 'row')}, {reason}."
    return DataError(what, "Is it what the mapping says? docs/import.md has every key.")
