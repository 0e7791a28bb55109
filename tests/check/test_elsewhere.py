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


# Tools


ADD = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
CALL = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
CALLS = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "c1", "name": "add", "content": "42"}


@pytest.mark.parametrize(("tools", "calls"), [([ADD], [CALL]), (json.dumps([ADD]), json.dumps([CALL]))])
def test_tools_and_the_calls_before_a_reply_belong_to_the_question(tools: Any, calls: Any) -> None:
    question, reply = trace({"messages": [USER, CALLS | {"tool_calls": calls}, RESULT, SAID], "tools": tools})
    assert [message.role for message in question.messages] == ["user", "assistant", "tool"]
    assert question.messages[1].tool_calls == (CALL,)
    assert question.meta["tools"] == [ADD]
    assert (reply["answer"], reply["tool_calls"]) == ("It is 42.", None)
    assert question.id != trace({"messages": [USER, CALLS, RESULT, SAID]})[0].id, "other tools, another question"


def test_a_reply_may_be_a_call() -> None:
    question, reply = trace({"messages": [USER, CALLS], "tools": [ADD]})
    assert [message.role for message in question.messages] == ["user"]
    assert (reply["answer"], json.loads(reply["tool_calls"])) == ("", [CALL])


def test_results_stand_in_the_order_of_their_calls() -> None:
    calls = [CALL, CALL | {"id": "c2"}]
    results = [RESULT | {"tool_call_id": "c2", "content": "second"}, RESULT | {"content": "first"}]
    question, _ = trace({"messages": [USER, CALLS | {"tool_calls": calls}, *results, SAID]})
    assert [message.content for message in question.messages[2:]] == ["first", "second"]
    unnamed = [{"role": "tool", "content": "second"}, {"role": "tool", "content": "first"}]
    question, _ = trace({"messages": [USER, CALLS | {"tool_calls": calls}, *unnamed, SAID]})
    assert [message.content for message in question.messages[2:]] == ["second", "first"]


def test_fields_that_only_other_rows_of_a_table_have_are_left_out(tmp_path: Path) -> None:
    rows = [
        {"messages": [USER, SAID], "tools": [{"name": name, "parameters": {name: {"type": "string"}}}]}
        for name in ("one", "two")
    ]
    found = read(tmp_path, written(tmp_path, rows, "others.parquet"))
    offered = [question.meta["tools"] for question in read_questions(found.tables.questions)]
    assert sorted(tools[0]["name"] for tools in offered) == ["one", "two"]
    assert all(list(tools[0]["parameters"]) == [tools[0]["name"]] for tools in offered)


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"messages": [USER, CALLS, RESULT]}, "does not end with one reply"),
        ({"messages": [USER, CALLS, SAID]}, "does not end with one reply"),
        ({"messages": [USER, CALLS, RESULT, SAID, SAID]}, "does not end with one reply"),
        ({"messages": [USER, RESULT, SAID]}, "does not end with one reply"),
        ({"messages": [USER, SAID], "tools": "[not JSON"}, "tools is not JSON"),
        ({"messages": [USER, SAID], "tools": {"name": "add"}}, "tools must be a list"),
        ({"messages": [USER, SAID], "tools": ["add"]}, "tools must be a list of objects"),
        ({"messages": [USER, CALLS | {"tool_calls": "add"}]}, "tool_calls is not JSON"),
    ],
)
def test_tools_that_make_no_conversation(row: dict[str, Any], problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        trace(row)
