"""The teacher's books: what is in them, and that they outlive the one who writes them."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from stillroom.base.errors import DataError
from stillroom.testing import Answer, LedgerEntry, MisbehavingTeacher, Price, read_ledger
from stillroom.testing.faults import cut_off, rate_limited

Ask = Callable[..., Any]
PRICE = Price(input_per_million=Decimal("0.5"), output_per_million=Decimal(2), cached_per_million=Decimal("0.1"))


def test_a_bill_to_the_last_digit() -> None:
    assert PRICE.cost_usd(1000, 400, 10) == Decimal("0.00036")  # 600 at 0.5, 400 at 0.1, 10 at 2
    without_cache = Price(input_per_million=Decimal(1), output_per_million=Decimal(0))
    assert without_cache.cost_usd(3, 2, 100) == Decimal("0.000003")


def test_each_call_is_an_entry(ask: Ask, tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    answer = Answer("1 2 3", cached_tokens=2)
    with MisbehavingTeacher(lambda _: answer, faults=[None, rate_limited(), cut_off()], price=PRICE, ledger=path) as t:
        assert ask(t.base_url, "a b c", "r1").json["usage"]["prompt_tokens_details"] == {"cached_tokens": 2}
        assert len(list(read_ledger(path))) == 1  # it can be read while it grows
        ask(t.base_url, "b", "r2")
        with pytest.raises((ConnectionError, OSError)):
            ask(t.base_url, "a b c", "r3", n=2)
        ask(t.base_url, "\ud83d half a character")
    assert [(entry.request_id, entry.question, entry.status, entry.fault) for entry in t.ledger] == [
        ("r1", "a b c", 200, None),
        ("r2", "b", 429, "rate_limited"),
        ("r3", "a b c", 200, "cut_off"),
        (None, "\ud83d half a character", 200, None),
    ]
    tokens = [(entry.prompt_tokens, entry.cached_tokens, entry.completion_tokens) for entry in t.ledger]
    assert tokens == [(3, 2, 3), (0, 0, 0), (3, 2, 6), (4, 2, 3)]
    assert t.ledger[0].charged_usd == Decimal("0.0000067")
    assert t.charged_usd == sum(entry.charged_usd for entry in t.ledger) > 0
    assert t.by_fault == {"rate_limited": 1, "cut_off": 1}
    assert list(read_ledger(path)) == t.ledger
    assert t.summary() == {
        "requests": 4,
        "most_in_flight": 1,
        "prompt_tokens": 10,
        "completion_tokens": 12,
        "charged_usd": format(t.charged_usd, "f"),
        "by_fault": {"rate_limited": 1, "cut_off": 1},
    }


def test_without_a_price_nothing_is_charged_but_tokens_are_counted(ask: Ask) -> None:
    with MisbehavingTeacher(lambda _: Answer("1 2 3")) as teacher:
        ask(teacher.base_url)
    assert (teacher.charged_usd, teacher.charged_tokens) == (Decimal(0), 3)


def test_a_ledger_goes_on_after_its_last_whole_line(ask: Ask, tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    for _ in range(2):
        with MisbehavingTeacher(ledger=path) as teacher:
            ask(teacher.base_url, "x" * 70_000)
        with path.open("a") as file:
            file.write('{"at_us": 1, "question": "' + "y" * 70_000)
        assert len(teacher.ledger) == 1  # its own books begin anew
    entries = list(read_ledger(path))
    assert [entry.question for entry in entries] == ["x" * 70_000] * 2
    assert path.read_bytes().count(b"\n") == 2


def test_a_file_that_holds_no_line_yet(ask: Ask, tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_text('{"torn')
    with MisbehavingTeacher(ledger=path) as teacher:
        ask(teacher.base_url)
    assert list(read_ledger(path)) == teacher.ledger


@pytest.mark.parametrize("line", ["[]", "{}", "no", '{"charged_usd": "x"}', '{"charged_usd": "1", "more": 2}'])
def test_a_line_that_is_no_entry_is_named(tmp_path: Path, line: str) -> None:
    entry = LedgerEntry(1, None, "q", 1, 0, 2, Decimal(0), 200, None)
    good = json.dumps({name: getattr(entry, name) for name in LedgerEntry.__slots__} | {"charged_usd": "0"})
    path = tmp_path / "ledger.jsonl"
    path.write_text(f"{good}\n{line}\n")
    entries = read_ledger(path)
    assert next(entries) == entry
    with pytest.raises(DataError, match=r"ledger\.jsonl, line 2 is not an entry"):
        next(entries)


def test_a_file_that_cannot_be_read_or_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        next(read_ledger(tmp_path / "none.jsonl"))
    with pytest.raises(DataError, match="cannot be written"), MisbehavingTeacher(ledger=tmp_path / "none" / "l"):
        pass
