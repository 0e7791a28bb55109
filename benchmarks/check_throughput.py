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
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.ask_contenders.measured import cpu_s
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
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--scale", type=float, default=1.0, help="times the usual number of answers")
    parser.add_argument("--only", choices=("math", "workers", "others"), help="a part of it")
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)  # math-verify warns of what the workers' own limit takes care of
    print(f"math-verify {importlib.metadata.version('math-verify')}, {arguments.rounds} rounds\n")
    gsm8k = rows_of(arguments.data / FILES["gsm8k"], "gsm8k")[: round(600 * arguments.scale)]
    math = rows_of(arguments.data / FILES["math"], "math")[: round(400 * arguments.scale)]
    workers = {count: Workers("math", count=count) for count in (1, 2)}
    for count, pool in workers.items():
        pool.run_many([math_request("1", "1") for _ in range(4 * count)])  # start them
    if arguments.only in (None, "math"):
        measure_math(workers[1], math, arguments.rounds)
    if arguments.only in (None, "workers"):
        measure_workers(workers, math, arguments.rounds)
        poisoned(workers[2], own(math)[:100])
    if arguments.only in (None, "others"):
        measure_other_kinds(gsm8k, arguments.rounds)


def measure_math(one_worker: Workers, rows: Sequence[Row], rounds: int) -> None:
    for name, pairs in (
        ("own solutions", own(rows)),
        ("others' solutions", others(rows)),
        ("rewritten", rewritten(rows)),
    ):
        contenders: dict[str, Callable[[], object]] = {
            "math-verify": functools.partial(with_math_verify, pairs),
            "in a loop": functools.partial(in_a_loop, pairs),
            "1 worker": functools.partial(with_workers, one_worker, pairs),
        }
        show(f"math, {name}", len(pairs), measured(contenders, rounds))


def measure_workers(workers: dict[int, Workers], rows: Sequence[Row], rounds: int) -> None:
    pairs = 2 * [*own(rows), *others(rows), *rewritten(rows)]
    contenders: dict[str, Callable[[], object]] = {
        str(count): functools.partial(with_workers, pool, pairs) for count, pool in workers.items()
    }
    show_scaling(len(pairs), measured(contenders, rounds))


def measure_other_kinds(rows: Sequence[Row], rounds: int) -> None:
    for kind in ("number", "exact", "choice"):
        pairs = [(as_kind(row, kind), text) for row, text in (*own(rows), *others(rows))]
        contenders: dict[str, Callable[[], object]] = {
            "math-verify": functools.partial(with_math_verify, pairs),
            kind: functools.partial(plainly, pairs),
        }
        show(kind, len(pairs), measured(contenders, rounds))


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


@dataclass(frozen=True)
class Took:
    wall_s: float
    cpu_s: float
    """Of this process and its workers."""


def measured(contenders: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[Took]]:
    """What each contender took in each round, after one that does not count: grammars and caches are warm then."""
    took: dict[str, list[Took]] = {name: [] for name in contenders}
    for run in contenders.values():
        run()
    for _ in range(rounds):
        for name, run in contenders.items():
            started, cpu = time.perf_counter(), cpu_s(os.getpid())
            run()
            took[name].append(Took(time.perf_counter() - started, cpu_s(os.getpid()) - cpu))
    return took


def show(what: str, answers: int, took: dict[str, list[Took]]) -> None:
    print(f"{what}: {answers} answers")
    for name, rounds in took.items():
        ratios = [first.wall_s / its.wall_s for first, its in zip(took["math-verify"], rounds, strict=True)]
        rate = answers / statistics.median(its.wall_s for its in rounds)
        cpu_ms = 1000 * statistics.median(its.cpu_s for its in rounds) / answers
        print(f"   {name:12}{rate:8,.0f} answers/s {cpu_ms:8.2f} CPU ms each   {spread(ratios)} times math-verify")
    print(flush=True)


def show_scaling(answers: int, took: dict[str, list[Took]]) -> None:
    print(f"math, all of these: {answers} answers")
    for count, rounds in took.items():
        cpu_ms = 1000 * statistics.median(its.cpu_s for its in rounds) / answers
        rate = answers / statistics.median(its.wall_s for its in rounds)
        print(f"   workers: {count}  {rate:8,.0f} answers/s {cpu_ms:8.2f} CPU ms each")
    ratios = [one.wall_s / two.wall_s for one, two in zip(took["1"], took["2"], strict=True)]
    print(f"   2 workers over 1: {spread(ratios)}\n", flush=True)


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
