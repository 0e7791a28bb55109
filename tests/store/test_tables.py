from __future__ import annotations

import random
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stillroom.base.canonical import digest_bytes
from stillroom.base.errors import StoreError
from stillroom.base.records import Attempt, Message, Question, Reply, Trace, question_id
from stillroom.store import tables
from stillroom.store.schemas import ATTEMPTS, QUESTIONS, REPLIES, TRACES
from stillroom.store.tables import (
    count_rows,
    query,
    read_question_rows,
    read_questions,
    read_rows,
    read_traces,
    write_questions,
    write_table,
    write_traces,
)

CALL = ({"id": "1", "function": {"name": "f", "arguments": '{"x": 1}'}},)
FULL = Question(
    id="q1",
    messages=(
        Message(role="system", content="Be brief."),
        Message(role="assistant", content="", reasoning="hm", tool_calls=CALL, train=False),
        Message(role="user", content="2 + 2? ☃"),
    ),
    answer="4",
    kind="number",
    source="here",
    licence="MIT",
    split="train",
    family="sums",
    meta={"task": "t", "entry": {"list": [1, [2.5, None]], "text": "ü"}},
)
BARE = Question(id="q2", messages=(Message(role="user", content="Say something."),), source="here")


def test_schemas_have_the_fields_of_the_records() -> None:
    assert set(QUESTIONS.names) == set(Question.model_fields)
    assert set(TRACES.names) == set(Trace.model_fields)
    assert ATTEMPTS.names == [field.name for field in fields(Attempt)]
    of_reply = [field.name for field in fields(Reply) if field.name != "raw"]
    assert REPLIES.names == [*of_reply, "reasoning", "answer", "block"]
    message = TRACES.field("messages").type.value_type
    assert [message.field(i).name for i in range(message.num_fields)] == list(Message.model_fields)


def test_questions_and_traces_come_back_as_they_were(tmp_path: Path) -> None:
    assert write_questions(tmp_path / "q.parquet", [FULL, BARE]) == 2
    assert list(read_questions(tmp_path / "q.parquet")) == [FULL, BARE]
    trace = Trace(
        question_id="q1", messages=FULL.messages, verdict="right", pass_rate=0.5, tokens=7, source="here", teacher="t"
    )
    tools = ({"type": "function", "function": {"name": "add", "parameters": {"é": [1, None]}}},)
    traces = [trace, trace.model_copy(update={"tools": tools})]
    write_traces(tmp_path / "t.parquet", traces)
    assert list(read_traces(tmp_path / "t.parquet")) == traces


def test_tools_that_are_not_json_are_named(tmp_path: Path) -> None:
    write_traces(tmp_path / "t.parquet", [Trace(question_id="q1", messages=FULL.messages, source="here")] * 2)
    rows = pq.read_table(tmp_path / "t.parquet")
    rows = rows.set_column(rows.column_names.index("tools"), "tools", pa.array([None, "[{"]))
    pq.write_table(rows, tmp_path / "t.parquet")
    with pytest.raises(StoreError, match="row 1: tools is not JSON"):
        list(read_traces(tmp_path / "t.parquet"))


def test_rows_are_written_in_groups_as_they_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "ROWS_PER_GROUP", 10)
    rows = ({**asdict(Attempt(f"k{n}", 0, n, "ok", None, None, None, None, None, f"r{n}"))} for n in range(25))
    assert write_table(tmp_path / "a.parquet", ATTEMPTS, rows) == 25
    with pq.ParquetFile(tmp_path / "a.parquet") as file:
        assert file.num_row_groups == 3
    assert [row["sent_at"] for row in read_rows(tmp_path / "a.parquet", ["sent_at"])] == list(range(25))
    assert count_rows(tmp_path / "a.parquet") == 25


def test_an_empty_table_has_its_columns(tmp_path: Path) -> None:
    write_table(tmp_path / "a.parquet", ATTEMPTS, [])
    assert list(read_rows(tmp_path / "a.parquet", ["key"])) == []


def test_a_row_of_another_shape_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    write_table(path, ATTEMPTS, [])
    before = path.read_bytes()
    with pytest.raises(ValueError, match="row 1"):
        write_table(path, ATTEMPTS, [asdict(Attempt("k", 0, 1, "ok", None, None, None, None, None, "r")), {"key": "x"}])
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_sql_over_tables(tmp_path: Path) -> None:
    path = tmp_path / "it's.parquet"
    write_questions(path, [FULL, BARE])
    found = query("select id, messages ->> '$[#-1].content' as text from q order by id", q=path)
    assert found.to_pylist() == [{"id": "q1", "text": "2 + 2? ☃"}, {"id": "q2", "text": "Say something."}]


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    newer = ATTEMPTS.with_metadata({"stillroom.table": "attempt", "stillroom.schema_version": "3"})
    write_table(path, newer, [])
    for read in (lambda: list(read_rows(path)), lambda: count_rows(path), lambda: query("select 1 from a", a=path)):
        with pytest.raises(StoreError, match="schema version 3, newer than"):
            read()


