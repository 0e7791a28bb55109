from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillroom.text.think import CLOSE, OPEN, ThinkSplit, join_think, split_think


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", ThinkSplit(None, "plain", "none")),
        ("", ThinkSplit(None, "", "none")),
        ("<think>why</think>4", ThinkSplit("why", "4", "well_formed")),
        ("\n <think>\nwhy\n</think>\n\n4\n", ThinkSplit("why", "4", "well_formed")),
        ("<think></think>4", ThinkSplit("", "4", "well_formed")),
        ("<think>why and", ThinkSplit("why and", "", "unclosed")),
        ("why</think>4", ThinkSplit("why", "4", "well_formed")),
        ("<think>", ThinkSplit("", "", "unclosed")),
        ("<think>\n\n</think>\n\n", ThinkSplit("", "", "well_formed")),
        ("</think>4", ThinkSplit("", "4", "well_formed")),
        ("<think>a<think>b</think>4", ThinkSplit("a<think>b", "4", "not_well_formed")),
        ("<think>a<think>b</think>c</think>4", ThinkSplit("a<think>b", "c</think>4", "not_well_formed")),
        ("<think>a</think><think>b</think>4", ThinkSplit("a", "<think>b</think>4", "not_well_formed")),
        ("<think>a</think>4<think>b", ThinkSplit("a", "4<think>b", "not_well_formed")),
        ("<think>a<think>b", ThinkSplit("a<think>b", "", "unclosed")),
        ("<think>a</think>4</think>5", ThinkSplit("a", "4</think>5", "not_well_formed")),
        ("The tag <think> opens.", ThinkSplit(None, "The tag <think> opens.", "not_well_formed")),
        ("Use <think>x</think>.", ThinkSplit(None, "Use <think>x</think>.", "not_well_formed")),
    ],
)
def test_split(text: str, expected: ThinkSplit) -> None:
    assert split_think(text) == expected


def test_a_prompt_that_opened_the_block_leaves_only_its_end() -> None:
    assert split_think("why</think>4", opened_by_prompt=True) == ThinkSplit("why", "4", "well_formed")
    assert split_think("why and", opened_by_prompt=True) == ThinkSplit("why and", "", "unclosed")


@given(st.text(), st.text())
def test_what_is_joined_is_split_again(reasoning: str, answer: str) -> None:
    if any(tag in reasoning + answer for tag in (OPEN, CLOSE)):
        return
    assert split_think(join_think(reasoning, answer)) == ThinkSplit(reasoning.strip(), answer.strip(), "well_formed")


@given(st.lists(st.sampled_from([OPEN, CLOSE, "a", " "])).map("".join))
def test_tags_in_any_order_never_end_in_a_well_formed_answer_with_tags(text: str) -> None:
    split = split_think(text)
    assert (split.reasoning or "") in text
    assert split.answer in text
    if split.block == "well_formed":
        assert not any(tag in (split.reasoning or "") + split.answer for tag in (OPEN, CLOSE))


def test_an_answer_without_reasoning_stays_bare() -> None:
    assert join_think(None, "4") == "4"


def test_a_long_text_is_read_in_one_go() -> None:
    tags = OPEN * 1_000_000
    assert split_think(tags + CLOSE + "4").answer == "4"
    assert split_think("a" + tags).block == "not_well_formed"
