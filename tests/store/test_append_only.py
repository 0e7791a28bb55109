"""Lines that are only appended: whole ones count, a piece of one is cut off, and a refused write leaves no trace."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stillroom.base.errors import StoreError
from stillroom.store.append_only import append_line, whole_lines


def test_lines_are_read_back_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    assert whole_lines(path) == []
    for line in (b"one", b"two", b""):
        append_line(path, line)
    assert whole_lines(path) == [b"one", b"two", b""]
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("piece", [b"t", b"half a line", b"\xff"])
def test_what_a_kill_left_of_a_line_does_not_count_and_is_cut_off(tmp_path: Path, piece: bytes) -> None:
    path = tmp_path / "log.jsonl"
    append_line(path, b"one")
    with path.open("ab") as file:
        file.write(piece)
    assert whole_lines(path) == [b"one"]
    append_line(path, b"two")
    assert path.read_bytes() == b"one\ntwo\n"


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log.jsonl"
    append_line(path, b"one")
    write = os.pwrite

    def torn(descriptor: int, data: bytes, place: int) -> int:
        if len(data) < 4:
            raise OSError(28, "No space left on device")
        return write(descriptor, data[:4], place)

    monkeypatch.setattr(os, "pwrite", torn)
    with pytest.raises(StoreError, match="No space left"):
        append_line(path, b"a longer line")
    assert path.read_bytes() == b"one\n"


def test_a_folder_in_its_place_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be read"):
        whole_lines(tmp_path)
    with pytest.raises(StoreError, match="cannot be written"):
        append_line(tmp_path, b"one")
