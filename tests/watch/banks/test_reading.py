"""Files of questions: each format, and each way in which one is not what it should be."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stillroom.base.errors import DataError
from stillroom.watch.banks.reading import read_texts

TEXTS = ['How many "ducks" are there, and\nhow many geese?', "Zwölf Enten, wie viele Füße?", ""]


def written(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize("ending", [".jsonl", ".csv", ".tsv", ".parquet"])
@pytest.mark.parametrize("column", ["question", "prompt", "problem", "instruction"])
def test_every_format_gives_the_same_texts(tmp_path: Path, ending: str, column: str) -> None:
    path = tmp_path / f"bank{ending}"
    rows = [{"id": str(number), column: text} for number, text in enumerate(TEXTS)]
    if ending == ".jsonl":
        written(path, "\ufeff" + "\n".join(json.dumps(row) for row in rows) + "\n\n")
    elif ending == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        with path.open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.DictWriter(file, ["id", column], delimiter="\t" if ending == ".tsv" else ",")
            writer.writeheader()
            writer.writerows(rows)
    assert list(read_texts(path)) == TEXTS


@pytest.mark.parametrize("ending", [".jsonl", ".parquet"])
def test_a_column_of_any_name_and_the_last_message_of_a_user(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"bank{ending}"
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "well"},
        {"role": "user", "content": "second"},
    ]
    rows = [{"q": "mine", "question": "not this", "messages": messages}]
    if ending == ".jsonl":
        written(path, json.dumps(rows[0]))
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    assert list(read_texts(path, "q")) == ["mine"]
    assert list(read_texts(path, "messages")) == ["second"]
    assert list(read_texts(path)) == ["not this"]


def test_lines_of_text(tmp_path: Path) -> None:
    assert list(read_texts(written(tmp_path / "bank.txt", "one\r\n\r\ntwo"))) == ["one", "", "two"]
    with pytest.raises(DataError, match="no columns"):
        list(read_texts(tmp_path / "bank.txt", "question"))


def test_rows_without_a_question_are_empty(tmp_path: Path) -> None:
    path = written(tmp_path / "bank.jsonl", '{"question": null}\n{"messages": []}\n{"messages": [{"role": "system"}]}')
    assert list(read_texts(path)) == ["", "", ""]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("bank.jsonl", "{}", "line 1 has none of the columns"),
        ("bank.jsonl", '{"question": "a"}\n{"question"', "line 2 is not JSON"),
        ("bank.jsonl", '["question"]', "line 1 is no JSON object"),
        ("bank.jsonl", '{"question": 7}', "question is no text"),
        ("bank.jsonl", '{"question": {"text": "a"}}', "question is no text"),
        ("bank.jsonl", b'{"question": "\xff"}', "line 1 is not UTF-8"),
        ("bank.jsonl", '{"question": "\\ud83d"}', "line 1 is not JSON"),
        ("bank.jsonl", "[" * 100_000, "line 1 is not JSON"),
        ("bank.jsonl", b'{"question": "' + b"x" * (17 << 20) + b'"}', "longer than 16 MiB"),
        ("bank.csv", 'question\n"a', "line 2"),
        ("bank.csv", "question,id\na\n", "line 2 has 1 fields, and the header 2"),
        ("bank.csv", "text\na\n", "none of the columns"),
        ("bank.parquet", "PAR1 and no more", "no whole Parquet file"),
        ("bank.parquet", "", "no whole Parquet file"),
        ("bank.xlsx", "", "ends in '.xlsx'"),
        ("bank", "", "ends in ''"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, name: str, content: str | bytes, says: str) -> None:
    with pytest.raises(DataError, match=says) as wrong:
        list(read_texts(written(tmp_path / name, content)))
    assert wrong.value.remedy


def test_a_column_that_is_not_there_is_told_with_the_nearest(tmp_path: Path) -> None:
    path = written(tmp_path / "bank.jsonl", '{"questions": "a"}')
    with pytest.raises(DataError, match="Did you mean questions"):
        list(read_texts(path, "question"))


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        list(read_texts(tmp_path / "missing.jsonl"))
    folder = tmp_path / "folder.jsonl"
    folder.mkdir()
    with pytest.raises(DataError, match="is no file"):
        list(read_texts(folder))
