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
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from stillroom.base.records import Message, Question
from stillroom.verify import Judgement, verify_many

Source = Literal["gsm8k", "math"]
FILES: dict[Source, str] = {"gsm8k": "gsm8k_test.jsonl", "math": "math_problems.jsonl"}
ALLOWED = {"gsm8k": 3, "math": 10}
EQUAL = {
    frozenset(pair)
    for pair in (
        ("0", "-0"),
        ("5600", "5,600"),
        ("14,000", "14000"),
        ("-1", "x = -1"),
        ("\\$0.20", "\\frac{1}{5}"),
        ("-\\$0.50", "-\\frac{1}{2}"),
        ("\\$4", "4"),
        ("3.5", "\\frac{7}{2}"),
        ("\\tfrac{3}{2}", "x = \\frac{3}{2}"),
        ("\\frac32", "x = \\frac{3}{2}"),
        ("\\frac32", "\\tfrac{3}{2}"),
        ("\\frac{1}{4}", "\\frac14"),
        ("\\frac 97", "\\dfrac{9}{7}"),
        ("\\frac{10}{3}", "\\tfrac{10}{3}"),
        ("\\dfrac{33}{100}", "33\\%"),
        ("25\\%", "\\frac{1}{4}"),
        ("25\\%", "\\frac14"),
        ("25\\%", "25"),
        ("198\\%", "198"),
        ("81", "81\\text{ teachers}"),
        ("12\\text{ degrees}", "12"),
        *((f"{degrees}^\\circ", str(degrees)) for degrees in (15, 30, 36, 39, 90, 120)),
    )
}
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


def rows_of(path: Path, source: Source) -> list[Row]:
    if not path.exists():
        sys.exit(f"{path} is missing: give the folder that holds it with --data.")
    lines = path.read_text(encoding="utf-8").splitlines()
    return [row_of(source, number, json.loads(line)) for number, line in enumerate(lines, start=1)]


def row_of(source: Source, number: int, fields: dict[str, str]) -> Row:
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


def judge_own(source: Source, rows: list[Row]) -> list[str]:
    """The names of the rows whose own solution is not judged right, printed."""
    judgements = verify_many([(row.question, row.solution) for row in rows])
    print(f"{source}: own solutions: {counted(judgements)} of {len(rows)}")
    missed = [(row, judgement) for row, judgement in zip(rows, judgements, strict=True) if judgement.verdict != "right"]
    for row, judgement in missed:
        print(f"   {row.name}: {row.reference!r}: {judgement.verdict}, {judgement.reason}")
    return [row.name for row, _ in missed]


def judge_others(source: Source, rows: list[Row], others: int) -> list[frozenset[str]]:
    """The pairs of answers that are judged the same and are not known to be, printed."""
    pairs = list(crossed(rows, others))
    judgements = verify_many([(row.question, other.solution) for row, other in pairs])
    print(f"{source}: other solutions: {counted(judgements)} of {len(pairs)}")
    return faults_among(
        (f"{row.name} and {other.name}", row.reference, other.reference)
        for (row, other), judgement in zip(pairs, judgements, strict=True)
        if judgement.verdict == "right"
    )


def judge_spoilt(source: Source, rows: list[Row]) -> list[frozenset[str]]:
    """The pairs of answers, one of them spoilt, that are judged the same and are not known to be, printed."""
    faults = []
    for what in ("digit", "sign", "unit"):
        cases = [(row, answer) for row in rows for changed, answer in spoilt(row) if changed == what]
        judgements = verify_many([(row.question, row.with_answer(answer)) for row, answer in cases])
        print(f"{source}: {what} changed: {counted(judgements)} of {len(cases)}")
        faults += faults_among(
            (row.name, row.reference, answer)
            for (row, answer), judgement in zip(cases, judgements, strict=True)
            if judgement.verdict == "right"
        )
    return faults


def counted(judgements: list[Judgement]) -> str:
    counts = Counter(judgement.verdict for judgement in judgements)
    return ", ".join(f"{counts[verdict]} {verdict}" for verdict in ("right", "wrong", "unsure"))


def faults_among(judged_right: Iterable[tuple[str, str, str]]) -> list[frozenset[str]]:
    """Of (where, one answer, the other answer), those pairs that are not listed as one value; each printed once."""
    seen: dict[frozenset[str], bool] = {}
    for where, one, other in judged_right:
        pair = frozenset((one, other))
        if pair not in seen:
            seen[pair] = pair in EQUAL
            print(f"   {where}: {one!r} and {other!r}: {'one value' if seen[pair] else 'NOT KNOWN TO BE ONE VALUE'}")
    return [pair for pair, known in seen.items() if not known]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--others", type=int, default=20)
    arguments = parser.parse_args()
    held = True
    for source, name in FILES.items():
        rows = rows_of(arguments.data / name, source)
        started = time.perf_counter()
        held &= len(judge_own(source, rows)) <= ALLOWED[source]
        held &= not judge_others(source, rows, arguments.others)
        held &= not judge_spoilt(source, rows)
        print(f"{source}: {time.perf_counter() - started:.0f} s")
    sys.exit(0 if held else 1)


if __name__ == "__main__":
    main()
