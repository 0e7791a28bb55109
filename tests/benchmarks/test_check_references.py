"""The benchmark of reference solutions, on an excerpt: own solutions are right, no other one and no spoilt one is."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

REFERENCES = Path(__file__).parent.parent / "data" / "references"


@pytest.fixture(autouse=True)
def _benchmarks_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))


@pytest.mark.parametrize("source", ["gsm8k", "math"])
def test_only_its_own_solution_is_right(source: Literal["gsm8k", "math"]) -> None:
    from benchmarks.check_references import judge_others, judge_own, judge_spoilt, rows_of

    rows = rows_of(REFERENCES / f"{source}.jsonl", source)
    assert len(rows) >= 60
    assert judge_own(source, rows) == []
    assert judge_others(source, rows, others=8) == []
    assert judge_spoilt(source, rows) == []


def test_answers_are_spoilt_in_a_digit_a_sign_and_a_unit() -> None:
    from benchmarks.check_references import row_of, spoilt

    row = row_of("gsm8k", 1, {"question": "How many meters does he run?", "answer": "3 * 4 = 12\n#### 12"})
    assert list(spoilt(row)) == [("digit", "22"), ("digit", "13"), ("sign", "-12"), ("unit", "12 kilometers")]
    assert row.with_answer("13") == "3 * 4 = 12\n#### 13"
    row = row_of("math", 1, {"problem": "?", "solution": "It is $\\boxed{\\frac{1}{2}}$."})
    assert row.reference == "\\frac{1}{2}"
    assert row.with_answer("3") == "It is $\\boxed{3}$."


def test_a_missing_file_is_named() -> None:
    from benchmarks.check_references import rows_of

    with pytest.raises(SystemExit, match=r"nowhere.jsonl is missing"):
        rows_of(Path("nowhere.jsonl"), "gsm8k")
