"""Every row of tests/data/verdicts, written by hand before the verifiers were run on it, is judged as it says.

Where a careful person sees more than a verifier does, the verifier may be unsure: those rows are named here. It is
never right where the person is not, and never wrong where the person is right.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stillroom.base.records import Message, Question
from stillroom.verify import Judgement, verify_many

TABLE = Path(__file__).parent.parent / "data" / "verdicts"
KINDS = ("math", "number", "exact", "choice")

UNSURE_INSTEAD: dict[str, dict[tuple[str, str], str]] = {
    "math": {
        ("[-1,2]", r"-1 \le x \text{ and } x \le 2"): "right",
        (r"(0,1)\cup(1,2)", r"(0,2)\setminus\{1\}"): "right",
        ("5", r"\geq 5"): "wrong",
    },
    "number": {
        ("3", "The total is twelve. That took 3 steps."): "wrong",
        ("5", "import os; os.system('exit 5')"): "wrong",
        ("18", "18" * 1000): "wrong",
    },
    "exact": {},
    "choice": {},
}
"""(reference, answer) -> the verdict of the table, for rows that the verifier is unsure of."""


def rows_of(kind: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (TABLE / f"{kind}.jsonl").read_text(encoding="utf-8").splitlines()]


def judged(rows: list[dict[str, Any]]) -> list[Judgement]:
    return verify_many([(question_of(row), row["answer"]) for row in rows])


def question_of(row: dict[str, Any]) -> Question:
    message = Message(role="user", content=row.get("question", ""))
    return Question(
        id="q", messages=(message,), kind=row["kind"], answer=row["reference"], source="table", meta=row.get("meta", {})
    )


@pytest.mark.parametrize("kind", KINDS)
def test_every_row_is_judged_as_a_careful_person_judges_it(kind: str) -> None:
    rows = rows_of(kind)
    shortfalls, faults = {}, []
    for row, judgement in zip(rows, judged(rows), strict=True):
        if judgement.verdict == row["verdict"]:
            continue
        if judgement.verdict == "unsure":
            shortfalls[row["reference"], row["answer"]] = row["verdict"]
        else:
            faults.append((row, judgement))
    assert not faults
    assert shortfalls == UNSURE_INSTEAD[kind]


def test_the_table_is_large_enough_and_of_one_form() -> None:
    rows = [row for kind in KINDS for row in rows_of(kind)]
    assert len(rows) >= 320
    assert all({"kind", "reference", "answer", "verdict", "why"} <= row.keys() for row in rows)
    assert {row["verdict"] for row in rows} == {"right", "wrong", "unsure"}
