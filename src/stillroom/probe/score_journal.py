"""What an endpoint said of pairs that it was asked to score: kept as it comes, so that none is paid for twice."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import NamedTuple, Self

from stillroom.base.errors import StoreError
from stillroom.store.lock import FolderLock
from stillroom.store.unusable import unusable

_TABLE = "create table if not exists scores (key text primary key, first real, second real, asked_at integer not null)"


class Sums(NamedTuple):
    """Of the logarithms of the probabilities of each reply's tokens."""

    first: float
    second: float


class Scored(NamedTuple):
    first: float | None
    """None: the endpoint refused the pair."""
    second: float | None
    asked_at: int


class ScoreJournal:
    """A context manager. Raises StoreError where another process has it open, or where it is damaged."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = FolderLock(path.with_name(path.name + ".lock"), str(path))
        try:
            self._database = sqlite3.connect(path, isolation_level=None)
            self._database.execute(_TABLE)
            found = self._database.execute("select key, first, second, asked_at from scores").fetchall()
        except sqlite3.Error as error:
            self._lock.release()
            raise unusable(path, error) from error
        self._scored = {key: Scored(*rest) for key, *rest in found}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()
        self._lock.release()

    def __contains__(self, key: str) -> bool:
        return key in self._scored

    @property
    def has_sums(self) -> bool:
        return any(scored.first is not None for scored in self._scored.values())

    def get(self, key: str) -> Scored | None:
        return self._scored.get(key)

    def put(self, key: str, sums: Sums | None, asked_at: int) -> None:
        """`sums` None: the endpoint refused the pair. Raises StoreError where the disk takes no more."""
        scored = Scored(None, None, asked_at) if sums is None else Scored(sums.first, sums.second, asked_at)
        try:
            self._database.execute("insert or replace into scores values (?, ?, ?, ?)", (key, *scored))
        except sqlite3.Error as error:
            raise StoreError(f"The scores could not be written: {error}.", "Free space, then run it again.") from error
        self._scored[key] = scored
