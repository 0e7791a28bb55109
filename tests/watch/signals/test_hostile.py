"""Rows as they should not be: unknown counts, accounts that never called, times and numbers that make no sense."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.watch.signals.windows import BANK, SINCE, TEST_BANK, ordinary, window

from stillroom.watch import window as window_tables
from stillroom.watch.signals.candidates import candidates_of
from stillroom.watch.signals.explanations import explanations_of
from stillroom.watch.signals.measure import signals_of
from stillroom.watch.signals.standing import fit_standings
from stillroom.watch.tables import ACTIVITY
from stillroom.watch.window import Bank

STANDINGS = fit_standings(signals_of(window(**ordinary(100))))
COLUMNS = ("turns", "n", "model", "prompt_print", "skeleton_print", "completion_tokens", "asks_grading", "user_print")
NUMBERS: list[Any] = [None, 0, 0, 1, 1, 2, 5, 40, 1000, 2**40]
TEXTS: list[Any] = ["a", "b", "c", "", "never called", "🙂", None]


def rows(random: np.random.Generator, schema: pa.Schema, count: int) -> list[dict[str, Any]]:
    def value(name: str, kind: pa.DataType) -> Any:
        if name == "day" or name.endswith("_day"):
            return SINCE + int(random.integers(0, 28))
        if name == "question":
            return int(random.integers(0, 2 * BANK.questions))
        if name == "bank":
            return random.choice([BANK.name, TEST_BANK.name, "removed"])
        if pa.types.is_string(kind):
            return TEXTS[random.integers(len(TEXTS))]
        return NUMBERS[random.integers(len(NUMBERS))]

    return [{field.name: value(field.name, field.type) for field in schema} for _ in range(count)]


@pytest.mark.parametrize("seed", range(15))
def test_no_row_stops_it(seed: int) -> None:
    random = np.random.default_rng(seed)
    schemas = {
        "templates": window_tables.TEMPLATES,
        "users": window_tables.USERS,
        "models": window_tables.MODELS,
        "bank_hits": window_tables.BANK_HITS,
        "repeats": window_tables.REPEATS,
    }
    parts: dict[str, Any] = {
        name: rows(random, schema, int(random.integers(0, 60))) for name, schema in schemas.items()
    }
    missing = frozenset(name for name in COLUMNS if random.random() < 0.2)
    banks = [(), (BANK,), (TEST_BANK,), (BANK, TEST_BANK), (Bank("removed", 3, None), BANK)][seed % 5]
    activity = rows(random, ACTIVITY, int(random.integers(0, 60)))
    signals = signals_of(window(activity, banks=banks, missing=missing, **parts))
    for name, column in signals.values.items():
        assert column.shape == (len(signals.organisations),), name
        assert not np.isinf(column).any(), name
        for organisation in range(len(column)):
            if np.isfinite(column[organisation]):
                assert signals.sentence(name, organisation)
    for organisation in range(len(signals.organisations)):
        assert all(each.sentence for each in explanations_of(signals.seen(organisation)))
    for found in candidates_of(signals, STANDINGS):
        assert np.isfinite(found.score)
