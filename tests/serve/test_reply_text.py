"""Text in pieces is the same text as in one, however it is cut."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from stillroom.serve.reply_text import PlainText, ReplyText, StopStrings, ThinkStream, TokenText, held_back
from stillroom.text.think import CLOSE, OPEN, split_think

PIECES = st.lists(st.sampled_from([OPEN, CLOSE, "<", "think", "</th", "ink>", " ", "\n", "\n\n", "a", "b c", "é☕"]))
CUTS = st.lists(st.integers(0, 60), max_size=20)


def _cut(text: str, cuts: list[int]) -> list[str]:
    edges = [0, *sorted(cut for cut in cuts if cut < len(text)), len(text)]
    return [text[left:right] for left, right in pairwise(edges)]


@given(PIECES.map("".join), CUTS, st.booleans())
def test_pieces_split_as_the_whole_does(text: str, cuts: list[int], opened_by_prompt: bool) -> None:
    stream = ThinkStream(opened_by_prompt=opened_by_prompt)
    parts = [stream.feed(piece) for piece in _cut(text, cuts)]
    parts.append(stream.finish())
    reasoning, answer = ("".join(part) for part in zip(*parts, strict=True))
    if not opened_by_prompt and not text.lstrip().startswith(OPEN):
        assert (reasoning, answer) == ("", text)
        assert stream.state == "plain"
    else:
        expected = split_think(text, opened_by_prompt=opened_by_prompt)
        assert (reasoning, answer) == (expected.reasoning, expected.answer)


@given(st.text("ab\n", max_size=40), CUTS, st.lists(st.text("ab\n", min_size=1, max_size=4), min_size=1, max_size=3))
def test_pieces_stop_where_the_whole_does(text: str, cuts: list[int], stops: list[str]) -> None:
    stream = StopStrings(stops)
    given_text = "".join(stream.feed(piece) for piece in _cut(text, cuts)) + stream.finish()
    assert stream.found == any(stop in text for stop in stops)
    if stream.found:
        # Cutting may decide between stop strings that end at different places, but none is ever let through whole.
        assert not any(stop in given_text for stop in stops)
        assert text.startswith(given_text)
        assert any(text[len(given_text) :].startswith(stop) for stop in stops)
    else:
        assert given_text == text


def test_nothing_is_held_longer_than_needed() -> None:
    stream = ThinkStream()
    assert stream.feed("<thi") == ("", "")
    assert stream.feed("nk>\nWell") == ("Well", "")
    assert stream.feed(" ") == ("", "")
    assert stream.feed("then <") == (" then", "")
    assert stream.feed("b> </") == (" <b>", "")
    assert stream.feed("think>\n") == ("", "")
    assert stream.feed("Four") == ("", "Four")


@pytest.mark.parametrize(
    ("text", "held"), [("abc", 0), ("ab<", 1), ("</thin", 6), ("</think>", 0), ("<</", 2), ("", 0), ("x</t<", 1)]
)
def test_held_back(text: str, held: int) -> None:
    assert held_back(text, [CLOSE]) == held


@given(st.text(max_size=30))
def test_tokens_give_their_text(tiny_model: Path, text: str) -> None:
    tokenizer = _tokenizer(tiny_model)
    stream = TokenText(tokenizer, frozenset())
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    pieces = [stream.feed(token) for token in ids]
    assert "".join(pieces) + stream.finish() == text
    assert not any("\ufffd" in piece for piece in pieces) or "\ufffd" in text


@given(st.lists(st.integers(0, 264), max_size=40))
def test_any_tokens_give_some_text(tiny_model: Path, ids: list[int]) -> None:
    tokenizer = _tokenizer(tiny_model)
    stream = TokenText(tokenizer, frozenset())
    text = "".join(stream.feed(token) for token in ids) + stream.finish()
    whole = tokenizer.decode(ids, skip_special_tokens=False)
    assert text == whole


@given(
    st.sampled_from(["<think>\nhm, 1+1\n</think>\n\nIt is 2.", "<think>so</think>", "<think>on and", "no block", " \n"])
)
def test_reasoning_tokens_end_with_the_closing_tag(tiny_model: Path, reply: str) -> None:
    tokenizer = _tokenizer(tiny_model)
    ids = tokenizer.encode(reply, add_special_tokens=False).ids
    text = ReplyText(tokenizer, frozenset(), [], opened_by_prompt=False)
    for token in ids:
        text.feed([token])
    text.finish()
    block = reply.partition(CLOSE)[0] + (CLOSE if CLOSE in reply else "")
    expected = len(tokenizer.encode(block, add_special_tokens=False).ids) if reply.startswith(OPEN) else 0
    assert text.reasoning_tokens == expected
    assert text.tokens == len(ids)
    assert (text.reasoning is None) == (expected == 0)


def test_a_text_that_goes_on_keeps_its_spaces() -> None:
    """A sentencepiece tokenizer writes a token at the start of a text without its space; here it does not start."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    text = "once upon a time there was a small still, and a time"
    tokenizer.train_from_iterator([text], trainers.BpeTrainer(vocab_size=300, special_tokens=["<unk>"]))
    ids = tokenizer.encode(text).ids
    for length in range(1, len(ids)):
        plain = PlainText(tokenizer, frozenset(), [], ids[:length])
        pieces = [plain.feed([token])[1] for token in ids[length:]] + [plain.finish()[1]]
        assert "".join(pieces) == plain.answer == text[len(tokenizer.decode(ids[:length])) :]
        assert plain.tokens == len(ids) - length


@given(st.text(max_size=20), st.text(min_size=1, max_size=20), st.sampled_from([[], ["a"], ["\n", "é"]]))
def test_a_plain_text_is_what_its_tokens_say(tiny_model: Path, prompt: str, text: str, stops: list[str]) -> None:
    tokenizer = _tokenizer(tiny_model)
    before = tokenizer.encode(prompt, add_special_tokens=False).ids
    plain = PlainText(tokenizer, frozenset(), stops, before)
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    pieces = [plain.feed([token])[1] for token in ids] + [plain.finish()[1]]
    ends = [text.find(stop) for stop in stops if stop in text]
    assert "".join(pieces) == plain.answer == text[: min(ends, default=len(text))]
    assert (plain.stopped, plain.reasoning, plain.reasoning_tokens) == (bool(ends), None, 0)


@cache
def _tokenizer(model: Path) -> Tokenizer:
    return Tokenizer.from_file(str(model / "tokenizer.json"))
