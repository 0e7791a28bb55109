"""How many answers a second are judged: each kind, and math-verify called plainly in a loop on the same answers.

    python -m benchmarks.check_throughput [--data ../shared/data] [--rounds 5] [--scale 1.0]

The answers are worked solutions of GSM8K (kinds number, exact, choice) and MATH (kind math), each given to its own
problem and to another one; for math also the bare reference written in another way, which is what has to be computed.
In every round all contenders run one after the other, and ratios are taken within a round. math-verify runs in this
process, with its own time limit, as its README has it; `in a loop` is our judging in this process, without a worker.
At last one answer that hangs its worker is put among the others: it must cost its own verdict and no other.
"""

from __future__ import annotations

import argparse
import functools
import importlib.metadata
import logging
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.check_references import FILES, Row, crossed, rows_of
from math_verify import parse, verify  # type: ignore[import-untyped]

from stillroom.verify import verify_many
from stillroom.verify.math import math_judgement, math_request
from stillroom.verify.mathematics import judge_mathematics
from stillroom.verify.workers import Workers

Pair = tuple[Row, str]
POISON = "$\\binom{1000000000}{500000000}$"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="times the usual number of answers")
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)  # math-verify warns of what the workers' own limit takes care of
    print(f"math-verify {importlib.metadata.version('math-verify')}, {arguments.rounds} rounds\n")
    gsm8k = rows_of(arguments.data / FILES["gsm8k"], "gsm8k")[: round(600 * arguments.scale)]
    math = rows_of(arguments.data / FILES["math"], "math")[: round(400 * arguments.scale)]
    workers = {count: Workers("math", count=count) for count in (1, 2)}
    for count, pool in workers.items():
        pool.run_many([math_request("1", "1") for _ in range(4 * count)])  # start them
    for name, pairs in (
        ("own solutions", own(math)),
        ("others' solutions", others(math)),
        ("rewritten", rewritten(math)),
    ):
        contenders: dict[str, Callable[[], object]] = {
            "math-verify": functools.partial(with_math_verify, pairs),
            "in a loop": functools.partial(in_a_loop, pairs),
            "1 worker": functools.partial(with_workers, workers[1], pairs),
            "2 workers": functools.partial(with_workers, workers[2], pairs),
        }
        show(f"math, {name}", len(pairs), measured(contenders, arguments.rounds))
    for kind in ("number", "exact", "choice"):
        pairs = [(as_kind(row, kind), text) for row, text in (*own(gsm8k), *others(gsm8k))]
        contenders = {
            "math-verify": functools.partial(with_math_verify, pairs),
            kind: functools.partial(plainly, pairs),
        }
        show(kind, len(pairs), measured(contenders, arguments.rounds))
    poisoned(workers[2], own(math)[:100])


def own(rows: Sequence[Row]) -> list[Pair]:
    return [(row, row.solution) for row in rows]


def others(rows: Sequence[Row]) -> list[Pair]:
    return [(row, other.solution) for row, other in crossed(list(rows), 1)]


def rewritten(rows: Sequence[Row]) -> list[Pair]:
    r"""The reference in another writing that is no plain number: \frac{2 \cdot (x + 1)}{2} for x + 1."""
    values = [row for row in rows if not row.reference.lstrip("-").isdigit() and "\\text" not in row.reference]
    return [(row, f"The answer is $\\frac{{2 \\cdot ({row.reference})}}{{2}}$.") for row in values]


def as_kind(row: Row, kind: Any) -> Row:
    answer = {"number": row.reference, "exact": f"{row.reference} dollars", "choice": "B"}[kind]
    return replace(row, question=row.question.model_copy(update={"kind": kind, "answer": answer}))


def with_math_verify(pairs: Sequence[Pair]) -> None:
    for row, text in pairs:
        verify(parse(f"${row.reference}$"), parse(text))


def in_a_loop(pairs: Sequence[Pair]) -> None:
    for row, text in pairs:
        judge_mathematics(row.reference, text, row.question.messages[0].content)


def with_workers(workers: Workers, pairs: Sequence[Pair]) -> list[str]:
    requests = [math_request(row.reference, text, row.question.messages[0].content) for row, text in pairs]
    return [math_judgement(response, workers.limit_s).verdict for response in workers.run_many(requests)]


def plainly(pairs: Sequence[Pair]) -> None:
    verify_many([(row.question, text) for row, text in pairs])


def measured(contenders: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each contender in each round, after one that does not count: grammars and caches are warm then."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for run in contenders.values():
        run()
    for _ in range(rounds):
        for name, run in contenders.items():
            started = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - started)
    return seconds


def show(what: str, answers: int, seconds: dict[str, list[float]]) -> None:
    print(f"{what}: {answers} answers")
    for name, times in seconds.items():
        ratios = [first / time for first, time in zip(seconds["math-verify"], times, strict=True)]
        print(f"   {name:12}{answers / statistics.median(times):9,.0f} answers/s   {spread(ratios)} times math-verify")
    if "2 workers" in seconds:
        ratios = [one / two for one, two in zip(seconds["1 worker"], seconds["2 workers"], strict=True)]
        print(f"   2 workers over 1: {spread(ratios)}")
    print(flush=True)


def spread(ratios: Sequence[float]) -> str:
    return f"{statistics.median(ratios):.3g} ({min(ratios):.3g} to {max(ratios):.3g})"


def poisoned(workers: Workers, pairs: list[Pair]) -> None:
    clean = with_workers(workers, pairs)
    row = next(row for row, _ in pairs if row.reference.isdigit())
    middle = len(pairs) // 2
    started = time.perf_counter()
    verdicts = with_workers(workers, [*pairs[:middle], (row, POISON), *pairs[middle:]])
    print(
        f"one poisoned answer among {len(pairs)}: {verdicts.pop(middle)}, {time.perf_counter() - started:.1f} s in all"
    )
    print(f"   the other verdicts: {'as without it' if verdicts == clean else 'CHANGED'}")


if __name__ == "__main__":
    main()
