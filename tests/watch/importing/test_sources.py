"""Files as they really are: cut off, mixed up, of another encoding, with a gigantic line. No row stops an import."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from stillroom.base.errors import DataError
from stillroom.store.calls import call_dataset
from stillroom.store.secrets import Secrets
from stillroom.watch.importing import csv_records, lines
from stillroom.watch.importing.importer import Imported, import_calls
from stillroom.watch.importing.mapping import ImportMapping

SECRETS = Secrets(bytes(32))
COLUMNS: dict[str, Any] = {"at": "at", "account": "account", "prompt": "prompt", "prompt_tokens": "tokens"}
GOOD = "2024-10-14T09:00:0{}Z,anna,{},12"


def run(folder: Path, data: bytes, kind: str = "csv", name: str = "rows", **more: Any) -> Imported:
    source = folder / name
    source.write_bytes(data)
    columns = {} if kind == "combined" else {"columns": COLUMNS}
    mapping = ImportMapping.model_validate({"name": "s", "format": kind, **columns, **more})
    return import_calls(source, mapping, folder / "out", SECRETS)


def calls(folder: Path) -> list[dict[str, Any]]:
    return call_dataset(folder / "out").to_table().to_pylist()


def csv_of(*rows: str) -> bytes:
    return "\n".join(["at,account,prompt,tokens", *rows, ""]).encode()


def rejected(done: Imported) -> list[tuple[int, str]]:
    assert done.rejected_rows is not None
    rows = [json.loads(line) for line in done.rejected_rows.read_text(encoding="utf-8").splitlines()]
    return [(row["row"], row["reason"]) for row in rows]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("2024-10-14T09:00:00Z,anna,a", "it has 3 fields, and the header has 4"),
        ("2024-10-14T09:00:00Z,anna,a,1,2", "it has 5 fields, and the header has 4"),
        ('2024-10-14T09:00:00Z,anna,"a"b,1', "it is no CSV: ',' expected after '\"'"),
        ("yesterday,anna,a,1", "it is no time in the format iso"),
        ("9999-12-31T23:59:59Z,anna,a,1", "it is a time that has not been yet"),
        ("0001-01-01T00:00:00+14:00,anna,a,1", "it is a time before 2015"),
        (",anna,a,1", "its time is not known"),
        ("2024-10-14T09:00:00Z,,a,1", "its account is not known"),
        ("2024-10-14T09:00:00Z,NULL,a,1", "its account is not known"),
        (f"2024-10-14T09:00:00Z,{'x' * 257},a,1", "its account is not known"),
    ],
)
def test_a_bad_row_costs_only_itself(tmp_path: Path, row: str, reason: str) -> None:
    done = run(tmp_path, csv_of(GOOD.format(1, "a"), row, GOOD.format(2, "b")))
    assert rejected(done) == [(3, reason)]
    assert [call["at"] % 60_000_000 for call in calls(tmp_path)] == [1_000_000, 2_000_000]


@pytest.mark.parametrize(
    ("tokens", "problem"),
    [
        ("-5", "it is negative"),
        ("1.5", "it is no whole number"),
        ("1e300", "it is too large"),
        ("many", "it is no number"),
        ("inf", "it is no number"),
        ("1_000", "it is no number"),
        ("9" * 400, "it is no number"),
    ],
)
def test_a_bad_value_is_unknown_and_the_call_stays(tmp_path: Path, tokens: str, problem: str) -> None:
    done = run(tmp_path, csv_of(GOOD.format(1, "a"), f"2024-10-14T09:00:02Z,anna,b,{tokens}"))
    assert [call["prompt_tokens"] for call in calls(tmp_path)] == [12, None]
    assert done.unreadable == [{"column": "prompt_tokens", "problem": problem, "values": 1, "first_row": 3}]


def test_a_quote_that_is_never_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_records, "LONGEST_LINE", 2000)
    rows = [GOOD.format(n, f"{n}" * 90) for n in range(10)]
    done = run(tmp_path, csv_of('2024-10-14T09:00:00Z,anna,"a,1', *rows, *(row.replace("09:", "10:") for row in rows)))
    assert rejected(done) == [(2, "a quote in it is not closed")]
    assert done.calls == 20


def test_a_quote_that_is_open_at_the_end(tmp_path: Path) -> None:
    done = run(tmp_path, csv_of(GOOD.format(1, "a"), '2024-10-14T09:00:00Z,anna,"a,1', GOOD.format(2, "b")))
    assert rejected(done) == [(3, "it is no CSV: unexpected end of data")]
    assert done.calls == 2


def test_line_ends_within_quotes(tmp_path: Path) -> None:
    data = csv_of('2024-10-14T09:00:00Z,anna,"one\n\n""two"", three",1', GOOD.format(1, "a"), "bad").replace(
        b"\n", b"\r\n"
    )
    done = run(tmp_path, data)
    assert done.calls == 2
    assert rejected(done)[0][0] == 6


@pytest.mark.parametrize("kind", ["csv", "jsonl", "combined"])
def test_a_gigantic_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(lines, "LONGEST_LINE", 500)
    good = {
        "csv": "2024-10-14T09:00:00Z,anna,a,1",
        "jsonl": '{"at": "2024-10-14T09:00:00Z", "account": "anna"}',
        "combined": '::1 - anna [14/Oct/2024:09:00:00 +0000] "POST /v1/completions HTTP/1.1" 200 1',
    }[kind]
    start = ["at,account,prompt,tokens"] if kind == "csv" else []
    done = run(tmp_path, "\n".join([*start, good, "x" * 1234, good.replace("09:00:00", "10:00:00")]).encode(), kind)
    assert (done.calls, done.rejected.total()) == (2, 1)
    assert rejected(done)[0][1].startswith("the line is longer than")


def test_bytes_of_another_encoding_hide_no_row(tmp_path: Path) -> None:
    """Who sends such bytes as the name of his program would else be in no log."""
    line = b'192.0.2.1 - acct [14/Oct/2024:09:00:0%d +0000] "POST /v1/messages HTTP/1.1" 200 7 "-" "bot\xff\xfe\x00"\n'
    done = run(tmp_path, line % 1 + line % 2 + line.replace(b"acct", b"acct\xe9") % 3, "combined")
    assert done.calls == 3
    assert [(call["account"], call["agent"]) for call in calls(tmp_path)] == [
        ("acct", "bot???"),
        ("acct", "bot???"),
        ("acct\\udce9", "bot???"),
    ]


def test_half_characters_in_json(tmp_path: Path) -> None:
    row = '{"at": "2024-10-14T09:00:00Z", "account": "a\\ud800", "prompt": "\\ud83d \\u0000", "tokens": 1}'
    assert run(tmp_path, row.encode(), "jsonl").calls == 1
    assert calls(tmp_path)[0]["account"] == "a\\ud800"
    assert calls(tmp_path)[0]["prompt_print"] is not None


@pytest.mark.parametrize(
    "line",
    [
        *("{", "[1]", '"text"', "{'at': 1}", "[" * 100_000, "\x00\x01", '{"at": 1' + "0" * 5000 + "}"),
        '{"at": {"a": 1}, "account": "x"}',
        '{"at": "2024-10-14T09:00:00Z", "account": ["x"]}',
        '{"at": true, "account": "x"}',
    ],
)
def test_lines_that_are_no_calls(tmp_path: Path, line: str) -> None:
    good = '{"at": "2024-10-14T09:00:00Z", "account": "anna", "prompt": {"a": 1}}'
    done = run(tmp_path, f"{line}\n{good}\n".encode(), "jsonl")
    assert (done.calls, done.rejected.total()) == (1, 1)
    assert rejected(done)[0][0] == 1


@pytest.mark.parametrize(
    "line",
    [
        "GET / HTTP/1.1",
        '1.1.1.1 - a [99/Foo/2024:09:00:00 +0000] "POST /v1/completions HTTP/1.1" 200 1',
        '1.1.1.1 - a [14/Oct/2024:09:00:00 +0000] "POST /v1/completions HTTP/1.1 200 1',
        '1.1.1.1 - - [14/Oct/2024:09:00:00 +0000] "POST /v1/completions HTTP/1.1" 200 1',
        "x" * 100_000,
        '1.1.1.1 - a [14/Oct/2024:09:00:00 +0000] "' + '\\"' * 50_000,
    ],
)
def test_lines_of_no_access_log(tmp_path: Path, line: str) -> None:
    good = '1.1.1.1 - a [14/Oct/2024:09:00:00 +0000] "POST /v1/completions?x=1 HTTP/1.1" 200 1 "-" "b"'
    done = run(tmp_path, f"{line}\n{good}\n".encode(), "combined")
    assert (done.calls, done.rejected.total()) == (1, 1)


def test_a_user_name_that_looks_like_the_rest_of_a_line(tmp_path: Path) -> None:
    name = "bob [01/Jan/2024:00:00:00 +0000] \\x22POST /v1/messages HTTP/1.1\\x22 200"
    line = f'192.0.2.1 - {name} [14/Oct/2024:09:00:00 +0000] "POST /v1/messages HTTP/1.1" 200 7 "-" "-"'
    run(tmp_path, line.encode(), "combined")
    (call,) = calls(tmp_path)
    assert (call["account"], call["at"], call["agent"]) == (name, 1728896400000000, None)


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/v1/chat/completions", "chat"),
        ("/openai/deployments/x/chat/completions", "chat"),
        ("/completions", "completions"),
        ("/v1/messages/", "messages"),
        ("/v1/messages/count_tokens", None),
        ("/v1/models", None),
        ("/v1/xcompletions", None),
    ],
)
def test_paths(tmp_path: Path, path: str, route: str | None) -> None:
    line = f'192.0.2.1 - a [14/Oct/2024:09:00:00 +0000] "POST {path}?key=sk-1 HTTP/1.1" 200 7 "-" "-"'
    run(tmp_path, line.encode(), "combined")
    assert [call["route"] for call in calls(tmp_path)] == ([] if route is None else [route])


def test_equal_lines_of_one_second_are_calls_of_their_own(tmp_path: Path) -> None:
    line = b'192.0.2.1 - a [14/Oct/2024:09:00:00 +0000] "POST /v1/messages HTTP/1.1" 200 7 "-" "-"\n'
    later = line.replace(b"09:00:00", b"09:00:01")
    assert run(tmp_path, line * 3 + later, "combined").calls == 4
    again = run(tmp_path, line * 3 + later + line * 3, "combined")
    assert (again.calls, again.already_there) == (0, 7)


def test_packed_files_and_their_damage(tmp_path: Path) -> None:
    rows = csv_of(*(f"2024-10-14T09:{n // 60:02}:{n % 60:02}Z,anna,p{n * n},12" for n in range(600)))
    whole = gzip.compress(rows)
    assert run(tmp_path, whole, name="rows.gz").calls == 600
    cut = run(tmp_path, whole[: len(whole) // 2], name="cut.gz")
    assert 0 < cut.already_there < 600
    assert "cut off" in rejected(cut)[-1][1]
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 0xFF
    assert run(tmp_path, bytes(damaged), name="damaged.gz").rows <= 602


@pytest.mark.parametrize(
    ("data", "kind", "words"),
    [
        (b"at;account\n1;2\n", "csv", "has no comma"),
        (b"at,at\n", "csv", "twice"),
        (b"when,account,prompt,tokens\n2024-10-14,a,b,1\n", "csv", "no column 'at'"),
        ("at,account\n".encode("utf-16"), "csv", "UTF-16"),
        (b"PAR1 not really PAR1", "parquet", "no Parquet"),
        (b"", "parquet", "no Parquet"),
        (b"nothing\nof\nthe kind\n", "jsonl", "none of 3 rows"),
        (b"nothing\n" * 10_500, "combined", "none of 10,000 rows"),
    ],
)
def test_another_kind_of_file(tmp_path: Path, data: bytes, kind: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        run(tmp_path, data, kind)


def test_empty_files(tmp_path: Path) -> None:
    for kind in ("csv", "jsonl", "combined"):
        assert run(tmp_path, b"", kind).rows == 0
    assert run(tmp_path, b"\xef\xbb\xbf" + csv_of(), "csv").rows == 0
    assert calls(tmp_path) == []
