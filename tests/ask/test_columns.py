"""Which column of somebody's table holds what."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from stillroom.ask.source_settings import FileSource, HuggingFaceSource
from stillroom.ask.sources import read_questions
from stillroom.ask.template import Template
from stillroom.base.errors import DataError
from stillroom.base.records import Question
from stillroom.text.columns import JsonNumber


def read(folder: Path, *rows: dict[str, Any] | str, **settings: Any) -> list[Question]:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (folder / "q.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return list(read_questions(FileSource(path="q.jsonl", **settings), base_folder=folder))


def test_columns_that_the_recipe_names(tmp_path: Path) -> None:
    row = {"problem": "a", "solution": "#### 4", "key": 12, "level": 5, "question": "the rest", "answer": "of it"}
    (question,) = read(tmp_path, row, question="problem", answer="solution", id="key")
    assert (question.id, question.messages[0].content, question.answer, question.kind) == ("12", "a", "4", "number")
    assert question.meta == {
        "source_place": "q.jsonl line 1", "level": 5, "question": "the rest", "answer": "of it",
    }  # fmt: skip


def test_a_column_that_is_not_there_names_the_nearest(tmp_path: Path) -> None:
    rows = [{"problem": "a", "solution": "1"}, {"problm": "b", "solution": "1"}]
    with pytest.raises(DataError, match=r"q\.jsonl line 2: there is no column 'problem'\. Did you mean problm\?"):
        read(tmp_path, *rows, question="problem")
    with pytest.raises(DataError, match=r"line 1: there is no column 'x'\. The columns are problem, solution\."):
        read(tmp_path, rows[0], question="problem", answer="x")
    with pytest.raises(DataError, match=r"line 1 is a question without text"):
        read(tmp_path, {"problem": None}, question="problem")


@pytest.mark.parametrize(
    ("written", "answer"),
    [
        ("1.0", "1.0"), ("1.50", "1.50"), ("1e5", "1e5"), ("-0.0", "-0.0"), ("12", "12"), ('"001"', "001"),
        ("100000000000000000000000.0", "100000000000000000000000.0"), ("98765432109876543210", "98765432109876543210"),
        ("true", "true"), ("null", None),
    ],
)  # fmt: skip
def test_numbers_keep_their_spelling(tmp_path: Path, written: str, answer: str | None) -> None:
    row = f'{{"question": "a", "answer": {written}, "n": {written}}}'
    (question,) = read(tmp_path, row)
    assert question.answer == answer
    if answer is not None:
        (filled,) = read(tmp_path, row, template="Is it {n}?")
        assert filled.messages[0].content == f"Is it {answer}?"
    assert json.loads(json.dumps(question.meta))["n"] == json.loads(written)


def test_a_number_of_json_is_a_number() -> None:
    assert JsonNumber("1.50") == 1.5
    assert json.dumps([JsonNumber("1.50")]) == "[1.5]"


# Templates


def test_a_template_is_filled_from_columns(tmp_path: Path) -> None:
    row = {"a.b": "x{y}", "two words": "z", "n": 3, "answer": "1"}
    (question,) = read(tmp_path, row, template="{{{a.b}}} {two words} {n}")
    assert question.messages[0].content == "{x{y}} z 3"
    assert question.meta["n"] == 3  # what a template used is kept


@pytest.mark.parametrize(
    ("template", "what"),
    [
        ("{", "the braces do not match"), ("a }", "the braces do not match"),
        ("{}", "a column's name and nothing else"),
        ("{a!r}", "a column's name and nothing else"), ("{a:>9999999999}", "a column's name and nothing else"),
        ("{a:{b}}", "a column's name and nothing else"), ("no hole", "would ask the same question of every row"),
    ],
)  # fmt: skip
def test_a_template_that_cannot_be_read(template: str, what: str) -> None:
    with pytest.raises(ValidationError, match=what):
        FileSource(path="q.jsonl", template=template)


def test_a_template_does_not_look_into_values(tmp_path: Path) -> None:
    for template in ("{question.__class__}", "{question[0]}"):
        with pytest.raises(DataError, match="line 1: there is no column 'question"):
            read(tmp_path, {"question": "a"}, template=template)
    assert Template("{a} {b} {a}").columns == ("a", "b")


def test_a_column_that_a_template_cannot_use(tmp_path: Path) -> None:
    rows: list[tuple[dict[str, Any], str]] = [
        ({"q": None}, r"line 1: q is empty, and the template needs it"),
        ({"q": ["a"]}, r"line 1: q must be text, and is a list"),
        ({"q": {"a": 1}}, r"line 1: q must be text, and is an object"),
        ({"qq": "a"}, r"line 1: there is no column 'q'\. Did you mean qq\?"),
    ]
    for row, message in rows:
        with pytest.raises(DataError, match=message):
            read(tmp_path, row, template="What is {q}?")


# Conversations


CHAT = [
    {"from": "system", "value": "Be brief."}, {"from": "human", "value": "2 + 2?"}, {"from": "gpt", "value": "4"},
    {"from": "human", "value": "And 3 + 3?"}, {"from": "gpt", "value": "6"},
]  # fmt: skip


def test_conversations_of_sharegpt(tmp_path: Path) -> None:
    for question in read(tmp_path, {"conversations": CHAT, "n": 1}) + read(tmp_path, {"c": CHAT}, messages="c"):
        assert [(message.role, message.content) for message in question.messages] == [
            ("system", "Be brief."), ("user", "2 + 2?"), ("assistant", "4"), ("user", "And 3 + 3?"),
        ]  # fmt: skip
        assert question.meta["reply"] == "6"
        assert question.answer is None


def test_conversations_of_openai_as_other_tools_write_them(tmp_path: Path) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        {"role": "assistant", "content": None, "tool_calls": [call], "name": None},
        {"role": "tool", "content": "7", "tool_calls": None},
        {"role": "user", "content": [{"type": "text", "text": "So?"}, {"type": "text", "text": "Well?"}]},
    ]
    for row in ({"messages": messages}, {"messages": json.dumps(messages)}, {"prompt": messages}):
        (question,) = read(tmp_path, row)
        assert question.messages[-1].content == "So?\nWell?"
        assert question.messages[0].tool_calls == (call,)
        assert "reply" not in question.meta


@pytest.mark.parametrize(
    ("messages", "what"),
    [
        (
            [{"from": "humman", "value": "a"}],
            r"line 1: messages\[0\]: nobody is called 'humman'\. Did you mean human\?",
        ),
        ([{"from": "human"}], r"line 1: messages\[0\]: content"),
        ([{"from": "gpt", "value": "a"}], r"line 1 is a question without text"),
        (["a"], r"line 1: messages\[0\] is not a message"),
        ({"role": "user"}, r"line 1: messages must be a list"),
        ("[{", r"line 1: messages is not JSON"),
        ([{"role": "user", "content": [{"type": "image_url"}]}], r"messages\[0\]: content has a part that is not text"),
        ([{"role": "user", "content": "a", "weight": 1}], r"messages\[0\]: weight: is no key here"),
    ],
)
def test_a_conversation_that_is_wrong(tmp_path: Path, messages: Any, what: str) -> None:
    with pytest.raises(DataError, match=what):
        read(tmp_path, {"messages": messages})


# Settings


def test_one_text_and_one_place() -> None:
    with pytest.raises(ValidationError, match="give one of question, messages and template"):
        FileSource(path="q.jsonl", question="a", template="{a}")
    with pytest.raises(ValidationError, match="give either name"):
        HuggingFaceSource()
    with pytest.raises(ValidationError, match="give either name"):
        HuggingFaceSource(name="a/b", path="c")
    with pytest.raises(ValidationError, match="a folder has none"):
        HuggingFaceSource(path="c", revision="v1")
