from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from stillroom.ask.distinct import Distinct, Place
from stillroom.ask.source_settings import FileSource
from stillroom.ask.sources import read_placed, read_questions
from stillroom.base.errors import DataError
from stillroom.base.records import Message, Question

WORKED = "She has 16 - 3 = <<16-3=13>>13 eggs.\n#### 13"


def read(folder: Path, *rows: object, **settings: Any) -> list[Question]:
    lines = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
    (folder / "q.jsonl").write_bytes(b"\n".join(lines))
    return list(read_questions(FileSource(path="q.jsonl", **settings), base_folder=folder))


def test_a_bare_question(tmp_path: Path) -> None:
    (question,) = read(tmp_path, {"question": "2 + 2?"})
    assert question.messages == (Message(role="user", content="2 + 2?"),)
    assert (question.answer, question.kind, question.source) == (None, "none", "q.jsonl")
    assert question.id.startswith("sha256:")


def test_a_full_row_and_columns_that_are_not_ours(tmp_path: Path) -> None:
    row = {
        "id": 7, "messages": [{"role": "system", "content": "Brief."}, {"role": "user", "content": "Which?"}],
        "answer": "B", "kind": "choice", "family": "f", "source": "s", "licence": "MIT", "split": "train",
        "level": "Level 5", "meta": {"choices": ["x", "y"]},
    }  # fmt: skip
    (question,) = read(tmp_path, row, kind="number", licence="other")
    assert (question.id, question.kind, question.answer, question.licence) == ("7", "choice", "B", "MIT")
    assert (question.family, question.source, question.split) == ("f", "s", "train")
    assert question.meta == {"source_place": "q.jsonl line 1", "level": "Level 5", "choices": ["x", "y"]}


def test_answers_and_their_kinds(tmp_path: Path) -> None:
    rows = [
        {"prompt": "a", "answer": WORKED},
        {"prompt": "b", "answer": "yes"},
        {"prompt": "c", "answer": 12},
        {"prompt": "d", "answer": WORKED, "kind": "math"},
    ]
    assert [(q.answer, q.kind) for q in read(tmp_path, *rows)] == [
        ("13", "number"), ("yes", "exact"), ("12", "exact"), ("13", "math"),
    ]  # fmt: skip
    assert [q.kind for q in read(tmp_path, *rows, kind="number", licence="MIT")] == ["number"] * 3 + ["math"]


def test_blank_lines_a_byte_order_mark_and_a_count(tmp_path: Path) -> None:
    rows = [b"\xef\xbb\xbf" + b'{"question": "a"}', b"", b"  ", '{"question": "zwölf"}'.encode(), b'{"question": "c"}']
    assert [q.messages[0].content for q in read(tmp_path, *rows, count=2)] == ["a", "zwölf"]


def test_identical_rows_are_one_question_and_are_counted(tmp_path: Path) -> None:
    assert len(read(tmp_path, *[{"question": "a", "answer": "1"}] * 3, {"question": "b"})) == 2
    source = FileSource(path="q.jsonl")
    twice = Distinct([*read_placed(source, base_folder=tmp_path), *read_placed(source, base_folder=tmp_path)])
    assert len(list(twice)) == 2
    assert twice.repeated == 6


def test_the_same_text_under_two_ids_is_two_questions(tmp_path: Path) -> None:
    assert [q.id for q in read(tmp_path, {"id": "1", "question": "a"}, {"id": "2", "question": "a"})] == ["1", "2"]


GOOD = {"question": "fine"}


