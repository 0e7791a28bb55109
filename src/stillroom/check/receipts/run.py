"""`stillroom verify DATASET --keys ...`: every row of a data set held against its receipt, on all cores, offline.

The rows of `data/*.parquet` are looked at, and the lines beside them. Those of rejected.parquet are not: nobody trains
on them, and failed calls have no receipts.
"""

from __future__ import annotations

import json
import os
import queue
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from stillroom.base.child_process import Child, child_process
from stillroom.base.errors import DataError, StillroomError
from stillroom.base.progress import Progress, Silent
from stillroom.base.signatures import MAX_KEYS_BYTES
from stillroom.check.manifest import MANIFEST
from stillroom.check.receipts.lines import lines_of, offsets_of_lines, split_of
from stillroom.check.receipts.owner import HeldPermit, Owner, as_json, permits_in_manifest, read_owner
from stillroom.check.receipts.part import COLUMNS, Order, Part, work
from stillroom.check.receipts.sums import Sums, sums
from stillroom.client.fetch import fetch
from stillroom.client.transport import is_loopback
from stillroom.store.files import read_object, replacing
from stillroom.store.tables import count_rows, open_parquet
from stillroom.terms.grants import GRANT

ROWS_SHOWN = 10
_SLICE_ROWS = 8192
"""A row group of more is divided among the processes."""
_SILENT = Silent()


def verify_receipts(
    folder: Path,
    keys: str,
    permits: Sequence[HeldPermit] = (),
    *,
    out: Path | None = None,
    progress: Progress = _SILENT,
    processes: int | None = None,
) -> dict[str, Any]:
    """Verify the data set in `folder` by the owner's keys, a web address or a file of a JWK set.

    `permits`: beside those that the data set's manifest holds. `out`: a file for all bad rows, a line of JSON each. It
    returns `rows, bad, reasons` (bad rows by reason), `first` (the first bad rows), `permits` (each with what was used
    of it), `read_more` (rows whose teacher read more than they hold), `earlier_turns` (those of them with turns that
    nobody vouches for), `notes` and `seconds`. Raises DataError for keys that are none, StoreError for tables that
    cannot be read.
    """
    started = time.monotonic()
    document = read_keys(keys)
    manifest = read_object(folder / MANIFEST)
    held = [*permits_in_manifest(manifest, str(folder / MANIFEST)), *permits]
    owner, refused = read_owner(document, keys, held, int(time.time()))
    files = _tables(folder)
    counts = {file: count_rows(file) for file in files}
    with tempfile.TemporaryDirectory(prefix="stillroom-verify-") as name:
        temporary = Path(name)
        (temporary / "keys.json").write_bytes(document)
        common = {"keys": str(temporary / "keys.json"), "keys_name": keys, "permits": as_json(held)}
        processes = processes or _cores()
        parts, surplus = _planned(folder, files, processes)
        orders = list(_orders(folder, files, parts, temporary, common, processes))
        done = 0
        for rows in _carried_out(orders, temporary):
            done += rows
            progress.update("verify", done, sum(counts.values()))
        found, vouched = ([Path(getattr(order, table)) for order in orders] for table in ("found", "vouched"))
        with sums(found, vouched, owner.permits, temporary) as summed:
            bad = chain(_named(summed, folder, files), surplus)
            report = _report(bad, out) | {"permits": _permits(owner, summed)}
            by_prompt = summed.by_prompt()
    return {
        "rows": sum(counts.values()),
        **report,
        "read_more": by_prompt.get("last", 0) + by_prompt.get("later", 0),
        "earlier_turns": by_prompt.get("later", 0),
        "notes": [
            *_about_address(keys),
            *_not_looked_at(folder, files),
            *(f"{each.name} is not the owner's: {why}" for each, why in refused),
        ],
        "seconds": round(time.monotonic() - started, 3),
    }


