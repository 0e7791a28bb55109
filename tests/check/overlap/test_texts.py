from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stillroom.base.errors import DataError, StillroomError, StoreError
from stillroom.check.overlap.texts import examination_texts, question_texts
from stillroom.store.tables import write_questions

Made = Callable[..., Any]


@pytest.mark.parametrize("column", ["question", "problem", "prompt", "Question", "instruction", "text"])
def test_json_lines(tmp_path: Path, column: str) -> None:
    path = tmp_path / "exam.jsonl"
    path.write_text(json.dumps({column: "Why?", "answer": "4"}) + "\n\n" + json.dumps({"id": 7, column: "How?"}) + "\n")
    assert [(each.id, each.text) for each in examination_texts(path)] == [("line 1", "Why?"), ("7", "How?")]


def test_a_json_list(tmp_path: Path) -> None:
    path = tmp_path / "exam.json"
    path.write_text(json.dumps([{"problem": "Why?"}, {"problem": "How?", "id": "x"}], indent=2))
    assert [(each.id, each.text) for each in examination_texts(path)] == [("entry 0", "Why?"), ("x", "How?")]


def test_conversations(tmp_path: Path) -> None:
    path = tmp_path / "exam.jsonl"
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}]
    turns = [{"from": "human", "value": "How?"}, {"from": "gpt", "value": "So."}]
    path.write_text(json.dumps({"messages": messages}) + "\n" + json.dumps({"conversations": turns}))
    assert [(each.text, each.system) for each in examination_texts(path)] == [("Why?", "Be brief."), ("How?", "")]


def test_csv_and_parquet(tmp_path: Path) -> None:
    table = tmp_path / "gpqa.csv"
    table.write_text('id,Question,Answer\nx,"Why, and\nhow?",4\n')
    assert [(each.id, each.text) for each in examination_texts(table)] == [("x", "Why, and\nhow?")]
    other = tmp_path / "exam.parquet"
    pq.write_table(pa.table({"problem": ["Why?", "How?"]}), other)
    assert [(each.id, each.text) for each in examination_texts(other)] == [("row 0", "Why?"), ("row 1", "How?")]


def test_a_run_s_questions_are_an_examination(tmp_path: Path, question: Made) -> None:
    path = tmp_path / "questions.parquet"
    write_questions(
        path, [question("a", "Why?", "Be brief.", family="f", meta={"parameters": [1]}), question("b", "How?")]
    )
    [first, second] = examination_texts(path)
    assert (first.id, first.text, first.system) == ("a", "Why?", "Be brief.")
    assert first.parameters
    assert first.family
    assert (second.parameters, second.family) == (0, 0)
    assert list(question_texts(path)) == [first, second]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("exam.jsonl", '{"question": "Why?"}\nnot json', "line 2 is not JSON"),
        ("exam.jsonl", "[1]", "entry 0 is not a JSON object"),
        ("exam.jsonl", "1", "line 1 is not a JSON object"),
        ("exam.json", "[{}\n", "line 1 is not JSON"),
        ("exam.jsonl", '{"answer": "4"}', "line 1 has no question; its columns are answer"),
        ("exam.jsonl", '{"question": [4]}', "line 1: question must be text"),
        ("exam.jsonl", '{"messages": [{"role": "user", "content": null}]}', r"line 1: messages\[0\]"),
        ("exam.jsonl", '{"messages": "Why?"}', "line 1: messages must be a list"),
        ("exam.jsonl", "", "holds no questions"),
        ("exam.csv", "question\n", "holds no questions"),
        ("exam.txt", "Why?", "is of no form"),
        ("exam.jsonl", b"\xff\xfe", "cannot be read"),
        ("exam.parquet", b"PAR1", "cannot be read as Parquet"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str, content: str | bytes, said: str) -> None:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(StillroomError, match=said) as raised:
        list(examination_texts(path))
    assert name in str(raised.value)
    assert raised.value.remedy


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.jsonl cannot be read"):
        list(examination_texts(tmp_path / "nowhere.jsonl"))
    with pytest.raises(StoreError, match="does not exist"):
        list(examination_texts(tmp_path / "nowhere.parquet"))
    with pytest.raises(StoreError, match="does not exist"):
        list(question_texts(tmp_path / "nowhere.parquet"))
