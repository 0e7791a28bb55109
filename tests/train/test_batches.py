from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stillroom.train.batches import epoch_batches, micro_batches

lengths_strategy = st.lists(st.integers(1, 300), min_size=1, max_size=200)


@given(lengths=lengths_strategy, budget=st.integers(1, 2000), seed=st.integers(0, 5), epoch=st.integers(0, 3))
def test_every_row_once_and_the_padded_size_within_the_budget(
    lengths: list[int], budget: int, seed: int, epoch: int
) -> None:
    batches = epoch_batches(lengths, budget, seed, epoch)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[row] for row in batch) <= budget
    assert batches == epoch_batches(lengths, budget, seed, epoch)


def test_epochs_and_seeds_differ() -> None:
    lengths = [1 + n % 50 for n in range(500)]
    orders = [epoch_batches(lengths, 500, seed, epoch) for seed in (0, 1) for epoch in (0, 1)]
    assert len({str(order) for order in orders}) == 4


def test_rows_of_a_batch_are_of_similar_length() -> None:
    lengths = [1 + (n * 37) % 100 for n in range(2000)]
    batches = epoch_batches(lengths, 1000, 0, 0)
    padded = sum(len(batch) * max(lengths[row] for row in batch) for batch in batches)
    assert padded < 1.1 * sum(lengths)


@given(lengths=lengths_strategy, budget=st.integers(1, 500))
def test_micro_batches_split_a_step_without_loss(lengths: list[int], budget: int) -> None:
    batch = list(range(len(lengths)))
    parts = micro_batches(batch, lengths, budget)
    assert sorted(row for part in parts for row in part) == batch
    assert micro_batches(batch, lengths, None) == [batch]
