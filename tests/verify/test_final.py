"""What a reply says in the end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillroom.verify.final import LONGEST, final_answer
from stillroom.verify.latex import plain_latex


@pytest.mark.parametrize(
    ("reply", "texts"),
    [
        ("5", ("5",)),
        ("<think>4</think>5", ("5",)),
        ("<think>4", ()),
        ("\\boxed{}", ()),
        ("The answer is 4, so \\boxed{5}", ("5",)),
        ("\\boxed{4} and \\boxed{5}", ("4", "5")),
        ("\\boxed{4}. Wait, \\boxed{5}", ("5",)),
        ("\\boxed{4}. That is wrong. It is 5.", ("It is 5.",)),
        ("If the answer is 4, all is lost. The answer is 5", ("5",)),
        ("4. Actually, 5", ("5",)),
        ("Wait, wait, wait. 5", ("5",)),
    ],
)
def test_what_is_said_in_the_end(reply: str, texts: tuple[str, ...]) -> None:
    assert final_answer(reply).texts == texts


def test_a_reply_that_was_cut_in_its_answer_is_doubted() -> None:
    assert final_answer("so \\boxed{5").doubt == "cut off inside the answer"
    assert final_answer("\\boxed{4} and <answer>5").doubt == "cut off inside the answer"
    assert final_answer("\\boxed{5}").doubt == ""


def test_only_the_end_of_a_long_reply_is_read() -> None:
    assert final_answer("\\boxed{4} " + "x" * LONGEST).texts != ("4",)
    assert final_answer("x" * LONGEST + " \\boxed{5}").texts == ("5",)


@given(st.text())
def test_any_text_has_an_end_and_a_plain_writing(text: str) -> None:
    assert all(one in text or "boxed" in text for one in final_answer(text).texts)
    assert isinstance(plain_latex(text), str)
