"""Answers that hang a verifier or eat its memory, by chance or by intent: each costs its own row and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stillroom.verify.choice import verify_choice
from stillroom.verify.exact import verify_exact
from stillroom.verify.judgement import Judgement
from stillroom.verify.math import math_judgement, math_request, verify_math
from stillroom.verify.number import verify_number
from stillroom.verify.worker import MEMORY_BYTES
from stillroom.verify.workers import Workers

HANGS = "$\\binom{1000000000}{500000000}$"

POISONS = [
    "9^9^9^9",
    "$9^{9^{9^{9}}}$",
    "10**10**10",
    "1e999999999",
    "(" * 5000,
    "(" * 45 + "5" + ")" * 45,
    "$" + "\\frac{1}{" * 200 + "2" + "}" * 200 + "$",
    "$" + "\\sqrt{" * 60 + "2" + "}" * 60 + "$",
    "$((9999!)!)!$",
    "$(9999!)^{9999}$",
    "$(x+y+z+w+1)^{500} = x^{400}$",
    "$\\sum_{n=1}^{1000000000} \\frac{1}{n^2+n+1}$",
    "$\\int_0^1 e^{e^{e^{x^x}}} dx$",
    "$e^{e^{e^{e^{10}}}}$",
    "$\\{" + ",".join(map(str, range(3000))) + "\\}$",
    "$" + "x+" * 20_000 + "x$",
    "\\boxed{" * 20_000,
    "The answer is " * 10_000,
    "wait, " * 20_000,
    "1," * 50_000,
    "five and " * 20_000,
    "十" * 50_000,
    "[" * 3000 + "]" * 3000,
    "$\\text{" * 5000,
    "\x00\ud7ff\uffff" * 1000,
]


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    workers = Workers("math", limit_s=30.0, count=2)
    yield workers
    workers.close()


@pytest.mark.parametrize("answer", POISONS, ids=range(len(POISONS)))
def test_a_poisoned_answer_is_not_right(workers: Workers, answer: str) -> None:
    assert verify_math("5", answer, workers).verdict != "right"
    assert verify_number("7", answer).verdict != "right"
    assert verify_exact("Paris", answer).verdict != "right"
    assert verify_choice("B", answer).verdict != "right"


def test_a_poisoned_reference_is_not_right_either(workers: Workers) -> None:
    for reference in ("9^9^9^9", "(" * 3000, "$\\frac{1}{0}$", "\\input{x}"):
        assert verify_math(reference, "$5$", workers).verdict != "right"
        assert verify_number(reference, "5").verdict != "right"


def test_an_answer_that_hangs_costs_its_own_verdict_and_no_other() -> None:
    requests = [math_request(str(n), f"${n + n % 3}$") for n in range(60)]
    workers = Workers("math", limit_s=6.0, count=2)
    clean = judged(workers, requests)
    poisoned = judged(workers, [*requests[:20], math_request("5", HANGS), *requests[20:]])
    workers.close()
    hung = poisoned.pop(20)
    assert (hung.verdict, hung.reason, hung.seconds) == ("unsure", "verifying took more than 6 seconds", 6.0)
    assert [judgement.verdict for judgement in clean] == ["right" if n % 3 == 0 else "wrong" for n in range(60)]
    assert poisoned == clean
    assert all(judgement.seconds > 0 for judgement in poisoned)


def judged(workers: Workers, requests: list[dict[str, Any]]) -> list[Judgement]:
    return [math_judgement(response, workers.limit_s) for response in workers.run_many(requests)]


def test_a_worker_may_not_use_more_memory_than_its_limit(workers: Workers) -> None:
    assert verify_math("2", "$2$", workers).verdict == "right"
    limits = Path(f"/proc/{workers._idle[0].process.pid}/limits")
    if limits.exists():  # Linux says; macOS has no limit on the address space
        (line,) = [line for line in limits.read_text().splitlines() if line.startswith("Max address space")]
        assert str(MEMORY_BYTES) in line.split()
