from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stillroom.probe.measures.counting import counts_of, first_of_each, keys
from stillroom.text.flat import Codes, mixed

numbers = st.lists(st.integers(0, 20), max_size=60).map(lambda drawn: mixed(np.array(drawn, np.uint64)))


@given(numbers, numbers)
def test_counts_are_those_of_a_counter(wanted: Codes, among: Codes) -> None:
    counter = Counter(among.tolist())
    assert counts_of(wanted, among).tolist() == [counter[each] for each in wanted.tolist()]


@given(numbers)
def test_the_first_of_each_value(values: Codes) -> None:
    first = {value: place for place, value in reversed(list(enumerate(values.tolist())))}
    assert first_of_each(values).tolist() == sorted(first.values())


def test_a_value_in_two_groups_is_two_keys() -> None:
    values = mixed(np.array([5, 5, 6, 6], np.uint64))
    assert len(set(keys(values, np.array([0, 1, 0, 1])).tolist())) == 4
