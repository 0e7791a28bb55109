"""What the pipeline gives the check: the recipe's files, the examination's questions, the student's tokenizer."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from stillroom import pipeline
from stillroom.base.errors import DataError, StoreError, TermsError, UsageError
from stillroom.base.progress import Silent
from stillroom.base.records import Message, Question
from stillroom.check.student_tokens import token_count
from stillroom.classroom.models import base_folder
from stillroom.recipe import load_recipe
from stillroom.store.files import write_json
from stillroom.store.schemas import REPLIES
from stillroom.store.tables import read_rows, write_questions, write_table
from stillroom.teacher_terms import require_grant
from stillroom.terms.grants import keep_grant

PEARS = "Ann has 12 pears in a wooden box and finds 17 more of them in the garden. How many pears does she have now?"


class Skips(Silent):
    def __init__(self) -> None:
        self.skipped: list[str] = []

    def update(self, stage: str, done: int, total: int | None, **facts: object) -> None:  # noqa: ARG002
        if "skipped" in facts:
            self.skipped.append(stage)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A recipe whose questions are asked already."""
    folder = tmp_path / "runs" / "small"
    folder.mkdir(parents=True)
    words = ["twelve", "thirteen", "fourteen"]
    questions = [
        Question(id=word, messages=(Message(role="user", content=f"{word}?"),), answer="5", kind="number", source="own")
        for word in words
    ]
    questions.append(
        Question(id="pears", messages=(Message(role="user", content=PEARS),), answer="29", kind="number", source="own")
    )
    rows: list[dict[str, Any]] = []
    for question, answer in zip(questions, ["5", "It is 5.", "5 " + "and so on " * 20, "29"], strict=True):
        row: dict[str, Any] = dict.fromkeys(REPLIES.names)
        row |= {"key": f"sha256:{question.id}", "question_id": question.id, "sample": 0, "teacher": "t", "status": "ok"}
        rows.append(row | {"reasoning_form": "none", "answer": answer, "block": "none", "completion_tokens": 1})
    write_questions(folder / "questions.parquet", questions)
    write_table(folder / "replies.parquet", REPLIES, rows)
    write_json(folder / "ask.json", {"asked": 4, "replies": 4})
    trace = {"prompt": "What is six times seven, and who found it out?", "completion": "42, and nobody knows."}
    (tmp_path / "others.jsonl").write_text(json.dumps(trace) + "\n")
    (tmp_path / "questions.jsonl").write_text('{"question": "?"}\n')
    path = tmp_path / "recipe.yaml"
    path.write_text(
        """\
name: small
teacher: {model: t, base_url: "http://127.0.0.1:9/v1", price: none, terms: own}
questions: [{from: file, path: questions.jsonl}]
check: {mix: [{from: file, path: others.jsonl}], overlap: {against: []}}
"""
    )
    return path


def check(recipe: Path, *overrides: str, progress: Silent | None = None) -> dict[str, Any]:
    settings = load_recipe(recipe, overrides)
    return pipeline.check(settings, runs=recipe.parent / "runs", progress=progress or Silent())