@pytest.mark.parametrize(
    ("row", "what"),
    [
        (b'{"question": "a"', r"q\.jsonl line 2 is not JSON: .* at column 17"),
        (b"[1]", "line 2 is not a JSON object"),
        (b'"text"', "line 2 is not a JSON object"),
        (b"[" * 100_000, "line 2 is not JSON: it is nested too deeply"),
        (b'{"question": "a", "x": NaN}', "line 2 is not JSON: it holds NaN"),
        (b'{"question": "a", "x": %b}' % (b"9" * 5000), "line 2 is not JSON: a number has too many digits"),
        (b'{"question": "a", "x": 1e999}', "line 2 is not JSON: 1e999 is too large a number"),
        (b'{"question": "a", "question": "b"}', "line 2 is not JSON: the key 'question' stands twice"),
        (b'{"question": "a", "x": {"y": 1, "y": 1}}', "line 2 is not JSON: the key 'y' stands twice"),
        (b'{"question": "\xff"}', r"line 2 is not UTF-8: byte 15"),
        (b'{"question": "\\ud83d"}', "line 2 holds a broken character"),
        ({}, "line 2 is a question without text"),
        ({"question": ""}, "line 2 is a question without text"),
        ({"question": " \n"}, "line 2 is a question without text"),
        ({"question": None, "answer": "4"}, "line 2 is a question without text"),
        ({"question": 5}, "line 2: question must be text"),
        ({"question": "a", "prompt": "b"}, "line 2 has question and prompt"),
        ({"messages": []}, "line 2 is a question without text"),
        ({"messages": "a"}, "line 2: messages must be a list"),
        ({"messages": [{"role": "user"}]}, r"line 2: messages\[0\]: content: is missing"),
        ({"messages": [{"role": "boss", "content": "a"}]}, r"line 2: messages\[0\]: role"),
        ({"messages": [{"role": "assistant", "content": "a"}]}, "line 2 is a question without text"),
        ({"question": "a", "kind": "numbr"}, "line 2: there is no kind 'numbr'"),
        ({"question": "a", "answer": ["4"]}, "line 2: answer must be text"),
        ({"question": "a", "meta": "x"}, "line 2: meta must be an object"),
        ({"question": "a", "id": True}, "line 2: id"),
        ({"question": "a", "family": 3}, "line 2: family"),
    ],
)
def test_a_row_that_is_wrong_is_named_by_file_and_line(tmp_path: Path, row: object, what: str) -> None:
    with pytest.raises(DataError, match=what) as caught:
        read(tmp_path, GOOD, row)
    assert caught.value.what.startswith("q.jsonl line 2")
    assert caught.value.remedy


def test_line_ends_of_an_old_mac(tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_bytes(b'{"question": "a"}\r{"question": "b"}\r')
    with pytest.raises(DataError, match=r"q\.jsonl line 1 is not JSON") as caught:
        list(read_questions(FileSource(path="q.jsonl"), base_folder=tmp_path))
    assert caught.value.remedy == "Its lines end in CR alone: save it with LF."


@pytest.mark.parametrize("name", ["pipe.jsonl", "pipe.csv", "pipe.json", "pipe.parquet", "pipe.jsonl.gz"])
def test_a_pipe_is_not_waited_for(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(DataError, match=f"{name} is neither a file nor a folder"):
        list(read_questions(FileSource(path=name), base_folder=tmp_path))


def test_one_id_with_two_texts_names_both_places(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"q\.jsonl line 3: id '1' already stands at q\.jsonl line 1, with another text"
    ):
        read(tmp_path, {"id": "1", "question": "a"}, GOOD, {"id": "1", "question": "b"})
    one, other = (
        Question(id="1", messages=(Message(role="user", content=text),), source=f"{text}.jsonl") for text in "ab"
    )
    with pytest.raises(DataError, match=r"b line 9: id '1' already stands at a line 7, with another text"):
        list(Distinct([(Place("a line", 7), one), (Place("b line", 9), other)]))


def test_one_question_with_two_answers_names_both_places(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"line 2: the same question already stands at q\.jsonl line 1, with another answer"
    ):
        read(tmp_path, {"question": "a", "answer": "1"}, {"question": "a", "answer": "2"})


@pytest.mark.parametrize("content", [b"", b"\n\n"])
def test_an_empty_file(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DataError, match=r"q\.jsonl holds no questions"):
        read(tmp_path, content)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"There is no file .*none\.jsonl"):
        list(read_questions(FileSource(path="none.jsonl"), base_folder=tmp_path))
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match=r"folder is a folder\. Name a file in it"):
        list(read_questions(FileSource(path="folder"), base_folder=tmp_path))


def test_rows_are_read_as_they_are_taken(tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_text('{"question": "a"}\nnot JSON\n')
    questions = read_questions(FileSource(path="q.jsonl"), base_folder=tmp_path)
    assert next(questions).messages[0].content == "a"
    with pytest.raises(DataError):
        next(questions)
