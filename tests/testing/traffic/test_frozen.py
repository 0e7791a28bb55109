"""The same seed makes the same traffic, in any process: figures of detectors rest on it."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from stillroom.testing.traffic import TRAFFIC_VERSION, Campaign, Traffic, benign, campaign

DIGESTS = {
    1: [
        "2fffe0b3bceb038e17f435d82b48f0664d84faf48567ccb545a82af22d0f68db",
        "b57c57befe06645686319ee008ff56d52d69c8bfbbed156a50022b9e8fcb90ff",
    ],
}
"""Of each version's customers and campaigns. A change that alters one is a new version: add a line, and alter none."""


def campaigns(beside: Traffic) -> Traffic:
    families = frozenset({"network", "payment", "client", "time"})
    extras = frozenset({"asks_reasoning", "long_replies", "regular", "new_model", "single_turn"})
    settings: list[dict[str, Any]] = [
        {"source": "bank", "split": "disjoint", "time": "in_step"},
        {"source": "bank_part", "split": "random", "time": "turns"},
        {"source": "reworded", "split": "in_order", "time": "relay"},
        {"source": "template", "split": "repeated", "time": "in_step"},
        {"source": "seeds", "split": "disjoint", "time": "turns"},
    ]
    common: dict[str, Any] = {"bank": "word_problems", "families": families, "extras": extras}
    common |= {"organisations": 6, "dilution": 0.3, "networks": 2, "days": 10, "start_day": 2, "replaced": 3}
    first, *others = (
        campaign(Campaign(setting["source"], 200, 10, **setting, **common), 12, beside) for setting in settings
    )
    return first.with_traffic(*others)


def digest(traffic: Traffic) -> str:
    """Without what is made from a time to the microsecond: its last digits are the processor's."""
    calls = traffic.calls.drop_columns(["call_id", "at", "latency_us", "salt"])
    second = pa.array(traffic.calls["at"].to_numpy() // 1_000_000)
    total = hashlib.sha256()
    for table in (calls.append_column("second", second), traffic.sketches.drop_columns(["call_id"]), traffic.truth):
        for column in table.column_names:
            total.update(column.encode())
            total.update(table[column].is_valid().to_numpy().tobytes())
            total.update("\n".join(map(str, table[column].drop_null().unique().to_pylist())).encode())
            encoded: Any = pc.dictionary_encode(table[column].drop_null()).combine_chunks()
            total.update(encoded.indices.to_numpy().astype("<i4").tobytes())
    return total.hexdigest()


def test_the_traffic_of_this_version_is_what_it_was(twins: Traffic) -> None:
    assert [digest(twins), digest(campaigns(twins))] == DIGESTS[TRAFFIC_VERSION]


def test_another_process_makes_the_same() -> None:
    code = (
        "from stillroom.testing.traffic import benign\n"
        "made = benign(2, organisations=20, calls_per_organisation=10, twins=('office', 'reseller'))\n"
        "import hashlib\n"
        "print(hashlib.sha256(repr(made.calls['call_id'].to_pylist()).encode()).hexdigest())\n"
    )
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    here = benign(2, organisations=20, calls_per_organisation=10, twins=("office", "reseller"))
    assert there == hashlib.sha256(repr(here.calls["call_id"].to_pylist()).encode()).hexdigest()


def test_another_seed_makes_another() -> None:
    one, other = (benign(seed, organisations=20, calls_per_organisation=10, twins=()) for seed in (1, 2))
    assert not {*one.truth["account"].to_pylist()} & {*other.truth["account"].to_pylist()}
    assert not {*one.calls["call_id"].to_pylist()} & {*other.calls["call_id"].to_pylist()}
