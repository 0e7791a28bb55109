from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillroom.text.codes import Codebook
from stillroom.text.flat import Flat, distinct, flat, mixed, ngrams
from stillroom.text.skeleton import skeletons

TEXTS = st.lists(st.lists(st.integers(0, 5), max_size=8), max_size=6)


def made(texts: list[list[int]]) -> Flat:
    return flat([value for text in texts for value in text], [len(text) for text in texts])


@given(TEXTS, st.integers(1, 4))
def test_runs_are_equal_where_their_values_are(texts: list[list[int]], n: int) -> None:
    runs = ngrams(made(texts), n)
    expected = [tuple(text[at : at + n]) for text in texts for at in range(len(text) - n + 1)]
    assert len(runs) == len(texts)
    assert np.diff(runs.starts).tolist() == [max(len(text) - n + 1, 0) for text in texts]
    by_hash = dict(zip(runs.values.tolist(), expected, strict=True))
    assert [by_hash[value] for value in runs.values.tolist()] == expected
    assert len(by_hash) == len(set(expected))


@given(TEXTS)
def test_distinct_values_are_each_text_s_set(texts: list[list[int]]) -> None:
    sets = distinct(made(texts))
    assert [sets.text(index).tolist() for index in range(len(texts))] == [sorted(set(text)) for text in texts]


@given(TEXTS)
def test_where_keeps_texts_apart(texts: list[list[int]]) -> None:
    whole = made(texts)
    kept = whole.where(whole.values % 2 == 0)
    assert [kept.text(i).tolist() for i in range(len(texts))] == [[v for v in text if v % 2 == 0] for text in texts]


def test_the_order_within_a_run_matters() -> None:
    runs = ngrams(made([[1, 2], [2, 1]]), 2).values
    assert runs[0] != runs[1]


@given(st.lists(st.integers(0, 2**64 - 1), unique=True))
def test_mixed_values_stay_different(values: list[int]) -> None:
    assert len(set(mixed(np.array(values, np.uint64)).tolist())) == len(values)


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [("buy 3 pens", "buy 12 pens", True), ("buy three pens", "buy 12 pens", True), ("buy 3 pens", "buy 3 cups", False)],
)
def test_a_skeleton_has_holes_for_numbers(left: str, right: str, same: bool) -> None:
    codebook = Codebook()
    texts = [codebook.codes(text.split()) for text in (left, right)]
    bones = skeletons(made(texts))
    assert (bones.text(0).tolist() == bones.text(1).tolist()) == same
