"""Reference solutions of GSM8K and MATH, judged: their own, each other's, and with their answers spoilt.

    python -m benchmarks.check_references [--data ../shared/data] [--others 20]

`--data` holds `gsm8k_test.jsonl` (question, answer) and `math_problems.jsonl` (problem, solution). A solution is given
as a reply

- to its own problem: it must be right, for all but 3 rows of GSM8K and 10 of MATH;
- to `--others` other problems with a different answer, taken by turns so that every problem gets as many: never right;
- to its own problem with its answer changed in one digit (each in turn), in its sign, and in its unit: never right.

Two answers are different when they are different texts. Pairs of different texts that are judged right are printed:
those of one value are listed in EQUAL below, after a person has looked at them; any other fails the benchmark.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from stillroom.base.records import Message, Question
from stillroom.verify import verify_many

ALLOWED = {"gsm8k": 3, "math": 10}
EQUAL = {
    frozenset(pair)
    for pair in (
        ("0", "-0"),
        ("-1", "x = -1"),
        ("\\$0.20", "\\frac{1}{5}"),
    )
}
"""Answers that are different texts and one value."""

# A unit, and another of its dimension to put in its place.
OTHER_UNITS = (
    (("dollars", "dollar", "$"), "cents"),
    (("cents", "cent"), "dollars"),
    (("hours", "hour"), "minutes"),
    (("minutes", "minute"), "hours"),
    (("days", "day"), "weeks"),
    (("weeks", "week"), "days"),
    (("years", "year"), "months"),
    (("months", "month"), "years"),
    (("miles", "mile"), "feet"),
    (("feet", "foot"), "inches"),
    (("inches", "inch"), "feet"),
    (("meters", "meter"), "kilometers"),
    (("kilometers", "km"), "meters"),
    (("centimeters", "cm"), "meters"),
    (("pounds", "pound"), "ounces"),
    (("ounces", "ounce"), "pounds"),
    (("grams", "gram"), "kilograms"),
    (("degrees", "degree"), "percent"),
)


@dataclass(frozen=True)
class Row:
    name: str
    question: Question
    reference: str
    solution: str

    def with_answer(self, answer: str) -> str:
        """The solution with another answer in the place of its own, which is the last of its kind."""
        if self.question.kind == "number":
            return self.solution.rpartition("####")[0] + f"#### {answer}"
        before, _, after = self.solution.rpartition("{" + self.reference + "}")
        return before + "{" + answer + "}" + after


def rows_of(folder: Path, source: Literal["gsm8k", "math"]) -> list[Row]:
    path = folder / {"gsm8k": "gsm8k_test.jsonl", "math": "math_problems.jsonl"}[source]
    if not path.exists():
        sys.exit(f"{path} is missing: give the folder that holds it with --data.")
    lines = path.read_text(encoding="utf-8").splitlines()
    return [row_of(source, number, json.loads(line)) for number, line in enumerate(lines, start=1)]


def row_of(source: Literal["gsm8k", "math"], number: int, fields: dict[str, str]) -> Row:
    if source == "gsm8k":
        text, solution = fields["question"], fields["answer"]
        reference = solution.rpartition("####")[2].strip()
    else:
        text, solution = fields["problem"], fields["solution"]
        reference = last_box(solution)
    question = Question(
        id=f"{source}-{number}",
        messages=(Message(role="user", content=text),),
        answer=reference,
        kind="number" if source == "gsm8k" else "math",
        source=source,
    )
    return Row(f"{source} {number}", question, reference, solution)


def last_box(solution: str) -> str:
    """What the last box holds: written here again, so that the verifier's own reading is not its own judge."""
    start = max(solution.rfind("\\boxed"), solution.rfind("\\fbox"))
    opening = solution.find("{", start)
    if start < 0 or opening < 0 or solution[start:opening].strip() not in ("\\boxed", "\\fbox"):
        return re.sub(r"\\boxed\s*", "", solution[start:]).split("$")[0].strip()
    depth = 0
    for position in range(opening, len(solution)):
        depth += (solution[position] == "{") - (solution[position] == "}")
        if depth == 0:
            return solution[opening + 1 : position]
    raise ValueError(f"a box that never closes: {solution[start:]}")


