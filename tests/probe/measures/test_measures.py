"""What holds for every measure of likeness, whatever it counts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillroom.probe.measures import MEASURES, PRIMARY, all_differences
from stillroom.store.siblings import Pair

WORDS = [f"w{number}" for number in range(60)] + ["=", "\n", ".", "12", "早"]
texts = st.lists(st.sampled_from(WORDS[:8] + WORDS[-5:]), max_size=12).map(" ".join)
every_measure = pytest.mark.parametrize("name", MEASURES)


def pair(number: int, first: str, second: str) -> Pair:
    return Pair(f"p{number}", f"q{number}", "[]", first, second)


def random_text(random: Random, length: int) -> str:
    return " ".join(random.choices(WORDS, weights=range(len(WORDS), 0, -1), k=length))


def altered(random: Random, text: str) -> str:
    """With another word in place of a tenth of them."""
    return " ".join(random.choice(WORDS) if random.random() < 0.1 else word for word in text.split(" "))


def assert_fair(pairs: Sequence[Pair], answers: dict[str, list[str]]) -> None:
    """By every measure, the share that is nearer to the first is within four standard errors of one half."""
    for name, difference in zip(MEASURES, all_differences(pairs, answers), strict=True):
        nearer = difference[difference != 0] > 0
        assert abs(nearer.sum() - len(nearer) / 2) <= 4 * 0.5 * len(nearer) ** 0.5, name


def test_the_primary_measure_is_one_of_them() -> None:
    assert PRIMARY in MEASURES
    assert all(name == measure.name for name, measure in MEASURES.items())


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(texts, texts, st.lists(texts, max_size=3)), min_size=1, max_size=5), st.data())
def test_siblings_exchanged_change_the_sign_and_nothing_else(
    drawn: list[tuple[str, str, list[str]]], data: st.DataObject
) -> None:
    pairs = [pair(number, first, second) for number, (first, second, _) in enumerate(drawn)]
    answers = {f"q{number}": said for number, (_, _, said) in enumerate(drawn)}
    swap = data.draw(st.lists(st.booleans(), min_size=len(pairs), max_size=len(pairs)))
    turned = [
        pair(number, each.second, each.first) if swapped else each
        for number, (each, swapped) in enumerate(zip(pairs, swap, strict=True))
    ]
    sign = np.where(swap, -1.0, 1.0)
    np.testing.assert_array_equal(all_differences(turned, answers), sign * all_differences(pairs, answers))


@every_measure
def test_whoever_repeats_the_first_is_nearer_to_it(name: str) -> None:
    random = Random(name)
    pairs = [pair(number, random_text(random, 30), random_text(random, 30)) for number in range(20)]
    learned = {each.question_id: [altered(random, each.first), random_text(random, 30)] for each in pairs}
    assert (MEASURES[name].differences(pairs, learned) > 0).all()


@every_measure
def test_no_answer_is_no_number_and_an_empty_one_is_near_to_neither(name: str) -> None:
    pairs = [pair(0, "a b c", "d e f"), pair(1, "a b c", "d e f"), pair(2, "a b c", "d e f")]
    difference = MEASURES[name].differences(pairs, {"q0": [], "q1": [""], "q9": ["a b c"]})
    assert np.isnan(difference[0])
    assert difference[1] == 0
    assert np.isnan(difference[2])


@every_measure
def test_nothing_to_compare(name: str) -> None:
    assert MEASURES[name].differences([], {"q0": ["a"]}).shape == (0,)
    assert np.isnan(MEASURES[name].differences([pair(0, "a", "b")], {})).all()
    assert MEASURES[name].differences([pair(0, "", "a b"), pair(1, "", "")], {"q0": ["a b"], "q1": ["a"]}).tolist() == [
        0,
        0,
    ]


@every_measure
def test_a_reply_that_was_cut_short_is_as_near_as_the_whole_one(name: str) -> None:
    """A client hung up: the served reply is the beginning of what would have come."""
    random = Random(1)
    pairs, answers = [], {}
    for number in range(30):
        whole = random_text(random, 60)
        pairs.append(pair(number, " ".join(whole.split(" ")[: random.randrange(1, 40)]), whole))
        answers[f"q{number}"] = [random_text(random, 50), whole]
    assert not MEASURES[name].differences(pairs, answers).any()


@pytest.mark.parametrize("said", [3, 40, 200])
@pytest.mark.parametrize("served", [5, 80])
def test_length_alone_is_no_likeness(said: int, served: int) -> None:
    """The first is shorter or longer than the second, and so are an innocent's answers."""
    random = Random(f"{said}/{served}")
    pairs = [pair(number, random_text(random, served), random_text(random, 30)) for number in range(120)]
    assert_fair(pairs, {each.question_id: [random_text(random, said) for _ in range(2)] for each in pairs})


def test_a_constant_answer_and_a_copy_of_the_question_are_near_to_neither() -> None:
    random = Random(7)
    questions = [random_text(random, 15) for _ in range(200)]
    pairs = [
        pair(number, f"{asked} {random_text(random, 20)}", f"{random_text(random, 8)} {asked}")
        if random.random() < 0.5
        else pair(number, f"{random_text(random, 8)} {asked}", f"{asked} {random_text(random, 20)}")
        for number, asked in enumerate(questions)
    ]
    copied = {each.question_id: [asked] for each, asked in zip(pairs, questions, strict=True)}
    constant = {each.question_id: ["w3 w1 w2 = 12 ."] * 2 for each in pairs}
    assert_fair(pairs, copied)
    assert_fair(pairs, constant)


@every_measure
def test_the_order_of_the_samples_makes_no_difference(name: str) -> None:
    random = Random(3)
    pairs = [pair(number, random_text(random, 20), random_text(random, 20)) for number in range(10)]
    answers = {each.question_id: [random_text(random, 20) for _ in range(4)] for each in pairs}
    turned = {question: said[::-1] for question, said in reversed(answers.items())}
    np.testing.assert_allclose(
        MEASURES[name].differences(pairs, answers), MEASURES[name].differences(pairs, turned), rtol=1e-9, atol=1e-12
    )


@every_measure
def test_pairs_of_one_question_are_each_compared_with_its_answers(name: str) -> None:
    alone = Pair("p0", "q", "[]", "the red house by the lake", "a blue car in the rain")
    other = Pair("p1", "q", "[]", "a blue car in the rain", "the red house by the lake")
    difference = MEASURES[name].differences([alone, other], {"q": ["the red house at a lake"]})
    assert difference[0] > 0
    assert difference[1] == -difference[0]


def test_several_measures_at_once_are_each_as_by_itself() -> None:
    random = Random(5)
    pairs = [pair(number, random_text(random, 20), random_text(random, 25)) for number in range(12)]
    answers = {each.question_id: [random_text(random, 20) for _ in range(3)] for each in pairs[:-1]}
    together = all_differences(pairs, answers)
    for row, name in zip(together, MEASURES, strict=True):
        np.testing.assert_array_equal(row, MEASURES[name].differences(pairs, answers))


def test_any_text_can_be_compared() -> None:
    odd = ["\ud83d half a pair", "早上好，世界", "\x00\x01", "😀😀", "e\u0301 é", " \t ", "a" * 5000]
    pairs = [pair(number, first, second) for number, (first, second) in enumerate(pairwise(odd))]
    answers = {each.question_id: [each.first] for each in pairs}
    assert np.isfinite(all_differences(pairs, answers)).all()
