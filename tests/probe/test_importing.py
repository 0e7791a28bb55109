"""Pairs that were drawn without a coin: graded so, in an order that tells nothing, each row kept or told of."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stillroom.base.errors import DataError
from stillroom.probe.importing import import_pairs
from stillroom.probe.pairs import Gathered, evidence_problems, read_gathered, write_gathered


def rows(count: int = 40, **more: Any) -> list[dict[str, Any]]:
    return [
        {"messages": f"Question {number}", "served": f"Served {number}", "sealed": f"Drawn later {number}", **more}
        for number in range(count)
    ]


def jsonl(path: Path, written: list[Any]) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in written) + "\n\n")
    return path


def served_of(gathered: Gathered) -> list[str]:
    pairs = zip(gathered.pairs, gathered.openings, strict=True)
    return [pair.first if opening.coin == 0 else pair.second for pair, opening in pairs]


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_rows_of_a_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"rows.{suffix}"
    if suffix == "jsonl":
        jsonl(path, rows())
    else:
        pq.write_table(pa.Table.from_pylist(rows()), path)
    gathered = import_pairs(path)
    assert served_of(gathered) == [f"Served {number}" for number in range(40)]
    assert {opening.coin for opening in gathered.openings} == {0, 1}  # fails once in 2^39
    assert {opening.coin_from for opening in gathered.openings} == {"assumed"}
    assert gathered.by_account == Counter({"an unknown account": 40})
    assert gathered.pairs[0].messages == '[{"role":"user","content":"Question 0"}]'
    write_gathered(tmp_path / "probe", gathered)
    assert read_gathered(tmp_path / "probe") == gathered
    assert evidence_problems(gathered.pairs, gathered.openings, gathered.calls, None) == []


def test_which_comes_first_is_drawn_anew_each_time(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "rows.jsonl", rows())
    assert import_pairs(path).openings != import_pairs(path).openings  # fails once in 2^40


def test_messages_in_any_of_their_forms_are_one_question(tmp_path: Path) -> None:
    listed = [{"role": "user", "content": "[What?]"}]
    said = {"served": "a", "sealed": "b"}
    written = [{"messages": each, **said, "account": str(n)} for n, each in enumerate(["[What?]", listed])]
    written.append({"messages": json.dumps(listed), **said, "account": "2"})
    gathered = import_pairs(jsonl(tmp_path / "rows.jsonl", written))
    assert len({pair.question_id for pair in gathered.pairs}) == 1
    assert gathered.by_account == Counter("012")


def test_every_row_is_kept_or_left_out_for_a_reason(tmp_path: Path) -> None:
    history = [{"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}]
    written = [
        *rows(2),
        {"messages": "Question 0", "served": "again", "sealed": "another"},
        {"messages": "Alike", "served": "same", "sealed": " same "},
        {"messages": "Nothing", "served": "", "sealed": "b"},
        {"messages": history, "served": "a", "sealed": "b"},
        {"messages": [{"role": "user", "content": [{"type": "image_url"}]}], "served": "a", "sealed": "b"},
    ]
    gathered = import_pairs(jsonl(tmp_path / "rows.jsonl", written))
    assert gathered.left_out == Counter(["asked_again", "identical", "empty", "assistant_turn", "not_text"])
    assert gathered.found == len(written)


def test_the_earliest_call_is_the_first(tmp_path: Path) -> None:
    times = ["2026-11-02T00:00:00+00:00", 1_790_000_000_000_000, "2026-11-01T00:00:00Z"]
    written = [{"messages": "Q", "served": str(n), "sealed": "b", "at": at, "id": n} for n, at in enumerate(times)]
    (pair,) = import_pairs(jsonl(tmp_path / "rows.jsonl", written)).pairs
    assert pair.pair_id == "1"


def test_what_a_client_cut_is_cut_in_its_sibling(tmp_path: Path) -> None:
    """Served replies that are shorter because clients hung up: length does not tell which of the two was served."""
    reply = "The same reply in the end, which goes on for many more words than anybody waited for"
    written = [
        {"messages": f"Q{n}", "served": f"{n} " + reply[: 20 + n], "sealed": f"{reply} {reply}", "cut": True}
        for n in range(40)
    ]
    gathered = import_pairs(jsonl(tmp_path / "rows.jsonl", written))
    assert len(gathered.pairs) == 40
    longer = 0
    for pair, served in zip(gathered.pairs, served_of(gathered), strict=True):
        sealed = pair.second if pair.first == served else pair.first
        assert sealed in reply
        assert abs(len(served) - len(sealed)) < 9  # a word
        longer += len(served) - len(sealed)
    assert abs(longer) < 40 * 3


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("text", "line 2 is no JSON object"),
        ({"messages": "Q", "served": "a"}, "line 2: `sealed` is no text"),
        ({"messages": "Q", "served": 1, "sealed": "b"}, "line 2: `served` is no text"),
        ({"served": "a", "sealed": "b"}, "line 2 has no messages"),
        ({"messages": [], "served": "a", "sealed": "b"}, "line 2 has no messages"),
        ({"messages": "Q", "served": "a", "sealed": "b", "at": "soon"}, "line 2: `at` is no time"),
        ({"messages": "Q", "served": "a", "sealed": "b", "at": -1}, "line 2: `at` is no time"),
        ({"messages": "Q", "served": "a", "sealed": "b", "at": 1e9}, "line 2: `at` is no time"),
        ({"messages": "Q", "served": "a", "sealed": "b", "at": 10**18}, "line 2: `at` is no time"),
        ({"messages": "Q", "served": "a", "sealed": "b", "at": "1960-01-01"}, "line 2: `at` is no time"),
        ({"messages": "Q", "served": "a", "sealed": "b", "at": "9999-12-31T23:00-12:00"}, "line 2: `at` is no time"),
        ({"messages": "Q", "served": "a", "sealed": "b", "account": ""}, "line 2: `account` is no text"),
        ({"messages": "Q", "served": "a", "sealed": "b", "account": "a" * 501}, "line 2: `account` is no text"),
        ({"messages": "Q", "served": "a", "sealed": "b", "id": {"a": 1}}, "line 2: `id` is no text"),
        ({"messages": "Q", "served": "a", "sealed": "b", "cut": "yes"}, "line 2: `cut` is neither"),
        ({"messages": "Q", "served": "a", "sealed": "b", "id": "one"}, "line 2 has the id of an earlier one"),
    ],
)
def test_a_row_that_is_none_is_named(tmp_path: Path, row: Any, words: str) -> None:
    path = jsonl(tmp_path / "rows.jsonl", [*rows(1, id="one"), row])
    with pytest.raises(DataError, match=words):
        import_pairs(path)


def test_files_that_are_none(tmp_path: Path) -> None:
    for name, data, words in (
        ("missing.jsonl", None, "cannot be read"),
        ("empty.jsonl", b"\n", "has no rows"),
        ("bad.jsonl", b'{"messages": "\xff"}', "line 1 is not JSON"),
        ("half.jsonl", b'{"messages": "\\ud800", "served": "a", "sealed": "b"}', "line 1 is not JSON"),
        ("bad.parquet", b"PAR1 not", "no Parquet file"),
    ):
        if data is not None:
            (tmp_path / name).write_bytes(data)
        with pytest.raises(DataError, match=words):
            import_pairs(tmp_path / name)
    pq.write_table(pa.table({"served": ["a"]}), tmp_path / "other.parquet")
    with pytest.raises(DataError, match="no column messages"):
        import_pairs(tmp_path / "other.parquet")
    rows_of_bytes = pa.table({"messages": [[{"role": b"user"}]], "served": ["a"], "sealed": ["b"]})
    pq.write_table(rows_of_bytes, tmp_path / "bytes.parquet")
    with pytest.raises(DataError, match="row 1: its messages"):
        import_pairs(tmp_path / "bytes.parquet")


def test_a_time_zone_that_there_is_not(tmp_path: Path) -> None:
    at = pa.array([10**15], pa.timestamp("us", tz="Mars/Base"))
    table = pa.table({"messages": ["Q"], "served": ["a"], "sealed": ["b"], "at": at})
    pq.write_table(table, tmp_path / "rows.parquet")
    with pytest.raises(DataError, match="no Parquet file that can be read"):
        import_pairs(tmp_path / "rows.parquet")
