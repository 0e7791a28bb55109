from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stillroom.ask.files import file_rows
from stillroom.base.errors import DataError
from stillroom.base.records import Message, Question
from stillroom.check.elsewhere import PREFIX, Elsewhere, read_elsewhere, trace_of
from stillroom.check.rows import ROWS
from stillroom.check.settings import MixSettings
from stillroom.store.tables import read_questions, read_rows, write_questions

USER, SAID = {"role": "user", "content": "6 times 7?"}, {"role": "assistant", "content": "It is 42."}
THOUGHT = "Six sevens are 42."


def trace(row: dict[str, Any], **settings: Any) -> tuple[Question, dict[str, Any]]:
    return trace_of(row, MixSettings(path="others.jsonl", **settings), "others.jsonl line 3")


@pytest.mark.parametrize(
    "row",
    [
        {"messages": [USER, SAID | {"reasoning_content": THOUGHT}]},
        {"messages": [USER, SAID | {"reasoning": THOUGHT}]},
        {"messages": [USER, SAID | {"thinking": THOUGHT, "reasoning": None}]},
        {"messages": [USER, SAID | {"content": f"<think>\n{THOUGHT}\n</think>\n\nIt is 42."}]},
        {"messages": json.dumps([USER, SAID | {"content": f"<think>{THOUGHT}</think>It is 42."}])},
        {
            "conversations": [
                {"from": "human", "value": "6 times 7?"},
                {"from": "gpt", "value": f"<think>{THOUGHT}</think> It is 42."},
            ]
        },
        {"prompt": "6 times 7?", "completion": f"<think>{THOUGHT}</think>It is 42."},
        {"prompt": [USER], "completion": [SAID | {"reasoning_content": THOUGHT}]},
    ],
)
def test_the_forms_that_a_row_may_have(row: dict[str, Any]) -> None:
    question, reply = trace(row)
    assert [message.content for message in question.messages] == ["6 times 7?"]
    assert (reply["reasoning"], reply["answer"]) == (THOUGHT, "It is 42.")
    assert (reply["status"], reply["reasoning_form"]) == ("ok", "full")
    assert reply.keys() == set(ROWS.names) | {"key"}
    assert (question.kind, question.answer, question.source) == ("none", None, "others.jsonl")


def test_earlier_turns_belong_to_the_question() -> None:
    turns = [{"role": "system", "content": "Be brief."}, USER, SAID, {"role": "user", "content": "And 6 times 8?"}]
    question, reply = trace({"messages": [*turns, SAID | {"content": "48", "train": True}]})
    assert [message.role for message in question.messages] == ["system", "user", "assistant", "user"]
    assert reply["answer"] == "48"
    untrained = [turn | {"train": False} for turn in turns]
    assert trace({"messages": [*untrained, SAID]})[0].id == question.id


