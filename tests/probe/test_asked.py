"""asked.json, which a stranger wrote."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stillroom.base.errors import DataError
from stillroom.probe.asked import ASKED, MOST_BYTES, is_usable, read_asked
from stillroom.store.siblings import Answer


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    """A link to a device has no end, and a pipe no beginning."""
    for make in (lambda path: path.symlink_to("/dev/zero"), os.mkfifo, os.mkdir):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        make(folder / ASKED)
        with pytest.raises(DataError, match="no file"):
            read_asked(folder)


def test_what_is_larger_than_it_may_be(tmp_path: Path) -> None:
    (tmp_path / ASKED).write_bytes(b" " * (MOST_BYTES + 1))
    with pytest.raises(DataError, match="is larger than"):
        read_asked(tmp_path)


def test_reasoning_that_came_to_no_answer_says_something() -> None:
    def usable(text: str, ended: str) -> bool:
        return is_usable(Answer("q", 0, text, ended))

    assert usable("<think>\n7 and 5 are 12\n</think>", "empty: no_answer")
    assert usable("12", "stop")
    assert not usable("", "empty: no_answer")
    assert not usable("I can't help with that.", "refused: refusal")
    assert not usable("half", "failed: reset")
