"""What `stillroom look RUN` prints."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from stillroom.report.look import SHOWN, as_json, look, print_rows
from stillroom.report.rows import RowFilter


def printed(tables: Any, wanted: RowFilter = RowFilter(), most: int = 4, *, in_full: bool = False) -> str:  # noqa: B008
    console = Console(file=io.StringIO(), width=80, highlight=False)
    print_rows(look(tables.folder, wanted, most), console, in_full=in_full)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_half_of_the_rows_are_rejected_ones_of_each_reason_in_turn(tables: Any) -> None:
    tables.check()
    parts = [(row.part, row.reason) for row in look(tables.folder, RowFilter(), 7).rows]
    assert parts == [
        ("kept", None),
        ("held_out", None),
        ("kept", None),
        ("kept", None),
        ("rejected", "wrong"),
        ("rejected", "truncated"),
        ("rejected", "unsure"),
    ]
    assert [row.part for row in look(tables.folder, RowFilter(), 1).rows] == ["kept"]
    few_kept = look(tables.folder, RowFilter(source="odd.jsonl", longest=18), 5).rows  # one kept, five rejected
    assert [row.part for row in few_kept] == ["held_out", *["rejected"] * 4]


def test_a_row_is_shown_with_its_question_and_its_verdict(tables: Any) -> None:
    tables.check()
    assert printed(tables, RowFilter(question="0003")).splitlines() == [
        "1 of 1 reply: wrong 1.",
        "rejected: wrong  sha256:0003 " + "─" * 51,
        "question  What is 3 + 1?",
        "reasoning 3 and 1, thought",
        "answer    4",
        "expected  4",
        "verdict   wrong",
        "detail    another number",
        "from      odd.jsonl, sums, 3 tokens, oracle",
    ]
    assert printed(tables, most=2).splitlines()[0] == (
        "2 of 20 replies: kept 10, held out 1, wrong 5, truncated 3, unsure 1."
    )


def test_where_nothing_is_like_that_what_there_is_is_said(tables: Any) -> None:
    tables.check()
    assert printed(tables, RowFilter(reason="rong")) == (
        "No reply is like that. The run has kept 10, held out 1, wrong 5, truncated 3, unsure 1.\n"
    )


def test_before_the_check_that_is_said(tables: Any) -> None:
    first, second, *rest = printed(tables, most=2).splitlines()
    assert first == "Not checked yet: run stillroom check."
    assert second == "2 of 20 replies: not checked 20."
    assert sum(line.startswith("not checked  sha256:") for line in rest) == 2


def test_long_texts_have_a_gap_unless_all_is_asked_for(tables: Any) -> None:
    tables.replies[3] |= {"reasoning": "first\n" + "x" * 5000 + "\nlast"}
    tables.check()
    short = printed(tables, RowFilter(question="0003"))
    assert "reasoning first\n          xxx" in short
    assert f"[… {5011 - SHOWN:,} characters not shown: --full …]" in short
    assert short.count("x") < SHOWN
    full = printed(tables, RowFilter(question="0003"), in_full=True)
    assert "x" * 5000 + "\n          last\n" in full


HOSTILE = "\x1b[2J\x1b]0;mine\x07\x9b31m\r\x08\u202eevil [bold]3[/bold] \x7f"


@pytest.mark.parametrize("place", ["answer", "reasoning", "teacher"])
def test_what_a_model_says_cannot_write_on_the_terminal(tables: Any, place: str) -> None:
    tables.replies[3] |= {place: HOSTILE}
    tables.reasons[3] = HOSTILE
    tables.check()
    shown = printed(tables, RowFilter(question="0003"))
    assert not set(shown) & set("\x1b\x07\x9b\r\x08\x7f\u202e")
    assert "[bold]3[/bold]" in shown


def test_as_json_nothing_is_left_out(tables: Any) -> None:
    tables.replies[3] |= {"reasoning": "x" * 5000, "answer": HOSTILE}
    tables.check()
    (row,) = look(tables.folder, RowFilter(question="0003"), 1).rows
    assert as_json(row) == {
        "id": "sha256:0003",
        "part": "rejected",
        "reply_key": "sha256:key-3",
        "reason": "wrong",
        "detail": "another number",
        "verdict": "wrong",
        "judged_by": "verifier",
        "source": "odd.jsonl",
        "family": "sums",
        "kind": "number",
        "question": "What is 3 + 1?",
        "reasoning": "x" * 5000,
        "answer": HOSTILE,
        "expected": "4",
        "extracted": HOSTILE,
        "tokens": 3,
        "teacher": "oracle",
    }