def crossed(rows: list[Row], others: int) -> Iterator[tuple[Row, Row]]:
    """(whose problem, whose solution), for answers that are different texts."""
    for distance in range(1, min(others + 1, len(rows))):
        for index, row in enumerate(rows):
            other = rows[(index + distance * 17) % len(rows)]
            if other.reference != row.reference:
                yield row, other


def spoilt(row: Row) -> Iterator[tuple[str, str]]:
    """(what was changed, the changed answer)."""
    answer = row.reference
    for match in re.finditer(r"\d", answer):
        digit = str((int(match[0]) + 1) % 10)
        yield "digit", answer[: match.start()] + digit + answer[match.end() :]
    if re.search(r"\d", answer):
        yield "sign", answer[1:] if answer.startswith("-") else f"-{answer}"
    text = f"{row.question.messages[0].content} {answer}".lower()
    for units, other in OTHER_UNITS:
        if (
            any(re.search(rf"(?<![a-z]){re.escape(unit)}(?![a-z])", text) for unit in units)
            and other.rstrip("s") not in text
        ):
            bare = re.sub(r"\s*\\text\s*\{.*|\\%|\\\$|\^\\circ", "", answer)
            yield "unit", bare + (f" {other}" if row.question.kind == "number" else rf"\text{{ {other}}}")


def judge_own(source: str, rows: list[Row]) -> bool:
    judgements = verify_many([(row.question, row.solution) for row in rows])
    print(f"{source}: own solutions: {Counter(judgement.verdict for judgement in judgements)} of {len(rows)}")
    missed = [(row, judgement) for row, judgement in zip(rows, judgements, strict=True) if judgement.verdict != "right"]
    for row, judgement in missed:
        print(f"   {row.name}: {row.reference!r}: {judgement.verdict}, {judgement.reason}")
    return len(missed) <= ALLOWED[source]


def judge_others(source: str, rows: list[Row], others: int) -> bool:
    pairs = list(crossed(rows, others))
    judgements = verify_many([(row.question, other.solution) for row, other in pairs])
    print(f"{source}: other solutions: {Counter(judgement.verdict for judgement in judgements)} of {len(pairs)}")
    faults = 0
    seen: set[frozenset[str]] = set()
    for (row, other), judgement in zip(pairs, judgements, strict=True):
        both = frozenset((row.reference, other.reference))
        if judgement.verdict == "right" and both not in seen:
            seen.add(both)
            faults += both not in EQUAL
            mark = "one value" if both in EQUAL else "FAULT"
            print(f"   {row.name} and {other.name}: {row.reference!r} and {other.reference!r}: {mark}")
    return not faults


def judge_spoilt(source: str, rows: list[Row]) -> bool:
    cases = [(row, what, answer) for row in rows for what, answer in spoilt(row)]
    judgements = verify_many([(row.question, row.with_answer(answer)) for row, _, answer in cases])
    counts = Counter((what, judgement.verdict) for (_, what, _), judgement in zip(cases, judgements, strict=True))
    faults = 0
    for what in ("digit", "sign", "unit"):
        verdicts = {verdict: counts[what, verdict] for verdict in ("right", "wrong", "unsure")}
        print(f"{source}: {what} changed: {verdicts}")
    for (row, what, answer), judgement in zip(cases, judgements, strict=True):
        if judgement.verdict == "right":
            same = frozenset((row.reference, answer)) in EQUAL
            faults += not same
            print(f"   {row.name}: {what}: {row.reference!r} and {answer!r}: {'one value' if same else 'FAULT'}")
    return not faults


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--others", type=int, default=20)
    parser.add_argument("--only", choices=["gsm8k", "math"])
    arguments = parser.parse_args()
    sources: tuple[Literal["gsm8k", "math"], ...] = ("gsm8k", "math")
    held = []
    for source in sources:
        if arguments.only in (None, source):
            rows = rows_of(arguments.data, source)
            started = time.perf_counter()
            held += [judge_own(source, rows), judge_others(source, rows, arguments.others), judge_spoilt(source, rows)]
            print(f"{source}: {time.perf_counter() - started:.0f} s")
    sys.exit(0 if all(held) else 1)


if __name__ == "__main__":
    main()
