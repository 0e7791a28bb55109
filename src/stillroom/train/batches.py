"""Which rows go through the student together: batches of similar length under a budget of tokens, seeded."""

from __future__ import annotations

import random
from collections.abc import Sequence

WINDOW = 64
"""Rows are sorted by length inside a window of so many average batches: little padding, and still shuffled."""


def epoch_batches(lengths: Sequence[int], batch_tokens: int, seed: int, epoch: int) -> list[list[int]]:
    """Row numbers, batch by batch, every row once; the same for the same arguments, wherever training was interrupted.

    `lengths` in tokens. A batch's padded size (rows x longest) stays within `batch_tokens`, unless one row alone is
    longer than that.
    """
    shuffle = random.Random(f"{seed}/{epoch}")
    order = list(range(len(lengths)))
    shuffle.shuffle(order)
    mean = max(1, sum(lengths) // max(1, len(lengths)))
    window = max(1, WINDOW * batch_tokens // mean)
    batches: list[list[int]] = []
    for start in range(0, len(order), window):
        batches += _fill(sorted(order[start : start + window], key=lambda row: lengths[row]), lengths, batch_tokens)
    shuffle.shuffle(batches)
    return batches


def _fill(rows: list[int], lengths: Sequence[int], batch_tokens: int) -> list[list[int]]:
    """Cut rows, sorted by length, into batches; the last row of each is its longest."""
    batches: list[list[int]] = []
    batch: list[int] = []
    for row in rows:
        if batch and (len(batch) + 1) * lengths[row] > batch_tokens:
            batches.append(batch)
            batch = []
        batch.append(row)
    if batch:
        batches.append(batch)
    return batches


def micro_batches(batch: Sequence[int], lengths: Sequence[int], micro_batch_tokens: int | None) -> list[list[int]]:
    """One step's rows in parts that fit through the model at once."""
    if micro_batch_tokens is None:
        return [list(batch)]
    return _fill(sorted(batch, key=lambda row: lengths[row]), lengths, micro_batch_tokens)