def read_keys(place: str) -> bytes:
    """The owner's keys, at a web address or in a file. Raises DataError."""
    if "://" in place:
        return fetch(place, MAX_KEYS_BYTES)
    try:
        with Path(place).open("rb") as file:
            return file.read(MAX_KEYS_BYTES + 1)
    except OSError as error:
        what = f"The keys {place} cannot be read: {error.strerror}."
        raise DataError(what, "Name a file, or the gateway's https://.../.well-known/jwks.json.") from error


def _about_address(keys: str) -> Iterator[str]:
    if keys.lower().startswith("http://") and not is_loopback(keys):
        yield "The keys came over http: whoever stands on the way could have sent others."


def _not_looked_at(folder: Path, files: Sequence[Path]) -> Iterator[str]:
    """Files that no check writes, and that may hold rows. Hidden ones are passed over, as by the manifest."""
    known = {*files, *(lines_of(folder, file) for file in files)}
    known |= {folder / name for name in ("README.md", MANIFEST, GRANT, "rejected.parquet")}
    for path in sorted(folder.rglob("*")):
        place = path.relative_to(folder)
        if path.is_file() and path not in known and not any(part.startswith(".") for part in place.parts):
            yield f"{place} is no file of a data set of stillroom: what is in it was not looked at."


def _tables(folder: Path) -> list[Path]:
    """The tables that the datasets library would read. Raises DataError where there is none, or one of another form."""
    files = sorted((folder / "data").glob("*.parquet"))
    if not files:
        raise DataError(f"{folder} has no rows to verify: there is no table in its folder data.")
    for file in files:
        if not file.is_file():  # a pipe would be waited for
            raise DataError(f"{file} is no file.", "Verify the folder that stillroom check has written.")
        count_rows(file)  # the clear error
        with open_parquet(file) as table:
            problem = _problem_of(table.schema_arrow)
        if problem is not None:
            raise DataError(f"{file} {problem}.", "Verify the folder that stillroom check has written.")
    return files


def _problem_of(schema: pa.Schema) -> str | None:
    missing = [name for name in COLUMNS if name not in schema.names]
    if missing:
        return f"has no column {', '.join(missing)}"
    messages = schema.field("messages").type
    is_list = pa.types.is_list(messages) or pa.types.is_large_list(messages)
    fields = list(messages.value_type) if is_list and pa.types.is_struct(messages.value_type) else []
    if not {"role", "content"} <= {each.name for each in fields}:
        return "has a column messages that is no list of role and content"
    others = [schema.field(name) for name in schema.names if name in (*COLUMNS[1:], "tools")]
    no_text = [each.name for each in (*fields, *others) if not _is_text(each.type)]
    return f"has a column {', '.join(no_text)} that is no text" if no_text else None


def _is_text(kind: pa.DataType) -> bool:
    of_values = kind.value_type if isinstance(kind, pa.DictionaryType) else kind
    return pa.types.is_string(of_values) or pa.types.is_large_string(of_values) or pa.types.is_null(of_values)


def _orders(
    folder: Path, files: Sequence[Path], parts: Sequence[Part], temporary: Path, common: dict[str, Any], processes: int
) -> Iterator[Order]:
    """One for each process, at most `processes`; one where there are no rows, too."""
    count = max(1, min(processes, len(parts)))
    for number in range(count):
        yield Order(
            files=[str(file) for file in files],
            lines=[str(lines_of(folder, file)) for file in files],
            parts=parts[number::count],
            **common,
            found=str(temporary / f"found-{number}.parquet"),
            vouched=str(temporary / f"vouched-{number}.parquet"),
        )


