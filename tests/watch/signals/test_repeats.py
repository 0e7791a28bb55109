from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tests.watch.signals.windows import BANK, days, window

from stillroom.watch.signals.organisations import Column, Organisations
from stillroom.watch.signals.repeats import dispersion

SEED = 11


def of_counts(*counts: npt.NDArray[Any]) -> Column:
    """Of organisations whose asked questions were asked so often."""
    activity = [row for place in range(len(counts)) for row in days(f"a{place:03}")[:1]]
    organisations = Organisations.of(window(activity).activity)
    owner = np.repeat(np.arange(len(counts)), [len(each) for each in counts])
    return dispersion(organisations, owner, np.concatenate(counts).astype(float))


@pytest.mark.parametrize("calls", [200, 600, 3000])
def test_draws_at_random_vary_as_by_chance(calls: int) -> None:
    random = np.random.default_rng(SEED)
    drawn = [np.unique(random.integers(0, BANK.questions, calls), return_counts=True)[1] for _ in range(300)]
    found = of_counts(*drawn)
    found = found[np.isfinite(found)]
    assert len(found) > 200
    assert abs(np.mean(found)) < 0.4
    assert 0.3 < np.std(found) < 1.1  # the mean is taken from the same counts: a little less than it says
    assert np.mean(np.abs(found) > 3) < 0.01


def test_popular_questions_vary_more_and_samples_of_each_less() -> None:
    random = np.random.default_rng(SEED)
    share = 1 / np.arange(1, BANK.questions + 1) ** 0.7
    pupils = np.unique(random.choice(BANK.questions, 1500, p=share / share.sum()), return_counts=True)[1]
    four_each = np.full(400, 4)
    until_two_are_right = random.integers(2, 5, 400)
    found = of_counts(pupils, four_each, until_two_are_right)
    assert found[0] > 5
    assert found[1] < -10
    assert found[2] < -5


def test_without_repeats_nothing_is_known() -> None:
    assert np.isnan(of_counts(np.ones(500), np.append(np.ones(500), 5))).all()
