"""The mask is what it says: the reply, its end token included, and nothing of the prompt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillroom.base.errors import DataError, ModelError
from stillroom.base.records import Message, Trace
from stillroom.generate.load import LocalModel, load_model
from stillroom.train.render import Renderer, Row


@pytest.fixture(scope="module")
def tiny(tiny_model: Path) -> LocalModel:
    return load_model(tiny_model)


def trace(*messages: Message) -> Trace:
    return Trace(question_id="q", messages=messages, source="test")


def user(text: str) -> Message:
    return Message(role="user", content=text)


def assistant(answer: str, reasoning: str | None = None, train: bool | None = None) -> Message:
    return Message(role="assistant", content=answer, reasoning=reasoning, train=train)


def trained_text(row: Row, tokenizer: Any) -> str:
    text: str = tokenizer.decode([i for i, at in zip(row.ids, row.trained, strict=True) if at])
    return text


def whole_text(row: Row, tokenizer: Any) -> str:
    text: str = tokenizer.decode(row.ids)
    return text


def with_template(tiny: LocalModel, template: str) -> Any:
    import copy

    tokenizer = copy.deepcopy(tiny.tokenizer)
    tokenizer.chat_template = template
    return tokenizer


def test_reasoning_answer_and_end_token_are_trained_and_nothing_else(tiny: LocalModel) -> None:
    row = Renderer(tiny.tokenizer, "sft", tiny.end_ids).render(trace(user("2+3?"), assistant("5", "2+3=5")))
    assert whole_text(row, tiny.tokenizer) == "<|user|>2+3?<|end|><|assistant|><think>\n2+3=5\n</think>\n\n5<|end|>"
    assert trained_text(row, tiny.tokenizer) == "<think>\n2+3=5\n</think>\n\n5<|end|>"


def test_answers_only_leaves_the_reasoning_out(tiny: LocalModel) -> None:
    row = Renderer(tiny.tokenizer, "answers_only", tiny.end_ids).render(trace(user("2+3?"), assistant("5", "2+3=5")))
    assert trained_text(row, tiny.tokenizer) == "5<|end|>"


def test_the_prefix_is_what_the_served_student_sees(tiny: LocalModel) -> None:
    row = Renderer(tiny.tokenizer, "sft", tiny.end_ids).render(trace(user("hé ☕"), assistant("5", "r")))
    served = tiny.tokenizer.apply_chat_template(
        [{"role": "user", "content": "hé ☕"}], add_generation_prompt=True, return_dict=False
    )
    assert row.ids[: row.trained.index(True)] == served


def test_every_assistant_turn_of_a_conversation_is_trained_unless_it_says_no(tiny: LocalModel) -> None:
    turns = (user("a?"), assistant("A", "ra"), user("b?"), assistant("B", "rb"), user("c?"), assistant("C"))
    renderer = Renderer(tiny.tokenizer, "sft", tiny.end_ids)
    row = renderer.render(trace(*turns))
    replies = "<think>\nra\n</think>\n\nA<|end|><think>\nrb\n</think>\n\nB<|end|>C<|end|>"
    assert trained_text(row, tiny.tokenizer) == replies
    last_only = trace(*turns[:3], assistant("B", "rb", train=False), *turns[4:])
    row = renderer.render(trace(turns[0], assistant("A", "ra", train=False), *last_only.messages[2:]))
    assert trained_text(row, tiny.tokenizer) == "C<|end|>"
    assert whole_text(row, tiny.tokenizer).count("<|end|>") == 6


def test_a_line_break_after_the_end_token_is_not_trained(tiny: LocalModel) -> None:
    tokenizer = with_template(
        tiny,
        "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>{% endif %}",
    )
    row = Renderer(tokenizer, "sft", tiny.end_ids).render(trace(user("a"), assistant("A"), user("b"), assistant("B")))
    assert trained_text(row, tokenizer) == "A<|end|>B<|end|>"
    assert (
        whole_text(row, tokenizer) == "<|user|>a<|end|>\n<|assistant|>A<|end|>\n<|user|>b<|end|>\n<|assistant|>B<|end|>"
    )


def test_a_template_without_an_end_token_gets_one_trained(tiny: LocalModel) -> None:
    tokenizer = with_template(
        tiny,
        "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}"
        "{% if add_generation_prompt %}[assistant]{% endif %}",
    )
    row = Renderer(tokenizer, "sft", tiny.end_ids).render(trace(user("a"), assistant("A")))
    assert trained_text(row, tokenizer) == "A<|end|>"


def test_a_think_prefix_that_the_prompt_writes_is_not_trained_twice(tiny: LocalModel) -> None:
    tokenizer = with_template(
        tiny,
        "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|><think>\n{% endif %}",
    )
    row = Renderer(tokenizer, "sft", tiny.end_ids).render(trace(user("a"), assistant("A", "r")))
    assert whole_text(row, tokenizer) == "<|user|>a<|end|><|assistant|><think>\nr\n</think>\n\nA<|end|>"
    assert trained_text(row, tokenizer) == "r\n</think>\n\nA<|end|>"


@pytest.mark.parametrize(
    "template",
    [
        # drops the reasoning of every message
        "{% for m in messages %}<|{{ m.role }}|>{{ m.content.split('</think>')[-1] }}<|end|>{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>{% endif %}",
        # upper case
        "{% for m in messages %}<|{{ m.role }}|>{{ m.content | upper }}<|end|>{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>{% endif %}",
        # drops the reasoning of all but the last message: the history that was trained on is never seen again
        "{% for m in messages %}<|{{ m.role }}|>"
        "{{ m.content if loop.last else m.content.split('</think>')[-1] }}<|end|>{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>{% endif %}",
    ],
)
def test_a_template_that_rewrites_a_trained_message_is_refused_with_the_row(tiny: LocalModel, template: str) -> None:
    renderer = Renderer(with_template(tiny, template), "sft", tiny.end_ids)
    with pytest.raises(DataError, match=r'template does not write the reply to "[ab]" as it is'):
        renderer.render(trace(user("a"), assistant("A", "ra"), user("b"), assistant("B", "rb")))


def test_a_trace_with_nothing_to_train_is_refused(tiny: LocalModel) -> None:
    with pytest.raises(DataError, match='the question "a" has no message'):
        Renderer(tiny.tokenizer, "sft", tiny.end_ids).render(trace(user("a")))


def test_a_student_without_an_end_token_is_refused(tiny: LocalModel) -> None:
    with pytest.raises(ModelError, match="end-of-turn"):
        Renderer(tiny.tokenizer, "sft", [])


hostile = st.lists(
    st.sampled_from([*"ab <>|/\n5", "<think>", "</think>", "<|end|>", "<|assistant|>"]), max_size=12
).map("".join)


@settings(max_examples=150, deadline=None)
@given(question=hostile, reasoning=st.none() | hostile, answer=hostile)
def test_whatever_a_text_holds_the_mask_begins_after_the_prompt_and_ends_at_the_end(
    tiny: LocalModel, question: str, reasoning: str | None, answer: str
) -> None:
    """Tags and end tokens inside the texts move nothing: the mask is counted, not searched for."""
    row = Renderer(tiny.tokenizer, "sft", tiny.end_ids).render(trace(user(question), assistant(answer, reasoning)))
    prompt = tiny.tokenizer.apply_chat_template(
        [{"role": "user", "content": question}], add_generation_prompt=True, return_dict=False
    )
    assert row.trained == [False] * len(prompt) + [True] * (len(row.ids) - len(prompt))
    assert row.ids[: len(prompt)] == prompt
    assert row.ids[-1] in tiny.end_ids