def test_what_a_row_says_of_itself() -> None:
    row = {
        "messages": [USER, SAID],
        "source": "OpenR1",
        "license": "apache-2.0",
        "family": "products",
        "model": "R1",
        "finish_reason": "length",
        "pass_rate": 0.75,
        "solution": "... #### 42",
        "kind": "math",
    }
    question, reply = trace(row, answer="solution", licence="mit")
    assert (question.source, question.licence, question.family) == ("OpenR1", "apache-2.0", "products")
    assert (question.answer, question.kind) == ("42", "math")
    assert (reply["teacher"], reply["status"], reply["pass_rate"]) == ("R1", "truncated", 0.75)
    question, _ = trace({"messages": [USER, SAID], "solution": "42"}, answer="solution", kind="number", licence="mit")
    assert (question.licence, question.answer, question.kind) == ("mit", "42", "number")


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({}, "no messages, conversations or prompt"),
        ({"text": "once"}, "no messages"),
        ({"messages": []}, "the user says nothing"),
        ({"messages": [SAID]}, "the user says nothing"),
        ({"messages": [USER]}, "does not end with one reply"),
        ({"messages": [USER, SAID, SAID]}, "does not end with one reply"),
        ({"messages": [USER, {"role": "tool", "content": "42"}]}, "does not end with one reply"),
        ({"messages": [USER, {"role": "assistant"}]}, "content"),
        ({"messages": "not JSON"}, "must be a list"),
        ({"messages": "[not JSON"}, "is not JSON"),
        ({"messages": [{"role": "nobody", "content": "?"}]}, "role"),
        ({"conversations": [{"from": "nobody", "value": "?"}]}, "nobody"),
        ({"prompt": "6 times 7?"}, "content"),
        ({"messages": [USER, SAID], "source": ["a"]}, "source"),
    ],
)
def test_what_is_no_conversation(row: dict[str, Any], problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        trace(row)


def test_a_named_answer_column_has_to_be_there() -> None:
    with pytest.raises(DataError, match="no column 'answer'"):
        trace({"messages": [USER, SAID]}, answer="answer")


@pytest.mark.parametrize(
    ("content", "beside", "block"),
    [
        ("<think>a</think>42", None, "well_formed"),
        ("<think>a", None, "unclosed"),
        ("<think>a</think>42</think>", None, "not_well_formed"),
        ("42", "a", "none"),
        ("<think>a</think>42", "a", "not_well_formed"),
    ],
)
def test_think_blocks(content: str, beside: str | None, block: str) -> None:
    _, reply = trace({"messages": [USER, SAID | {"content": content, "reasoning": beside}]})
    assert reply["block"] == block


def written(folder: Path, rows: list[dict[str, Any]], name: str = "others.jsonl") -> Path:
    path = folder / name
    if name.endswith(".parquet"):
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def read(folder: Path, *paths: Path) -> Elsewhere:
    own = Question(id="mine-7", messages=(Message(role="user", content="Mine?"),), source="mine")
    write_questions(folder / "own.parquet", [own])
    mix = [MixSettings(path=str(path)) for path in paths]
    return read_elsewhere(folder, folder / "own.parquet", mix, file_rows)


@pytest.mark.parametrize("name", ["others.jsonl", "others.parquet"])
def test_files_become_questions_and_rows(tmp_path: Path, name: str) -> None:
    mine = {"role": "user", "content": "Mine?"}
    rows = [{"messages": [USER, SAID]}, {"messages": [mine, SAID]}, {"messages": [USER, SAID | {"content": "42"}]}]
    found = read(tmp_path, written(tmp_path, rows, name), written(tmp_path, rows[:1], "more.jsonl"))
    (question,) = read_questions(found.tables.questions)
    assert question.id.startswith(PREFIX)
    replies = list(read_rows(found.tables.rows))
    assert [reply["question_id"] for reply in replies] == [question.id, "mine-7", question.id, question.id]
    assert [reply["mix"] for reply in replies] == [0, 0, 0, 1]
    assert replies[0]["key"] == replies[3]["key"] != replies[2]["key"]
    assert list(found.unreadable_rows()) == []


def test_rows_that_hold_no_conversation_are_set_aside(tmp_path: Path) -> None:
    path = written(tmp_path, [{"messages": [USER, SAID]}, {"messages": [USER], "source": "X"}, {"text": "once"}])
    unreadable = list(read(tmp_path, path).unreadable_rows())
    assert [(row["reason"], row["source"], row["mix"]) for row in unreadable] == [
        ("not_a_conversation", "X", 0),
        ("not_a_conversation", "others.jsonl", 0),
    ]
    assert "others.jsonl line 3" in unreadable[1]["detail"]


def test_a_file_without_any_conversation_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no conversation.*others\.jsonl line 1 has no messages"):
        read(tmp_path, written(tmp_path, [{"text": "once"}, {"text": "twice"}]))
    with pytest.raises(DataError, match="There is no file"):
        read(tmp_path, tmp_path / "nowhere.jsonl")
