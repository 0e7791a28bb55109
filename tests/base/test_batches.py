from __future__ import annotations

from stillroom.base.batches import batched


def test_the_last_one_may_be_shorter() -> None:
    assert [*batched(range(5), 2)] == [[0, 1], [2, 3], [4]]
    assert [*batched([], 2)] == []


def test_items_are_taken_as_they_are_needed() -> None:
    numbers = iter(range(4))
    assert next(batched(numbers, 2)) == [0, 1]
    assert next(numbers) == 2
