"""What an import leaves: rows once each, whoever kills it and however often it is done; and an account of every row."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import pyarrow.compute as pc
import pytest

from stillroom.base.errors import DataError, StoreError
from stillroom.base.progress import Silent
from stillroom.store.calls import call_dataset
from stillroom.store.lock import FolderLock
from stillroom.store.secrets import Secrets
from stillroom.watch.importing import segments
from stillroom.watch.importing.importer import Imported, import_calls
from stillroom.watch.importing.mapping import ImportMapping

SECRETS = Secrets(bytes(32))
MAPPING = ImportMapping.model_validate(
    {
        "name": "s",
        "format": "jsonl",
        "columns": {"at": {"from": "at", "format": "unix_s"}, "account": "who", "id": "id"},
    }
)
AT = 1728889201


def rows_of(count: int, **more: Any) -> str:
    return "".join(json.dumps({"at": AT + n, "who": f"a{n % 7}", "id": f"r{n}", **more}) + "\n" for n in range(count))


def run(folder: Path, text: str, mapping: ImportMapping = MAPPING) -> Imported:
    (folder / "rows.jsonl").write_text(text, encoding="utf-8")
    return import_calls(folder / "rows.jsonl", mapping, folder / "out", SECRETS)


def ids(folder: Path) -> list[str]:
    return [str(each) for each in call_dataset(folder / "out").to_table(columns=["call_id"]).column(0).to_pylist()]


@pytest.fixture
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "ROWS", 10)


def test_rows_imported_twice_are_one_row(tmp_path: Path) -> None:
    first = run(tmp_path, rows_of(25) + rows_of(5))
    assert (first.rows, first.calls, first.already_there) == (30, 25, 5)
    second = run(tmp_path, rows_of(40))
    assert (second.calls, second.already_there) == (15, 25)
    assert len(ids(tmp_path)) == len(set(ids(tmp_path))) == 40
    assert run(tmp_path, rows_of(40)).segments == 0


def test_an_id_that_a_client_chose_hides_nobody(tmp_path: Path) -> None:
    """Not another account's call, and of its own none of another second."""
    rows = [{"at": AT, "who": "a", "id": "x"}, {"at": AT, "who": "b", "id": "x"}, {"at": AT + 1, "who": "b", "id": "x"}]
    assert run(tmp_path, "".join(json.dumps(row) + "\n" for row in rows)).calls == 3


def test_sources_of_two_names(tmp_path: Path) -> None:
    run(tmp_path, rows_of(3))
    run(tmp_path, rows_of(3, more=1), MAPPING.model_copy(update={"name": "t"}))
    assert len(set(ids(tmp_path))) == 6
    assert {path.name for path in (tmp_path / "out").iterdir() if path.is_dir()} == {"s", "t"}


@pytest.mark.usefixtures("small_segments")
def test_ids_say_the_time_as_the_gateways_do(tmp_path: Path) -> None:
    run(tmp_path, rows_of(25))
    assert [int(each[:12], 16) for each in ids(tmp_path)] == [(AT + n) * 1000 for n in range(25)]
    assert all(len(each) == 32 for each in ids(tmp_path))
    numbers = call_dataset(tmp_path / "out").to_table(columns=["row"]).column(0).to_pylist()
    assert numbers == [*range(10), *range(10), *range(5)]


@pytest.mark.usefixtures("small_segments")
@pytest.mark.parametrize("damage", ["gone", "no database", "empty", "without its last segment"])
def test_ids_are_made_anew_from_the_segments(tmp_path: Path, damage: str) -> None:
    run(tmp_path, rows_of(25))
    database = tmp_path / "out/s/ids.sqlite3"
    if damage == "gone":
        database.unlink()
    elif damage == "no database":
        database.write_bytes(b"no database at all" * 100)
    elif damage == "empty":
        database.write_bytes(b"")
    else:
        with sqlite3.connect(database) as connection:
            connection.execute("DELETE FROM segments WHERE number = 3")
            connection.execute("DELETE FROM calls")
        connection.close()
    done = run(tmp_path, rows_of(30))
    assert len(set(ids(tmp_path))) == 30
    assert damage == "without its last segment" or (done.calls, done.already_there) == (5, 25)


