"""Making the kept tables smaller: parts of closed weeks become one; and an account that is forgotten is taken out.

What is written anew is listed in the place of the old parts in one transaction, so that a kill loses nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import narwhals as nw
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stillroom.base.clock import Clock, SystemClock
from stillroom.store.files import replacing
from stillroom.watch.engine import Engine, Frame
from stillroom.watch.intake import write_table
from stillroom.watch.parts import (
    EVENTS_FILE,
    MERGED,
    PART_SCHEMAS,
    RAW,
    SEEN,
    THINNED,
    Part,
    Parts,
    PartTable,
    open_parts,
    sum_known,
)
from stillroom.watch.tables import EVENTS

CLOSED_DAYS, PAST_DAYS = 7, 35
"""After a week is over: when its parts are merged, and when it is in no window any more."""
_FEWEST_PARTS = 8
_WEEK = 7
_DAY_US = 86_400_000_000
_CLOCK = SystemClock()
_KEYS: dict[PartTable, tuple[str, ...]] = {
    "activity": ("account", "day"),
    "templates": ("account", "skeleton_print", "day"),
    "prompts": ("account", "prompt_print", "day"),
    "keys": ("account", "kind", "value", "day"),
    "models": ("account", "model", "day"),
    "bank_hits": ("account", "bank", "question", "day"),
    "aliases": ("kind", "earlier"),
}
_LEAST, _GREATEST = ("organisation", "first_at"), ("last_at", "later")


def compact(engine: Engine, state: Path, clock: Clock = _CLOCK) -> int:
    """Merge the parts of weeks that were over a week before the newest call; returns how many parts fewer there are.

    Of weeks that are in no window of four weeks any more, templates that one account used once are dropped: all else
    that a window holds is the same before and after. Raises StoreError.
    """
    with open_parts(state, to_write=True) as parts:
        before = parts.listed()
        # A call that a wrong clock dated later than today makes no week old.
        newest = min(max((part.last_day for part in before), default=0), clock.now_us() // _DAY_US)
        by_week: dict[int, list[Part]] = defaultdict(list)
        for part in before:
            by_week[part.last_day // _WEEK].append(part)
        for week, old in by_week.items():
            is_past = (week + 1) * _WEEK + PAST_DAYS <= newest
            is_closed = (week + 1) * _WEEK + CLOSED_DAYS <= newest
            raw = sum(part.level == RAW for part in old)
            if is_past and any(part.level != THINNED for part in old):
                _rewrite(engine, parts, old, THINNED)
            elif is_closed and raw >= _FEWEST_PARTS:
                _rewrite(engine, parts, old, MERGED)
        return len(before) - len(parts.listed())


def forget(engine: Engine, state: Path, account: str) -> int:
    """Take an account's rows out of all tables; returns from how many parts. Raises StoreError.

    The ids of its calls stay, so that they are not taken in again from a copy of the log.
    """
    with open_parts(state, to_write=True) as parts:
        changed = [part for part in parts.listed() if _has(parts, part, account)]
        for part in changed:
            _rewrite(engine, parts, [part], part.level, without=account)
        parts.remove_unlisted()
        _forget_events(state, account)
        return len(changed)


def _rewrite(engine: Engine, parts: Parts, old: Sequence[Part], level: int, *, without: str | None = None) -> None:
    name = parts.next_name()
    rows: dict[PartTable, int] = {}
    for table, schema in PART_SCHEMAS.items():
        paths = parts.paths(table, old)
        if not paths:
            continue
        frame = engine.read(paths, schema)
        if without is not None and "account" in schema.names:
            frame = frame.filter(nw.col("account") != without)
        if schema is not SEEN:
            frame = _added_up(table, frame)
        if table == "templates" and level == THINNED:
            frame = _thinned(frame)
        rows[table] = write_table(engine, parts, table, name, frame)
    merged = Part(
        name=name,
        first_day=min(part.first_day for part in old),
        last_day=max(part.last_day for part in old),
        rows=sum(part.rows for part in old),
        counted=sum(part.counted for part in old),
        level=level,
        known=sum_known(old),
        tables=tuple(table for table, count in rows.items() if count),
    )
    parts.replace(old, merged)


def _added_up(table: PartTable, frame: Frame) -> Frame:
    keys = _KEYS[table]
    columns = [name for name in PART_SCHEMAS[table].names if name not in keys]
    return frame.group_by(*keys).agg(*(_aggregate(name) for name in columns))


def _aggregate(name: str) -> nw.Expr:
    column = nw.col(name)
    if name in _LEAST:
        return column.min()
    return column.max() if name in _GREATEST else column.sum()


def _thinned(templates: Frame) -> Frame:
    used = templates.group_by("skeleton_print").agg(nw.col("calls").sum().alias("all_calls"))
    often = used.filter(nw.col("all_calls") > 1).select("skeleton_print")
    return templates.join(often, on="skeleton_print", how="semi")


def _has(parts: Parts, part: Part, account: str) -> bool:
    paths = parts.paths("activity", [part])
    return any(account in pq.read_table(path, columns=["account"])["account"].unique().to_pylist() for path in paths)


def _forget_events(state: Path, account: str) -> None:
    path = state / EVENTS_FILE
    if not path.exists():
        return
    events = pq.read_table(path, schema=EVENTS)
    with replacing(path) as temporary:
        pq.write_table(events.filter(pc.not_equal(events["account"], pa.scalar(account))), temporary)
