"""Files that other people's tools wrote: CSV, Parquet, JSON lists, saved data sets, compressed files."""

from __future__ import annotations

import csv
import datetime
import gzip
import io
import json
import tracemalloc
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from stillroom.ask import text_lines
from stillroom.ask.csv_file import csv_rows
from stillroom.ask.json_file import json_rows
from stillroom.ask.source_settings import FileSource, HuggingFaceSource
from stillroom.ask.sources import read_questions
from stillroom.base.errors import DataError
from stillroom.base.records import Message, Question
from stillroom.store.tables import write_questions


def read(folder: Path, name: str, content: bytes | str | None = None, **settings: Any) -> list[Question]:
    if content is not None:
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return list(read_questions(FileSource(path=name, **settings), base_folder=folder))


def asked(questions: list[Question]) -> list[tuple[str, str | None]]:
    return [(question.messages[-1].content, question.answer) for question in questions]


# CSV


def test_csv_with_quotes_line_ends_in_fields_and_a_byte_order_mark(tmp_path: Path) -> None:
    text = '\ufeffquestion,answer,note\r\n"a, ""b""\r\nc",001,\r\n\r\n"d",,x\r\n'
    first, second = read(tmp_path, "q.csv", text)
    assert asked([first, second]) == [('a, "b"\r\nc', "001"), ("d", None)]
    assert first.meta == {"source_place": "q.csv line 2", "note": None}
    assert second.meta == {"source_place": "q.csv line 5", "note": "x"}
    assert [question.kind for question in (first, second)] == ["exact", "none"]


def test_tsv_and_fields_of_a_megabyte(tmp_path: Path) -> None:
    long = "many words " * 100_000
    assert asked(read(tmp_path, "q.tsv", f"question\tanswer\n{long}\t1,5\n")) == [(long, "1,5")]


_cells = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)


@given(st.lists(st.tuples(_cells, _cells), max_size=5))
def test_what_pythons_writer_wrote_comes_back(tmp_path_factory: pytest.TempPathFactory, cells: Any) -> None:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([("a", "b"), *cells])
    path = tmp_path_factory.mktemp("csv") / "q.csv"
    path.write_bytes(text.getvalue().encode())
    found = [(row["a"] or "", row["b"] or "") for _, row in csv_rows(path, "q.csv", ",")]
    assert found == cells


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"question,answer\na,1\nb\n", r"q\.csv line 3 has 1 fields, and the header 2"),
        (b"question,answer\na,1,2\n", r"line 2 has 3 fields, and the header 2"),
        (b'question,answer\n"a\nb\nc,1\n', r"line 2: unexpected end of data\. Is a double quote missing"),
        (b'question\n"a"b\n', r"line 2: ',' expected after '\"'"),
        (b"question,question\na,b\n", r"line 1: the header has 'question' twice"),
        (b"question\na\0b\n", r"line 2 holds a NUL byte"),
        ("question\ncafé\n".encode("latin-1"), r"line 2 is not UTF-8: byte 4"),
        ("question\na\n".encode("utf-16"), r"line 1 is UTF-16, not UTF-8"),
        (b"question;answer\na;1\n", r"line 1: the fields are separated by semicolons"),
        (b"question\ra\r", r"line 1: new-line character seen"),
        (b"", r"q\.csv holds no questions"),
        (b"question,answer\n", r"q\.csv holds no questions"),
    ],
)
def test_csv_that_is_wrong(tmp_path: Path, content: bytes, what: str) -> None:
    with pytest.raises(DataError, match=what):
        read(tmp_path, "q.csv", content)


def test_a_quote_that_is_never_closed_does_not_fill_the_memory(tmp_path: Path) -> None:
    content = b'question\n"' + b"x" * 99 + (b"\n" + b"y" * 99) * 200_000
    with pytest.raises(DataError, match=r"q\.csv line 2: field larger than field limit"):
        read(tmp_path, "q.csv", content)


# JSON


