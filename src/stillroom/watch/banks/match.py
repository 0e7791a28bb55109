"""Which calls asked questions of known banks: the same text by its print, a text alike by its sketch.

Sketches are looked up by locality-sensitive hashing: two that agree in a whole band of places are compared place by
place. A call is a hit on the one question of a bank that it is likest to, if it is like enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from stillroom.store.schemas import schema_of
from stillroom.text.sketch import PLACES
from stillroom.watch.banks.prints import BankPrints

_text, _integer = pa.string(), pa.int64()


CALLS = schema_of(
    call_id=_text, account=_text, at=_integer, print_key_id=_text, prompt_print=_text, minhash=pa.binary(PLACES)
)
"""What `match` reads of calls; other columns may stand beside these."""
HITS = schema_of(call_id=_text, account=_text, at=_integer, bank=_text, question=_integer, is_exact=pa.bool_())
"""`question`: its place in the bank, from 0."""

_ROWS, _PAIRS = 1 << 13, 1 << 14
"""Calls that are looked up at once, and pairs that are compared at once: what fits into a processor's cache takes a
quarter of the time."""
_CROWDED = 16
"""Questions that have one value in a band, beyond which the band says nothing of them: stock phrases ("how many") are
the lowest of many questions' hashes. What is alike shares other bands too."""
_FEW = 1 << 14
"""Up to so many questions, bands of two places tell enough of them apart."""
_SLOT_BITS = 20
"""At most: what holds each question of a million, once for each band, stays below half a gigabyte."""
_ODD = np.uint32(0x9E3779B1)
_EACH_BYTE = np.uint64(0x0101010101010101)

Sketches = NDArray[np.uint8]
Rows = NDArray[np.int64]


def match(batch: pa.RecordBatch, banks: Sequence[BankPrints]) -> pa.RecordBatch:
    """The hits among calls (schema `HITS`): at most one for each call and bank; a question of two banks hits both.

    `batch`: the columns of `CALLS`. Calls that were printed with other keys than a bank hit nothing of it; nulls never
    match.
    """
    batch = batch.select(CALLS.names).cast(CALLS)
    found = []
    for bank in banks:
        same_keys = pc.equal(batch.column("print_key_id"), pa.scalar(bank.print_key_id, pa.string()))
        rows = np.flatnonzero(_truth(same_keys))
        if len(rows) and len(bank):
            found += _hits_of(batch, rows, bank)
    return one_batch(found, HITS)


def one_batch(batches: Sequence[pa.RecordBatch], schema: pa.Schema) -> pa.RecordBatch:
    whole = pa.Table.from_batches(batches, schema).combine_chunks().to_batches()
    return whole[0] if whole else pa.RecordBatch.from_pylist([], schema)


def _hits_of(batch: pa.RecordBatch, rows: Rows, bank: BankPrints) -> list[pa.RecordBatch]:
    same = pc.index_in(batch.column("prompt_print").take(pa.array(rows, pa.int64())), value_set=bank.prompt_prints)
    is_exact = _truth(same.is_valid())
    rest, sketches = _sketches(batch, rows[~is_exact])
    alike, questions = _alike(sketches, bank)
    exact = _hits(batch, rows[is_exact], bank, same.drop_null().to_numpy(), is_exact=True)
    return [exact, _hits(batch, rest[alike], bank, questions, is_exact=False)]


def _hits(
    batch: pa.RecordBatch, rows: Rows, bank: BankPrints, questions: NDArray[np.integer], *, is_exact: bool
) -> pa.RecordBatch:
    at = pa.array(rows, pa.int64())
    columns: list[pa.Array[Any]] = [batch.column(name).take(at) for name in ("call_id", "account", "at")]
    columns.append(pa.repeat(pa.scalar(bank.bank, pa.string()), len(rows)))
    columns.append(pa.array(questions.astype(np.int64)))
    columns.append(pa.repeat(pa.scalar(is_exact), len(rows)))
    return pa.RecordBatch.from_arrays(columns, schema=HITS)


def _sketches(batch: pa.RecordBatch, rows: Rows) -> tuple[Rows, Sketches]:
    """Those of the rows that have a sketch, and their sketches."""
    column = batch.column("minhash")
    rows = rows[_truth(column.is_valid())[rows]]
    data = column.buffers()[1]
    if data is None or not len(rows):
        return rows[:0], np.empty((0, PLACES), np.uint8)
    all_rows = np.frombuffer(memoryview(data), np.uint8, (column.offset + len(column)) * PLACES).reshape(-1, PLACES)
    return rows, all_rows[column.offset :][rows]


def _truth(values: pa.Array[Any]) -> NDArray[np.bool_]:
    """Null is not true."""
    truths: NDArray[np.bool_] = np.equal(values.to_numpy(zero_copy_only=False), True)
    return truths


