"""Each row of a data set held against its receipt: what is found, how it is named, how honest rows may look."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from benchmarks.verify_alterations import ALTERATIONS, MODEL, Maker, Row, finish_data_set, write_data_set
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from stillroom.base.errors import DataError, StillroomError
from stillroom.base.receipt import MOST_TURNS
from stillroom.check.published import write_split
from stillroom.check.receipts.owner import HeldPermit, permit_in_file, read_owner
from stillroom.check.receipts.reasons import REASONS
from stillroom.check.receipts.row import Judge, Problem, Vouched
from stillroom.check.receipts.run import verify_receipts
from stillroom.cli import app
from stillroom.client.reply import parse_reply
from stillroom.testing import MisbehavingTeacher
from stillroom.text.think import join_think

NOW = 1_900_000_000


@pytest.fixture(scope="module")
def maker() -> Maker:
    return Maker(words=12)


@pytest.fixture(scope="module")
def judge(maker: Maker) -> Judge:
    return judge_of(maker)


def judge_of(maker: Maker) -> Judge:
    owner, refused = read_owner(maker.owner.keys(), "keys", [HeldPermit(maker.permit, "permit")], NOW)
    assert not refused
    return Judge(owner)


@pytest.fixture
def data_set(tmp_path: Path, maker: Maker) -> Callable[..., Path]:
    def make(rows: list[Row], permits: list[str] | None = None) -> Path:
        (tmp_path / "keys.json").write_bytes(maker.owner.keys())
        write_data_set(tmp_path / "dataset", rows, maker.permits if permits is None else permits)
        return tmp_path / "dataset"

    return make


def keys_of(folder: Path) -> str:
    return str(folder.parent / "keys.json")


def test_honest_rows_and_every_alteration(maker: Maker, data_set: Callable[..., Path]) -> None:
    rows, expected = [], {}
    for number, (kind, (alter, reasons)) in enumerate(ALTERATIONS.items()):
        for one in range(4):
            rows += [maker.row(10 * number + one), *alter(maker, 1000 * (number + 1) + one)]
            expected[len(rows) - 1] = (kind, reasons)
    folder = data_set(rows)
    facts = verify_receipts(folder, keys_of(folder), out=folder.parent / "bad" / "rows.jsonl")
    found = [json.loads(line) for line in (folder.parent / "bad" / "rows.jsonl").read_text().splitlines()]
    named = {row["row"]: row["reason"] for row in found}
    assert {row: named.get(row) for row in expected} == {row: min(reasons) for row, (_, reasons) in expected.items()}
    assert named.keys() == expected.keys()  # no honest row among them
    assert (facts["rows"], facts["bad"], sum(facts["reasons"].values())) == (len(rows), len(found), len(found))
    assert facts["first"] == found[:10]
    assert found[0] | {"detail": ""} == {
        "file": "data/train-00000-of-00001.parquet",
        "row": 1,
        "question_id": rows[1]["question_id"],
        "reply_key": rows[1]["reply_key"],
        "reason": "missing",
        "detail": "",
    }
    assert facts["reasons"].keys() <= REASONS.keys()


def test_several_processes_say_what_one_says(maker: Maker, data_set: Callable[..., Path]) -> None:
    folder = data_set([maker.row(number) | ({"receipt": None} if number % 7 == 0 else {}) for number in range(60)])
    table = folder / "data" / "train-00000-of-00001.parquet"
    pq.write_table(pq.read_table(table), table, row_group_size=9)
    alone, together = (
        verify_receipts(folder, keys_of(folder), out=folder.parent / f"{count}.jsonl", processes=count)
        for count in (1, 2)
    )
    for facts in (alone, together):
        del facts["seconds"]
    assert alone == together
    assert alone["reasons"] == {"missing": 9}
    assert (folder.parent / "1.jsonl").read_bytes() == (folder.parent / "2.jsonl").read_bytes()


@pytest.mark.parametrize("processes", [1, 2])
def test_a_damaged_table_is_told(maker: Maker, data_set: Callable[..., Path], processes: int) -> None:
    folder = data_set([maker.row(number) for number in range(20)])
    table = folder / "data" / "train-00000-of-00001.parquet"
    pq.write_table(pq.read_table(table), table, row_group_size=5)
    data = bytearray(table.read_bytes())
    data[40:400] = bytes(360)
    table.write_bytes(data)
    with pytest.raises(StillroomError, match="parquet is damaged"):
        verify_receipts(folder, keys_of(folder), processes=processes)


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=60) | st.sampled_from(
    ["<think>", "</think>", "<think>\na\n</think>\n\nb", "a\n</think>\n\nb", " \n x \n ", "<think>x", "x</think>"]
)


@settings(max_examples=200)
@given(reasoning=st.none() | TEXTS, answer=TEXTS)
def test_whatever_was_replied_verifies_as_the_check_leaves_it(reasoning: str | None, answer: str) -> None:
    """The white space around the texts goes, and the reasoning comes into a block, whatever stands in either."""
    maker = Maker()
    row = maker.signed(1, [{"role": "user", "content": "?"}], reasoning, answer)
    body = json.dumps(
        {
            "choices": [
                {"message": {"content": answer, "reasoning_content": reasoning}, "finish_reason": "stop"},
            ]
        }
    )
    read = parse_reply(body.encode())
    kept = join_think((read.reasoning or "").strip() or None, read.answer.strip())
    row["messages"][-1]["content"] = kept
    judged = judge_of(maker).judge(row)
    assert isinstance(judged, Vouched), judged


def test_what_the_teacher_read_before_may_be_dropped(maker: Maker, judge: Judge) -> None:
    asked = [{"role": "user", "content": "2 + 2?"}]
    row = maker.signed(1, asked, "hm", "4", system="Be brief.")
    assert prompt_of(judge.judge(row)) == "last"
    row = maker.signed(
        1, [{"role": "user", "content": "1 + 1?"}, {"role": "assistant", "content": "2"}, *asked], "hm", "4"
    )
    del row["messages"][:2]  # a worked example
    assert prompt_of(judge.judge(row)) == "last"
    assert prompt_of(judge.judge(maker.signed(1, asked, "hm", "4"))) == "whole"


def test_turns_of_a_conversation_are_vouched_for_without_the_system_prompt(maker: Maker, judge: Judge) -> None:
    roles = ["user", "assistant"] * MOST_TURNS
    asked = [{"role": role, "content": f"turn {number}"} for number, role in enumerate(roles[: MOST_TURNS - 1])]
    assert prompt_of(judge.judge(maker.signed(1, asked, "hm", "4", system="Be brief."))) == "last"
    for place in range(len(asked)):
        row = maker.signed(1, asked, "hm", "4", system="Be brief.")
        row["messages"][place]["content"] += "."
        judged = judge.judge(row)
        assert isinstance(judged, Problem)
        assert judged.reason == ("altered_user" if place == len(asked) - 1 else "altered_turn")
    long = [{"role": role, "content": f"turn {number}"} for number, role in enumerate(roles[:-1])]
    row = maker.signed(1, long, "hm", "4", system="Be brief.")
    row["messages"][0]["content"] = "too long ago"
    assert prompt_of(judge.judge(row)) == "later"  # which is counted, and said
    row = maker.signed(1, long, "hm", "4")
    assert prompt_of(judge.judge(row)) == "whole"


def prompt_of(judged: Problem | Vouched) -> str:
    assert isinstance(judged, Vouched), judged
    return judged.prompt


@pytest.mark.parametrize("receipt", ["~", "a.b.c~", "x" * 70_000, "é.é.é~é", "a.b.c~d", "\x00", "....~~~~"])
def test_a_receipt_that_is_none_is_data(maker: Maker, judge: Judge, receipt: str) -> None:
    judged = judge.judge(maker.row(1) | {"receipt": receipt})
    assert isinstance(judged, Problem)
    assert judged.reason == "malformed"


@pytest.mark.parametrize("calls", ["[", "[NaN]", '["\\ud800"]', "7", "[1, null]", "{}", "[" * 5000])
def test_tool_calls_that_are_none_are_data(maker: Maker, judge: Judge, calls: str) -> None:
    row = maker.row(1)
    row["messages"][-1]["tool_calls"] = calls
    judged = judge.judge(row)
    assert isinstance(judged, Problem)
    assert judged.reason == "altered_tool_calls"
    row = maker.row(1)
    row["messages"][0]["tool_calls"] = calls
    assert isinstance(judge.judge(row), Vouched | Problem)


@pytest.mark.parametrize("messages", [None, [], [{"role": "user", "content": "?"}]])
def test_a_row_without_a_reply(maker: Maker, judge: Judge, messages: Any) -> None:
    judged = judge.judge(maker.row(1) | {"messages": messages})
    assert isinstance(judged, Problem)
    assert judged.reason == "altered_answer"


def test_one_receipt_may_serve_two_questions_of_the_same_text(maker: Maker, data_set: Callable[..., Path]) -> None:
    row = maker.row(1)
    folder = data_set([row, row | {"question_id": "its twin"}, maker.row(2)])
    facts = verify_receipts(folder, keys_of(folder))
    assert facts["bad"] == 0
    assert facts["permits"][0]["used"] == {"rows": 3, "calls": 2, "tokens": 640}


@pytest.mark.parametrize(("limit", "reason"), [({"calls": 7}, "permit_calls"), ({"tokens": 320 * 7}, "permit_tokens")])
def test_calls_beyond_a_permit_are_the_latest(
    maker: Maker, data_set: Callable[..., Path], limit: dict[str, int], reason: str
) -> None:
    rows = [maker.row(number) for number in range(10)]
    folder = data_set(rows[::-1], [maker.owner.permit([MODEL], jti="the-permit", **limit)])
    facts = verify_receipts(folder, keys_of(folder))
    assert facts["reasons"] == {reason: 3}
    assert [row["question_id"] for row in facts["first"]] == ["q9", "q8", "q7"]
    assert "of 7" in facts["first"][0]["detail"] or "of 2240" in facts["first"][0]["detail"]


def test_a_permit_from_a_file(maker: Maker, data_set: Callable[..., Path]) -> None:
    folder = data_set([maker.row(1)], [])
    assert verify_receipts(folder, keys_of(folder))["reasons"] == {"other_permit": 1}
    path = folder.parent / "permit"
    path.write_text(maker.permit + "\n")
    assert verify_receipts(folder, keys_of(folder), [permit_in_file(path)])["bad"] == 0
    path.write_text(json.dumps({"jws": maker.permit, "claims": {}, "revoked_at": None}))
    assert verify_receipts(folder, keys_of(folder), [permit_in_file(path)])["bad"] == 0
    path.write_text(json.dumps({"token": maker.permit, "state": "holds", "revoked_at": None}))
    assert verify_receipts(folder, keys_of(folder), [permit_in_file(path)])["bad"] == 0
    path.write_text(json.dumps({"token": maker.permit, "state": "revoked", "revoked_at": 1_900_000_000_000_000}))
    facts = verify_receipts(folder, keys_of(folder), [permit_in_file(path)])
    assert facts["reasons"] == {"permit_revoked": 1}
    assert "was revoked on 2030-03-17 at 17:46:40 UTC" in facts["first"][0]["detail"]
    path.write_text(json.dumps({"jws": maker.permit, "revoked_at": 5}))
    assert verify_receipts(folder, keys_of(folder), [permit_in_file(path)])["reasons"] == {"permit_revoked": 1}


def test_a_permit_that_the_keys_document_revokes(maker: Maker, data_set: Callable[..., Path]) -> None:
    folder = data_set([maker.row(1)])
    keys = folder.parent / "keys.json"
    keys.write_text(json.dumps(json.loads(keys.read_bytes()) | {"revoked_permits": [{"jti": "the-permit"}]}))
    facts = verify_receipts(folder, str(keys))
    assert (facts["reasons"], facts["permits"][0]["revoked"]) == ({"permit_revoked": 1}, True)


def test_a_permit_that_somebody_else_signed_is_none(maker: Maker, data_set: Callable[..., Path]) -> None:
    forged = maker.stranger.permit([MODEL], jti="the-permit", iss="owner", accounts=[f"{1:032x}"])
    folder = data_set([maker.row(1)], [forged])
    facts = verify_receipts(folder, keys_of(folder))
    assert facts["reasons"] == {"other_permit": 1}
    assert "is not the owner's" in facts["notes"][0]


@pytest.mark.parametrize("content", ["", "a.b.c", "{}", '{"jws": 7}', '{"jws": "a.b.c"}', "[1]"])
def test_a_file_that_holds_no_permit(tmp_path: Path, content: str) -> None:
    (tmp_path / "permit").write_text(content)
    with pytest.raises(DataError, match="permit"):
        permit_in_file(tmp_path / "permit")


@pytest.mark.parametrize(
    "document", [b"", b"{}", b'{"keys": []}', b'{"keys": 7}', b"[]", b'{"keys": [{"kty": "OKP", "crv": "Ed25519"}]}']
)
def test_keys_that_are_none(maker: Maker, data_set: Callable[..., Path], document: bytes) -> None:
    folder = data_set([maker.row(1)])
    (folder.parent / "keys.json").write_bytes(document)
    with pytest.raises(DataError, match=r"keys\.json"):
        verify_receipts(folder, keys_of(folder))


@pytest.mark.parametrize("revoked", [7, [7], [{}], {"jti": "x"}, [{"jti": "x", "revoked_at": "now"}]])
def test_revocations_that_are_none(maker: Maker, data_set: Callable[..., Path], revoked: object) -> None:
    folder = data_set([maker.row(1)])
    keys = folder.parent / "keys.json"
    keys.write_text(json.dumps(json.loads(keys.read_bytes()) | {"revoked_permits": revoked}))
    with pytest.raises(DataError, match="revoked_permits"):
        verify_receipts(folder, str(keys))


def test_keys_by_an_address(maker: Maker, data_set: Callable[..., Path]) -> None:
    folder = data_set([maker.row(1)])
    with MisbehavingTeacher(owner=maker.owner) as teacher:
        host = teacher.base_url.removesuffix("/v1")
        assert verify_receipts(folder, f"{host}/.well-known/jwks.json")["bad"] == 0
        with pytest.raises(DataError, match="status 404"):
            verify_receipts(folder, f"{host}/nothing")
    with pytest.raises(DataError, match="cannot be read"):
        verify_receipts(folder, f"{host}/.well-known/jwks.json")


@pytest.mark.parametrize(
    ("column", "values", "words"),
    [
        ("messages", pa.array(["[]"]), "no list of role and content"),
        ("messages", pa.array([[{"role": "user", "text": "?"}]]), "no list of role and content"),
        ("messages", pa.array([[{"role": "user", "content": 7}]]), "content that is no text"),
        ("receipt", pa.array([7]), "receipt that is no text"),
        ("tools", pa.array([[1]]), "tools that is no text"),
    ],
)
def test_a_table_of_another_form(
    maker: Maker, data_set: Callable[..., Path], column: str, values: pa.Array[Any], words: str
) -> None:
    folder = data_set([maker.row(1)])
    path = folder / "data" / "train-00000-of-00001.parquet"
    table = pq.read_table(path)
    pq.write_table(table.set_column(table.schema.get_field_index(column), column, values), path)
    with pytest.raises(DataError, match=words):
        verify_receipts(folder, keys_of(folder))


def test_what_a_maker_wrote_stays_on_its_line(maker: Maker, data_set: Callable[..., Path]) -> None:
    hostile = "x\nEvery row is good.\x1b[2J"
    folder = data_set([maker.row(1) | {"question_id": hostile, "teacher": hostile}])
    code, said = command(str(folder), "--keys", keys_of(folder))
    assert code == 1
    assert not any(line.startswith("Every row is good") for line in said.splitlines())
    assert "\x1b" not in said


def test_lines_are_held_against_their_rows(maker: Maker, data_set: Callable[..., Path]) -> None:
    folder = data_set([maker.row(number) for number in range(12)])
    path = folder / "train.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)

    def reasons(changed: list[bytes]) -> dict[str, int]:
        path.write_bytes(b"".join(changed))
        return dict(verify_receipts(folder, keys_of(folder))["reasons"])

    assert reasons(lines) == {}
    assert reasons([lines[0].replace(b"Question", b"question"), *lines[1:]]) == {"altered_lines": 1}
    assert reasons([*lines, lines[0]]) == {"altered_lines": 1}  # a line that nobody signed
    assert reasons(lines[:-2]) == {"altered_lines": 2}
    assert reasons([b"{\n", b"[" * 3000 + b"\n", *lines[2:]]) == {"altered_lines": 2}


def test_what_was_not_looked_at_is_said(maker: Maker, data_set: Callable[..., Path]) -> None:
    folder = data_set([maker.row(1)])
    for place in ("more.jsonl", "data/more/rows.parquet", ".git/index"):
        (folder / place).parent.mkdir(exist_ok=True)
        (folder / place).write_text("")
    notes = verify_receipts(folder, keys_of(folder))["notes"]
    assert [note.partition(" ")[0] for note in notes] == ["data/more/rows.parquet", "more.jsonl"]


def test_held_out_rows_are_looked_at_too(maker: Maker, data_set: Callable[..., Path]) -> None:
    folder = data_set([maker.row(1)])
    train = folder / "data" / "train-00000-of-00001.parquet"
    table = pq.read_table(train)
    pq.write_table(
        table.set_column(table.schema.get_field_index("receipt"), "receipt", [[""]]),
        folder / "data" / "held_out-0.parquet",
    )
    facts = verify_receipts(folder, keys_of(folder), processes=1)
    assert (facts["rows"], facts["reasons"]) == (2, {"missing": 1})


def test_a_data_set_without_rows_or_receipts(maker: Maker, data_set: Callable[..., Path]) -> None:
    folder = data_set([maker.row(1)])
    train = folder / "data" / "train-00000-of-00001.parquet"
    pq.write_table(pq.read_table(train).drop_columns(["receipt"]), train)
    with pytest.raises(DataError, match="no column receipt"):
        verify_receipts(folder, keys_of(folder))
    train.unlink()
    with pytest.raises(DataError, match="no rows to verify"):
        verify_receipts(folder, keys_of(folder))


def test_tables_that_are_empty_and_one_that_is_no_file(maker: Maker, data_set: Callable[..., Path]) -> None:
    folder = data_set([maker.row(1)])
    train = folder / "data" / "train-00000-of-00001.parquet"
    pq.write_table(pq.read_table(train).slice(0, 0), train)
    facts = verify_receipts(folder, keys_of(folder))
    assert (facts["rows"], facts["reasons"]) == (0, {"altered_lines": 1})  # its lines are still there
    train.unlink()
    os.mkfifo(train)
    with pytest.raises(DataError, match="is no file"):
        verify_receipts(folder, keys_of(folder))


def command(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["verify", *words])
    return result.exit_code, result.output


def test_the_command(maker: Maker, data_set: Callable[..., Path]) -> None:
    folder = data_set([maker.row(number) for number in range(3)])
    code, said = command(str(folder), "--keys", keys_of(folder))
    assert code == 0
    assert "3 rows looked at: each is what its receipt says, and was made under its permit." in said
    assert "Permit the-permit of owner for a laboratory: 3 rows in 3 calls and 960 tokens, to train student." in said
    assert command(str(folder)) == (0, "Every file is what the manifest says.\n")
    bad = [maker.row(number) | {"receipt": None} for number in range(12)]
    (folder / "train.jsonl").unlink()
    write_split(folder, "train", [maker.row(50), *bad], with_tools=True)
    finish_data_set(folder, maker.permits)
    code, said = command(str(folder), "--keys", keys_of(folder))
    assert code == 1
    assert "12 bad rows of 13:" in said
    assert "12 without a receipt" in said
    assert "The first 10 of them:" in said
    assert "data/train-00000-of-00001.parquet, row 1 (question q0): it has no receipt." in said
    code, said = command(str(folder), "--keys", keys_of(folder), "--json", "--out", str(folder.parent / "bad.jsonl"))
    assert code == 1
    facts = json.loads(said[said.index("{") :])
    assert (facts["bad"], facts["reasons"], facts["differences"]) == (12, {"missing": 12}, [])
    assert len((folder.parent / "bad.jsonl").read_text().splitlines()) == 12
    code, said = command(str(folder), "--keys", keys_of(folder), "--out", str(folder / "manifest.json"))
    assert code == 2
    assert "lies in the data set" in said
    assert (folder / "manifest.json").read_text().startswith("{")
    code, said = command(str(folder), "--out", "x")
    assert code == 2
    assert "go with --keys" in said
