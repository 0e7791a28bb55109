from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillroom.verify.choice import verify_choice
from stillroom.verify.exact import verify_exact


@pytest.mark.parametrize(
    ("reference", "answer", "verdict"),
    [
        ("Paris", "paris", "right"),
        ("Paris", "  PARIS.\n", "right"),
        ("Paris", "**Paris**", "right"),
        ("Paris", '"Paris."', "right"),
        ("Paris", "The answer is Paris.", "right"),
        ("Paris", "The answer is Paris. I am sure.", "right"),
        ("Paris", "\\boxed{\\text{Paris}}", "right"),
        ("Paris", "<answer>\nParis\n</answer>", "right"),
        ("New York", "new  york", "right"),
        ("C++", "C++", "right"),
        ("!", "!", "right"),
        ("Caf\u00e9", "Cafe\u0301", "right"),
        ("Paris", "Not Paris", "wrong"),
        ("Paris", "It is Paris", "unsure"),
        ("Paris", "The answer is London, not Paris.", "wrong"),
        ("Paris", "London", "wrong"),
        ("C++", "C", "wrong"),
        ("x\u00b2", "x2", "wrong"),
        ("art", "party", "wrong"),
        ("True", "False", "wrong"),
        ("", "anything", "unsure"),
    ],
)
def test_exact(reference: str, answer: str, verdict: str) -> None:
    assert verify_exact(reference, answer).verdict == verdict, verify_exact(reference, answer)


@given(st.text(min_size=1, max_size=30).filter(lambda text: text.strip() != ""))
def test_a_text_is_exactly_itself(text: str) -> None:
    assert verify_exact(text, text).verdict in ("right", "unsure")


@pytest.mark.parametrize(
    "answer",
    [
        "B",
        "b",
        "(B)",
        "[B]",
        "B.",
        "B)",
        "**B**",
        "$B$",
        "B. Paris",
        "B) Paris",
        "(B) Paris",
        "b) Paris",
        "B: Paris",
        "B\nbecause it is",
        "answer: B",
        "Answer: (B) Paris",
        "**Answer:** B",
        "Answer: **B**",
        "The answer is B",
        "The answer is B because A is too small.",
        "The correct answer is (B).",
        "The answer is option B.",
        "the answer is b",
        "The final answer is \\boxed{B}.",
        "\\boxed{\\text{B}}",
        "\\boxed{\\text{(B)}}",
        "<answer>B</answer>",
        "#### B",
        "I think (B) is right.",
        "I would choose option B here.",
        "A careful look shows that B holds.",
        "Answer: B) Paris",
        "The correct choice is B.",
        "The answer is A. Wait: the answer is B.",
    ],
)
def test_choice_is_read(answer: str) -> None:
    assert verify_choice("B", answer).verdict == "right", verify_choice("B", answer)
    assert verify_choice("(C)", answer).verdict == "wrong", verify_choice("C", answer)


@pytest.mark.parametrize(
    "answer",
    [
        "A or B",
        "The answer is A or B",
        "Answer: B, C",
        "(A) and (B)",
        "The answer is A, so \\boxed{B}",
        "The answer is not B",
        "It is not B",
        "B is wrong",
        "I do not know",
        "A dog",
        "Paris",
    ],
)
def test_choice_is_unsure(answer: str) -> None:
    assert verify_choice("B", answer).verdict == "unsure", verify_choice("B", answer)


def test_choice_a_and_i_are_words_too() -> None:
    assert verify_choice("A", "The answer is a dog").verdict == "unsure"
    assert verify_choice("A", "A dog is what I think").verdict == "unsure"
    assert verify_choice("I", "I, for one, would take (B)").verdict == "wrong"
    assert verify_choice("A", "The answer is A").verdict == "right"
    assert verify_choice("A", "The answer is A because of it").verdict == "right"
    assert verify_choice("A", "A) a dog").verdict == "right"
    assert verify_choice("a", "A").verdict == "right"


def test_choice_needs_a_letter_to_compare_with() -> None:
    assert verify_choice("Paris", "B").verdict == "unsure"


@given(st.text(max_size=200))
def test_any_text_gets_a_verdict(text: str) -> None:
    assert verify_choice("B", text).verdict in ("right", "wrong", "unsure")
    assert verify_exact("B", text).verdict in ("right", "wrong", "unsure")
