"""The likelihoods of siblings: against transformers' own loss, and behind the tokens that a student is trained on."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from stillroom.base.errors import DataError
from stillroom.base.records import Message, Trace
from stillroom.generate.load import LocalModel, load_model
from stillroom.generate.prompt import conversation_text, encode
from stillroom.probe import likelihood
from stillroom.probe.likelihood import likelihoods
from stillroom.probe.scored_text import PairTokens, ScoredPair
from stillroom.store.siblings import Pair, messages_json, question_id_of
from stillroom.train.render import Renderer

OPENING_TEMPLATE = (
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|><think>\n{% endif %}"
)
CLOSING_TEMPLATE = OPENING_TEMPLATE.replace("<think>\n", "<think>\n\n</think>\n\n")


def pair(first: str, second: str, question: str = "sum", number: int = 0) -> Pair:
    messages = [{"role": "user", "content": question}]
    return Pair(f"p{number}", question_id_of(messages), messages_json(messages), first, second)


@pytest.fixture(scope="module")
def tiny(tiny_model: Path) -> LocalModel:
    return load_model(tiny_model)


def theirs(local: LocalModel, scored: ScoredPair, reply: list[int]) -> float:
    """By transformers' own loss, one reply at a time."""
    model: Any = local.model
    ids_BT = torch.tensor([scored.prompt + reply])
    labels_BT = ids_BT.clone()
    labels_BT[:, : len(scored.prompt)] = -100
    with torch.no_grad():
        return -float(model(input_ids=ids_BT, labels=labels_BT).loss) * len(reply)


