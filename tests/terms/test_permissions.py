"""Written permissions, in a file of the user's: what is recorded, what is refused, and that nothing is lost."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest

from stillroom.base.errors import DataError, StillroomError, StoreError, UsageError
from stillroom.terms.permissions import permissions_file, read_permissions, record_permission

AT = datetime(2026, 11, 26, 12, tzinfo=UTC)


@pytest.fixture
def letter(tmp_path: Path) -> Path:
    path = tmp_path / "letter “yes”.txt"
    path.write_bytes(b"You may.")
    return path


def test_where_it_lies(tmp_path: Path) -> None:
    assert permissions_file({"STILLROOM_PERMISSIONS": str(tmp_path / "mine.toml")}) == tmp_path / "mine.toml"
    assert permissions_file({"XDG_CONFIG_HOME": "/etc/x"}) == Path("/etc/x/stillroom/permissions.toml")
    assert permissions_file({}) == Path.home() / ".config/stillroom/permissions.toml"


def test_what_is_recorded(tmp_path: Path, letter: Path) -> None:
    path = tmp_path / "new" / "permissions.toml"
    assert read_permissions(path) == []
    first = record_permission(path, "openai-api", letter, ' Jane "J\\D" Doe ', "  ", AT)
    second = record_permission(path, "our-contract-7", letter, "Zoë", "for all of 2026", AT)
    assert read_permissions(path) == [first, second]
    assert (first.by, first.document, first.note) == ('Jane "J\\D" Doe', letter.name, None)
    assert first.digest == f"sha256:{sha256(b'You may.').hexdigest()}"
    assert str(letter.parent) not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("terms", "by", "note", "problem"),
    [
        ("own", "a", None, "not own"),
        ("Two Words", "a", None, "an id is up to 64"),
        ("mit", " ", None, "by: should not be empty"),
        ("mit", "a\nb", None, "one line of text"),
        ("mit", "a", "\x1b[2J", "one line of text"),
    ],
)
def test_what_cannot_be_recorded(
    tmp_path: Path, letter: Path, terms: str, by: str, note: str | None, problem: str
) -> None:
    with pytest.raises(UsageError, match=problem):
        record_permission(tmp_path / "permissions.toml", terms, letter, by, note, AT)
    assert not (tmp_path / "permissions.toml").exists()


def test_a_document_that_is_not_there_or_empty(tmp_path: Path) -> None:
    for document, problem in ((tmp_path / "none.pdf", "There is no document"), (tmp_path, "There is no document")):
        with pytest.raises(UsageError, match=problem):
            record_permission(tmp_path / "permissions.toml", "mit", document, "a", None, AT)
    (tmp_path / "empty.pdf").touch()
    with pytest.raises(UsageError, match="is empty"):
        record_permission(tmp_path / "permissions.toml", "mit", tmp_path / "empty.pdf", "a", None, AT)


@pytest.mark.parametrize(
    "damaged",
    [b"[[permission]", b"[[permission]]\nterms = 'mit'\n", b"spells = 1\n", b"\xff\xfe", b"permission = 'all'\n"],
)
def test_a_damaged_file_is_refused_and_not_written_on(tmp_path: Path, letter: Path, damaged: bytes) -> None:
    path = tmp_path / "permissions.toml"
    path.write_bytes(damaged)
    with pytest.raises(DataError, match=r"permissions\.toml") as caught:
        read_permissions(path)
    assert caught.value.remedy
    with pytest.raises(DataError):
        record_permission(path, "mit", letter, "a", None, AT)
    assert path.read_bytes() == damaged


def test_what_is_no_file_is_neither_read_nor_written(tmp_path: Path, letter: Path) -> None:
    path = tmp_path / "permissions.toml"
    os.mkfifo(path)
    with pytest.raises(DataError, match="is no file"):
        read_permissions(path)
    with pytest.raises(DataError, match="is no file"):
        record_permission(path, "mit", letter, "Jane", None, AT)
    assert path.is_fifo()


def test_a_place_where_nothing_can_be_written(tmp_path: Path, letter: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StillroomError, match="cannot be made"):
        record_permission(tmp_path / "file" / "permissions.toml", "mit", letter, "a", None, AT)


def test_many_at_once_lose_nothing_that_was_said_to_be_recorded(tmp_path: Path, letter: Path) -> None:
    path = tmp_path / "permissions.toml"

    def record(number: int) -> str | None:
        try:
            return record_permission(path, f"contract-{number}", letter, "a", None, AT).terms
        except StoreError:  # another one is writing
            return None

    with ThreadPoolExecutor(8) as pool:
        recorded = {each for each in pool.map(record, range(24)) if each}
    assert recorded
    assert {each.terms for each in read_permissions(path)} == recorded
