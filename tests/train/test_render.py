"""The mask is what it says: the reply, its end token included, and nothing of the prompt."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillroom.base.errors import DataError, ModelError
from stillroom.base.records import Message, Trace
from stillroom.generate.load import LocalModel, load_model
from stillroom.train import render
from stillroom.train.render import Renderer, Row
from stillroom.train.settings import PartWeights


@pytest.fixture(scope="module")
def tiny(tiny_model: Path) -> LocalModel:
    return load_model(tiny_model)


def trace(*messages: Message, tools: Any = None) -> Trace:
    return Trace(question_id="q", messages=messages, source="test", tools=tools)


def user(text: str) -> Message:
    return Message(role="user", content=text)


def assistant(answer: str, reasoning: str | None = None, train: bool | None = None) -> Message:
    return Message(role="assistant", content=answer, reasoning=reasoning, train=train)


def trained_text(row: Row, tokenizer: Any) -> str:
    text: str = tokenizer.decode(row.ids[row.trained].tolist())
    return text


def whole_text(row: Row, tokenizer: Any) -> str:
    text: str = tokenizer.decode(row.ids.tolist())
    return text


def with_template(tiny: LocalModel, template: str) -> Any:
    tokenizer = copy.deepcopy(tiny.tokenizer)
    tokenizer.chat_template = template
    return tokenizer


def test_reasoning_answer_and_end_token_are_trained_and_nothing_else(tiny: LocalModel) -> None:
    (row,) = Renderer(tiny.tokenizer, "sft", tiny.end_ids).render(trace(user("2+3?"), assistant("5", "2+3=5")))
    assert whole_text(row, tiny.tokenizer) == "<|user|>2+3?<|end|><|assistant|><think>\n2+3=5\n</think>\n\n5<|end|>"
    assert trained_text(row, tiny.tokenizer) == "<think>\n2+3=5\n</think>\n\n5<|end|>"


def test_answers_only_leaves_the_reasoning_out(tiny: LocalModel) -> None:
    renderer = Renderer(tiny.tokenizer, "answers_only", tiny.end_ids)
    (row,) = renderer.render(trace(user("2+3?"), assistant("5", "2+3=5")))
    assert trained_text(row, tiny.tokenizer) == "5<|end|>"


def test_the_prefix_is_what_the_served_student_sees(tiny: LocalModel) -> None:
    (row,) = Renderer(tiny.tokenizer, "sft", tiny.end_ids).render(trace(user("hé ☕"), assistant("5", "r")))
    served = tiny.tokenizer.apply_chat_template(
        [{"role": "user", "content": "hé ☕"}], add_generation_prompt=True, return_dict=False
    )
    assert row.ids[~row.trained].tolist() == served


def test_replies_share_a_row_where_each_is_the_history_of_the_next(tiny: LocalModel) -> None:
    turns = (user("a?"), assistant("A"), user("b?"), assistant("B"), user("c?"), assistant("C", "rc"))
    (row,) = Renderer(tiny.tokenizer, "sft", tiny.end_ids).render(trace(*turns))
    assert trained_text(row, tiny.tokenizer) == "A<|end|>B<|end|><think>\nrc\n</think>\n\nC<|end|>"
    assert [reply.message for reply in row.replies] == [1, 3, 5]
    for reply in row.replies:
        assert row.trained[reply.start : reply.stop].all()


def test_thoughts_that_history_does_not_keep_are_trained_in_rows_of_their_own(tiny: LocalModel) -> None:
    turns = (user("a?"), assistant("A", "ra"), user("b?"), assistant("B", "rb"), user("c?"), assistant("C"))
    first, second = Renderer(tiny.tokenizer, "sft", tiny.end_ids).render(trace(*turns[:4]))
    assert whole_text(first, tiny.tokenizer) == "<|user|>a?<|end|><|assistant|><think>\nra\n</think>\n\nA<|end|>"
    assert whole_text(second, tiny.tokenizer) == (
        "<|user|>a?<|end|><|assistant|>A<|end|><|user|>b?<|end|><|assistant|><think>\nrb\n</think>\n\nB<|end|>"
    )
    assert trained_text(second, tiny.tokenizer) == "<think>\nrb\n</think>\n\nB<|end|>"
    rows = Renderer(tiny.tokenizer, "answers_only", tiny.end_ids).render(trace(*turns))
    assert [trained_text(row, tiny.tokenizer) for row in rows] == ["A<|end|>B<|end|>C<|end|>"]


def test_a_template_that_keeps_thoughts_keeps_the_conversation_in_one_row(tiny: LocalModel) -> None:
    tokenizer = with_template(
        tiny,
        "{% for m in messages %}<|{{ m.role }}|>"
        "{% if m.reasoning_content %}<think>\n{{ m.reasoning_content }}\n</think>\n\n{% endif %}"
        "{{ m.content }}<|end|>{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}",
    )
    turns = (user("a?"), assistant("A", "ra"), user("b?"), assistant("B", "rb"))
    (row,) = Renderer(tokenizer, "sft", tiny.end_ids).render(trace(*turns))
    assert trained_text(row, tokenizer) == "<think>\nra\n</think>\n\nA<|end|><think>\nrb\n</think>\n\nB<|end|>"


def test_every_assistant_turn_is_trained_unless_it_says_no(tiny: LocalModel) -> None:
    renderer = Renderer(tiny.tokenizer, "sft", tiny.end_ids)
    turns = (user("a?"), assistant("A", "ra", train=False), user("b?"), assistant("B"), user("c?"), assistant("C"))
    (row,) = renderer.render(trace(*turns))
    assert trained_text(row, tiny.tokenizer) == "B<|end|>C<|end|>"
    (row,) = renderer.render(trace(*turns[:3], assistant("B", train=False), *turns[4:]))
    assert trained_text(row, tiny.tokenizer) == "C<|end|>"
    assert whole_text(row, tiny.tokenizer).count("<|end|>") == 6


def test_what_follows_the_last_trained_reply_is_not_in_the_row(tiny: LocalModel) -> None:
    turns = (user("a?"), assistant("A"), user("b?"), assistant("B", train=False))
    (row,) = Renderer(tiny.tokenizer, "sft", tiny.end_ids).render(trace(*turns))
    assert whole_text(row, tiny.tokenizer) == "<|user|>a?<|end|><|assistant|>A<|end|>"


def test_a_line_break_after_the_end_token_is_not_trained(tiny: LocalModel) -> None:
    tokenizer = with_template(
        tiny,
        "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>{% endif %}",
    )
    turns = (user("a"), assistant("A"), user("b"), assistant("B"))
    (row,) = Renderer(tokenizer, "sft", tiny.end_ids).render(trace(*turns))
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
    (row,) = Renderer(tokenizer, "sft", tiny.end_ids).render(trace(user("a"), assistant("A")))
    assert trained_text(row, tokenizer) == "A<|end|>"


@pytest.mark.parametrize(("opened", "trained"), [("<think>\n", "r"), ("<think>", "\nr"), ("<think>\n\n", "r")])
def test_a_think_prefix_that_the_prompt_writes_is_not_trained_twice(
    tiny: LocalModel, opened: str, trained: str
) -> None:
    tokenizer = with_template(
        tiny,
        "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>" + opened + "{% endif %}",
    )
    (row,) = Renderer(tokenizer, "sft", tiny.end_ids).render(trace(user("a"), assistant("A", "r")))
    assert trained_text(row, tokenizer) == f"{trained}\n</think>\n\nA<|end|>"
    assert whole_text(row, tokenizer) == f"<|user|>a<|end|><|assistant|>{opened}{trained}\n</think>\n\nA<|end|>"


def test_a_block_that_the_prompt_opens_is_closed_before_an_answer_without_thoughts(tiny: LocalModel) -> None:
    tokenizer = with_template(
        tiny,
        "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|><think>\n{% endif %}",
    )
    (row,) = Renderer(tokenizer, "sft", tiny.end_ids).render(trace(user("a"), assistant("A")))
    assert whole_text(row, tokenizer) == "<|user|>a<|end|><|assistant|><think>\n\n</think>\n\nA<|end|>"
    assert trained_text(row, tokenizer) == "\n</think>\n\nA<|end|>"


@pytest.mark.parametrize(
    "content", ["<think>r</think>A", "<think>\nr\n</think>\n\nA", "r\n</think>\n\nA", "r</think>A"]
)
def test_a_block_in_the_content_is_one_block(tiny: LocalModel, content: str) -> None:
    """Also where its first tag is missing, since the prompt of another model had written it."""
    (row,) = Renderer(tiny.tokenizer, "sft", tiny.end_ids).render(trace(user("a"), assistant(content)))
    assert trained_text(row, tiny.tokenizer) == "<think>\nr\n</think>\n\nA<|end|>"
    (row,) = Renderer(tiny.tokenizer, "answers_only", tiny.end_ids).render(trace(user("a"), assistant(content)))
    assert trained_text(row, tiny.tokenizer) == "A<|end|>"


def test_a_reply_that_would_become_one_token_with_its_prompt_is_tokenized_apart(tiny: LocalModel) -> None:
    """`t` and `he` are `the` to this tokenizer, but the served student is given `t` and has to go on from there."""
    template = "{% for m in messages %}{{ m.content }}{{ ' t' if m.role == 'user' else '<|end|>' }}{% endfor %}"
    tokenizer = with_template(tiny, template)
    (row,) = Renderer(tokenizer, "sft", tiny.end_ids).render(trace(user("is"), assistant("he")))
    assert row.ids.tolist() == tokenizer.convert_tokens_to_ids(["i", "s", "Ġ", "t", "he", "<|end|>"])
    assert trained_text(row, tokenizer) == "he<|end|>"


FIRST, LAST = "{% for m in messages %}", "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        (FIRST + "<|{{ m.role }}|>{{ m.content | upper }}<|end|>" + LAST, "leaves out messages of the role user"),
        (FIRST + "<|{{ m.role }}|>{{ m.content | upper if m.role == 'assistant' else m.content }}<|end|>" + LAST,
         "changes the text of replies"),
        (FIRST + "<|{{ m.role }}|>{{ m.content | escape }}<|end|>" + LAST, "changes the text of replies"),
        (FIRST + "<|{{ m.role }}|>{{ m.content | truncate(30) }}<|end|>" + LAST, "changes the text of replies"),
        (FIRST + "<|{{ m.role }}|>{{ 'A: ' if m.role == 'assistant' }}{{ m.content }}<|end|>" + LAST,
         "writes 'A: ' before a reply, and its prompt"),
        (FIRST + "<|{{ m.role }}|>{{ m.content }}{{ ' (end)' if m.role == 'assistant' }}<|end|>" + LAST,
         r"writes '\(end\)' after each reply"),
        (FIRST + "<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}", "writes '<|assistant|>' before a reply"),
        (FIRST + "{{ raise_exception('no') }}" + LAST, "refuses these messages: no"),
        (FIRST + "{{ m.no_such.thing }}" + LAST, "refuses these messages"),
        (FIRST + "{{ 1 / 0 }}" + LAST, "refuses these messages: division"),
        (FIRST + "{{ 'x' + 5 }}" + LAST, "refuses these messages"),
    ],
)  # fmt: skip
def test_a_template_that_changes_what_is_said_is_refused(tiny: LocalModel, template: str, problem: str) -> None:
    problem = problem.replace("|", r"\|") if problem.startswith("writes '<") else problem
    renderer = Renderer(with_template(tiny, template), "sft", tiny.end_ids)
    with pytest.raises(DataError, match=problem):
        renderer.render(trace(user("has a <b>"), assistant("A", "ra")))


def test_a_template_that_changes_some_texts_only_is_refused_for_those(tiny: LocalModel) -> None:
    template = FIRST + "<|{{ m.role }}|>{{ m.content.replace('curse', '***') }}<|end|>" + LAST
    renderer = Renderer(with_template(tiny, template), "sft", tiny.end_ids)
    assert renderer.render(trace(user("a"), assistant("A")))
    with pytest.raises(DataError, match="changes or leaves out a user message"):
        renderer.render(trace(user("a curse"), assistant("A")))


@pytest.mark.parametrize(
    ("messages", "problem"),
    [
        ([user("a")], "no message to train on"),
        ([user("a"), assistant("A", train=False)], "no message to train on"),
        ([assistant("A")], "begins with a reply"),
        ([Message(role="user", content="a", train=True), assistant("A")], "role user is marked to be trained on"),
        ([user("a"), Message(role="tool", content="a", train=True), assistant("A")], "role tool is marked"),
    ],
)
def test_a_trace_that_cannot_be_trained_on_is_refused(tiny: LocalModel, messages: Any, problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        Renderer(tiny.tokenizer, "sft", tiny.end_ids).render(trace(*messages))


def test_a_student_without_an_end_token_is_refused(tiny: LocalModel) -> None:
    with pytest.raises(ModelError, match="end-of-turn"):
        Renderer(tiny.tokenizer, "sft", [])


@pytest.mark.parametrize("opened", ["", "<think>\n"])
def test_weights_go_by_part(tiny: LocalModel, opened: str) -> None:
    tokenizer = with_template(
        tiny, FIRST + "<|{{ m.role }}|>{{ m.content }}<|end|>" + LAST.replace("nt|>", "nt|>" + opened)
    )
    weights = PartWeights(reasoning=0.25, answer=2)
    renderer = Renderer(tokenizer, "sft", tiny.end_ids, weights)
    (row,) = renderer.render(trace(user("é"), assistant("né ☕", "thé ☕")))
    parts = {weight: tokenizer.decode(row.ids[row.weights == np.float32(weight)].tolist()) for weight in (0, 0.25, 2)}
    assert parts == {
        0: f"<|user|>é<|end|><|assistant|>{opened}",
        0.25: "<think>\nthé ☕\n</think>".removeprefix(opened),
        2: "\n\nné ☕<|end|>",
    }
    (plain,) = Renderer(tokenizer, "sft", tiny.end_ids).render(trace(user("é"), assistant("né ☕", "thé ☕")))
    assert plain.ids.tolist() == row.ids.tolist()
    assert set(plain.weights.tolist()) == {0, 1}


def test_thoughts_may_count_for_nothing_and_still_be_there(tiny: LocalModel) -> None:
    renderer = Renderer(tiny.tokenizer, "sft", tiny.end_ids, PartWeights(reasoning=0))
    (row,) = renderer.render(trace(user("a"), assistant("A", "r")))
    assert trained_text(row, tiny.tokenizer) == "\n\nA<|end|>"
    assert whole_text(row, tiny.tokenizer).endswith("<think>\nr\n</think>\n\nA<|end|>")


@pytest.mark.parametrize(("characters", "traces"), [(2000, 1000), (10**9, 64), (1, 1000)])
def test_many_traces_come_out_as_they_went_in(
    tiny: LocalModel, monkeypatch: pytest.MonkeyPatch, characters: int, traces: int
) -> None:
    monkeypatch.setattr(render, "CHARACTERS_AT_ONCE", characters)
    monkeypatch.setattr(render, "TRACES_AT_ONCE", traces)
    renderer = Renderer(tiny.tokenizer, "sft", tiny.end_ids)
    asked = [trace(user(f"{number}?"), *([assistant(str(number))] if number % 7 else [])) for number in range(300)]
    rendered = list(renderer.render_all(asked))
    assert [each.trace for each in rendered] == asked
    for number, each in enumerate(rendered):
        assert bool(each.problem) == (number % 7 == 0)
        assert [trained_text(row, tiny.tokenizer) for row in each.rows] == ([f"{number}<|end|>"] if number % 7 else [])


hostile = st.lists(
    st.sampled_from([*"ab <>|/\n5", "<think>", "</think>", "<|end|>", "<|assistant|>"]), max_size=12
).map("".join)


@settings(max_examples=150, deadline=None)
@given(question=hostile, reasoning=st.none() | hostile, answer=hostile)
def test_whatever_a_text_holds_the_mask_begins_after_the_prompt_and_ends_at_the_end(
    tiny: LocalModel, question: str, reasoning: str | None, answer: str
) -> None:
    """Tags and end tokens inside the texts move nothing: the mask is counted, not searched for."""
    (row,) = Renderer(tiny.tokenizer, "sft", tiny.end_ids).render(trace(user(question), assistant(answer, reasoning)))
    prompt = tiny.tokenizer.apply_chat_template(
        [{"role": "user", "content": question}], add_generation_prompt=True, return_dict=False
    )
    assert row.trained.tolist() == [False] * len(prompt) + [True] * (len(row.ids) - len(prompt))
    assert row.ids[: len(prompt)].tolist() == prompt
    assert row.ids[-1] in tiny.end_ids


def test_a_tokenizer_file_that_cuts_or_pads_does_neither_here(tiny_model: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_model, tmp_path / "model")
    backend = copy.deepcopy(load_model(tmp_path / "model").tokenizer.backend_tokenizer)
    backend.enable_truncation(8)
    backend.enable_padding(length=64)
    backend.save(str(tmp_path / "model" / "tokenizer.json"))
    local = load_model(tmp_path / "model")
    (row,) = Renderer(local.tokenizer, "sft", local.end_ids).render(trace(user("a" * 30), assistant("b" * 30)))
    assert trained_text(row, local.tokenizer) == "b" * 30 + "<|end|>"
    assert len(row.ids) == 64
