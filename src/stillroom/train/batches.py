"""Which rows go through the student together: a step of several batches, each of rows of one length, seeded.

Rows of one length are often rows of one kind. A step that held only those would pull the student towards one kind at
a time (measured on the classroom's lessons: the loss jumped between 1.7 and 5.9 from step to step), so a step takes
several batches from all over.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

WINDOW = 64
"""Rows are sorted by length inside a window of so many average batches: little padding, and still shuffled."""

Batch = list[int]
"""Row numbers that go through the model at once."""


def epoch_steps(
    lengths: Sequence[int], step_tokens: int, batch_tokens: int, seed: int, epoch: int
) -> list[list[Batch]]:
    """The batches of each optimiser step of one epoch: every row once, the same for the same arguments.

    `lengths` in tokens. A batch's padded size (rows x longest) stays within `batch_tokens`, and a step's within
    `step_tokens`, unless one row alone is longer than that.
    """
    shuffle = random.Random(f"{seed}/{epoch}")
    order = list(range(len(lengths)))
    shuffle.shuffle(order)
    mean = max(1, sum(lengths) // max(1, len(lengths)))
    window = max(1, WINDOW * batch_tokens // mean)
    batches: list[Batch] = []
    for start in range(0, len(order), window):
        by_length = sorted(order[start : start + window], key=lambda row: lengths[row])
        batches += fill_batches(by_length, lengths, batch_tokens)
    shuffle.shuffle(batches)
    return _group(batches, lengths, step_tokens)


def fill_batches(rows: Sequence[int], lengths: Sequence[int], batch_tokens: int) -> list[Batch]:
    """Cut rows, sorted by length, into batches; the last row of each is its longest."""
    batches: list[Batch] = []
    batch: Batch = []
    for row in rows:
        if batch and (len(batch) + 1) * lengths[row] > batch_tokens:
            batches.append(batch)
            batch = []
        batch.append(row)
    if batch:
        batches.append(batch)
    return batches


def _group(batches: list[Batch], lengths: Sequence[int], step_tokens: int) -> list[list[Batch]]:
    steps: list[list[Batch]] = []
    step: list[Batch] = []
    tokens = 0
    for batch in batches:
        size = len(batch) * lengths[batch[-1]]
        if step and tokens + size > step_tokens:
            steps.append(step)
            step, tokens = [], 0
        step.append(batch)
        tokens += size
    if step:
        steps.append(step)
    return steps
