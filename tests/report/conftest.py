"""A run's folder as the stages leave it: figures that add up, and replies long enough to look like replies."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import binomtest

from stillroom.base.records import Message, Question, Trace
from stillroom.store.schemas import EXAM_ANSWERS, REJECTED, REPLIES
from stillroom.store.tables import message_row, write_questions, write_table, write_traces

Row = dict[str, Any]

FAMILIES = ("chain_sum", "clock", "leg_counting", "number_sorting")
SKILL = {"teacher": 0.955, "student": 0.9, "answers_only": 0.34, "base": 0.11}
QUESTIONS = 600
RECIPE = """\
# digest: sha256:4c1f0f7a5f2a6b7f0c3c5f0a4a9d5f8c2b1e7d6a9b8c7d6e5f4a3b2c1d0e9f8a
name: abacus
teacher:
  model: classroom-teacher
  base_url: http://127.0.0.1:8400/v1
  terms: own
  price: none
questions:
  - {from: classroom, count: 3600, seed: 7}
ask: {samples: 1, temperature: 0.7, max_tokens: 1024, concurrency: 64}
check: {keep: all_right}
train: {student: classroom-base, method: sft, epochs: 3}
exam:
  questions: [{from: classroom, count: 600, seed: 99}]
  compare: [teacher, base, answers_only, student]
