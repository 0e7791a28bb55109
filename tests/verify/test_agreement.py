"""Agreement: the final answers of samples, compared as the verifiers of their kind compare them."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillroom.base.records import Kind
from stillroom.verify.agreement import LEAST_AGREEING, agree


def verdicts(kind: Kind, answers: Sequence[str | None], at_least: float = 0.6) -> str:
    """`r` for right, `u` for unsure, one for each sample."""
    return "".join(judgement.verdict[0] for judgement in agree(kind, answers, at_least))


@pytest.mark.parametrize(
    ("kind", "answers", "expected"),
    [
        ("number", ["The answer is 18.", "18.0", "\\boxed{18}", "$18", "20"], "rrrru"),
        ("number", ["1,000", "1000", "a lot", "1e3"], "rrur"),
        ("number", ["1/3", "0.3333", "0.333", "1/3", "1/3"], "ruurr"),
        ("number", ["5 or 6", "5", "6", "5", "5"], "ururr"),
        ("choice", ["(B)", "B. Paris", "The answer is B", "**B**", "C"], "rrrru"),
        ("choice", ["A or B", "A", "A", "A", "not sure"], "urrru"),
        ("math", ["\\boxed{\\frac{1}{2}}", "$0.5$", "The answer is $\\frac{2}{4}$", "\\boxed{2}"], "rrru"),
        ("exact", ["Paris", "paris.", "The answer is Paris.", "London"], "rrru"),
        ("none", ["Paris", "paris.", "The answer is Paris.", "London"], "rrru"),
        ("json", ['{"a": 1, "b": 2}', '```\n{"b": 2, "a": 1}\n```', '<answer>{"b": 2, "a": 1}</answer>', "3"], "rrru"),
        ("json", ['{"a": 1}', '{"a": 1', '{"a": 1}', '{"a": 1, "a": 1}'], "uuuu"),
        # the share is of all samples, those without an answer among them
        ("number", ["7", "7", "7", None, None], "rrruu"),
        ("number", ["7", "7", "7", None, None, None], "uuuuuu"),
        ("number", ["7", "7", "7", "", "  ", "no idea"], "uuuuuu"),
        # a few are too few
        ("number", ["7"], "u"),
        ("number", ["7", "7"], "uu"),
        ("number", ["7", "7", "7"], "rrr"),
        ("number", [], ""),
        ("number", [None, None, None], "uuu"),
        ("number", ["1", "2", "3", "4", "5"], "uuuuu"),
        ("number", ["1", "1", "1", "2", "2", "2"], "uuuuuu"),
    ],
)  # fmt: skip
def test_who_agrees(kind: Kind, answers: list[str | None], expected: str) -> None:
    assert verdicts(kind, answers) == expected


def test_the_share_is_exact() -> None:
    """0.7 * 10 is more than 7 in floating point."""
    answers = ["7"] * 7 + ["8"] * 3
    assert verdicts("number", answers, 0.7) == "r" * 7 + "u" * 3
    assert verdicts("number", answers, 0.71) == "u" * 10
    assert verdicts("number", ["7"] * 10, 1.0) == "r" * 10


def test_reasons_say_who_agrees() -> None:
    member, other, silent = agree("number", ["7", "8", None, "7.0", "7"], 0.6)[:3]
    assert (member.reason, member.extracted) == ("3 of 5 samples agree", "7")
    assert (other.verdict, other.reason) == ("unsure", "3 of 5 samples agree, and not with this one")
    assert (silent.verdict, silent.extracted) == ("unsure", None)
    alone = agree("number", ["7", "8", None], 0.6)
    assert alone[0].reason == "3 of 3 samples would have to agree"
    assert alone[2].reason == "this sample has no answer"


@pytest.mark.parametrize("at_least", [0.5, 0.0, 1.1, -1, float("nan")])
def test_a_share_that_two_groups_could_reach_is_refused(at_least: float) -> None:
    with pytest.raises(ValueError, match=r"above 0\.5"):
        agree("number", ["1"], at_least)


@pytest.mark.parametrize("kind", ["code", "task", "instructions"])
def test_what_has_many_right_answers_is_not_compared(kind: Kind) -> None:
    assert [one.verdict for one in agree(kind, ["x", "x", "x"], 0.6)] == ["unverifiable"] * 3


@given(
    st.lists(st.sampled_from(["1", "1.0", "2", "3", None, "none of them"]), max_size=12),
    st.sampled_from([0.51, 0.6, 0.75, 1.0]),
    st.randoms(use_true_random=False),
)
def test_order_makes_no_difference_and_only_one_group_is_right(
    answers: list[str | None], at_least: float, draw: random.Random
) -> None:
    judged = agree("number", answers, at_least)
    order = list(range(len(answers)))
    draw.shuffle(order)
    again = agree("number", [answers[index] for index in order], at_least)
    assert [again[order.index(index)].verdict for index in range(len(answers))] == [one.verdict for one in judged]
    right = [answer for answer, one in zip(answers, judged, strict=True) if one.verdict == "right"]
    values = {float(answer) for answer in right if answer is not None}
    assert len(values) <= 1
    if right:
        assert len(right) >= max(LEAST_AGREEING, at_least * len(answers) - 1e-9)
    for value in ({"1", "1.0"}, {"2"}, {"3"}):
        count = sum(answer in value for answer in answers)
        reaches = count >= LEAST_AGREEING and count >= at_least * len(answers) - 1e-9
        assert reaches == (bool(right) and right[0] in value)
