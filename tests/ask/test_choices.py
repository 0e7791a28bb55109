"""Choices in columns of their own, and the column of a question's family."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from stillroom.ask.source_settings import FileSource
from stillroom.ask.sources import read_questions
from stillroom.base.errors import DataError
from stillroom.base.records import Question

CHOICES = {"right": "good", "wrong": ["bad", "worse"], "seed": 3}


def read(folder: Path, rows: list[dict[str, Any]], **settings: Any) -> list[Question]:
    (folder / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    source = FileSource(path="q.jsonl", **{"question": "text", "choices": CHOICES} | settings)
    return list(read_questions(source, base_folder=folder))


def rows(count: int) -> list[dict[str, Any]]:
    return [
        {"text": f"Which, {n}?", "good": f"g{n}", "bad": " b ", "worse": 7, "area": f"a{n % 2}"} for n in range(count)
    ]


def test_choices_follow_the_question_and_the_answer_is_a_letter(tmp_path: Path) -> None:
    for number, question in enumerate(read(tmp_path, rows(12), family="area")):
        head, *lines = question.messages[0].content.splitlines()
        assert (head, lines[0]) == (f"Which, {number}?", "")
        choices = dict(line.split(") ") for line in lines[1:])
        assert list(choices) == ["A", "B", "C"]
        assert sorted(choices.values()) == sorted([f"g{number}", "b", "7"])
        assert question.answer is not None
        assert choices[question.answer] == f"g{number}"
        assert (question.kind, question.family) == ("choice", f"a{number % 2}")


def test_the_right_one_stands_everywhere_and_stays_where_it_is(tmp_path: Path) -> None:
    questions = read(tmp_path, rows(300))
    counts = Counter(question.answer for question in questions)
    assert set(counts) == {"A", "B", "C"}
    assert min(counts.values()) > 70
    assert read(tmp_path, rows(100)) == questions[:100]
    other_columns = {"right": "good", "wrong": ["worse", "bad"], "seed": 3}
    assert read(tmp_path, rows(300), choices=other_columns) == questions
    other_seed = read(tmp_path, rows(300), choices=CHOICES | {"seed": 4})
    moved = sum(one.answer != other.answer for one, other in zip(questions, other_seed, strict=True))
    assert 130 < moved < 270


def test_a_template_says_where_they_stand(tmp_path: Path) -> None:
    template = "{choices}\n\nWhich of these answers {text} {{one letter}}"
    (question,) = read(tmp_path, rows(1), question=None, template=template)
    text = question.messages[0].content
    assert text[:3] == "A) "
    assert text.endswith("Which of these answers Which, 0? {one letter}")
    with pytest.raises(ValidationError, match="the template must hold"):
        FileSource(path="q", template="{text}", choices=CHOICES)  # type: ignore[arg-type]


@pytest.mark.parametrize("settings", [{"answer": "good"}, {"messages": "text", "question": None}, {"kind": "exact"}])
def test_choices_say_themselves_what_is_right(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="choices say which answer is right"):
        FileSource(path="q", choices=CHOICES, **{"question": "text"} | settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bad": "g0"}, "q.jsonl line 1 has two choices that are the same"),
        ({"worse": None}, "q.jsonl line 1: worse is empty, and is one of the choices"),
        ({"bad": [1]}, "q.jsonl line 1: bad must be text, and is a list"),
    ],
)
def test_a_row_that_is_no_choice_is_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, [rows(1)[0] | change])


def test_a_column_that_is_not_there_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no column 'worst'\. Did you mean worse\?"):
        read(tmp_path, rows(1), choices={"right": "good", "wrong": ["worst"]})