"""


def _leg_counting(rng: random.Random) -> tuple[str, str, str, str]:
    animals = {"spiders": 8, "dogs": 4, "hens": 2, "ants": 6}
    chosen = {name: rng.randint(2, 6) for name in rng.sample(sorted(animals), 3)}
    lines, total = [], 0
    for name, number in chosen.items():
        legs = number * animals[name]
        lines.append(f"{number} {name} with {animals[name]} legs each: {number} x {animals[name]} = {legs}.")
        lines.append(f"{total} + {legs} = {total + legs}.")
        total += legs
    listed = ", ".join(f"{number} {name}" for name, number in chosen.items())
    wrong = "\n".join(lines[:-1]) + f"\n{total - legs} + {legs} = {total + 2}."
    return f"In a barn there are {listed}. How many legs is that?", "\n".join(lines), wrong, str(total)


def _number_sorting(rng: random.Random) -> tuple[str, str, str, str]:
    numbers = rng.sample(range(10, 99), 6)
    rest, lines = list(numbers), []
    while rest:
        least = min(rest)
        lines.append(f"Of {', '.join(map(str, rest))} the least is {least}.")
        rest.remove(least)
    question = f"Put these numbers in order, the least first: {', '.join(map(str, numbers))}"
    return question, "\n".join(lines), "\n".join(lines[:3]), ", ".join(map(str, sorted(numbers)))


def _chain_sum(rng: random.Random) -> tuple[str, str, str, str]:
    terms = [rng.randint(3, 19) for _ in range(5)]
    lines, total = [], terms[0]
    for term in terms[1:]:
        lines.append(f"{total} + {term} = {total + term}.")
        total += term
    return f"What is {' + '.join(map(str, terms))}?", "\n".join(lines), "\n".join(lines[:-1]), str(total)


def _clock(rng: random.Random) -> tuple[str, str, str, str]:
    hour, minute, later = rng.randint(1, 9), rng.randint(5, 55), rng.randint(65, 170)
    hours, minutes = divmod(later, 60)
    over = minute + minutes
    lines = [
        f"{later} minutes are {hours} h and {minutes} min.",
        f"{minute} + {minutes} = {over}, which is {over // 60} h and {over % 60} min.",
        f"{hour} + {hours} + {over // 60} = {hour + hours + over // 60}.",
    ]
    end = f"{hour + hours + over // 60:02}:{over % 60:02}"
    question = f"A train leaves at {hour:02}:{minute:02} and travels for {later} minutes. When does it arrive?"
    return question, "\n".join(lines), "\n".join(lines[:2]), end


MAKERS = (_chain_sum, _clock, _leg_counting, _number_sorting)


def exam_answers() -> Iterator[Row]:
    """The rows of exam/answers.parquet for every taker. Always the same."""
    for number in range(QUESTIONS):
        rng = random.Random(number)
        family = FAMILIES[number % len(FAMILIES)]
        question, reasoning, broken, expected = MAKERS[number % len(MAKERS)](rng)
        hard = rng.random()
        for taker, skill in SKILL.items():
            right = rng.random() < skill + (1 - hard) * skill * (1 - skill) - hard * skill * (1 - skill)
            cut = not right and rng.random() < 0.12
            answer = expected if right else str(int(expected) + 2) if expected.isdigit() else expected[:-4]
            yield dict.fromkeys(EXAM_ANSWERS.names) | {
                "sample": 0,
                "taker": taker,
                "question_id": f"sha256:{number:064x}",
                "family": family,
                "question": question,
                "expected": expected,
                "reasoning": {"base": None, "answers_only": None}.get(taker, reasoning if right else broken),
                "answer": "" if cut else f"{answer}",
                "verdict": "right" if right else "unsure" if cut else "wrong",
                "reason": None if right else "no answer to judge" if cut else "another number",
                "extracted": None if cut else answer,
                "status": "truncated" if cut else "ok",
                "completion_tokens": (len(reasoning) // 3 if taker in ("teacher", "student") else 0) + 6,
            }


def _interval(right: int, n: int) -> Row:
    low, high = binomtest(right, n).proportion_ci(0.95, method="wilson")
    return {"accuracy": right / n, "low": float(low), "high": float(high), "n": n}


def exam_json(rows: list[Row]) -> Row:
    takers = {}
    for taker in SKILL:
        own = [row for row in rows if row["taker"] == taker]
        verdicts = [row["verdict"] for row in own]
        tokens = sorted(row["completion_tokens"] for row in own)
        takers[taker] = {
            **_interval(verdicts.count("right"), len(own)),
            **{verdict: verdicts.count(verdict) for verdict in ("right", "wrong", "unsure")},
            "truncated_share": sum(row["status"] == "truncated" for row in own) / len(own),
            "failed": 0,
            "completion_tokens_mean": sum(tokens) / len(tokens),
            "completion_tokens_median": tokens[len(tokens) // 2],
            "cost_usd_per_1000": None,
            "model": f"classroom-{taker}",
            "families": {
                family: _interval(
                    sum(row["verdict"] == "right" for row in own if row["family"] == family),
                    sum(row["family"] == family for row in own),
                )
                for family in FAMILIES
            },
        }
    pairs = combinations(("student", "teacher", "answers_only", "base"), 2)
    comparisons = [_comparison(rows, a, b) for a, b in pairs]
    return {
        "n": QUESTIONS,
        "max_tokens": 512,
        "families": list(FAMILIES),
        "takers": takers,
        "comparisons": comparisons,
        "seconds": 48.2,
    }


def _comparison(rows: list[Row], a: str, b: str) -> Row:
    right = {name: [row["verdict"] == "right" for row in rows if row["taker"] == name] for name in (a, b)}
    pairs = list(zip(right[a], right[b], strict=True))
    only_a, only_b = pairs.count((True, False)), pairs.count((False, True))
    difference = (only_a - only_b) / len(pairs)
    error = 1.96 * math.sqrt((only_a + only_b) / len(pairs) - difference**2) / math.sqrt(len(pairs))
    return {
        "a": a,
        "b": b,
        "difference": difference,
        "low": difference - error,
        "high": difference + error,
        "only_a": only_a,
        "only_b": only_b,
        "both_right": pairs.count((True, True)),
        "both_wrong": pairs.count((False, False)),
        "better_a": only_a,
        "better_b": only_b,
        "n": len(pairs),
        "left_out": 0,
        "p_value": float(binomtest(only_a, only_a + only_b).pvalue),
        "p_holm": min(1.0, 6 * float(binomtest(only_a, only_a + only_b).pvalue)),
        "test": "mcnemar",
    }


ASK: Row = {
    "asked": 3600,
    "samples": 1,
    "replies": 3600,
    "calls": 3617,
    "by_status": {"ok": 3569, "truncated": 31},
    "prompt_tokens": 171_204,
    "completion_tokens": 402_118,
    "reasoning_tokens": 380_514,
    "cached_tokens": 0,
    "cost_usd": None,
    "price_id": None,
    "seconds": 71.4,
    "teacher": "classroom-teacher",
    "served_models": ["classroom-teacher"],
    "base_url": "http://127.0.0.1:8400/v1",
}

CHECK: Row = {
    "rows": 3600,
    "kept": 3388,
    "rejected": {"wrong": 164, "truncated": 31, "broken_think_block": 17},
    "verdicts": {"right": 3405, "wrong": 164, "unsure": 31},
    "families": {
        family: {"rows": 900, "kept": 900 - missed} for family, missed in zip(FAMILIES, (31, 48, 54, 79), strict=True)
    },
}


def train_json(method: str, start: float, floor: float) -> Row:
    rng = random.Random(method)
    steps = 640
    curve = [
        [step, floor + (start - floor) * math.exp(-step / 70) + rng.gauss(0, 0.02), 3e-4 * (1 - step / steps)]
        for step in range(1, steps + 1)
    ]
    return {
        "method": method,
        "student": "classroom-base",
        "parameters": 1_620_000,
        "traces": 3388,
        "skipped": {},
        "steps": steps,
        "epochs": 3,
        "trained_tokens": 1_104_302 if method == "sft" else 61_877,
        "tokens_per_second": 7204.4 if method == "sft" else 1490.2,
        "seconds": 153.3 if method == "sft" else 41.5,
        "learning_rate": 3e-4,
        "seed": 0,
        "threads": 2,
        "curve": curve,
    }


def write_json_file(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def write_answers(path: Path, rows: list[Row]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_table(path, EXAM_ANSWERS, rows)


def write_run(folder: Path) -> Path:
    rows = list(exam_answers())
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text(RECIPE)
    write_json_file(folder / "ask.json", ASK)
    write_json_file(folder / "check.json", CHECK)
    write_json_file(folder / "train/sft/train.json", train_json("sft", 2.9, 0.07))
    write_json_file(folder / "train/answers_only/train.json", train_json("answers_only", 3.4, 0.92))
    write_json_file(folder / "exam.json", exam_json(rows))
    write_answers(folder / "exam/answers.parquet", rows)
    return folder


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """The folder of a finished run."""
    return write_run(tmp_path / "abacus")


def reply(number: int, **columns: Any) -> Row:
    """A row of replies.parquet."""
    row: Row = dict.fromkeys(REPLIES.names)
    row |= {
        "key": f"sha256:key-{number}",
        "question_id": f"sha256:{number:04x}",
        "sample": 0,
        "teacher": "oracle",
        "status": "ok",
        "reasoning": f"{number} and 1, thought",
        "answer": str(number + 1),
        "completion_tokens": number,
    }
    return row | columns


def _asked(number: int) -> Question:
    return Question(
        id=f"sha256:{number:04x}",
        messages=(Message(role="user", content=f"What is {number} + 1?"),),
        answer=str(number + 1),
        kind="number",
        source="even.jsonl" if number % 2 == 0 else "odd.jsonl",
        family="sums",
    )


def write_replies(folder: Path, replies: list[Row]) -> None:
    """Replies as they were asked for, and their questions."""
    folder.mkdir(parents=True, exist_ok=True)
    write_questions(
        folder / "questions.parquet", [_asked(number) for number in sorted({_number(row) for row in replies})]
    )
    write_table(folder / "replies.parquet", REPLIES, replies)


def write_check(
    folder: Path, replies: list[Row], reasons: dict[int, str], held_out: frozenset[int] = frozenset()
) -> None:
    """What the check of them leaves: those of `reasons` (by the question's number) are rejected."""
    kept = [row for row in replies if _number(row) not in reasons]
    write_traces(folder / "traces.parquet", [_trace(row) for row in kept if _number(row) not in held_out])
    if held_out:
        write_traces(folder / "held_out.parquet", [_trace(row) for row in kept if _number(row) in held_out])
    lost = [_rejected(row, reasons[_number(row)]) for row in replies if _number(row) in reasons]
    write_table(folder / "rejected.parquet", REJECTED, lost)


def _number(row: Row) -> int:
    return int(row["question_id"].removeprefix("sha256:"), 16)


def _trace(row: Row) -> Trace:
    question = _asked(_number(row))
    said = Message(role="assistant", content=row["answer"], reasoning=row["reasoning"])
    return Trace(
        question_id=question.id,
        messages=(*question.messages, said),
        verdict="right",
        tokens=row["completion_tokens"],
        teacher=row["teacher"],
        reply_key=row["key"],
        source=question.source,
        family=question.family,
        kind=question.kind,
        expected=question.answer,
        judged_by="verifier",
    )


def _rejected(row: Row, reason: str) -> Row:
    question = _asked(_number(row))
    verdict = reason if reason in ("wrong", "unsure") else None
    lost: Row = dict.fromkeys(REJECTED.names)
    return lost | {
        "question_id": question.id,
        "sample": row["sample"],
        "reply_key": row["key"],
        "reason": reason,
        "detail": "another number" if reason == "wrong" else None,
        "verdict": verdict,
        "extracted": row["answer"] if verdict else None,
        "expected": question.answer,
        "family": question.family,
        "reasoning": row["reasoning"],
        "answer": row["answer"],
        "messages": [message_row(message) for message in question.messages],
        "kind": question.kind,
        "source": question.source,
        "teacher": row["teacher"],
        "tokens": row["completion_tokens"],
        "judged_by": "verifier" if verdict else None,
    }


@dataclass(frozen=True)
class Tables:
    """A run with replies to twenty questions: 0 to 4 wrong, 5 to 7 truncated, 8 unsure, 9 held out, the rest kept."""

    folder: Path
    replies: list[Row]
    reasons: dict[int, str]

    def check(self) -> None:
        write_check(self.folder, self.replies, self.reasons, frozenset({9}))


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    """The tables of a run that has asked, and not checked."""
    folder = tmp_path / "sums"
    replies = [reply(number) for number in range(20)]
    reasons = {**dict.fromkeys(range(5), "wrong"), **dict.fromkeys(range(5, 8), "truncated"), 8: "unsure"}
    write_replies(folder, replies)
    (folder / "recipe.yaml").write_text(RECIPE.replace("name: abacus", "name: sums"))
    return Tables(folder, replies, reasons)


class Page(HTMLParser):
    """A page taken apart, strictly: an element that is not closed, or closed twice, fails the test."""

    VOID = frozenset({"meta", "link", "br", "hr", "img", "input"})

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.text = ""
        self.rows: list[list[str]] = []
        """The cells of every table row, spaces collapsed."""
        self.feed(html)
        self.close()
        assert self.open == []
        self.rows = [[" ".join(cell.split()) for cell in row] for row in self.rows]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "script":
            self.scripts.append((dict(attrs), ""))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag == "rect", "only SVG closes an element in its own tag"
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "script" in self.open:
            attributes, text = self.scripts[-1]
            self.scripts[-1] = (attributes, text + data)
        elif "style" not in self.open:
            self.text += data
            if {"td", "th"} & set(self.open):
                self.rows[-1][-1] += data

    def tags(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.elements if tag == name]

    def chart(self, name: str) -> Row:
        specs = [text for attributes, text in self.scripts if attributes.get("id") == f"chart-{name}"]
        assert len(specs) == 1
        spec: Row = json.loads(specs[0])
        return spec


@pytest.fixture
def read_page() -> Callable[[Path], Page]:
    return lambda path: Page(path.read_text(encoding="utf-8"))


@pytest.fixture
def sound(run_folder: Path) -> Path:
    """A run without anything to warn of."""
    exam = json.loads((run_folder / "exam.json").read_text())
    for taker in exam["takers"].values():
        taker["truncated_share"] = 0.0
    (run_folder / "exam.json").write_text(json.dumps(exam))
    return run_folder