def test_json_is_one_list_or_lines(tmp_path: Path) -> None:
    rows = [{"question": "a\u00e9 ]", "answer": "1"}, {"question": "b", "meta": {"x": [1, {"y": "}"}]}}]
    for text in (json.dumps(rows, indent=2), json.dumps(rows), "\ufeff" + json.dumps(rows, ensure_ascii=False) + "\n"):
        first, second = read(tmp_path, "q.json", text)
        assert (asked([first]), second.meta) == (
            [("aé ]", "1")], {"source_place": "q.json row 2", "x": [1, {"y": "}"}]},
        )  # fmt: skip
    assert len(read(tmp_path, "q.json", "\n".join(map(json.dumps, rows)))) == 2


@given(
    st.lists(st.dictionaries(st.text(), st.integers() | st.text() | st.none() | st.lists(st.booleans()))),
    st.sampled_from([None, 1]),
)
def test_a_list_comes_back_in_pieces(tmp_path_factory: pytest.TempPathFactory, rows: Any, indent: int | None) -> None:
    path = tmp_path_factory.mktemp("json") / "q.json"
    path.write_text(json.dumps(rows, indent=indent), encoding="utf-8")
    assert [row for _, row in json_rows(path, "q.json")] == rows


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ('[{"question": "a"}, {"question": "b"', r"q\.json row 2 is not JSON: Expecting"),
        ('[{"question": "a"}', r"q\.json row 2: a comma or \] is missing"),
        ('[{"question": "a"} {"question": "b"}]', r"row 2: a comma or \] is missing"),
        ('[{"question": "a"}, 3]', r"row 2 is not a JSON object"),
        ('[{"question": "a"},]', r"row 2 is not a JSON object"),
        ('[{"question": "a"}] []', r"q\.json goes on after the end of its list"),
        ('[{"question": "\\ud83d"}]', r"row 1 holds a broken character"),
        ('[{"question": "a", "x": 1e999}]', r"row 1 is not JSON"),
        ("[]", r"q\.json holds no questions"),
        (b'[{"question": "\xff"}]', r"q\.json is not UTF-8"),
        ('{"data": [\n1]}', r"q\.json line 1 is not JSON"),
    ],
)
def test_json_that_is_wrong(tmp_path: Path, content: bytes | str, what: str) -> None:
    with pytest.raises(DataError, match=what):
        read(tmp_path, "q.json", content)


# Compressed


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "zst": lambda data: zstandard.ZstdCompressor().compress(data),
}


@pytest.mark.parametrize("ending", COMPRESS)
def test_compressed_files(tmp_path: Path, ending: str) -> None:
    compress = COMPRESS[ending]
    half, other = b'{"question": "a"}\n', '{"question": "zwölf"}'.encode()
    questions = read(tmp_path, f"q.jsonl.{ending}", compress(half) + compress(other))
    assert asked(questions) == [("a", None), ("zwölf", None)]
    assert questions[1].meta["source_place"] == f"q.jsonl.{ending} line 2"
    assert len(read(tmp_path, f"q.csv.{ending}", compress(b"question\na\nb\n"))) == 2
    assert len(read(tmp_path, f"q.json.{ending}", compress(b'[{"question": "a"}]'))) == 1


@pytest.mark.parametrize("ending", COMPRESS)
def test_a_compressed_file_that_ends_too_early_or_is_none(tmp_path: Path, ending: str) -> None:
    data = b"".join(b'{"question": "%d"}\n' % number for number in range(5000))
    with pytest.raises(DataError, match=rf"q\.jsonl\.{ending} cannot be read: Truncated compressed stream"):
        read(tmp_path, f"q.jsonl.{ending}", COMPRESS[ending](data)[:-20])
    with pytest.raises(DataError, match=r"cannot be read: .*\. Is it whole, and is it what its name says"):
        read(tmp_path, f"q.jsonl.{ending}", data)
    with pytest.raises(DataError, match="There is no file"):
        read(tmp_path, f"none.jsonl.{ending}")


def test_a_line_without_an_end_does_not_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_lines, "LONGEST_LINE", 2**20)
    zeros = gzip.compress(b'{"question": "a"}\n{"question": "' + b"a" * 2**26)
    with pytest.raises(DataError, match=r"q\.jsonl\.gz line 2 is longer than 1 MiB\. Are the line ends missing\?"):
        read(tmp_path, "q.jsonl.gz", zeros)


# Parquet and Arrow


