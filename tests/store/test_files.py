from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stillroom.base.errors import StoreError
from stillroom.store.files import (
    read_json,
    remove_unfinished,
    replacing,
    replacing_folder,
    write_atomically,
    write_json,
)


def test_a_file_is_written_whole_with_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.txt"
    write_atomically(path, "zwölf\n")
    write_atomically(path, b"\x00raw")
    assert path.read_bytes() == b"\x00raw"
    assert [entry.name for entry in path.parent.iterdir()] == ["file.txt"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_what_is_no_file_does_not_give_way_to_one(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    for place in (path, tmp_path):
        with pytest.raises(StoreError, match="is there, and no file"):
            write_atomically(place, "text")
    assert path.is_fifo()
    assert [entry.name for entry in tmp_path.iterdir()] == ["pipe"]


def test_a_failure_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    write_atomically(path, "old")

    def stop_in_the_middle() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError("stopped here")

    with pytest.raises(RuntimeError):
        stop_in_the_middle()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_kill_left_of_writing_a_file_is_cleared_away(tmp_path: Path) -> None:
    for name in (".a[1].json.x9_.part", ".a[1].json.abc.part", ".ab.json.abc.part", "a[1].json", ".a[1].json.abc"):
        (tmp_path / name).write_text("")
    remove_unfinished(tmp_path / "a[1].json")
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {".ab.json.abc.part", "a[1].json", ".a[1].json.abc"}


def test_json_round_trip(tmp_path: Path) -> None:
    value = {"b": [1, None, "ü"], "a": {"x": 0.5}}
    write_json(tmp_path / "x.json", value)
    assert read_json(tmp_path / "x.json") == value
    assert "ü" in (tmp_path / "x.json").read_text(encoding="utf-8")


def test_nan_is_not_json(tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        write_json(tmp_path / "x.json", float("nan"))
    assert not list(tmp_path.iterdir())


def test_errors_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"missing\.json does not exist"):
        read_json(tmp_path / "missing.json")
    (tmp_path / "torn.json").write_text('{"a": ')
    with pytest.raises(StoreError, match=r"torn\.json is not JSON"):
        read_json(tmp_path / "torn.json")
    (tmp_path / "plain").write_text("a file, not a folder")
    with pytest.raises(StoreError, match="could not be written"):
        write_atomically(tmp_path / "plain" / "x", "y")


KEEPS_WRITING = """
import itertools, sys
from pathlib import Path
from stillroom.store.files import replacing_folder

for number in itertools.count():
    with replacing_folder(Path(sys.argv[1])) as folder:
        (folder / "inner").mkdir()
        for name in ("a", "inner/b", "c"):
            (folder / name).write_text(str(number))
    print(number, flush=True)
"""


def test_a_folder_that_is_replaced_is_whole_or_not_there_whenever_its_writer_is_killed(tmp_path: Path) -> None:
    place = tmp_path / "dataset"
    rng = random.Random(3)
    for _ in range(8):
        with subprocess.Popen([sys.executable, "-c", KEEPS_WRITING, str(place)], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()  # it has begun
            time.sleep(rng.random() / 20)
            writer.kill()
        if place.exists():
            assert len({(place / name).read_text() for name in ("a", "inner/b", "c")}) == 1
        with replacing_folder(place) as folder:
            (folder / "again").write_text("")
        assert [path.name for path in place.iterdir()] == ["again"]
        assert [path.name for path in tmp_path.iterdir()] == ["dataset"]


def test_a_folder_stays_as_it_was_where_its_writing_fails(tmp_path: Path) -> None:
    place = tmp_path / "dataset"
    with replacing_folder(place) as folder:
        (folder / "old").write_text("")
    with pytest.raises(ZeroDivisionError), replacing_folder(place) as folder:
        (folder / "new").write_text(str(1 / 0))
    with pytest.raises(StoreError, match="could not be written"), replacing_folder(place) as folder:
        (folder / "nowhere" / "new").write_text("")
    assert [path.name for path in place.iterdir()] == ["old"]
    assert [path.name for path in tmp_path.iterdir()] == ["dataset"]


def test_two_do_not_fill_one_folder(tmp_path: Path) -> None:
    place = tmp_path / "dataset"
    with replacing_folder(place) as folder:
        (folder / "a").write_text("")
        with pytest.raises(StoreError, match="being written by another process"), replacing_folder(place):
            pass
        (folder / "b").write_text("")
    assert sorted(path.name for path in place.iterdir()) == ["a", "b"]
    assert [path.name for path in tmp_path.iterdir()] == ["dataset"]
