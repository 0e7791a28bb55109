"""Traffic as tables, and as the files that a gateway would have sealed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stillroom.store.calls import SCHEMAS, CallTable
from stillroom.testing.traffic.calls import Draft
from stillroom.testing.traffic.keys import stream
from stillroom.testing.traffic.tables import call_tables, event_table, truth_table
from stillroom.testing.traffic.world import World, make_world

_SEGMENT_ROWS = 50_000


@dataclass(frozen=True)
class Traffic:
    calls: pa.Table
    """Tables in the schemas of `stillroom.store.calls`, by the time of the call."""
    sketches: pa.Table
    earlier_prints: pa.Table
    """Of calls in the first week of an epoch of the keys."""
    events: pa.Table
    """account, organisation, at, event, prints (JSON): when accounts were made, and with which card."""
    truth: pa.Table
    """account, organisation, role (`benign`, the name of a twin, or `campaign`), client_model."""
    seed: int
    start_at: int
    """UTC in microseconds."""
    weeks: int
    data: Path | None
    """The folder of real texts and client models that it was made from."""

    @property
    def end_at(self) -> int:
        return self.start_at + self.weeks * 7 * 86_400 * 1_000_000

    def world(self) -> World:
        """What its accounts live in, for whoever adds accounts to it."""
        return make_world(self.seed, self.data, self.start_at, self.weeks * 7)

    def with_traffic(self, *others: Traffic) -> Self:
        """All calls of both: the rows of one follow those of the other."""
        every: list[Traffic] = [self, *others]
        return replace(
            self,
            calls=pa.concat_tables([one.calls for one in every]),
            sketches=pa.concat_tables([one.sketches for one in every]),
            earlier_prints=pa.concat_tables([one.earlier_prints for one in every]),
            events=pa.concat_tables([one.events for one in every]),
            truth=pa.concat_tables([one.truth for one in every]),
        )

    def write(self, folder: Path, worker: str = "w0") -> None:
        """Sealed segments of one worker below `folder`, for `stillroom.store.calls.call_dataset`; without a chain.

        Raises FileExistsError where the worker already has a folder there.
        """
        home = folder / worker
        home.mkdir(parents=True)
        order = np.argsort(self.calls["at"].to_numpy(), kind="stable")
        calls = self.calls.take(order)
        for number, start in enumerate(range(0, len(calls), _SEGMENT_ROWS), 1):
            part = calls.slice(start, _SEGMENT_ROWS)
            row = SCHEMAS["calls"].get_field_index("row")
            part = part.set_column(row, SCHEMAS["calls"].field(row), pa.array(np.arange(len(part))))
            segment = home / f"{number:08}"
            segment.mkdir()
            tables: dict[CallTable, pa.Table] = {
                "calls": part,
                "sketches": _of_calls(self.sketches, part),
                "earlier_prints": _of_calls(self.earlier_prints, part),
                "receipts": SCHEMAS["receipts"].empty_table(),
                "commitments": SCHEMAS["commitments"].empty_table(),
            }
            for name, table in tables.items():
                pq.write_table(table, segment / f"{name}.parquet", compression="zstd")


def _of_calls(table: pa.Table, calls: pa.Table) -> pa.Table:
    """The table's rows of these calls, in their order."""
    place = pc.index_in(calls["call_id"], table["call_id"])
    return table.take(place.drop_null())


def traffic_of(seed: int, world: World, draft: Draft, name: str) -> Traffic:
    """`name`: of the part of the seed's traffic that it is."""
    calls, sketches, earlier = call_tables(world, stream(seed, f"{name} tables"), draft)
    return Traffic(
        calls=calls,
        sketches=sketches,
        earlier_prints=earlier,
        events=event_table(world, stream(seed, f"{name} events"), draft.accounts),
        truth=truth_table(world, draft.accounts),
        seed=world.seed,
        start_at=world.start_at,
        weeks=world.days // 7,
        data=world.data,
    )