def _planned(folder: Path, files: Sequence[Path], processes: int) -> tuple[list[Part], list[dict[str, Any]]]:
    """What there is to do; and the lines that stand behind the last row's, the first of each file as a bad row."""
    parts: list[Part] = []
    surplus: list[dict[str, Any]] = []
    for split in dict.fromkeys(map(split_of, files)):
        own = [(number, file) for number, file in enumerate(files) if split_of(file) == split]
        groups = list(_groups(own))
        lines = lines_of(folder, own[0][1])
        offsets: Sequence[int | None] = [None] * len(groups)
        if lines.is_file():
            rows = sum(group.rows for group in groups)
            (*offsets, _), has_more = offsets_of_lines(lines, [*(group.first_line for group in groups), rows])
            if has_more:
                unknown = {"question_id": None, "reply_key": None}
                detail = "it has more lines than there are rows"
                surplus.append(
                    {"file": lines.name, "row": rows, **unknown, "reason": "altered_lines", "detail": detail}
                )
        for group, at in zip(groups, offsets, strict=True):
            slices = min(processes, -(-group.rows // _SLICE_ROWS))
            for each in range(slices):
                parts.append(Part(group.file, group.number, group.first_row, at, each, slices))
    return parts, surplus


@dataclass(frozen=True, slots=True)
class _Group:
    """A row group of a table."""

    file: int
    number: int
    rows: int
    first_row: int
    """In its file."""
    first_line: int
    """In its split's file of lines."""


def _groups(files: Sequence[tuple[int, Path]]) -> Iterator[_Group]:
    """Of the tables of one split, in order."""
    first_line = 0
    for number, file in files:
        with open_parquet(file) as table:
            footer = table.metadata
        first_row = 0
        for group in range(footer.num_row_groups):
            rows = footer.row_group(group).num_rows
            yield _Group(number, group, rows, first_row, first_line)
            first_row += rows
            first_line += rows


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _carried_out(orders: Sequence[Order], temporary: Path) -> Iterator[int]:
    """Yields how many rows were judged, as they are."""
    if len(orders) == 1:  # a process of its own would take longer to begin than the work does
        yield from work(orders[0])
        return
    said: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    with ExitStack() as stack:
        for number, order in enumerate(orders):
            file = temporary / f"order-{number}.json"
            file.write_bytes(orjson.dumps(order.as_json()))
            child = stack.enter_context(child_process("stillroom.check.receipts", str(file), "The verification"))
            threading.Thread(target=_listen, args=(child, said), daemon=True).start()
        working = len(orders)
        while working:
            report = said.get()
            if "what" in report:
                raise StillroomError(report["what"], report["remedy"])
            working -= "done" in report
            yield report.get("rows", 0)


def _listen(child: Child, said: queue.SimpleQueue[dict[str, Any]]) -> None:
    assert child.process.stdout is not None
    report: dict[str, Any] = {}
    for line in child.process.stdout:
        said.put(report := json.loads(line))
    if "done" not in report and "what" not in report:
        said.put({"what": "A process of the verification ended before its work was done.", "remedy": "Run it again."})


def _named(summed: Sums, folder: Path, files: Sequence[Path]) -> Iterator[dict[str, Any]]:
    for row in summed.bad_rows():
        yield row | {"file": files[row["file"]].relative_to(folder).as_posix()}


def _report(bad: Iterable[dict[str, Any]], out: Path | None) -> dict[str, Any]:
    reasons: Counter[str] = Counter()
    first: list[dict[str, Any]] = []
    with ExitStack() as stack:
        file = None if out is None else stack.enter_context(stack.enter_context(replacing(out)).open("wb"))
        for row in bad:
            reasons[row["reason"]] += 1
            if len(first) < ROWS_SHOWN:
                first.append(row)
            if file is not None:
                file.write(orjson.dumps(row) + b"\n")
    return {"bad": reasons.total(), "reasons": dict(reasons.most_common()), "first": first}


def _permits(owner: Owner, summed: Sums) -> list[dict[str, Any]]:
    """What each permit says, and what the rows that are as they should be have used of it."""
    used = summed.used()
    nothing = {"rows": 0, "calls": 0, "tokens": 0}
    return [
        permit.model_dump(mode="json") | {"used": used.get(permit.jti, nothing), "revoked": permit.jti in owner.revoked}
        for permit in owner.permits.values()
    ]