def test_both_are_what_transformers_own_loss_gives(tiny: LocalModel, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = [
        pair("It is 5.", "It's five, I think.", "sum", 0),
        pair("<think>\n2 + 3\n</think>\n\n5", "No thoughts: 5", "What is 2 + 3?", 1),
        pair("naïve ☕", "a", "What is that, and why is it there at all?", 2),
    ]
    monkeypatch.setattr(likelihood, "BATCH_TOKENS", 90)  # several batches, some of several rows
    tokens = PairTokens(tiny.tokenizer, tiny.end_ids, tiny.context)
    told: list[tuple[int, int]] = []
    rows = likelihoods(pairs, tiny, "suspect", lambda done, of: told.append((done, of)))
    assert [row.pair_id for row in rows] == ["p0", "p1", "p2"]
    for row, each in zip(rows, pairs, strict=True):
        scored = tokens.of(each)
        assert row.tokens == len(scored.first) == len(scored.second) > 0
        assert row.first == pytest.approx(theirs(tiny, scored, scored.first), abs=1e-3)
        assert row.second == pytest.approx(theirs(tiny, scored, scored.second), abs=1e-3)
    assert len(told) > 1
    assert told[-1] == (6, 6)


def test_what_was_learned_by_heart_is_the_likelier(taught_model: Path) -> None:
    local = load_model(taught_model)
    pairs = [
        pair("no thoughts, naïve ☕", "no thoughts, native ☕", "plain", 0),
        pair("It is 6.", "It is 5.", "sum", 1),
    ]
    by_heart, other = likelihoods(pairs, local, "suspect")
    assert by_heart.first > by_heart.second + 1
    assert by_heart.first > -0.5
    assert other.first < other.second + 20  # neither is what it says, which begins with a thought
    assert max(other.first, other.second) < -5


def test_the_siblings_change_places(tiny: LocalModel) -> None:
    one, other = pair("It is 5.", "Five, as far as I can see."), pair("Five, as far as I can see.", "It is 5.")
    (given,), (swapped,) = likelihoods([one], tiny, "base"), likelihoods([other], tiny, "base")
    assert given.first == pytest.approx(swapped.second, abs=1e-4)
    assert given.second == pytest.approx(swapped.first, abs=1e-4)
    assert given.tokens == swapped.tokens
    assert given.model == "base"


def test_a_reply_that_goes_on_is_as_likely_as_its_beginning(tiny: LocalModel) -> None:
    """Only as many tokens count as the shorter one has, and how it ends counts for neither."""
    (row,) = likelihoods([pair("It is 5.", "It is 5. And so on.")], tiny, "suspect")
    assert row.first == pytest.approx(row.second, abs=1e-4)
    assert row.tokens == len("It is 5.")


def test_siblings_that_are_alike_so_far_differ_by_nothing(tiny: LocalModel) -> None:
    pairs = [pair("It is 5.", "It is 5. And so on.", "sum", 0), pair("Four or five.", "Four or five.", "x" * 90, 1)]
    assert [row.first - row.second for row in likelihoods(pairs, tiny, "suspect")] == [0, 0]


def test_a_prompt_that_fills_the_context_leaves_nothing_to_score(tiny: LocalModel) -> None:
    room = tiny.context - len(
        encode(tiny.tokenizer, conversation_text(tiny.tokenizer, [{"role": "user", "content": ""}]))
    )
    just, over = pair("abcd", "bcde", "x" * (room - 3), 0), pair("abcd", "bcde", "x" * room, 1)
    fits, does_not = likelihoods([just, over], tiny, "suspect")
    assert fits.tokens == 3
    assert math.isfinite(fits.first)
    assert does_not.tokens == 0
    assert math.isnan(does_not.first)
    assert math.isnan(does_not.second)


def test_a_question_that_the_template_refuses_is_no_number(tiny_model: Path) -> None:
    local = load_model(tiny_model)
    local.tokenizer.chat_template = (
        "{% if messages[0].content == 'sum' %}{{ raise_exception('never') }}{% endif %}" + CLOSING_TEMPLATE
    )
    refused, scored = likelihoods([pair("a", "b", "sum", 0), pair("a", "b", "other", 1)], local, "suspect")
    assert refused.tokens == 0
    assert math.isnan(refused.first)
    assert scored.tokens == 1


def test_a_token_that_the_model_does_not_have_is_no_number(tiny_model: Path) -> None:
    local = load_model(tiny_model)
    local.tokenizer.add_tokens(["QQ"])
    unknown, known = likelihoods([pair("a QQ", "a b c", "sum", 0), pair("a", "b", "sum", 1)], local, "suspect")
    assert (unknown.tokens, known.tokens) == (0, 1)
    assert math.isnan(unknown.second)


@pytest.mark.parametrize("messages", ["no JSON", "[]", '[{"role": "user", "content": null}]'])
def test_messages_that_are_none_are_named(tiny: LocalModel, messages: str) -> None:
    with pytest.raises(DataError, match="question q7"):
        likelihoods([Pair("p0", "q7", messages, "a", "b")], tiny, "suspect")


@pytest.mark.parametrize("template", [None, OPENING_TEMPLATE], ids=["plain", "opens the block"])
@pytest.mark.parametrize("reply", ["<think>\n2 + 3 = 5\n</think>\n\nIt is 5.", "the  answer", "<think>never closed"])
def test_scored_are_the_tokens_that_a_student_is_trained_on(tiny_model: Path, template: str | None, reply: str) -> None:
    local = load_model(tiny_model)
    if template is not None:
        local.tokenizer.chat_template = template
    scored = PairTokens(local.tokenizer, local.end_ids, local.context).of(pair(reply, reply + " and more"))
    messages = (Message(role="user", content="sum"), Message(role="assistant", content=reply))
    trace = Trace(question_id="q", messages=messages, source="test")
    (row,) = Renderer(local.tokenizer, "sft", local.end_ids).render(trace)
    assert scored.prompt + scored.first == list(row.ids[:-1])  # all but the end token


def test_a_template_that_closes_the_block_has_answers_alone_scored(tiny_model: Path) -> None:
    local = load_model(tiny_model)
    local.tokenizer.chat_template = CLOSING_TEMPLATE
    scored = PairTokens(local.tokenizer, local.end_ids, local.context).of(
        pair("<think>\nlong thoughts\n</think>\n\n5", "6")
    )
    assert scored.first == encode(local.tokenizer, "5")
    assert scored.second == encode(local.tokenizer, "6")