def test_a_file_of_another_tool_is_read(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [tables.question_row(BARE)]
    pq.write_table(pa.Table.from_pylist(rows, schema=QUESTIONS.remove_metadata()), tmp_path / "q.parquet")
    assert list(read_questions(tmp_path / "q.parquet")) == [BARE]


def test_questions_of_version_1_held_their_messages_nested(tmp_path: Path) -> None:
    path = tmp_path / "q.parquet"
    messages = tables.trace_row(Trace(question_id="q", messages=FULL.messages, source="here"))["messages"]
    place = QUESTIONS.get_field_index("messages")
    schema = QUESTIONS.set(place, TRACES.field("messages")).with_metadata({"stillroom.schema_version": "1"})
    write_table(path, schema, [tables.question_row(FULL) | {"messages": messages}])
    assert list(read_questions(path)) == [FULL]
    nested = list(read_question_rows(path))
    write_questions(path, [FULL])
    assert nested == list(read_question_rows(path))


def test_the_bytes_of_a_questions_messages_are_what_its_id_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "q.parquet"
    write_questions(path, [FULL, BARE])
    rows = dict(read_question_rows(path))
    assert list(rows) == ["q1", "q2"]
    assert rows["q2"] == '[{"content":"Say something.","role":"user"}]'
    for question in (FULL, BARE):
        assert digest_bytes(rows[question.id].encode()) == question_id(question.messages)


@pytest.mark.parametrize(("place", "size"), [(0.3, 2000), (0.5, 100), (0.6, 20_000)])
def test_a_file_that_is_damaged_in_its_middle_is_an_error_of_that_file(tmp_path: Path, place: float, size: int) -> None:
    draw, path = random.Random(0), tmp_path / "q.parquet"
    texts = (" ".join(str(draw.random()) for _ in range(20)) for _ in range(3000))
    write_questions(
        path, (Question(id=text[:9], messages=(Message(role="user", content=text),), source="s") for text in texts)
    )
    data = bytearray(path.read_bytes())
    begin = round(place * len(data))
    data[begin : begin + size] = bytes(byte ^ 0x5A for byte in data[begin : begin + size])
    path.write_bytes(data)
    for read in (read_question_rows, read_questions, read_rows):
        with pytest.raises(StoreError, match=r"q\.parquet is damaged: .*\.\W+Delete it and run its stage again"):
            list(read(path))
    with pytest.raises(StoreError, match=r"q\.parquet is damaged"):
        query("select sum(length(messages)) from q", q=path)


def test_errors_name_file_and_column_and_row(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"q\.parquet does not exist"):
        list(read_questions(tmp_path / "q.parquet"))
    (tmp_path / "torn.parquet").write_bytes(b"PAR1 but not for long")
    with pytest.raises(StoreError, match=r"torn\.parquet cannot be read as Parquet"):
        list(read_rows(tmp_path / "torn.parquet"))
    pq.write_table(pa.table({"id": ["1"]}), tmp_path / "other.parquet")
    with pytest.raises(StoreError, match="has no column messages, answer"):
        list(read_questions(tmp_path / "other.parquet"))
    with pytest.raises(StoreError, match="has no column messages"):
        list(read_question_rows(tmp_path / "other.parquet"))
    row = tables.question_row(BARE) | {"kind": "numbr"}
    write_table(tmp_path / "bad.parquet", QUESTIONS, [row])
    with pytest.raises(StoreError, match=r"bad\.parquet, row 0: kind"):
        list(read_questions(tmp_path / "bad.parquet"))


def test_traces_of_version_1_are_read_without_what_came_later(tmp_path: Path) -> None:
    path = tmp_path / "traces.parquet"
    write_traces(
        path, [Trace(question_id="q", messages=BARE.messages, source="s", family="sums", judged_by="verifier")]
    )
    table = pq.read_table(path).drop_columns(["family", "kind", "expected", "judged_by"])
    pq.write_table(table.replace_schema_metadata({"stillroom.schema_version": "1"}), path)
    (trace,) = read_traces(path)
    assert (trace.question_id, trace.family, trace.judged_by) == ("q", None, None)
    pq.write_table(table.drop_columns(["source"]), path)
    with pytest.raises(StoreError, match="no column source"):
        list(read_traces(path))
