from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stillroom.train.batches import epoch_steps

lengths_strategy = st.lists(st.integers(1, 300), min_size=1, max_size=200)


@given(
    lengths=lengths_strategy,
    step=st.integers(1, 4000),
    batch=st.integers(1, 1000),
    seed=st.integers(0, 5),
    epoch=st.integers(0, 3),
)
def test_every_row_once_and_the_padded_sizes_within_their_budgets(
    lengths: list[int], step: int, batch: int, seed: int, epoch: int
) -> None:
    steps = epoch_steps(lengths, step, batch, seed, epoch)
    assert sorted(row for batches in steps for rows in batches for row in rows) == list(range(len(lengths)))
    for batches in steps:
        sizes = [len(rows) * max(lengths[row] for row in rows) for rows in batches]
        assert all(size <= batch or len(rows) == 1 for size, rows in zip(sizes, batches, strict=True))
        assert sum(sizes) <= step or len(batches) == 1
    assert steps == epoch_steps(lengths, step, batch, seed, epoch)


def test_epochs_and_seeds_differ() -> None:
    lengths = [1 + n % 50 for n in range(500)]
    orders = [epoch_steps(lengths, 500, 100, seed, epoch) for seed in (0, 1) for epoch in (0, 1)]
    assert len({str(order) for order in orders}) == 4


def test_rows_of_a_batch_are_of_similar_length_and_those_of_a_step_are_not() -> None:
    lengths = [1 + (n * 37) % 100 for n in range(5000)]
    steps = epoch_steps(lengths, 4000, 1000, 0, 0)
    padded = sum(len(rows) * max(lengths[row] for row in rows) for batches in steps for rows in batches)
    assert padded < 1.1 * sum(lengths)
    spread = [len({lengths[rows[0]] // 25 for rows in batches}) for batches in steps]
    assert sum(spread) / len(spread) > 2
