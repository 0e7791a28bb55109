"""A call as a row of the log: its values in order, the bytes that are committed to, and the commitment."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any

import orjson

from stillroom.base.records import Call
from stillroom.text.prints import EarlierPrints

CALL_COLUMNS = tuple(field.name for field in fields(Call))
EARLIER_COLUMNS = tuple(field.name for field in fields(EarlierPrints))

call_values = attrgetter(*CALL_COLUMNS)
"""The values of a call in the order of CALL_COLUMNS."""


def call_row(columns: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    """A row by name, from values that were written under these columns. What was no column then is None."""
    row = dict.fromkeys(CALL_COLUMNS)
    row.update(zip(columns, values, strict=True))
    return row


def call_of(row: Mapping[str, Any]) -> Call:
    return Call(**{name: row[name] for name in CALL_COLUMNS})


def canonical_row(
    row: Mapping[str, Any], sketch: bytes | None, earlier: Mapping[str, Any] | None, receipt: str | None
) -> bytes:
    """Canonical JSON (`stillroom.base.canonical`) of the call with `sketch` (hex), `earlier` (an object) and `receipt`.

    Without what is null: a column that is added later, and is null in older rows, changes nothing about them.
    """
    present = {name: row[name] for name in CALL_COLUMNS if row[name] is not None}
    if sketch is not None:
        present["sketch"] = sketch.hex()
    if earlier is not None:
        values = {name: earlier[name] for name in EARLIER_COLUMNS if earlier[name] is not None}
        present["earlier"] = {**values, "minhash": values["minhash"].hex()} if "minhash" in values else values
    if receipt is not None:
        present["receipt"] = receipt
    temperature = row["temperature"]
    if temperature is not None:  # the one float: spelled as the canonical form has it
        whole = int(temperature) if float(temperature).is_integer() else temperature
        present["temperature"] = orjson.Fragment(json.dumps(whole))
    return orjson.dumps(present, option=orjson.OPT_SORT_KEYS)
