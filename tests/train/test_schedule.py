from __future__ import annotations

import itertools

import pytest

from stillroom.train.schedule import learning_rate


def test_rises_to_the_peak_and_falls_to_the_final_share() -> None:
    rates = [learning_rate(step, 100, 1e-3, 0.1, 0.1) for step in range(100)]
    assert rates[:10] == pytest.approx([1e-4 * n for n in range(1, 11)])
    assert max(rates) == pytest.approx(1e-3)
    assert all(later <= earlier for earlier, later in itertools.pairwise(rates[9:]))
    assert rates[-1] == pytest.approx(1e-4)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_runs_of_a_few_steps_have_a_rate(steps: int) -> None:
    assert all(0 < learning_rate(step, steps, 1.0, 0.05, 0.1) <= 1.0 for step in range(steps))