def test_parquet_of_many_types(tmp_path: Path) -> None:
    table = pa.table(
        {
            "question": pa.array(["a", "b"]).dictionary_encode(),
            "answer": pa.array([Decimal("1.50"), None]),
            "id": [7, 8],
            "score": [0.5, float("nan")],
            "when": [datetime.date(2024, 5, 1), None],
            "list": [[1, 2], []],
            "image": [{"bytes": b"\x00", "path": "x.png"}] * 2,
            "large": pa.array(["x", "y"], pa.large_string()),
        }
    )
    pq.write_table(table, tmp_path / "q.parquet")
    first, second = read(tmp_path, "q.parquet")
    assert [(q.id, q.answer) for q in (first, second)] == [("7", "1.50"), ("8", None)]
    assert first.meta == {
        "source_place": "q.parquet row 1", "score": 0.5, "when": "2024-05-01", "list": [1, 2], "large": "x",
    }  # fmt: skip
    assert second.meta["score"] is None


def test_parquet_is_read_a_batch_at_a_time(tmp_path: Path) -> None:
    with pq.ParquetWriter(tmp_path / "q.parquet", pa.schema([("question", pa.string())])) as writer:
        for group in range(4):
            rows = [f"{group} {number} " + f"{number * 7919 % 10007:05}" * 400 for number in range(4000)]
            writer.write_table(pa.table({"question": rows}))
    whole = pq.read_table(tmp_path / "q.parquet").nbytes
    before, most, count = pa.total_allocated_bytes(), 0, 0
    for _ in read_questions(FileSource(path="q.parquet"), base_folder=tmp_path):
        count += 1
        most = max(most, pa.total_allocated_bytes() - before)
    assert count == 16_000
    assert most < whole / 3


@pytest.mark.parametrize("name", ["q.jsonl", "q.json", "q.csv"])
def test_text_is_read_a_row_at_a_time(tmp_path: Path, name: str) -> None:
    rows = [{"question": f"{number} " + "word " * 200} for number in range(5000)]
    if name == "q.csv":
        content = "question\n" + "\n".join(row["question"] for row in rows)
    else:
        content = json.dumps(rows) if name == "q.json" else "\n".join(map(json.dumps, rows))
    (tmp_path / name).write_text(content)
    del rows
    tracemalloc.start()
    try:
        assert sum(1 for _ in read_questions(FileSource(path=name), base_folder=tmp_path)) == 5000
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < len(content) / 3


def test_parquet_that_is_none_cut_or_damaged(tmp_path: Path) -> None:
    pq.write_table(pa.table({"question": [f"{n} some words" for n in range(5000)]}), tmp_path / "good.parquet")
    good = (tmp_path / "good.parquet").read_bytes()
    middle = len(good) // 2
    for content in (b"", b"question\na\n", good[:-30], good[: middle - 50] + b"\xff" * 100 + good[middle + 50 :]):
        with pytest.raises(DataError, match=r"q\.parquet is no whole Parquet file: .*\. Is the file complete\?"):
            read(tmp_path, "q.parquet", content)
    with pytest.raises(DataError, match=r"There is no file"):
        read(tmp_path, "none.parquet")
    pq.write_table(pa.table({"question": pa.array([], pa.string())}), tmp_path / "empty.parquet")
    with pytest.raises(DataError, match=r"empty\.parquet holds no questions"):
        read(tmp_path, "empty.parquet")
    pq.write_table(pa.table({"question": ["a"], "choices": [["x", "y"]]}), tmp_path / "q.parquet")
    with pytest.raises(DataError, match=r"q\.parquet row 1: choices must be text, and is a list"):
        read(tmp_path, "q.parquet", template="{question} {choices}")


def test_a_table_of_ours_can_be_a_source(tmp_path: Path) -> None:
    asked = Question(
        id="q1",
        messages=(Message(role="system", content="Brief."), Message(role="user", content="2 + 2?")),
        answer="4", kind="number", source="here", licence="MIT", split="train", family="sums", meta={"a": [1, None]},
    )  # fmt: skip
    write_questions(tmp_path / "questions.parquet", [asked])
    (again,) = read(tmp_path, "questions.parquet")
    assert again == asked.model_copy(update={"meta": {"source_place": "questions.parquet row 1", "a": [1, None]}})


