"""Finding the replies of a run: by what the check made of them, and before it has."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from stillroom.base.errors import StoreError
from stillroom.report.rows import Found, RowFilter, find_rows, in_turn
from stillroom.store.files import write_json
from stillroom.store.schemas import REPLIES
from stillroom.store.stages import file_digest
from stillroom.store.tables import write_table

EVERYTHING = RowFilter()


def counts(found: Found) -> dict[str, int]:
    return {group.reason or group.part: group.rows for group in found.groups}


def numbers(found: Found) -> list[int]:
    """Of the questions that are shown."""
    return sorted(
        int(str(row.question_id).removeprefix("sha256:"), 16) for group in found.groups for row in group.shown
    )


@pytest.fixture
def folder(tables: Any) -> Path:
    """A run that is checked."""
    tables.check()
    return Path(tables.folder)


def test_every_row_is_in_one_group(folder: Path) -> None:
    found = find_rows(folder, EVERYTHING, 100)
    assert list(counts(found).items()) == [
        ("kept", 10),
        ("held_out", 1),
        ("wrong", 5),
        ("truncated", 3),
        ("unsure", 1),
    ]
    assert numbers(found) == list(range(20))
    assert (found.is_checked, found.is_stale) == (True, False)


def test_a_row_says_what_is_known_of_it(folder: Path) -> None:
    found = find_rows(folder, RowFilter(question="0003"), 1)
    (row,) = found.groups[0].shown
    assert (row.part, row.reason, row.detail, row.verdict, row.judged_by) == (
        "rejected",
        "wrong",
        "another number",
        "wrong",
        "verifier",
    )
    assert (row.question, row.reasoning, row.answer) == ("What is 3 + 1?", "3 and 1, thought", "4")
    assert (row.expected, row.extracted, row.tokens, row.teacher) == ("4", "4", 3, "oracle")
    assert (row.source, row.family, row.kind) == ("odd.jsonl", "sums", "number")
    assert row.length == len("3 and 1, thought4")
    (kept,) = find_rows(folder, RowFilter(question="sha256:000f"), 1).groups[0].shown
    assert (kept.part, kept.reason, kept.verdict) == ("kept", None, "right")
    assert (kept.question, kept.reasoning, kept.answer) == ("What is 15 + 1?", "15 and 1, thought", "16")


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"kept": True}, {"kept": 10, "held_out": 1}),
        ({"kept": False}, {"wrong": 5, "truncated": 3, "unsure": 1}),
        ({"verdict": "unsure"}, {"unsure": 1}),
        ({"verdict": "right", "source": "odd.jsonl"}, {"kept": 5, "held_out": 1}),
        ({"reason": "truncated"}, {"truncated": 3}),
        ({"reason": "no_such"}, {}),
        ({"search": "WHAT IS 1"}, {"kept": 10, "wrong": 1}),
        ({"search": "7 and 1, thought"}, {"kept": 1, "truncated": 1}),
        ({"search": "%"}, {}),
        ({"search": "' or true --"}, {}),
        ({"source": "even.jsonl' or '1'='1"}, {}),
        ({"shortest": 18}, {"kept": 10, "held_out": 1}),
        ({"longest": 17}, {"wrong": 5, "truncated": 3, "unsure": 1}),
        ({"shortest": 18, "longest": 18}, {"held_out": 1}),
        ({"question": "sha256:0001"}, {"wrong": 1}),
    ],
)
def test_filters(folder: Path, wanted: dict[str, Any], expected: dict[str, int]) -> None:
    assert counts(find_rows(folder, RowFilter(**wanted), 3)) == expected


def test_few_rows_are_shown_of_many_and_the_same_ones_each_time(folder: Path, tables: Any) -> None:
    found = find_rows(folder, EVERYTHING, 2)
    assert [len(group.shown) for group in found.groups] == [2, 1, 2, 2, 1]
    before = {row.question_id for group in found.groups for row in group.shown}
    tables.replies.reverse()
    tables.check()
    assert {row.question_id for group in find_rows(folder, EVERYTHING, 2).groups for row in group.shown} == before
    assert find_rows(folder, EVERYTHING, 2).rows == 20


def test_rows_of_all_groups_take_turns(folder: Path) -> None:
    found = find_rows(folder, RowFilter(kept=False), 3)
    reasons = [row.reason for row in in_turn(found.groups)]
    assert reasons == ["wrong", "truncated", "unsure", "wrong", "truncated", "wrong", "truncated"]


def test_before_the_check_there_are_the_replies(tables: Any) -> None:
    found = find_rows(tables.folder, RowFilter(source="odd.jsonl", search="11 and 1"), 5)
    assert (found.is_checked, found.is_stale) == (False, False)
    (group,) = found.groups
    assert (group.part, group.reason, group.rows) == ("not_checked", None, 1)
    (row,) = group.shown
    assert (row.question, row.reasoning, row.answer, row.expected) == (
        "What is 11 + 1?",
        "11 and 1, thought",
        "12",
        "12",
    )
    assert (row.verdict, row.reason, row.reply_key, row.tokens) == (None, None, "sha256:key-11", 11)
    for kept in (True, False):
        assert find_rows(tables.folder, RowFilter(kept=kept), 5).groups == []


def test_after_other_replies_came_those_are_not_checked_and_the_others_keep_their_verdicts(tables: Any) -> None:
    tables.check()
    folder, replies = tables.folder, tables.folder / "replies.parquet"
    write_json(folder / "check.json", {})
    write_json(folder / "stages.json", {"check": {"settings": "x", "replies.parquet": file_digest(replies)}})
    os.utime(folder / "check.json", (1, 1))
    assert not find_rows(folder, EVERYTHING, 1).is_stale  # newer, and the same
    another = tables.replies[19] | {"question_id": "sha256:0013", "sample": 1, "key": "sha256:another"}
    write_table(replies, REPLIES, [*tables.replies[4:], another])  # four are gone, and one is new
    found = find_rows(folder, EVERYTHING, 100)
    assert found.is_stale
    assert counts(found) == {"kept": 10, "held_out": 1, "wrong": 1, "truncated": 3, "unsure": 1, "not_checked": 1}
    (new,) = (row for group in found.groups if group.part == "not_checked" for row in group.shown)
    assert (new.reply_key, new.question) == ("sha256:another", "What is 19 + 1?")


def test_a_reply_to_a_question_that_is_gone(tables: Any) -> None:
    write_table(tables.folder / "replies.parquet", REPLIES, [tables.replies[0] | {"question_id": "gone"}])
    (row,) = find_rows(tables.folder, EVERYTHING, 1).groups[0].shown
    assert (row.question_id, row.question, row.answer, row.source) == ("gone", "", "1", None)


def test_rows_far_into_a_table_are_found(folder: Path, tables: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stillroom.report.rows._TOGETHER", 3)
    table = pq.read_table(folder / "traces.parquet")
    pq.write_table(table, folder / "traces.parquet", row_group_size=4)
    found = find_rows(folder, RowFilter(kept=True), 100)
    shown = {row.reply_key: row.answer for row in found.groups[0].shown}
    assert shown == {row["key"]: row["answer"] for row in tables.replies[10:]}


def test_a_conversation_says_who_speaks(folder: Path) -> None:
    rows = pq.read_table(folder / "rejected.parquet").to_pylist()
    said = {"reasoning": None, "tool_calls": None, "train": None}
    rows[0]["messages"] = [
        {"role": "system", "content": "Be brief.", **said},
        {"role": "user", "content": "What is 0 + 1?", **said},
    ]
    rows[1] |= {"messages": [], "question_id": None, "reply_key": None, "reason": "not_a_conversation"}
    table = pq.read_schema(folder / "rejected.parquet")
    write_table(folder / "rejected.parquet", table, rows)
    (row,) = find_rows(folder, RowFilter(question="0000"), 1).groups[0].shown
    assert row.question == "system: Be brief.\n\nuser: What is 0 + 1?"
    (row,) = find_rows(folder, RowFilter(reason="not_a_conversation"), 1).groups[0].shown
    assert (row.question_id, row.question) == (None, "")


def test_a_table_that_cannot_be_read_is_named(folder: Path) -> None:
    old = pq.read_table(folder / "traces.parquet").drop_columns(["judged_by"])
    pq.write_table(old, folder / "traces.parquet")
    with pytest.raises(StoreError, match=r"traces\.parquet was written by an earlier stillroom"):
        find_rows(folder, EVERYTHING, 1)
    (folder / "traces.parquet").write_bytes(b"?")
    with pytest.raises(StoreError, match=r"traces\.parquet cannot be read"):
        find_rows(folder, EVERYTHING, 1)
    (folder / "traces.parquet").unlink()
    (folder / "replies.parquet").unlink()
    with pytest.raises(StoreError, match=r"replies\.parquet does not exist"):
        find_rows(folder, EVERYTHING, 1)
