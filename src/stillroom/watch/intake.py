"""Taking calls in: each sealed segment once, each call once, as counts by account and day.

An hour of new calls is one new part; what it costs is in proportion to the hour, not to what was taken before.
A kill at any moment loses nothing and counts nothing twice: give the command again.

What is taken in together is seen together: a gap between two calls of an account that are taken in apart is not
counted, and a prompt that is in two parts of one day counts in both parts' `templates.prompts`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import narwhals as nw
import pyarrow as pa
import pyarrow.parquet as pq

from stillroom.base.errors import DataError, StoreError
from stillroom.store.calls import CallTable
from stillroom.store.files import replacing
from stillroom.watch.banks.prints import BankPrints
from stillroom.watch.columns import (
    CALL_COLUMNS,
    CAPABILITIES,
    EARLIER_COLUMNS,
    SKETCH_COLUMNS,
    known_counts,
    shares,
)
from stillroom.watch.counts import aliases, call_counts, countable
from stillroom.watch.engine import Engine, Frame, TableError
from stillroom.watch.hits import counted_hits
from stillroom.watch.parts import EVENTS_FILE, PART_SCHEMAS, RAW, SEEN, Part, Parts, PartTable, open_parts, sum_known
from stillroom.watch.segments import NewSegment, batches, new_segments
from stillroom.watch.tables import EVENTS

_DAYS = pa.schema([("mine", pa.int64()), ("first_day", pa.int64()), ("last_day", pa.int64()), ("ids", pa.int64())])
_KNOWN = pa.schema([(name, pa.int64()) for name in ("rows", *CAPABILITIES)])


@dataclass(frozen=True, slots=True)
class TakenIn:
    """Rows = counted + duplicates + unattributed."""

    segments: int
    rows: int
    counted: int
    duplicates: int
    """Calls whose id was there before, or twice."""
    unattributed: int
    """Rows without an id, an account or a time."""
    first_day: int | None
    last_day: int | None
    """Days of the new calls, from 1970-01-01 (UTC); None where there are none."""
    capabilities: Mapping[str, float]
    """The share of these rows that say a column, 0 to 1."""
    calls_root: str | None
    """Digest of the chain's records of these segments; None for imports."""


def take_in(
    engine: Engine, calls: Path, state: Path, banks: Sequence[BankPrints], *, events: pa.Table | None = None
) -> TakenIn:
    """Add what is new in a folder of calls (docs/calls.md) to the folder of counts `state`.

    `banks`: as printed for each epoch that the calls may be of; calls that were taken before a bank was known are not
    looked through again. `events` (`tables.EVENTS`): all that are known, or new ones. Raises StoreError.
    """
    with open_parts(state, to_write=True) as parts:
        if events is not None:
            _add_events(state, events)
        taken = []
        for batch in batches(new_segments(calls, parts)):
            try:
                taken.append(_take(engine, parts, batch, banks))
            except TableError as error:
                among = f"Among the segments {batch[0].sealed.folder} to {batch[-1].sealed.folder}: {error.what}"
                raise StoreError(among, error.remedy) from error
        made = [each.part for each in taken if each.part is not None]
        rows = sum(each.rows for each in taken)
        return TakenIn(
            segments=sum(each.segments for each in taken),
            rows=rows,
            counted=sum(part.counted for part in made),
            duplicates=sum(each.duplicates for each in taken),
            unattributed=sum(each.unattributed for each in taken),
            first_day=min((part.first_day for part in made), default=None),
            last_day=max((part.last_day for part in made), default=None),
            capabilities=shares(sum(part.rows for part in made), sum_known(made)),
            calls_root=parts.root(made),
        )


def new_key_ids(calls: Path, state: Path) -> frozenset[str]:
    """The `print_key_id`s of calls that are not taken in yet, and of their earlier prints. Raises StoreError."""
    with open_parts(state, to_write=True) as parts:
        segments = new_segments(calls, parts)
    found: set[str | None] = set()
    for path in (*_paths(segments, "calls"), *_paths(segments, "earlier_prints")):
        if "print_key_id" in pq.read_schema(path).names:
            found.update(pq.read_table(path, columns=["print_key_id"])["print_key_id"].unique().to_pylist())
    return frozenset(each for each in found if each is not None)


@dataclass(frozen=True, slots=True)
class _Batch:
    segments: int
    rows: int
    duplicates: int
    unattributed: int
    part: Part | None


