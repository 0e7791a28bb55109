"""Files that cannot be used: what was paid for is not told to be moved away where only the disk is full."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.full_disk import room_for

from stillroom.base.errors import StoreError
from stillroom.probe.score_journal import ScoreJournal
from stillroom.store.journal import Journal
from stillroom.store.lock import FolderLock


@pytest.mark.parametrize("kind", [Journal, ScoreJournal])
def test_on_a_full_disk_a_journal_stays_where_it_is(kind: type[Journal | ScoreJournal], tmp_path: Path) -> None:
    path = tmp_path / "asking.sqlite"
    with room_for(1000), pytest.raises(StoreError, match="cannot be used") as refused:
        kind(path)
    assert refused.value.remedy.startswith("Free space")
    with kind(path):
        pass  # when there is room again


@pytest.mark.parametrize("kind", [Journal, ScoreJournal])
def test_what_is_no_journal_is_moved_away(kind: type[Journal | ScoreJournal], tmp_path: Path) -> None:
    path = tmp_path / "asking.sqlite"
    path.write_bytes(b"no database, " * 100)
    with pytest.raises(StoreError, match="cannot be used") as refused:
        kind(path)
    assert refused.value.remedy == "Move it away to begin anew."


def test_a_lock_that_could_not_be_written_is_held_by_nobody(tmp_path: Path) -> None:
    with room_for(0), pytest.raises(StoreError, match="could not be written"):
        FolderLock(tmp_path / "lock", "it")
    FolderLock(tmp_path / "lock", "it").release()
