"""What `watch` costs: calls taken in, a window added up, findings made, at 1, 3 and 10 million calls.

    python -m benchmarks.watch_scale [--calls 1000000 3000000 10000000] [--calls-per-account 500] [--memory-mb 2500]

The calls are made up, as sealed segments of 50,000 over four weeks: own networks, cards and programs; 60 % texts of a
kind of their own, the others from templates, most of them the account's, some shared; a few calls ask a question of a
known bank of 7,473. One account in a hundred belongs to a campaign: ten networks, and an eighth of the calls asks each
account's own part of the bank. Thresholds are fitted on two earlier weeks, which is timed apart. Each size is a process
of its own, whose memory is the most that was resident; then one more hour's calls are taken in.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from stillroom.store.calls import CALLS, EARLIER_PRINTS, SKETCHES
from stillroom.store.secrets import Secrets
from stillroom.text.prints import Prints
from stillroom.watch.banks.prints import BankPrints, BankText
from stillroom.watch.detectors import (
    DETECTOR_VERSION,
    RECENT_DAYS,
    WHOLE_DAYS,
    Windows,
    calibrate,
    candidates,
    findings_of,
)
from stillroom.watch.engine import MEMORY_MB, Engine, open_engine
from stillroom.watch.intake import take_in
from stillroom.watch.state import window
from stillroom.watch.window import Bank

FIRST_DAY, DAYS, ROWS = 20_727, 28, 50_000
LAST_DAY = FIRST_DAY + DAYS
BUDGET = 1.0
"""Alarms a week."""
STEPS = ("intake", "calibration", "windows", "findings")
HOUR_US, DAY_US = 3_600_000_000, 86_400_000_000
PRINTS = Prints(Secrets(bytes(32)), "2026q4")
QUESTIONS = 7_473
_HEX = np.frombuffer(b"".join(f"{byte:02x}".encode() for byte in range(256)), np.uint16)
Numbers = NDArray[np.int64]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, nargs="+", default=[1_000_000, 3_000_000, 10_000_000])
    parser.add_argument("--calls-per-account", type=int, default=500)
    parser.add_argument("--memory-mb", type=int, default=MEMORY_MB, help="what DuckDB may hold")
    parser.add_argument("--folder", type=Path, help="where the calls are made; by default a temporary folder")
    parser.add_argument("--only", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        print(json.dumps(measured(arguments.only, arguments.memory_mb)))
        return
    figures = []
    for calls in arguments.calls:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as scratch:
            make_calls(Path(scratch), calls, max(1, calls // arguments.calls_per_account))
            figures.append(in_a_process(Path(scratch), arguments.memory_mb))
            report(calls, figures[-1])
    for calls, each in zip(arguments.calls[1:], figures[1:], strict=True):
        ratio = (cost(each) / calls) / (cost(figures[0]) / arguments.calls[0])
        print(f"{calls:,} against {arguments.calls[0]:,} calls: {ratio:.2f} times the processor time for each call")


def in_a_process(folder: Path, memory_mb: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.watch_scale", "--only", str(folder), "--memory-mb", str(memory_mb)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found: dict[str, Any] = json.loads(said.splitlines()[-1])
    return found


def report(calls: int, figures: dict[str, Any]) -> None:
    steps = ", ".join(
        f"{step} {figures['seconds'][step]:.0f} s ({figures['cpu'][step]:.0f} s of processor time)" for step in STEPS
    )
    together = sum(seconds for step, seconds in figures["seconds"].items() if step != "calibration")
    print(
        f"{calls:,} calls: {steps}; without calibration {together:.0f} s ({cost(figures):.0f} s);"
        f" {figures['findings']} findings; {figures['memory_mb'] / 1000:.1f} GB;"
        f" state {figures['state_mb']:.0f} MB; then {figures['hour_calls']:,} calls of an hour in"
        f" {figures['hour_s']:.1f} s",
        flush=True,
    )


def cost(figures: dict[str, Any]) -> float:
    """Processor seconds from calls to findings."""
    return float(sum(seconds for step, seconds in figures["cpu"].items() if step != "calibration"))


def measured(folder: Path, memory_mb: int) -> dict[str, Any]:
    bank, state = known_bank(), folder / "state"
    times = [moment()]
    with open_engine("duckdb", folder / "scratch", memory_mb=memory_mb) as engine:
        take_in(engine, folder / "calls", state, [bank])
        times.append(moment())
        weeks = {day: candidates(windows(engine, state, day)) for day in (LAST_DAY - 14, LAST_DAY - 7)}
        calibrated = calibrate(weeks, BUDGET)
        del weeks
        times.append(moment())
        made = windows(engine, state, LAST_DAY)
        times.append(moment())
    found = findings_of(candidates(made), calibrated, found_at=LAST_DAY * DAY_US, version=DETECTOR_VERSION)
    times.append(moment())
    usage = resource.getrusage(resource.RUSAGE_SELF)
    size = sum(path.stat().st_size for path in state.rglob("*.parquet"))
    (folder / "hour").rename(folder / "calls" / "w1")
    with open_engine("duckdb", folder / "scratch", memory_mb=memory_mb) as engine:
        hour_began = time.perf_counter()
        hour = take_in(engine, folder / "calls", state, [bank])
        hour_s = time.perf_counter() - hour_began
    return {
        "seconds": dict(zip(STEPS, (after[0] - before[0] for before, after in pairwise(times)), strict=True)),
        "cpu": dict(zip(STEPS, (after[1] - before[1] for before, after in pairwise(times)), strict=True)),
        "memory_mb": usage.ru_maxrss / 1000,
        "state_mb": size / 1e6,
        "findings": len(found),
        "hour_calls": hour.counted,
        "hour_s": hour_s,
        "rows": {name: getattr(made.whole, name).num_rows for name in ("activity", "templates", "keys", "bank_hits")},
    }


def moment() -> tuple[float, float]:
    """Seconds of a clock, and of all processors for this process: on a busy machine only the second is a figure."""
    return time.perf_counter(), time.process_time()


def windows(engine: Engine, state: Path, until_day: int) -> Windows:
    banks = [Bank("made up", QUESTIONS, "train")]
    recent, whole = (window(engine, state, until_day - days, until_day, banks) for days in (RECENT_DAYS, WHOLE_DAYS))
    return Windows(recent, whole)


def known_bank() -> BankPrints:
    texts = tuple(
        f"Farmer {number} has {number * 7 % 1009} sheep in {number % 13} folds and sells {number * 3 % 11} each week. "
        f"In how many weeks are {number * 5 % 503} left, if lot {number * 8191} is not counted?"
        for number in range(QUESTIONS)
    )
    return BankPrints.of(BankText("made up", texts, "train", "sha256:"), PRINTS)


def make_calls(folder: Path, calls: int, accounts: int) -> None:
    """`calls/w0`, and beside it in `hour` what comes in one more hour."""
    generator = np.random.default_rng(calls)
    people = People(generator, accounts)
    bank = known_bank()
    at = FIRST_DAY * DAY_US + np.sort(generator.integers(0, DAYS * DAY_US, calls))
    for number, start in enumerate(range(0, calls, ROWS), 1):
        write_segment(folder / "calls" / "w0" / f"{number:08}", generator, people, bank, at[start : start + ROWS])
    an_hour = max(1, calls // (DAYS * 24))
    later = (FIRST_DAY + DAYS - 1) * DAY_US + 23 * HOUR_US + np.sort(generator.integers(0, HOUR_US, an_hour))
    write_segment(folder / "hour" / f"{1:08}", generator, people, bank, later)


class People:
    """What accounts have of their own, each as an array by account."""

    def __init__(self, generator: np.random.Generator, accounts: int) -> None:
        self.weights = generator.lognormal(0, 1.5, accounts)
        self.weights /= self.weights.sum()
        self.names = pa.array([f"acct_{number:06}" for number in range(accounts)])
        self.organisations = pa.array([f"org_{number // 2:06}" for number in range(accounts)])
        self.members = np.flatnonzero(generator.random(accounts) < 0.01)
        network = np.arange(accounts)
        network[self.members] = self.members[np.arange(len(self.members)) % 10 % max(1, len(self.members))]
        self.networks = hexadecimal(generator, accounts).take(places(network))
        self.cards = hexadecimal(generator, (accounts + 1) // 2)
        self.systems = hexadecimal(generator, accounts)
        self.templates = hexadecimal(generator, 5 * accounts + 200)
        self.programs = pa.array([f"sdk/{number}.0" for number in range(30)])
        self.tls = hexadecimal(generator, 30)
        self.program = np.minimum(generator.zipf(1.5, accounts), 30) - 1
        self.place = np.full(accounts, -1)
        """In the campaign; -1 of the others."""
        self.place[self.members] = np.arange(len(self.members))


def write_segment(
    folder: Path, generator: np.random.Generator, people: People, bank: BankPrints, at: NDArray[np.int64]
) -> None:
    rows = len(at)
    who: Numbers = generator.choice(len(people.names), rows, p=people.weights)
    prompts, skeletons, sketches = texts(generator, people, bank, who)
    columns = {
        "call_id": hexadecimal(generator, rows),
        "at": pa.array(at),
        "account": people.names.take(places(who)),
        "organisation": people.organisations.take(places(who)),
        "model": pa.array(["large", "small", "new"]).take(places(generator.integers(0, 3, rows))),
        "stream": pa.array(generator.random(rows) < 0.5),
        "turns": pa.array(generator.geometric(0.5, rows)),
        "asks_reasoning": pa.array(generator.random(rows) < 0.2),
        "ip_print": people.networks.take(places(who)),
        "tls_print": people.tls.take(places(people.program[who])),
        "agent": people.programs.take(places(people.program[who])),
        "billing_print": people.cards.take(places(who // 2)),
        "prompt_print": prompts,
        "system_print": people.systems.take(places(who)),
        "skeleton_print": skeletons,
        "print_key_id": pa.array([PRINTS.print_key_id] * rows),
        "prompt_tokens": pa.array(generator.integers(5, 800, rows)),
        "completion_tokens": pa.array(generator.integers(5, 1_500, rows)),
        "status": pa.array(["ok"] * rows),
    }
    calls = [columns.get(field.name, pa.nulls(rows, field.type)) for field in CALLS]
    folder.mkdir(parents=True)
    pq.write_table(pa.Table.from_arrays(calls, schema=CALLS), folder / "calls.parquet", compression="zstd")
    binary = pa.Array.from_buffers(pa.binary(64), rows, [None, pa.py_buffer(sketches.tobytes())])
    table = pa.Table.from_arrays([columns["call_id"], binary], schema=SKETCHES)
    pq.write_table(table, folder / "sketches.parquet", compression="zstd")
    pq.write_table(EARLIER_PRINTS.empty_table(), folder / "earlier_prints.parquet")


def texts(
    generator: np.random.Generator, people: People, bank: BankPrints, who: Numbers
) -> tuple[pa.Array[Any], pa.Array[Any], NDArray[np.uint8]]:
    """Prompts, skeletons and sketches (shape: calls, 64)."""
    rows = len(who)
    sketches = generator.integers(0, 256, (rows, 64), np.uint8)
    place = people.place[who]
    is_member = place >= 0
    is_asked = generator.random(rows) < np.where(is_member, 1 / 8, 1 / 500)
    parts = max(1, len(people.members))
    own_part = place + parts * generator.integers(0, max(1, len(bank) // parts), rows)
    question = np.where(is_member, own_part % len(bank), generator.integers(0, len(bank), rows))
    sketches[is_asked] = bank.sketches[question[is_asked]]
    asked, mine = pa.array(is_asked), hexadecimal(generator, rows)
    prompts = pc.if_else(asked, bank.prompt_prints.take(places(question)), mine)
    own = 200 + 5 * who + generator.integers(0, 5, rows)
    template = np.where(generator.random(rows) < 0.2, generator.integers(0, 200, rows), own)
    is_filled = pa.array(generator.random(rows) < 0.4)
    skeletons = pc.if_else(is_filled, people.templates.take(places(template)), hexadecimal(generator, rows))
    return prompts, skeletons, sketches


def places(numbers: NDArray[np.integer[Any]]) -> pa.Int64Array:
    return pa.array(numbers, pa.int64())


def hexadecimal(generator: np.random.Generator, count: int) -> pa.Array[Any]:
    """Random prints: 32 hex digits each."""
    digits = _HEX[np.frombuffer(generator.bytes(16 * count), np.uint8)]
    offsets = np.arange(0, 32 * count + 1, 32, dtype=np.int32)
    buffers = [None, pa.py_buffer(offsets.tobytes()), pa.py_buffer(digits.tobytes())]
    return pa.Array.from_buffers(pa.string(), count, buffers)


if __name__ == "__main__":
    main()
