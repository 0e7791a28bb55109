"""The recipes for known sets of questions, each on a small file in the form that the set's own files have."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stillroom import pipeline
from stillroom.recipe import load_recipe
from stillroom.store.tables import read_questions, read_rows
from stillroom.testing import Answer, MisbehavingTeacher

ROOT = Path(__file__).parents[2]
Rows = list[dict[str, Any]]


def examine(
    folder: Path, recipe: str, file: Path, answer: Callable[[str], str], *overrides: str
) -> tuple[dict[str, Any], list[dict[str, Any]], list[str]]:
    """exam.json, the rows of answers.parquet, and the questions as they were asked."""
    with MisbehavingTeacher(lambda question: Answer(answer(question)), models=("my-model",)) as teacher:
        recipe_of = load_recipe(
            ROOT / "recipes" / f"exam-{recipe}.yaml",
            [
                f"exam.sets.0.questions.0.path={file}",
                f"exam.compare.0.base_url={teacher.base_url}",
                "exam.samples=2",
                "exam.temperature=0.6",
                "exam.max_tokens=400",
                *overrides,
            ],
        )
        facts = pipeline.exam(recipe_of, runs=folder / "runs")
        asked = list(teacher.by_question)
    run = folder / "runs" / f"exam-{recipe}"
    assert (run / "exam" / "lm_eval" / "mine").is_dir()
    questions = list(read_questions(run / "exam" / "questions" / f"{recipe}.parquet"))
    assert len(questions) == facts["n"]
    return facts["sets"][recipe], list(read_rows(run / "exam" / "answers.parquet")), asked


def write_jsonl(folder: Path, rows: Rows) -> Path:
    path = folder / "questions.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def verdicts(rows: Rows) -> list[str]:
    return [row["verdict"] for row in rows if row["sample"] == 0]


def test_gsm8k_on_rows_of_its_own(tmp_path: Path) -> None:
    file = ROOT / "tests" / "data" / "gsm8k" / "test_excerpt.jsonl"
    known = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]

    def answer(question: str) -> str:
        position, row = next((n, row) for n, row in enumerate(known) if question.startswith(row["question"]))
        worked: str = row["answer"]
        return worked if position % 3 else worked.replace("#### ", "#### 1")

    facts, rows, asked = examine(tmp_path, "gsm8k", file, answer)
    assert verdicts(rows) == ["wrong" if n % 3 == 0 else "right" for n in range(12)]
    assert facts["takers"]["mine"]["accuracy"] == pytest.approx(8 / 12)
    assert rows[0]["expected"] == "18"
    assert all("after ####." in text for text in asked)


def test_math_500(tmp_path: Path) -> None:
    problems = [
        ("a/1.json", "Algebra", "Halve 1.", "\\frac{1}{2}"),
        ("s/2.json", "Sets", "Name the set of 1 and 2.", "\\{1, 2\\}"),
        ("a/3.json", "Algebra", "Square 3.", "9"),
    ]
    made = [
        {"problem": problem, "solution": "...", "answer": result, "subject": subject, "level": 1, "unique_id": identity}
        for identity, subject, problem, result in problems
    ]
    replies = {"Halve": "So it is $\\boxed{0.5}$.", "Name": "\\boxed{\\{2, 1\\}}", "Square": "It is \\boxed{8}."}
    facts, rows, asked = examine(
        tmp_path, "math500", write_jsonl(tmp_path, made), lambda question: replies[question.split()[0]]
    )
    assert verdicts(rows) == ["right", "right", "wrong"]
    assert facts["families"] == ["Algebra", "Sets"]
    assert {row["question_id"] for row in rows} == {"a/1.json", "s/2.json", "a/3.json"}
    assert asked[0].endswith("within \\boxed{}.")


@pytest.mark.parametrize(
    ("problem", "answer_column", "overrides"),
    [
        ("problem", "answer", []),
        (
            "Problem",
            "Answer",
            [
                'exam.sets.0.questions.0.template="{Problem}\\n\\nPut it within \\\\boxed{{}}."',
                "exam.sets.0.questions.0.answer=Answer",
            ],
        ),
    ],
)
def test_aime_as_both_of_its_files_spell_it(
    tmp_path: Path, problem: str, answer_column: str, overrides: list[str]
) -> None:
    made: Rows = [
        {"ID": "2024-I-1", problem: "Find 25.", "Solution": "...", answer_column: 25},
        {"ID": "2024-I-2", problem: "Find 7.", "Solution": "...", answer_column: "007"},
        {"ID": "2024-I-3", problem: "Find 204.", "Solution": "...", answer_column: 204},
    ]
    replies = {"25.": "\\boxed{025}", "7.": "\\boxed{7}", "204.": "It is \\boxed{205}."}
    facts, rows, _ = examine(
        tmp_path, "aime", write_jsonl(tmp_path, made), lambda question: replies[question.split()[1]], *overrides
    )
    assert verdicts(rows) == ["right", "right", "wrong"]
    assert (facts["samples"], facts["takers"]["mine"]["replies"]) == (2, 6)


def test_gpqa_with_its_choices_in_a_new_order(tmp_path: Path) -> None:
    choices = ["Correct Answer", "Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3"]
    path = tmp_path / "gpqa.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["Record ID", "Question", *choices, "High-level domain"])
        for number in range(24):
            subject = "Physics" if number % 2 else "Biology"
            wrong = ["minus one", "none, really", "all"]
            writer.writerow([f"rec{number}", f"Which is {number}?\n", f"{number}\n", *wrong, subject])

    def letter(question: str) -> str:
        """The right letter; for the first question another one."""
        wanted = question.split()[2].rstrip("?")
        lines = dict(line.split(") ", 1) for line in question.splitlines() if line[1:3] == ") ")
        right = next(letter for letter, choice in lines.items() if choice == wanted)
        return f"Thinking.\n\nAnswer: {right if wanted != '0' else next(each for each in lines if each != right)}"

    facts, rows, asked = examine(tmp_path, "gpqa", path, letter)
    assert verdicts(rows) == ["wrong"] + ["right"] * 23
    assert facts["families"] == ["Biology", "Physics"]
    assert {row["expected"] for row in rows} == {"A", "B", "C", "D"}
    assert all(text.endswith("X being the letter.") for text in asked)


def test_ifeval(tmp_path: Path) -> None:
    made = [
        {
            "key": 1000,
            "prompt": "Write without commas.",
            "instruction_id_list": ["punctuation:no_comma"],
            "kwargs": [{}],
        },
        {
            "key": 1001,
            "prompt": "Give two bullets and a title.",
            "instruction_id_list": ["detectable_format:number_bullet_lists", "detectable_format:title"],
            "kwargs": [{"num_bullets": 2, "relation": None}, {"num_bullets": None}],
        },
        {
            "key": 1002,
            "prompt": "Say as little as you like.",
            "instruction_id_list": ["length_constraints:number_words"],
            "kwargs": [{"num_words": 3, "relation": "less than"}],
        },
    ]
    replies = {"Write": "One, two.", "Give": "<<Fruit>>\n* apples\n* pears", "Say": "No words"}
    facts, rows, _ = examine(
        tmp_path, "ifeval", write_jsonl(tmp_path, made), lambda question: replies[question.split()[0]]
    )
    assert verdicts(rows) == ["wrong", "right", "right"]
    assert "punctuation:no_comma" in rows[0]["reason"]
    assert facts["takers"]["mine"]["accuracy"] == pytest.approx(2 / 3)