def _take(engine: Engine, parts: Parts, batch: Sequence[NewSegment], banks: Sequence[BankPrints]) -> _Batch:
    segments = [each.segment for each in batch]
    rows = sum(each.rows for each in batch)
    read = engine.read(_paths(batch, "calls"), CALL_COLUMNS)
    with engine.kept(countable(read).filter(~nw.col("call_id").is_null())) as mine:
        facts = _facts(engine, mine)
        if not facts["mine"]:
            parts.add_empty(segments)
            return _Batch(len(batch), rows, 0, rows, None)
        fresh = _fresh(engine, parts, mine, facts)
        sketches = engine.read(_paths(batch, "sketches"), SKETCH_COLUMNS)
        if facts["ids"] != facts["mine"]:
            sketches = sketches.unique("call_id", keep="any")
        name = parts.next_name()
        with engine.kept(fresh) as counted_calls:
            written = _written(engine, parts, name, batch, counted_calls, sketches, banks)
        known = engine.collect(known_counts(read, sketches), _KNOWN).to_pylist()[0]
    counted = written["seen"]
    part = Part(
        name=name,
        first_day=facts["first_day"],
        last_day=facts["last_day"],
        rows=rows,
        counted=counted,
        level=RAW,
        known={each: known[each] for each in CAPABILITIES},
        tables=tuple(table for table, count in written.items() if count),
    )
    if counted:
        parts.add(part, segments)
    else:
        parts.add_empty(segments)
    return _Batch(len(batch), rows, facts["mine"] - counted, rows - facts["mine"], part if counted else None)


def _facts(engine: Engine, mine: Frame) -> dict[str, int]:
    found = mine.select(
        nw.col("call_id").len().alias("mine"),
        nw.col("day").min().alias("first_day"),
        nw.col("day").max().alias("last_day"),
        nw.col("call_id").n_unique().alias("ids"),
    )
    row: dict[str, int] = engine.collect(found, _DAYS).to_pylist()[0]
    return row


def _fresh(engine: Engine, parts: Parts, mine: Frame, facts: Mapping[str, int]) -> Frame:
    """The calls that were not counted before, each once."""
    if facts["ids"] != facts["mine"]:
        mine = mine.unique("call_id", keep="first", order_by=["at", "account"])
    # A day more on both sides: the same call, imported again with a clock that is set right.
    since, until = facts["first_day"] - 1, facts["last_day"] + 2
    before = parts.paths("seen", parts.listed(since, until))
    if not before:
        return mine
    seen = engine.read(before, SEEN).filter(nw.col("day") >= since, nw.col("day") < until)
    return mine.join(seen, on="call_id", how="anti")


def _written(
    engine: Engine,
    parts: Parts,
    name: str,
    batch: Sequence[NewSegment],
    calls: Frame,
    sketches: Frame,
    banks: Sequence[BankPrints],
) -> dict[PartTable, int]:
    """Writes the part's files. Returns how many rows each has; one without any is not there."""
    frames: dict[PartTable, Frame] = {"seen": calls.select("call_id", "day")}
    for table, frame in call_counts(calls).items():
        frames[table] = frame
    if banks:
        frames["bank_hits"] = counted_hits(engine, calls, sketches, banks)
    earlier = _paths(batch, "earlier_prints")
    if any(pq.read_metadata(path).num_rows for path in earlier):
        frames["aliases"] = aliases(engine.read(earlier, EARLIER_COLUMNS), calls)
    return {table: write_table(engine, parts, table, name, frame) for table, frame in frames.items()}


def write_table(engine: Engine, parts: Parts, table: PartTable, name: str, frame: Frame) -> int:
    """A table's file of a part, if it has any rows. Returns how many."""
    path = parts.path(table, name)
    rows = engine.write(frame, path, PART_SCHEMAS[table])
    if not rows:
        path.unlink()
    return rows


def _paths(batch: Sequence[NewSegment], table: CallTable) -> list[Path]:
    return [path for each in batch if (path := each.table(table)) is not None]


def _add_events(state: Path, events: pa.Table) -> None:
    path = state / EVENTS_FILE
    if lacking := set(EVENTS.names) - set(events.column_names):
        raise DataError(f"The accounts' events have no column {', '.join(sorted(lacking))}.", "Export them anew.")
    rows = events.select(EVENTS.names).cast(EVENTS)
    if path.exists():
        rows = pa.concat_tables([pq.read_table(path, schema=EVENTS), rows])
    with replacing(path) as temporary:
        pq.write_table(rows.group_by(EVENTS.names).aggregate([]).select(EVENTS.names), temporary)
