"""Rows of questions about code and JSON: their tests and schemas are looked at before anything is paid for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from stillroom.ask.source_settings import FileSource
from stillroom.ask.sources import read_questions
from stillroom.base.errors import DataError
from stillroom.base.records import Question
from stillroom.verify.code_answer import Tests, read_tests

HUMAN_EVAL = {
    "task_id": "HumanEval/0",
    "prompt": 'def twice(n):\n    """The double."""\n',
    "canonical_solution": "    return 2 * n\n",
    "test": "def check(candidate):\n    assert candidate(2) == 4\n",
    "entry_point": "twice",
}
MBPP = {
    "text": "Write a function to add two numbers.",
    "code": "def add(a, b): return a + b",
    "test_list": ["assert add(1, 2) == 3"],
    "test_setup_code": "",
    "challenge_test_list": [],
}
PROGRAM = {"question": "Read a number, write its double.", "cases": [{"input": "2\n", "output": "4\n"}]}


def read(folder: Path, rows: list[dict[str, Any]], name: str = "q.jsonl", **settings: Any) -> list[Question]:
    path = folder / name
    if name.endswith(".parquet"):
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    else:
        path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return list(read_questions(FileSource(path=name, **settings), base_folder=folder))


@pytest.mark.parametrize("name", ["q.jsonl", "q.parquet"])
def test_columns_of_public_sets_need_no_names(tmp_path: Path, name: str) -> None:
    (first,) = read(tmp_path, [HUMAN_EVAL], name, kind="code")
    assert first.kind == "code"
    assert read_tests(first.meta, first.messages[-1].content) == Tests(
        (HUMAN_EVAL["test"],), "twice", (HUMAN_EVAL["prompt"],)
    )
    (second,) = read(tmp_path, [MBPP], name, kind="code", question="text")
    assert read_tests(second.meta) == Tests(("assert add(1, 2) == 3",))
    (third,) = read(tmp_path, [PROGRAM], name, kind="code")
    assert read_tests(third.meta) == Tests(cases=(("2\n", "4\n"),))


def test_a_csv_file_holds_lists_as_json(tmp_path: Path) -> None:
    (tmp_path / "q.csv").write_text('question,test_list\nAdd.,"[""assert add(1, 2) == 3""]"\n', encoding="utf-8")
    (question,) = read_questions(FileSource(path="q.csv", kind="code"), base_folder=tmp_path)
    assert read_tests(question.meta) == Tests(("assert add(1, 2) == 3",))


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({"tests": 7}, "neither text nor a list"),
        ({"tests": "assert f()", "entry_point": "two words"}, "entry_point is not a name"),
        ({"cases": [{"input": "1"}]}, "a case holds other things"),
        ({"meta": {"cases": "no JSON"}}, "Expecting value"),
    ],
)
def test_tests_that_cannot_be_used_name_their_row(tmp_path: Path, columns: dict[str, Any], problem: str) -> None:
    with pytest.raises(DataError, match=rf"q\.jsonl line 2: the tests cannot be used: .*{problem}"):
        read(tmp_path, [PROGRAM, {"question": "b", **columns}], kind="code")


def test_code_without_tests_is_no_error(tmp_path: Path) -> None:
    (question,) = read(tmp_path, [{"question": "Write something."}], kind="code")
    assert read_tests(question.meta) is None


def test_the_reference_of_a_json_question_may_be_json_itself(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"question": "a", "answer": {"b": [1, "####"]}, "kind": "json"},
        {"question": "b", "answer": '{"c": "x #### y"}', "kind": "json"},
        {"question": "c", "answer": 7, "kind": "json"},
        {"question": "d", "schema": {"type": "object"}, "kind": "json"},
        {"question": "e", "schema": '{"type": "object"}', "kind": "json"},
    ]
    first, second, third, fourth, fifth = read(tmp_path, rows)
    assert first.answer == '{"b": [1, "####"]}'
    assert second.answer == '{"c": "x #### y"}'
    assert third.answer == "7"
    assert (fourth.answer, fourth.meta["schema"]) == (None, {"type": "object"})
    assert fifth.meta["schema"] == '{"type": "object"}'


@pytest.mark.parametrize(
    "columns",
    [
        {"answer": "no JSON"},
        {"answer": '{"a": 1, "a": 2}'},
        {"answer": "1", "schema": 7},
        {"schema": "{"},
        {"schema": ["a"]},
    ],
)
def test_json_that_cannot_be_used_names_its_row(tmp_path: Path, columns: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=r"q\.jsonl line 1: the schema or the answer cannot be used"):
        read(tmp_path, [{"question": "a", **columns}], kind="json")
