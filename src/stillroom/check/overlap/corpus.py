"""The questions as codes: words on disk, some 100 bytes for each question in memory, however long the questions are."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stillroom.base.errors import DataError
from stillroom.base.progress import Progress
from stillroom.check.overlap.texts import Text, hash64, said_key
from stillroom.check.overlap.weights import Counts
from stillroom.text.codes import NUMBER, ONE, OPERATOR, SORT, VARIABLE, Codebook
from stillroom.text.flat import Codes, Flat, Positions, flat, mixed
from stillroom.text.words import tokens

BATCH = 4096
"""Questions that are looked at together."""


@dataclass(frozen=True, slots=True)
class Spooled:
    """Texts on disk, as codes."""

    values: NDArray[np.uint32]
    starts: Positions
    ends: Positions

    def texts(self, rows: Positions) -> Flat:
        """Those of `rows`, in this order."""
        lengths = self.ends[rows] - self.starts[rows]
        starts = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
        places = np.repeat(self.starts[rows] - starts[:-1], lengths) + np.arange(starts[-1])
        return Flat(self.values[places].astype(np.uint64), starts)


@dataclass(frozen=True, slots=True)
class Corpus:
    """Questions in the order of their ids."""

    ids: list[str]
    words: Spooled
    """The codes of each question's tokens."""
    said: Codes
    """Equal for texts that say the same, whatever their case, white space and typography."""
    same: Codes
    """Equal for questions that say the same after the same system message."""
    parameters: Codes
    """Equal for generated tasks with the same parameters; 0 for questions that were not generated."""
    families: Codes
    """Of generated tasks; 0 for others."""
    facts: Codes
    """Equal for questions with the same numbers, arithmetic and variables, and the same system message."""
    counts: Counts

    def __len__(self) -> int:
        return len(self.ids)


def read_corpus(texts: Iterable[Text], spool: Path, progress: Progress, total: int) -> Corpus:
    """Go once through `texts`, in whatever order; `spool` is the file where their codes are kept meanwhile.

    Raises DataError for an id that stands twice.
    """
    writer = _Writer(spool)
    for text in texts:
        writer.add(text)
        if not len(writer.ids) % BATCH:
            progress.update("overlap", len(writer.ids), total)
    progress.update("overlap", len(writer.ids), total)
    return writer.finish()


class _Writer:
    def __init__(self, spool: Path) -> None:
        self.ids: list[str] = []
        self.counts = Counts()
        self._codebook = Codebook()
        self._spool = spool
        self._file = spool.open("wb")
        self._batch: list[int] = []
        self._batch_lengths: list[int] = []
        self._lengths = array("q")
        self._said, self._parameters, self._families, self._systems = (array("Q") for _ in range(4))
        self._facts: list[Codes] = []

    def add(self, text: Text) -> None:
        found = tokens(text.text)
        self.ids.append(text.id)
        self._said.append(said_key(found, text.text))
        self._systems.append(hash64(text.system) if text.system else 0)
        self._parameters.append(text.parameters)
        self._families.append(text.family)
        self._batch += self._codebook.codes(found)
        self._batch_lengths.append(len(found))
        if len(self._batch_lengths) == BATCH:
            self._write_batch()

    def finish(self) -> Corpus:
        self._write_batch()
        self._file.close()
        order = sorted(range(len(self.ids)), key=self.ids.__getitem__)
        ids = [self.ids[row] for row in order]
        for before, after in pairwise(ids):
            if before == after:
                raise DataError(f"The id {before!r} stands twice among the questions.", "Give each question its own.")
        at = np.array(order, np.int64)
        facts = np.concatenate(self._facts) if self._facts else np.empty(0, np.uint64)
        said, systems = _array(self._said), mixed(_array(self._systems))
        facts = mixed(facts + systems)
        return Corpus(
            ids=ids,
            words=self._words(at),
            said=said[at],
            same=mixed(said + systems)[at],
            parameters=_array(self._parameters)[at],
            families=_array(self._families)[at],
            facts=facts[at],
            counts=self.counts,
        )

    def _write_batch(self) -> None:
        if not self._batch_lengths:
            return
        batch = flat(self._batch, self._batch_lengths)
        self._lengths.extend(self._batch_lengths)
        self.counts.add(batch)
        self._facts.append(fact_keys(batch))
        batch.values.astype(np.uint32).tofile(self._file)
        self._batch, self._batch_lengths = [], []

    def _words(self, order: Positions) -> Spooled:
        ends = np.cumsum(np.frombuffer(self._lengths, np.int64))
        starts = np.concatenate(([0], ends[:-1])).astype(np.int64)
        # A file without a byte cannot be mapped.
        values = np.memmap(self._spool, np.uint32, "r") if len(ends) and ends[-1] else np.empty(0, np.uint32)
        return Spooled(values, starts[order], ends[order])


def fact_keys(texts: Flat) -> Codes:
    """For each text, a hash of its numbers, signs of arithmetic and variables, whatever their order.

    The number 1 is left out, for it is often left out or written out; and so are single letters in a text without
    arithmetic, where they are no variables.
    """
    sort = texts.values & np.uint64(SORT)
    has_operator = np.bincount(texts.owners()[sort == OPERATOR], minlength=len(texts)) > 0
    is_variable = (sort == VARIABLE) & has_operator[texts.owners()]
    facts = texts.where(((sort == NUMBER) & (texts.values != ONE)) | (sort == OPERATOR) | is_variable)
    sums = np.concatenate(([np.uint64(0)], np.cumsum(mixed(facts.values), dtype=np.uint64)))
    return np.asarray(sums[facts.starts[1:]] - sums[facts.starts[:-1]], np.uint64)


def _array(values: array[int]) -> Codes:
    return np.frombuffer(values, np.uint64)
