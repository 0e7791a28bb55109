"""The base student's lessons hold no chain of steps, and the vocabulary writes any text."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from stillroom.classroom.lessons import lessons
from stillroom.classroom.textbook import textbook, worked_solutions
from stillroom.classroom.vocabulary import build_tokenizer


def test_no_lesson_has_a_think_block_or_uses_one_result_in_the_next_step() -> None:
    steps = 0
    for lesson in lessons(3000, 1):
        assert lesson.messages[-1].reasoning is None
        assert "<think>" not in lesson.messages[-1].content
        kind = lesson.source.rpartition(" ")[2]
        lines = lesson.messages[-1].content.split("\n")
        if kind == "single_steps":
            for first, second in pairwise(lines):
                result = first.rpartition("=")[2]
                assert not re.match(rf"{result}[-+*]", second)
                steps += 1
        if kind == "look_up":
            for first, second in pairwise(lesson.messages[-1].content.split(", ")):
                assert first.partition(" to ")[2] != second.partition(" to ")[0]
    assert steps > 1000


def test_lessons_are_the_same_for_the_same_seed() -> None:
    assert list(lessons(50, 3)) == list(lessons(50, 3))
    assert list(lessons(50, 3)) != list(lessons(50, 4))


def test_the_textbook_reasons_and_gives_no_bare_answer() -> None:
    traces = list(textbook(200, 1))
    assert len(traces) == 200
    assert sum(trace.messages[-1].reasoning is not None for trace in traces) == 150
    assert not any(trace.source.endswith("bare_answer") for trace in traces)


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return build_tokenizer(m.content for t in worked_solutions(500, 0) for m in t.messages)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_written_and_read_back(tokenizer: PreTrainedTokenizerFast, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)) == text


def test_digits_are_single_and_known_words_whole(tokenizer: PreTrainedTokenizerFast) -> None:
    assert tokenizer.tokenize("47+38 legs in total") == ["4", "7", "+", "3", "8", "Ġlegs", "Ġin", "Ġtotal"]
    assert tokenizer.tokenize("<think>") == ["<think>"]


def test_the_template_keeps_reasoning_that_comes_apart_from_the_answer(tokenizer: PreTrainedTokenizerFast) -> None:
    messages = [
        {"role": "user", "content": "2+3"},
        {"role": "assistant", "content": "5", "reasoning_content": "2+3=5"},
    ]
    text = tokenizer.apply_chat_template(messages, tokenize=False)
    assert text == "<|user|>2+3<|end|><|assistant|><think>\n2+3=5\n</think>\n\n5<|end|>"