@pytest.mark.usefixtures("small_segments")
def test_a_segment_that_was_taken_away_is_imported_again(tmp_path: Path) -> None:
    run(tmp_path, rows_of(25))
    (tmp_path / "out/s/00000002").rename(tmp_path / "elsewhere")
    assert run(tmp_path, rows_of(25)).calls == 10
    assert len(set(ids(tmp_path))) == 25


def test_a_damaged_segment_is_named(tmp_path: Path) -> None:
    run(tmp_path, rows_of(5))
    (tmp_path / "out/s/ids.sqlite3").unlink()
    (tmp_path / "out/s/00000001/calls.parquet").write_bytes(b"PAR1")
    with pytest.raises(StoreError, match="00000001 cannot be read"):
        run(tmp_path, rows_of(5))


def test_killed_at_any_moment(tmp_path: Path) -> None:
    """No call is lost, and none is there twice."""
    (tmp_path / "rows.jsonl").write_text(rows_of(2000), encoding="utf-8")
    script = f"""
import os, signal, sys
from pathlib import Path
from stillroom.store.secrets import Secrets
from stillroom.watch.importing import importer, segments
from stillroom.watch.importing.mapping import ImportMapping
segments.ROWS, left = 100, int(sys.argv[1])
def counted(frame, event, argument):
    global left
    if event in ("call", "c_call"):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
mapping = ImportMapping.model_validate_json({MAPPING.model_dump_json(by_alias=True, exclude_none=True)!r})
folder = Path({str(tmp_path)!r})
sys.setprofile(counted)
importer.import_calls(folder / "rows.jsonl", mapping, folder / "out", Secrets(bytes(32)))
"""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ended = [
        subprocess.run([sys.executable, "-c", script, str(left)], env=environment, check=False, timeout=300).returncode
        for left in (50_000, 50_500)
    ]
    assert ended == [-signal.SIGKILL] * 2
    before = len(ids(tmp_path)) if (tmp_path / "out/s").exists() else 0
    assert before % 100 == 0
    done = import_calls(tmp_path / "rows.jsonl", MAPPING, tmp_path / "out", SECRETS)
    assert done.calls + done.already_there == 2000
    assert len(ids(tmp_path)) == len(set(ids(tmp_path))) == 2000
    assert not [path for path in (tmp_path / "out").rglob(".*") if path.name.endswith((".part", ".old"))]


def test_one_process_at_a_time(tmp_path: Path) -> None:
    run(tmp_path, rows_of(1))
    lock = FolderLock(tmp_path / "out/s/lock", "it")
    with pytest.raises(StoreError, match="in use by process"):
        run(tmp_path, rows_of(1))
    lock.release()
    assert run(tmp_path, rows_of(2)).calls == 1


def test_what_another_secret_printed_is_not_mixed_in(tmp_path: Path) -> None:
    run(tmp_path, rows_of(1))
    with pytest.raises(StoreError, match="another secret"):
        import_calls(tmp_path / "rows.jsonl", MAPPING, tmp_path / "out", Secrets(bytes(31) + b"1"))


