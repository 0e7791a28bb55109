from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillroom.client.reply import parse_reply
from stillroom.client.secret import Secret

KEY = "sk-or/v1-0a1B2c3D4e"
SECRET = Secret(KEY)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)


def completion(content: object) -> dict[str, Any]:
    return {"choices": [{"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}]}


def escaped(text: str, *, every: int) -> str:
    """JSON that writes every so many characters by their number."""
    return "".join(f"\\u{ord(c):04x}" if n % every == 0 else c.replace("/", "\\/") for n, c in enumerate(text))


@pytest.mark.parametrize("written", [KEY, KEY.replace("/", "\\/"), *(escaped(KEY, every=n) for n in (1, 2, 5))])
def test_the_key_is_taken_out_however_json_writes_it(written: str) -> None:
    body = b'{"error": {"message": "Bearer %b is wrong \\u00e9 \\/"}}' % written.encode()
    left = SECRET.without(body)
    assert json.loads(left) == {"error": {"message": "Bearer [key] is wrong é /"}}
    assert SECRET.without(left) is left


@pytest.mark.parametrize("key", [None, "none", "test"])
def test_words_that_stand_in_for_a_key_are_left(key: str | None) -> None:
    body = b'{"detail": "none of the test"}'
    assert Secret(key).without(body) is body
    assert not Secret(key).is_in(["none of the test", None, ""])


@given(
    before=TEXTS, between=TEXTS, after=TEXTS,
    cuts=st.lists(st.integers(0, 60), max_size=12), field=st.sampled_from(["content", "reasoning_content"]),
)  # fmt: skip
def test_a_key_that_is_streamed_in_any_pieces(
    before: str, between: str, after: str, cuts: list[int], field: str
) -> None:
    text = before + KEY + between + KEY + after
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    pieces = [text[begin:end] for begin, end in pairwise(places)]
    other = {"choices": [{"index": 1, "delta": {"content": "sk-or"}}]}
    chunks = [other, *({"choices": [{"index": 0, "delta": {field: piece}}]} for piece in pieces), other]
    last = {"choices": [{"index": index, "delta": {}, "finish_reason": "stop"} for index in (0, 1)], "usage": {"a": 1}}
    events = [": comment", *(f"data: {json.dumps(chunk)}" for chunk in (*chunks, last)), "data: [DONE]"]
    body = "\n\n".join(events).encode()

    left = SECRET.without_pieces(body)
    read, was = parse_reply(left), parse_reply(body)
    told = (read.reasoning if field == "reasoning_content" else read.answer) or ""
    assert told.strip() == f"{before}[key]{between}[key]{after}".strip()
    assert (read.status, read.finish_reason, read.usage) == (was.status, was.finish_reason, was.usage)
    assert parse_reply(left, choice=1) == parse_reply(body, choice=1)


def test_a_key_in_parts_of_a_list() -> None:
    parts = [{"type": "text", "text": "It is "}, {"type": "text", "text": KEY[:7]}, {"type": "text", "text": KEY[7:]}]
    body = json.dumps(completion(parts), indent=1).encode()
    assert SECRET.is_in([parse_reply(body).answer])
    assert parse_reply(SECRET.without_pieces(body)).answer == "It is [key]"


@pytest.mark.parametrize(
    "body", [b"", b"no JSON", b"[1]", b'{"choices": [3, {"message": null}]}', b"data: {\ndata: 1\n"]
)
def test_a_body_without_texts_stays_as_it_is(body: bytes) -> None:
    assert SECRET.without_pieces(body) == body
