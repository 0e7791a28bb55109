"""What metering costs the gateway for a call: prints and sketch of its texts, two lines of log; and what sealing costs.

    python benchmarks/serve_meter.py

Real questions are put together to prompts of 1,500 characters; of each, the fastest of several runs counts, since the
machine's other work only ever adds, and the median over them is printed. While a segment is sealed, calls go on being
logged: the longest of them says whether sealing is felt.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import statistics
import tempfile
import time
import timeit
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from stillroom.base.records import Call
from stillroom.serve.meter.call_log import SEAL_REQUEST, CallLog
from stillroom.serve.meter.chain import read_chain
from stillroom.serve.meter.forgetting import forget
from stillroom.serve.meter.ids import new_id
from stillroom.serve.meter.verification import verify_log
from stillroom.store.secrets import Secrets
from stillroom.text.normal import normalised, skeleton
from stillroom.text.prints import Prints
from stillroom.text.sketch import Sketcher

QUESTIONS = Path(__file__).parents[1] / "tests" / "data" / "gsm8k" / "test_excerpt.jsonl"
PROMPT_CHARACTERS = 1_500
SYSTEM = "You are a helpful assistant. Think step by step, then give the answer after ####."
UNKNOWN = Call("", 0, "acct_1", "org_1", "key_1", "abacus", "chat", True, *[None] * 17)  # type: ignore[arg-type]


def prompts() -> list[str]:
    """As many as there are questions, each beginning with another one."""
    questions = [json.loads(line)["question"] for line in QUESTIONS.read_text(encoding="utf-8").splitlines()]
    return [" ".join(questions[start:] + questions[:start])[:PROMPT_CHARACTERS] for start in range(len(questions))]


def microseconds(function: Callable[[str], object], texts: list[str]) -> float:
    fastest = [min(timeit.repeat(lambda text=text: function(text), number=20, repeat=7)) / 20 for text in texts]  # type: ignore[misc]
    return statistics.median(fastest) * 1e6


def a_call(prints: Prints, number: int) -> Call:
    at = time.time_ns() // 1000
    some = prints.label("user", str(number % 100))
    return replace(
        UNKNOWN,
        call_id=new_id(at),
        at=at,
        account=f"acct_{number % 50}",
        turns=1,
        max_tokens=1024,
        temperature=0.7,
        n=1,
        asks_reasoning=False,
        ip_print=some,
        agent="openai/2.1",
        prompt_print=prints.label("user", str(number)),
        system_print=some,
        skeleton_print=some,
        print_key_id=prints.print_key_id,
    )


def log_one(log: CallLog, call: Call) -> float:
    """Seconds."""
    sketch, receipt = os.urandom(64), base64.urlsafe_b64encode(os.urandom(675)).decode()  # as long as a real one
    started = time.perf_counter()
    log.begin(call)
    call.prompt_tokens, call.completion_tokens, call.counted_by = 400, 300, "provider"
    call.cost_usd, call.latency_us, call.status, call.http_status = "0.000877", 812_345, "ok", 200
    call.receipt_id = call.call_id
    log.settle(call, sketch, receipt)
    return time.perf_counter() - started


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def measure_log(rows: int, prints: Prints) -> None:
    with tempfile.TemporaryDirectory() as folder:
        calls = Path(folder) / "calls"
        log = CallLog(calls / "w0", rows=10**9)
        quiet = [log_one(log, a_call(prints, number)) for number in range(rows)]
        print(
            f"begin and settle: median {statistics.median(quiet) * 1e6:.1f} us,"
            f" p99 {quantile(quiet, 0.99) * 1e6:.1f} us"
        )
        (calls / "w0" / SEAL_REQUEST).touch()
        started = time.perf_counter()
        busy: list[float] = []
        while not read_chain(calls / "w0"):
            busy.append(log_one(log, a_call(prints, len(busy))))
            time.sleep(0.001)
        print(
            f"sealing {rows:,} rows: {time.perf_counter() - started:.1f} s with its start; meanwhile begin and settle:"
            f" p99 {quantile(busy, 0.99) * 1e6:.0f} us, longest {max(busy) * 1e3:.2f} ms of {len(busy):,}"
        )
        log.close()
        size = sum(path.stat().st_size for path in calls.rglob("*.parquet"))
        started = time.perf_counter()
        report = verify_log(calls)
        seconds = time.perf_counter() - started
        print(f"sealed: {size / report.rows:.0f} bytes a row; verified: {report.rows / seconds:,.0f} rows a second")
        started = time.perf_counter()
        forgotten = forget(calls, "acct_7", None)
        print(f"forgot {forgotten.rows:,} of {report.rows:,} rows in {time.perf_counter() - started:.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000, help="calls in the segment that is sealed")
    rows = parser.parse_args().rows
    prints, texts = Prints(Secrets(bytes(32)), "2026q4"), prompts()
    sketcher = Sketcher(bytes(32))
    parts: dict[str, Callable[[str], object]] = {
        "normalised": normalised,
        "skeleton": skeleton,
        "sketch": sketcher.sketch,
        "all prints and the sketch": lambda text: prints.texts(text, SYSTEM),
        "network of an address": lambda _: prints.address("203.0.113.7"),
    }
    for name, function in parts.items():
        print(f"{name}, {PROMPT_CHARACTERS:,} characters: {microseconds(function, texts):.1f} us")
    measure_log(rows, prints)


if __name__ == "__main__":
    main()