def test_paths_are_taken_from_the_recipes_folder(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (recipe.parent / "elsewhere").mkdir()
    monkeypatch.chdir(recipe.parent / "elsewhere")
    given = load_recipe(recipe, ["check.pass_rates=rates.jsonl", "check.pass_rate=[0, 1]"]).check
    assert given.mix[0].path == str(recipe.parent / "others.jsonl")
    assert given.pass_rates == str(recipe.parent / "elsewhere" / "rates.jsonl")
    recipe.write_text(recipe.read_text().replace("against: []", "against: [secret.jsonl]"))
    assert load_recipe(recipe).check.overlap.against == (str(recipe.parent / "secret.jsonl"),)


def test_a_mixed_in_file_is_read_and_looked_at_again_when_it_changes(recipe: Path) -> None:
    progress = Skips()
    assert check(recipe, progress=progress)["kept"] == 5
    check(recipe, progress=progress)
    assert progress.skipped.count("check") == 1
    row = {"messages": [{"role": "user", "content": "Who is it?"}, {"role": "assistant", "content": "I."}]}
    with (recipe.parent / "others.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")
    assert check(recipe, progress=progress)["kept"] == 6
    assert progress.skipped.count("check") == 1


def test_rows_of_a_mixed_in_file_are_under_the_terms_that_the_recipe_names(recipe: Path) -> None:
    runs = recipe.parent / "runs"
    check(recipe)
    assert {row["terms_id"] for row in read_rows(runs / "small" / "traces.parquet")} == {None}
    keep_grant(runs / "small", require_grant(load_recipe(recipe)))
    text = recipe.read_text()
    recipe.write_text(text.replace("path: others.jsonl", "path: others.jsonl, terms: gemma"))
    check(recipe)
    rows = list(read_rows(runs / "small" / "traces.parquet"))
    assert sorted(row["terms_id"] for row in rows) == ["gemma", "own", "own", "own", "own"]
    card = (runs / "small" / "dataset" / "README.md").read_text(encoding="utf-8")
    assert "| not recorded | `gemma` | 1 |" in card
    facts = pipeline.export(runs / "small", "trl")
    assert [each["terms"] for each in facts["conditions"]] == ["gemma"]

    recipe.write_text(text.replace("path: others.jsonl", "path: others.jsonl, terms: openai-api"))
    for stage in (pipeline.run, pipeline.ask, pipeline.check):
        with pytest.raises(TermsError, match=r"The rows of others\.jsonl are under openai-api\.") as caught:
            stage(load_recipe(recipe), runs=runs)
        assert "stillroom terms allow openai-api" in caught.value.remedy


def test_a_file_that_is_not_there_is_an_error_before_anything_is_asked(recipe: Path) -> None:
    (recipe.parent / "others.jsonl").unlink()
    with pytest.raises(DataError, match=r"no file .*others\.jsonl"):
        pipeline.ask(load_recipe(recipe), runs=recipe.parent / "new")
    assert not (recipe.parent / "new").exists()


def test_questions_of_the_examination_are_not_trained_on(recipe: Path) -> None:
    (recipe.parent / "exam.jsonl").write_text(json.dumps({"question": PEARS, "answer": "29", "kind": "number"}) + "\n")
    exam = f"{{questions: [{{from: file, path: {recipe.parent / 'exam.jsonl'}}}], compare: [teacher]}}"
    report = check(recipe, f"exam={exam}")
    assert report["rejected"] == {"contaminated": 1}
    (row,) = read_rows(recipe.parent / "runs" / "small" / "rejected.parquet")
    assert row["question_id"] == "pears"


def test_length_is_counted_by_the_students_tokenizer(recipe: Path) -> None:
    student = "train={student: classroom}"
    assert check(recipe, "check.max_tokens=20")["rejected"] == {}, "the teacher counted one token each"
    assert check(recipe, "check.max_tokens=20", student)["rejected"] == {"too_long": 1}
    (row,) = read_rows(recipe.parent / "runs" / "small" / "rejected.parquet")
    assert row["question_id"] == "fourteen"


def test_the_count_is_that_of_the_tokenizer_itself(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    count = token_count(base_folder())
    assert count is not None
    tokenizer = AutoTokenizer.from_pretrained(base_folder())
    for text in ("", "Ann has 12 pears.", "<think>\n3 + 4 = 7\n</think>\n\n7", "naïve ☕ 因此"):
        assert count(text) == len(tokenizer.encode(text, add_special_tokens=False))
    assert token_count(tmp_path) is None
    (tmp_path / "tokenizer.json").write_text("{not json")
    with pytest.raises(StoreError, match="is not JSON"):
        token_count(tmp_path)


@pytest.mark.parametrize(
    ("language", "meant"),
    [("english", " (perhaps en)"), ("DE", " (perhaps de)"), ("ZZZZZ", ""), ("of", " (perhaps off)")],
)
def test_a_language_that_there_is_not(recipe: Path, language: str, meant: str) -> None:
    with pytest.raises(UsageError, match=re.escape(f"'{language}' is none of them{meant}.")):
        load_recipe(recipe, [f"check.language={language}"])
