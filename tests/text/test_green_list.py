"""Green lists: what a key colours is fixed, as many as said, and says nothing of what another key colours."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillroom.text.green_list import Mark, green_V, is_green_KN, key_words, pair_prints

KEY = bytes(range(16))
GREEN_AFTER_7 = [1, 12, 22, 26, 27, 32, 40, 41, 42, 49, 50, 53, 61, 63]


def _keys(count: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint64]]:
    return np.random.default_rng(3).integers(0, 2**64, (count, 2), dtype=np.uint64)


def test_the_colours_stay_what_they_are() -> None:
    # A change here would make every reply that was ever marked unreadable.
    green = np.flatnonzero(green_V(Mark(KEY, 0.25, 2.0), 7, 64)).tolist()
    assert green == GREEN_AFTER_7


def test_one_token_alone_is_coloured_as_in_the_whole_list() -> None:
    mark = Mark(KEY, 0.25, 2.0)
    before_N, token_N = np.repeat([0, 7, 150_000], 500), np.tile(np.arange(500), 3)
    one_by_one = is_green_KN(key_words([KEY]), pair_prints(before_N, token_N), 0.25)[0]
    assert one_by_one.tolist() == [*green_V(mark, 0, 500), *green_V(mark, 7, 500), *green_V(mark, 150_000, 500)]


@pytest.mark.parametrize("share", [0.01, 0.25, 0.5, 0.9])
def test_the_share_is_what_is_said(share: float) -> None:
    print_N = pair_prints(np.repeat(np.arange(300), 300), np.tile(np.arange(300), 300))
    green_K = is_green_KN(_keys(20), print_N, share).mean(axis=1)
    standard_error = (share * (1 - share) / len(print_N)) ** 0.5
    assert np.abs(green_K - share).max() < 5 * standard_error


def test_over_keys_pairs_are_coloured_independently() -> None:
    """Of neighbouring ids, too: the number of green ones then varies as that of coins that are tossed one by one."""
    count = 4000
    for before_N, token_N in (
        (np.zeros(200, dtype=int), np.arange(200)),
        (np.arange(200), np.zeros(200, dtype=int)),
        (np.arange(200) << 16, np.arange(200)[::-1]),
    ):
        green_KN = is_green_KN(_keys(count), pair_prints(before_N, token_N), 0.25)
        variance = green_KN.sum(axis=1).var() / (200 * 0.25 * 0.75)
        assert abs(variance - 1) < 6 * (2 / count) ** 0.5
        assert np.abs(green_KN.mean(axis=0) - 0.25).max() < 5 * (0.1875 / count) ** 0.5


def test_two_keys_that_differ_in_a_bit_agree_by_chance_alone() -> None:
    print_N = pair_prints(np.arange(20_000), np.arange(20_000) * 3 % 501)
    one = is_green_KN(key_words([KEY]), print_N, 0.5)[0]
    for bit in range(0, 128, 9):
        other = (int.from_bytes(KEY, "little") ^ (1 << bit)).to_bytes(16, "little")
        agree = (one == is_green_KN(key_words([other]), print_N, 0.5)[0]).mean()
        assert abs(agree - 0.5) < 5 * 0.5 / 20_000**0.5


@given(st.binary(max_size=40), st.floats(-1, 2), st.floats(-1, 3))
def test_what_marks_nothing_is_refused(key: bytes, share: float, strength: float) -> None:
    if len(key) == 16 and 0 < share < 1 and strength > 0:
        assert Mark(key, share, strength).key == key
    else:
        with pytest.raises(ValueError):
            Mark(key, share, strength)


def test_a_key_is_not_shown() -> None:
    assert KEY.hex() not in repr(Mark(KEY, 0.25, 2.0))
    assert repr(KEY) not in repr(Mark(KEY, 0.25, 2.0))
