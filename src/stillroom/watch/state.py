"""Windows: some weeks of the kept counts, added up, in memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import narwhals as nw
import pyarrow as pa

from stillroom.watch import tables
from stillroom.watch import window as windows
from stillroom.watch.banks.prints import BankPrints
from stillroom.watch.cards import with_cards
from stillroom.watch.columns import (
    CALL_COLUMNS,
    CAPABILITIES,
    EARLIER_COLUMNS,
    SKETCH_COLUMNS,
    known_counts,
    never_known,
)
from stillroom.watch.counts import DAY_US, aliases, call_counts, countable
from stillroom.watch.engine import Engine, Frame, conformed, open_engine
from stillroom.watch.hits import counted_hits
from stillroom.watch.parts import EVENTS_FILE, open_parts, sum_known
from stillroom.watch.tables import SCHEMAS, StateTable
from stillroom.watch.window import Bank, Window

LEAST_PROMPTS = 20
"""Of a template that one account alone uses."""
LEAST_DIFFERENT = 0.05
"""Of a template's calls, beyond the first of each account and day: those that filled in something else. A text that is
always the same ("hi", a monitor's question) is no template, however often and by however many it is sent."""
_ALIASED: Mapping[StateTable, tuple[str, str | None]] = {
    "templates": ("skeleton_print", "skeleton"),
    "prompts": ("prompt_print", "prompt"),
    "keys": ("value", None),  # its own column says the kind
}
_KNOWN = pa.schema([(name, pa.int64()) for name in ("rows", *CAPABILITIES)])


def window(engine: Engine, state: Path, since_day: int, until_day: int, banks: Sequence[Bank] = ()) -> Window:
    """Of the counts that were taken in. Raises StoreError where nothing was."""
    with open_parts(state) as kept:
        parts = kept.listed(since_day, until_day)
        frames: dict[StateTable, Frame] = {
            name: engine.read(kept.paths(name, parts), schema) for name, schema in SCHEMAS.items() if name != "events"
        }
        # An alias may have been learned from calls that came after the window's end, or before it.
        frames["aliases"] = engine.read(kept.paths("aliases", kept.listed()), tables.ALIASES)
        events = state / EVENTS_FILE
        frames["events"] = engine.read([events] if events.exists() else [], tables.EVENTS)
        missing = never_known(sum_known(parts))
        return added_up(engine, frames, since_day, until_day, banks=banks, missing=missing, calls_root=kept.root(parts))


def window_of(
    calls: pa.Table,
    sketches: pa.Table | None,
    events: pa.Table | None,
    banks: Sequence[BankPrints],
    since_day: int,
    until_day: int,
    *,
    earlier_prints: pa.Table | None = None,
    splits: Mapping[str, str] | None = None,
) -> Window:
    """Of calls in memory, each of which is there once. Columns that a table lacks are null.

    `calls`, `sketches`, `earlier_prints`: schemas of `stillroom.store.calls`; `events`: `tables.EVENTS`; `splits`: by
    the banks' names. Days count from 1970-01-01 (UTC).
    """
    with tempfile.TemporaryDirectory() as scratch, open_engine("duckdb", Path(scratch)) as engine:
        counts, known = counts_of(engine, calls, sketches, events, banks, earlier_prints)
        frames = {name: engine.from_arrow(table) for name, table in counts.items()}
        return added_up(
            engine, frames, since_day, until_day, banks=banks_of(banks, splits or {}), missing=never_known(known)
        )


def counts_of(
    engine: Engine,
    calls: pa.Table,
    sketches: pa.Table | None,
    events: pa.Table | None,
    banks: Sequence[BankPrints],
    earlier_prints: pa.Table | None = None,
) -> tuple[dict[StateTable, pa.Table], dict[str, int]]:
    """The tables of counts, and of how many calls each column is known: as `window_of` takes and makes them."""
    all_calls = conformed(engine.from_arrow(calls), CALL_COLUMNS)
    all_sketches = conformed(_frame(engine, sketches, SKETCH_COLUMNS), SKETCH_COLUMNS)
    earlier = conformed(_frame(engine, earlier_prints, EARLIER_COLUMNS), EARLIER_COLUMNS)
    with engine.kept(countable(all_calls)) as mine:
        frames = dict(call_counts(mine))
        frames["bank_hits"] = counted_hits(engine, mine, all_sketches, banks)
        frames["aliases"] = aliases(earlier, mine)
        frames["events"] = _frame(engine, events, tables.EVENTS)
        counts = {name: engine.collect(frame, SCHEMAS[name]) for name, frame in frames.items()}
    known = engine.collect(known_counts(all_calls, all_sketches), _KNOWN).to_pylist()[0]
    return counts, known


def added_up(
    engine: Engine,
    counts: Mapping[StateTable, Frame],
    since_day: int,
    until_day: int,
    *,
    banks: Sequence[Bank],
    missing: frozenset[str],
    calls_root: str | None = None,
) -> Window:
    """The days `since_day` <= day < `until_day` of tables of counts whose rows may have the same keys."""
    inside = {
        name: frame.filter(nw.col("day") >= since_day, nw.col("day") < until_day)
        for name, frame in counts.items()
        if "day" in SCHEMAS[name].names
    }
    with engine.kept(_one_alias_each(counts["aliases"])) as renamed:
        for name, (column, kind) in _ALIASED.items():
            inside[name] = _with_aliases(inside[name], renamed, column, kind)
        made: dict[str, tuple[Frame, pa.Schema]] = {
            "activity": (_activity(inside["activity"]), tables.ACTIVITY),
            "keys": (_keys(inside["keys"]), windows.KEYS),
            "users": (_users(inside["keys"]), windows.USERS),
            "models": (_models(inside["models"]), windows.MODELS),
            "bank_hits": (_bank_hits(inside["bank_hits"]), windows.BANK_HITS),
            "repeats": (_repeats(inside["prompts"]), windows.REPEATS),
        }
        collected = {name: engine.collect(frame, schema) for name, (frame, schema) in made.items()}
        collected["templates"] = _templates(engine, inside["templates"])
    events = counts["events"].filter(nw.col("at") < until_day * DAY_US)
    collected["keys"] = with_cards(
        collected["keys"], collected["activity"], engine.collect(events, tables.EVENTS), since_day
    )
    return Window(since_day, until_day, banks=tuple(banks), missing=missing, calls_root=calls_root, **collected)


def banks_of(banks: Iterable[BankPrints], splits: Mapping[str, str]) -> tuple[Bank, ...]:
    """Each bank once, though it is printed for two epochs."""
    found = {each.bank: Bank(each.bank, len(each), splits.get(each.bank)) for each in banks}
    return tuple(found.values())


def _one_alias_each(found: Frame) -> Frame:
    return found.group_by("kind", "earlier").agg(nw.col("later").max())


def _with_aliases(frame: Frame, renamed: Frame, column: str, kind: str | None) -> Frame:
    names = frame.collect_schema().names()
    if kind is None:
        joined = frame.join(renamed, left_on=["kind", column], right_on=["kind", "earlier"], how="left")
    else:
        of_kind = renamed.filter(nw.col("kind") == kind).select("earlier", "later")
        joined = frame.join(of_kind, left_on=column, right_on="earlier", how="left")
    return joined.with_columns(nw.coalesce(nw.col("later"), nw.col(column)).alias(column)).select(*names)


def _sums(names: Iterable[str]) -> list[nw.Expr]:
    return [nw.col(name).sum().alias(name) for name in names]


def _first_and_last_day() -> tuple[nw.Expr, nw.Expr]:
    return nw.col("day").min().alias("first_day"), nw.col("day").max().alias("last_day")


def _activity(frame: Frame) -> Frame:
    unsummed = ("account", "day", "organisation", "first_at", "last_at")
    return frame.group_by("account", "day").agg(
        nw.col("organisation").min(),
        nw.col("first_at").min(),
        nw.col("last_at").max(),
        *_sums(name for name in tables.ACTIVITY.names if name not in unsummed),
    )


def _templates(engine: Engine, frame: Frame) -> pa.Table:
    each = frame.group_by("skeleton_print").agg(
        nw.col("account").min().alias("least"),
        nw.col("account").max().alias("greatest"),
        *_sums(("calls", "prompts", "rows")),
    )
    # Its least and greatest account are the same where there is one only: cheaper than to count different ones.
    is_used = (nw.col("least") != nw.col("greatest")) | (nw.col("prompts") >= LEAST_PROMPTS)
    different, more = nw.col("prompts") - nw.col("rows"), nw.col("calls") - nw.col("rows")
    wanted = each.filter(is_used, different > 0, different >= more * LEAST_DIFFERENT)
    kept = frame.join(wanted.select("skeleton_print"), on="skeleton_print", how="semi")
    found = kept.group_by("account", "skeleton_print").agg(*_sums(("calls", "prompts")), *_first_and_last_day())
    return engine.collect(found, windows.TEMPLATES)


def _keys(frame: Frame) -> Frame:
    links = frame.filter(nw.col("kind") != "user")
    return links.group_by("account", "kind", "value").agg(nw.col("calls").sum(), *_first_and_last_day())


def _users(frame: Frame) -> Frame:
    labels = frame.filter(nw.col("kind") == "user").group_by("account", "value").agg(nw.col("calls").sum())
    return labels.group_by("account").agg(nw.len().alias("users"))


def _models(frame: Frame) -> Frame:
    return frame.group_by("account", "model").agg(nw.col("calls").sum(), nw.col("day").min().alias("first_day"))


def _bank_hits(frame: Frame) -> Frame:
    return frame.group_by("account", "bank", "question").agg(*_sums(("calls", "exact_calls")), nw.col("first_at").min())


def _repeats(frame: Frame) -> Frame:
    each = frame.group_by("account", "prompt_print").agg(nw.col("calls").sum())
    once = (nw.col("calls") == 1).cast(nw.Int64())
    return (
        each.with_columns(once=once)
        .group_by("account")
        .agg(nw.col("calls").sum().alias("sampled"), nw.len().alias("different"), nw.col("once").sum())
    )


def _frame(engine: Engine, table: pa.Table | None, schema: pa.Schema) -> Frame:
    return engine.from_arrow(schema.empty_table() if table is None else table)
