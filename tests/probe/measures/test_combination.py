from __future__ import annotations

from random import Random

import numpy as np

from stillroom.probe.measures import MEASURES, all_differences
from stillroom.probe.measures.combination import combined, relative
from stillroom.store.siblings import Pair


def test_what_a_reference_foretells_is_taken_off() -> None:
    random = np.random.default_rng(0)
    preference, own = random.normal(size=2000), random.normal(size=2000) * 0.5
    reference = preference + 0.1 * random.normal(size=2000)
    left = relative(preference + own, reference)
    assert np.corrcoef(left, own)[0, 1] > 0.95
    assert abs(np.corrcoef(left, preference)[0, 1]) < 0.1


def test_a_reference_of_another_unit_makes_no_difference() -> None:
    random = np.random.default_rng(1)
    suspect, reference = random.normal(size=50), random.normal(size=50)
    np.testing.assert_allclose(relative(suspect, reference), relative(suspect, 1000 * reference))


def test_pairs_without_a_reference_stay_as_they_are() -> None:
    suspect = np.array([1.0, -2.0, 3.0, np.nan])
    left = relative(suspect, np.array([1.0, np.nan, 1.0, 1.0]))
    np.testing.assert_array_equal(left, [-1.0, -2.0, 1.0, np.nan])
    np.testing.assert_array_equal(relative(suspect, np.full(4, np.nan)), suspect)
    np.testing.assert_array_equal(relative(suspect, np.zeros(4)), suspect)


def test_what_every_measure_agrees_on_counts_most() -> None:
    both = combined([np.array([1.0, 2.0, 9.0, np.nan, 0.0]), np.array([100.0, -300.0, 900.0, np.nan, 0.0])])
    assert np.argmax(np.nan_to_num(both)) == 2
    assert both[0] > 0
    assert np.isnan(both[3])
    assert both[4] == 0


def test_units_of_the_measures_make_no_difference_to_their_sum() -> None:
    random = np.random.default_rng(4)
    one, two = random.normal(size=30), random.normal(size=30)
    np.testing.assert_array_equal(combined([one, two]), combined([one * 1e6, two / 7]))


def test_an_innocent_that_prefers_one_sort_of_reply_is_near_to_neither_relative_to_another() -> None:
    """Both repeat the same sibling of each pair: what the suspect says tells nothing that the reference does not."""
    random = Random(2)
    words = [f"w{number}" for number in range(80)]
    pairs, said = [], {}
    for number in range(60):
        two = [" ".join(random.choices(words, k=20)) for _ in range(2)]
        pairs.append(Pair(f"p{number}", f"q{number}", "[]", *two))
        said[f"q{number}"] = [random.choice(two)]
    alone = all_differences(pairs, said)
    assert (alone != 0).all()
    np.testing.assert_allclose(all_differences(pairs, said, references=said)[1:], 0, atol=1e-9)


def test_relative_differences_change_their_sign_with_the_siblings() -> None:
    random = Random(3)
    words = [f"w{number}" for number in range(30)]

    def text() -> str:
        return " ".join(random.choices(words, k=15))

    pairs = [Pair(f"p{number}", f"q{number}", "[]", text(), text()) for number in range(40)]
    answers = {each.question_id: [text(), each.first] for each in pairs}
    references = {each.question_id: [text(), text()] for each in pairs[5:]}
    turned = [Pair(each.pair_id, each.question_id, "[]", each.second, each.first) for each in pairs[:20]] + pairs[20:]
    sign = np.array([-1.0] * 20 + [1.0] * 20)
    for measure in MEASURES.values():
        np.testing.assert_array_equal(
            measure.differences(turned, answers, references), sign * measure.differences(pairs, answers, references)
        )
