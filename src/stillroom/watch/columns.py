"""The columns of calls that `watch` looks at, and which of them a source of calls gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import narwhals as nw
import pyarrow as pa

from stillroom.store.calls import CALLS, EARLIER_PRINTS, SKETCHES
from stillroom.watch.engine import Frame

_UNSEEN = {"row", "salt", "receipt_id", "escrow_digest", "key_id", "cost_usd", "cached_tokens", "counted_by"}


def _plain(schema: pa.Schema) -> pa.Schema:
    """Without metadata, and with bytes of any length: not every engine has a type for bytes of one length."""
    kinds = ((field.name, field.type) for field in schema)
    return pa.schema([(name, pa.binary() if pa.types.is_fixed_size_binary(kind) else kind) for name, kind in kinds])


CALL_COLUMNS = pa.schema([field for field in _plain(CALLS) if field.name not in _UNSEEN])
SKETCH_COLUMNS = _plain(SKETCHES)
EARLIER_COLUMNS = _plain(EARLIER_PRINTS)
CAPABILITIES = (*(name for name in CALL_COLUMNS.names if name not in ("call_id", "permit_id")), "minhash")
"""What a source may leave out. A call without a permit has none, so an empty `permit_id` says nothing."""


def known_counts(calls: Frame, sketches: Frame) -> Frame:
    """One row: for each of CAPABILITIES of how many rows it is known, and `rows`."""
    # Twice aggregated and joined on a constant: a table without rows has this one row too.
    known = [nw.col(name).count().alias(name) for name in CAPABILITIES if name != "minhash"]
    of_calls = calls.select(nw.col("call_id").len().alias("rows"), *known)
    of_sketches = sketches.select(nw.col("minhash").count().alias("minhash"))
    return of_calls.join(of_sketches, how="cross")


def shares(rows: int, known: Mapping[str, Any]) -> Mapping[str, float]:
    """For each of CAPABILITIES the share of rows of which it is known, 0 to 1; all 0 where there are no rows."""
    return {name: min(1.0, known[name] / rows) if rows else 0.0 for name in CAPABILITIES}


def never_known(known: Mapping[str, int]) -> frozenset[str]:
    """The columns that no row gives: whatever needs one of them is absent."""
    return frozenset(name for name in CAPABILITIES if not known.get(name))
