from __future__ import annotations

import numpy as np

from stillroom.text.flat import flat
from stillroom.text.minhash import BANDS, band_keys


def test_like_sets_meet_and_unlike_ones_do_not() -> None:
    one = list(range(100))
    like, unlike = list(range(5, 105)), list(range(1000, 1100))
    keys = band_keys(flat([*one, *one, *like, *unlike], [100, 100, 100, 100]))
    assert keys.shape == (4, BANDS)
    assert (keys[0] == keys[1]).all()
    assert (keys[0] == keys[2]).any()
    assert not (keys[0] == keys[3]).any()


def test_order_and_repetition_make_no_difference() -> None:
    keys = band_keys(flat([1, 2, 3, 3, 2, 1, 1], [3, 4]))
    assert (keys[0] == keys[1]).all()


def test_empty_sets_have_one_key() -> None:
    keys = band_keys(flat([7], [0, 1, 0]))
    assert (keys[0] == keys[2]).all()
    assert not (keys[0] == keys[1]).any()
    assert band_keys(flat([], [])).shape == (0, BANDS)


def test_the_share_of_meeting_bands_grows_with_likeness() -> None:
    rng = np.random.default_rng(0)
    meeting = []
    for common in (20, 60, 90):
        values = rng.integers(0, 2**63, 200 - common, dtype=np.uint64)
        left, right = values[:100], np.concatenate([values[:common], values[100:]])
        keys = band_keys(flat([*left.tolist(), *right.tolist()], [100, 100]))
        meeting.append(int((keys[0] == keys[1]).sum()))
    assert meeting == sorted(meeting)
    assert meeting[-1] > meeting[0]
