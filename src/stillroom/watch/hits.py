"""Which calls asked which questions of known banks, counted."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import narwhals as nw
import pyarrow as pa

from stillroom.watch.banks.match import CALLS, HITS, match
from stillroom.watch.banks.prints import BankPrints
from stillroom.watch.counts import bank_hits
from stillroom.watch.engine import Engine, Frame

_TAKES = pa.schema([(field.name, field.type if field.name != "minhash" else pa.binary()) for field in CALLS])


def counted_hits(engine: Engine, calls: Frame, sketches: Frame, banks: Sequence[BankPrints]) -> Frame:
    """Schema `tables.BANK_HITS`. `calls`: countable ones, each once; `sketches`: at most one for each call."""
    if not banks:
        return bank_hits(engine.from_arrow(HITS.empty_table()))
    free = calls.filter(nw.col("permit_id").is_null())
    asked = free.select("call_id", "account", "at", "print_key_id", "prompt_print")
    both = asked.join(sketches, on="call_id", how="left")
    return bank_hits(engine.map_arrow(both, partial(_match, banks=tuple(banks)), _TAKES, HITS))


def _match(batch: pa.RecordBatch, banks: Sequence[BankPrints]) -> pa.RecordBatch:
    return match(batch, banks)