def test_the_manifest(tmp_path: Path) -> None:
    good = [{"at": AT + n, "who": "a", "id": f"r{n}", **({"m": "gpt"} if n else {})} for n in range(4)]
    bad = [{"at": "never", "who": "a"}, {"who": "a"}, {"at": AT, "who": None}]
    columns = {**MAPPING.columns.model_dump(exclude_none=True, by_alias=True), "model": "m", "turns": "t"}
    mapping = ImportMapping.model_validate({"name": "s", "format": "jsonl", "columns": columns})
    done = run(tmp_path, "".join(json.dumps(row) + "\n" for row in good + bad), mapping)
    told = json.loads((tmp_path / "out/s/imports/00000001.json").read_bytes())
    assert done.manifest == tmp_path / "out/s/imports/00000001.json"
    assert (told["rows"], told["calls"], told["already_there"], told["left_out"]) == (7, 4, 0, {})
    assert told["rejected"] == {
        "it is no number": 1,
        "its time is not known": 1,
        "its account is not known": 1,
    }
    assert (told["first_at"], told["last_at"]) == (AT * 1_000_000, (AT + 3) * 1_000_000)
    assert (told["columns"]["model"], told["columns"]["account"], told["columns"]["turns"]) == (0.75, 1.0, 0.0)
    assert "turns" in told["missing"]
    assert "minhash" in told["missing"]
    assert "model" not in told["missing"]
    assert told["never_seen"] == ["t"]
    assert (told["rejected_rows"], told["source"], told["name"]) == ("00000001.rejected.jsonl", "rows.jsonl", "s")
    again = run(tmp_path, rows_of(0) + json.dumps(good[0]), mapping)
    assert again.manifest.name == "00000002.json"
    assert again.rejected_rows is None
    assert {path.name for path in again.manifest.parent.iterdir()} == {
        "00000001.json",
        "00000001.rejected.jsonl",
        "00000002.json",
    }


def test_progress(tmp_path: Path) -> None:
    class Seen(Silent):
        updates: ClassVar[list[tuple[str, int, dict[str, object]]]] = []

        def update(self, stage: str, done: int, total: int | None, **facts: object) -> None:
            assert total is None
            self.updates.append((stage, done, facts))

    (tmp_path / "rows.jsonl").write_text(rows_of(1000) + "nonsense\n" + rows_of(1999), encoding="utf-8")
    import_calls(tmp_path / "rows.jsonl", MAPPING, tmp_path / "out", SECRETS, Seen())
    assert Seen.updates == [
        ("import", 1000, {"calls": 1000, "rejected": 0}),
        ("import", 2000, {"calls": 1000, "rejected": 1}),
        ("import", 3000, {"calls": 1999, "rejected": 1}),
    ]


def test_where_no_row_is_a_call(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none of 3 rows can be read as a call; of 3 rows, it is no number"):
        run(tmp_path, "".join(json.dumps({"at": "x", "who": "a"}) + "\n" for _ in range(3)))


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is no file"):
        import_calls(tmp_path, MAPPING, tmp_path / "out", SECRETS)


def test_a_place_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file", encoding="utf-8")
    with pytest.raises(StoreError):
        run(tmp_path, rows_of(1))


def test_a_gateways_own_log_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out/w0").mkdir(parents=True)
    (tmp_path / "out/w0/chain.jsonl").write_text("", encoding="utf-8")
    with pytest.raises(StoreError, match="log of a gateway"):
        run(tmp_path, rows_of(1))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["w0"]


def test_ids_that_cannot_be_written(tmp_path: Path) -> None:
    run(tmp_path, rows_of(1))
    database = tmp_path / "out/s/ids.sqlite3"
    database.unlink()
    database.mkdir()
    with pytest.raises(StoreError, match=r"ids\.sqlite3 cannot be used"):
        run(tmp_path, rows_of(1))
    database.rmdir()
    assert run(tmp_path, rows_of(1)).already_there == 1


def test_two_unknowns_never_match(tmp_path: Path) -> None:
    """Accounts whose organisation nobody told are customers of their own; what was not told is null for all of them."""
    run(tmp_path, rows_of(7))
    table = call_dataset(tmp_path / "out").to_table()
    assert pc.count_distinct(table.column("organisation")).as_py() == 7
    for name in ("ip_print", "tls_print", "agent", "billing_print", "user_print", "prompt_print", "status", "stream"):
        assert table.column(name).null_count == 7
