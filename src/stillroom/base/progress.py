"""How a stage says where it is. The stage knows nothing of terminals; what shows it is the caller's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    def update(self, stage: str, done: int, total: int | None, **facts: object) -> None:
        """`done` of `total` (None where nobody knows yet) rows, calls or steps of `stage` are finished.

        Cheap enough to be called for every row; may be called from another thread. `facts` are shown as they are given,
        in that order (`cost_usd="0.31"`, `loss=0.42`), those of `ask` in words of their own: the latest call's facts
        replace the earlier ones.
        """
        ...

    def say(self, sentence: str) -> None:
        """Something that happened, for a person to read: shown at once, and once."""
        ...


class Silent:
    """Progress that nobody watches."""

    def update(self, stage: str, done: int, total: int | None, **facts: object) -> None:
        pass

    def say(self, sentence: str) -> None:
        pass


@contextmanager
def loading(progress: Progress, what: str) -> Iterator[None]:
    """Around what takes seconds and cannot say how far it is, such as a model that is read from the disk."""
    progress.update(f"load {what}", 0, 1)
    yield
    progress.update(f"load {what}", 1, 1)