def save(folder: Path, rows: list[str], licence: str = "") -> None:
    """As `save_to_disk` of the `datasets` library does, in two files."""
    folder.mkdir(parents=True)
    names = ["data-00000-of-00002.arrow", "data-00001-of-00002.arrow"]
    for name, part in zip(names, (rows[:1], rows[1:]), strict=True):
        table = pa.table({"question": part})
        with pa.OSFile(str(folder / name), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
            writer.write_table(table)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name} for name in names]}))
    (folder / "dataset_info.json").write_text(json.dumps({"license": licence}))


def from_folder(folder: Path, **settings: Any) -> list[Question]:
    return list(read_questions(HuggingFaceSource(path=folder.name, **settings), base_folder=folder.parent))


def test_saved_data_sets(tmp_path: Path) -> None:
    save(tmp_path / "one", ["a", "b", "c"], "mit")
    questions = from_folder(tmp_path / "one")
    assert [question.messages[0].content for question in questions] == ["a", "b", "c"]
    assert (questions[2].licence, questions[2].source, questions[2].meta) == (
        "mit", "one", {"source_place": "one/data-00001-of-00002.arrow row 2"},
    )  # fmt: skip
    save(tmp_path / "dict" / "train", ["a", "b"])
    save(tmp_path / "dict" / "test", ["c", "d"])
    (tmp_path / "dict" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    test = from_folder(tmp_path / "dict", split="test")
    assert [(question.messages[0].content, question.split, question.source) for question in test] == [
        ("c", "test", "dict"), ("d", "test", "dict"),
    ]  # fmt: skip
    for settings, message in [
        ({}, r"dict has the splits train, test\. Choose one"),
        ({"split": "tset"}, r"dict has no split 'tset'\. Did you mean test"),
        ({"config": "main"}, r"dict is a saved data set, which has no configs"),
    ]:
        with pytest.raises(DataError, match=message):
            from_folder(tmp_path / "dict", **settings)
    (tmp_path / "one" / "data-00001-of-00002.arrow").write_bytes(b"ARROW, but not for long")
    with pytest.raises(DataError, match=r"one/data-00001-of-00002\.arrow is no whole Arrow file"):
        from_folder(tmp_path / "one")
    (tmp_path / "one" / "state.json").write_text("[]")
    with pytest.raises(DataError, match=r"state\.json is not a JSON object"):
        from_folder(tmp_path / "one")


def test_a_folder_laid_out_like_a_data_set(tmp_path: Path) -> None:
    folder = tmp_path / "gsm"
    folder.mkdir()
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    (folder / "train.jsonl").write_text('{"question": "a"}\n')
    (folder / "test.csv").write_text("question\nb\n")
    (question,) = from_folder(folder)
    assert (question.source, question.licence, question.split) == ("gsm", "mit", "train")
    for name, message in {"none": "There is no file", "gsm/train.jsonl": "cannot be read: Not a directory"}.items():
        with pytest.raises(DataError, match=message):
            list(read_questions(HuggingFaceSource(path=name), base_folder=tmp_path))
    (tmp_path / "bare").mkdir()
    with pytest.raises(DataError, match="bare has no data files that can be read"):
        from_folder(tmp_path / "bare")


# Names


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("q.jsnl", r"q\.jsnl ends in '\.jsnl', which says nothing of its format\. Did you mean \.jsonl\?"),
        ("q.xlsx", r"'\.xlsx', which says nothing of its format\. The endings are \.parquet, \.jsonl"),
        ("questions", r"questions has no ending"),
        ("q.gz", r"q\.gz ends in '\.gz', which says nothing of its format"),
        ("q.parquet.gz", r"ends in '\.gz'"),
    ],
)
def test_an_ending_that_nobody_knows(tmp_path: Path, name: str, what: str) -> None:
    with pytest.raises(DataError, match=what):
        read(tmp_path, name, "x")


def test_a_link_to_itself(tmp_path: Path) -> None:
    (tmp_path / "q.csv").symlink_to(tmp_path / "q.csv")
    with pytest.raises(DataError, match="cannot be read: Too many levels of symbolic links"):
        read(tmp_path, "q.csv")