def _alike(sketches: Sketches, bank: BankPrints) -> tuple[Rows, Rows]:
    """Of those sketches that are like a question of the bank: their places, and the likest question of each."""
    bands = _bands_of(bank)
    found = [(np.empty(0, np.int64), np.empty(0, np.int64))]
    for start in range(0, len(sketches), _ROWS):
        part = sketches[start : start + _ROWS]
        rows, questions = bands.candidates(part)
        shared = _shared(part, rows, bank.sketches, questions)
        enough = shared >= bank.least[questions]
        rows, questions = _likest(rows[enough], questions[enough], shared[enough])
        found.append((rows + start, questions))
    return np.concatenate([rows for rows, _ in found]), np.concatenate([questions for _, questions in found])


def _shared(calls: Sketches, rows: Rows, bank: Sketches, questions: Rows) -> NDArray[np.uint8]:
    """In how many places the two sketches agree, for each pair of a row and a question."""
    shared = np.empty(len(rows), np.uint8)
    for start in range(0, len(rows), _PAIRS):
        some = slice(start, start + _PAIRS)
        # Eight truths are one number, and eight such numbers add up without a carry; then the sum's bytes are added.
        eights = (calls.take(rows[some], axis=0) == bank.take(questions[some], axis=0)).view(np.uint64).sum(axis=1)
        shared[some] = (eights * _EACH_BYTE) >> np.uint64(56)
    return shared


def _likest(rows: Rows, questions: Rows, shared: NDArray[np.uint8]) -> tuple[Rows, Rows]:
    """For each row the question with most in common, the first of equal ones."""
    order = np.lexsort((questions, -shared.astype(np.int64), rows))
    rows, questions = rows[order], questions[order]
    is_first = np.ones(len(rows), np.bool_)
    is_first[1:] = rows[1:] != rows[:-1]
    return rows[is_first], questions[is_first]


@dataclass(frozen=True, slots=True)
class _Bands:
    """Which questions have which values in a band of places."""

    places: Rows
    """Shape (bands, places of a band)."""
    is_telling: NDArray[np.bool_]
    """Shape (bands, slots): whether there are questions in it, and not too many."""
    starts: NDArray[np.int32]
    """Shape (bands, slots + 1): the questions of a slot are `questions[band, starts[band, slot]:...]`."""
    questions: NDArray[np.int32]
    """Shape (bands, questions)."""

    def candidates(self, sketches: Sketches) -> tuple[Rows, Rows]:
        """Pairs of a sketch and a question that agree in a band, some of them more than once."""
        by_place = np.ascontiguousarray(sketches.T)
        found_rows, found_questions = [], []
        for band, places in enumerate(self.places):
            slots = _slots(by_place[places], self.starts.shape[1] - 1)
            rows = np.flatnonzero(self.is_telling[band].take(slots))
            slots = slots[rows]
            begin, end = self.starts[band].take(slots), self.starts[band].take(slots + 1)
            counts = end - begin
            before = np.cumsum(counts) - counts
            at = np.repeat(begin - before, counts) + np.arange(counts.sum())
            found_rows.append(np.repeat(rows, counts))
            found_questions.append(self.questions[band].take(at))
        return np.concatenate(found_rows), np.concatenate(found_questions).astype(np.int64)


_KEPT: WeakKeyDictionary[BankPrints, _Bands] = WeakKeyDictionary()
"""As long as the bank is there: a batch of calls is matched in less time than bands are made in."""


def _bands_of(bank: BankPrints) -> _Bands:
    """Of those questions that are found by their sketches."""
    if bank in _KEPT:
        return _KEPT[bank]
    questions = np.flatnonzero(bank.least <= PLACES)
    by_place = np.ascontiguousarray(bank.sketches[questions].T)
    places = _places(len(bank))
    slots = 1 << (16 if places.shape[1] == 2 else min(_SLOT_BITS, len(questions).bit_length() + 3))
    starts = np.zeros((len(places), slots + 1), np.int32)
    sorted_questions = np.empty((len(places), len(questions)), np.int32)
    for band, of_band in enumerate(places):
        keys = _slots(by_place[of_band], slots)
        order = np.argsort(keys, kind="stable")
        sorted_questions[band] = questions[order]
        starts[band, 1:] = np.cumsum(np.bincount(keys, minlength=slots))
    counts = np.diff(starts, axis=1)
    bands = _Bands(places, (counts > 0) & (counts <= _CROWDED), starts, sorted_questions)
    _KEPT[bank] = bands
    return bands


def _places(questions: int) -> Rows:
    """The bands' places: every place in one band of two; or in two bands of three, where many questions are."""
    if questions <= _FEW:
        return np.arange(PLACES).reshape(-1, 2)
    whole = PLACES // 3 * 3
    apart = np.arange(PLACES).reshape(8, 8).T.ravel()  # neighbours of the first bands are in different ones here
    return np.concatenate([np.arange(PLACES)[:whole], apart[:whole]]).reshape(-1, 3)


def _slots(values: NDArray[np.uint8], slots: int) -> NDArray[np.int32]:
    """For each sketch, where its values in a band (shape: places, sketches) are looked up."""
    keys = np.zeros(values.shape[1], np.uint32)
    for of_place in values:
        keys = (keys << np.uint32(8)) | of_place
    if len(values) > 2:  # else there is a slot for each key
        keys = (keys * _ODD) >> np.uint32(33 - slots.bit_length())
    return keys.astype(np.int32)
