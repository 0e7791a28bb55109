"""An escrow whose disk is full: nothing is opened that is not noted, and nothing half written stays."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.full_disk import room_for

from stillroom.base.errors import StoreError
from stillroom.serve.escrow.escrow import Escrow
from stillroom.serve.settings import EscrowSettings
from stillroom.store.secrets import Secrets


@pytest.fixture
def escrow(tmp_path: Path) -> Escrow:
    """With one record."""
    made = Escrow(tmp_path, Secrets(bytes(range(32))), EscrowSettings(share=1))
    seal(made, "c1")
    return made


def seal(escrow: Escrow, call_id: str) -> str:
    return asyncio.run(escrow.seal(call_id, "acct_1", served=b"one", sealed=b"other", request=b"{}", coin=1))


def files_in(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def test_an_opening_that_cannot_be_noted_is_none_and_spoils_no_other_line(escrow: Escrow, tmp_path: Path) -> None:
    assert escrow.open("c1", "ada") is not None
    path = tmp_path / "actions.jsonl"
    with room_for(path.stat().st_size + 20), pytest.raises(StoreError, match="No space left"):
        escrow.open("c1", "eve")
    assert escrow.open("c1", "bob") is not None
    first, cut, last = path.read_bytes().splitlines()
    assert len(cut) == 20
    assert [json.loads(line)["by"] for line in (first, last)] == ["ada", "bob"]


def test_of_a_record_that_was_cut_short_nothing_is_left(escrow: Escrow, tmp_path: Path) -> None:
    before = sorted(files_in(tmp_path))
    with room_for(50), pytest.raises(StoreError, match="can't be used"):
        seal(escrow, "c2")
    assert sorted(files_in(tmp_path)) == before
