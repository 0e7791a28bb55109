from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillroom.client.reply import ParsedReply, parse_reply
from stillroom.client.usage import Usage

DATA = Path(__file__).parent.parent / "data" / "replies" / "replies.jsonl"
RECORDED = {row["id"]: row for row in map(json.loads, DATA.read_text(encoding="utf-8").splitlines())}


def _completion(finish_reason: str | None = "stop", usage: object = None, **message: object) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish_reason}
    return json.dumps({"model": "m-1", "choices": [choice], "usage": usage}).encode()


def _recorded(identity: str) -> ParsedReply:
    row = RECORDED[identity]
    body = row["body"] if isinstance(row["body"], str) else json.dumps(row["body"])
    return parse_reply(body.encode(), row["status"])


@pytest.mark.parametrize(
    ("identity", "form", "begins", "answer"),
    [
        ("5c59322ee488", "full", 'The user asks: "What is 2+2?', "4"),  # `reasoning`
        ("5b94bc89daf2", "full", "Okay, the user is asking how to cross", None),  # `reasoning_content`
        ("93a4ad4b11a0", "full", "The user is asking for the result of 2+2.", "4"),  # a list of parts
        ("7cae5fab8c7d", "full", "Okay, let's see...", "4"),  # a think block
        ("8891ce7d0707", "summary", "**Crafting a friendly greeting**", None),  # a summary in `reasoning`
        ("20cfca98acee", "full", "This question is asking me about", None),  # both fields, full text
        ("44b3e360b50a", "hidden", None, None),  # only encrypted details
    ],
)
def test_reasoning_of_recorded_replies(identity: str, form: str, begins: str | None, answer: str | None) -> None:
    parsed = _recorded(identity)
    assert (parsed.status, parsed.reasoning_form) == ("ok", form)
    assert (parsed.reasoning or "").startswith(begins or "")
    assert (parsed.reasoning is None) == (begins is None)
    assert parsed.answer == answer or (answer is None and parsed.answer)
    assert "<think>" not in parsed.answer


@pytest.mark.parametrize(
    ("identity", "status", "error_kind"),
    [
        ("7d24d1c29c4d", "truncated", None),
        ("9b07353e1984", "ok", None),  # finish_reason ""
        ("c3d388948215", "empty", "no_answer"),  # tool calls, which nobody asked for
        ("f1e798a9ab7f", "failed", "not_a_reply"),  # JSON of another shape
        ("390ef930c609", "failed", "not_json"),
        ("f544fbb0510e", "failed", "no_model"),
        ("1d8afa9d21af", "failed", "http_400"),
        ("a183333412e7", "failed", "http_429"),
    ],
)
def test_outcomes_of_recorded_replies(identity: str, status: str, error_kind: str | None) -> None:
    parsed = _recorded(identity)
    assert (parsed.status, parsed.error_kind) == (status, error_kind)


def test_usage_of_recorded_replies() -> None:
    usage = {identity: _recorded(identity).usage for identity in ("5b94bc89daf2", "5c59322ee488", "9b07353e1984")}
    assert usage["5b94bc89daf2"].reasoning_tokens == 415
    assert usage["5b94bc89daf2"].cached_tokens is not None
    for counted in usage.values():
        assert counted.prompt_tokens
        assert counted.completion_tokens


@pytest.mark.parametrize(
    ("body", "status", "expected"),
    [
        (b"", 200, ("failed", "empty_body")),
        (b"\n\n  \n", 200, ("failed", "empty_body")),
        (b'{"choices": [{"mess', 200, ("failed", "not_json")),
        (b"[" * 100_000, 200, ("failed", "not_json")),
        (b"[1, 2]", 200, ("failed", "not_json")),
        (b'{"hello": "you"}', 200, ("failed", "not_a_reply")),
        (b'{"choices": []}', 200, ("empty", "no_choices")),
        (b'{"choices": [null]}', 200, ("empty", "no_choices")),
        (b'{"choices": {"a": 1}}', 200, ("empty", "no_choices")),
        (b'{"error": {"message": "no", "code": 429}}', 200, ("failed", "http_429")),
        (b'{"error": {"message": "no", "code": "503"}}', 200, ("failed", "http_503")),
        (b'{"error": {"message": "no", "code": "upstream"}}', 200, ("failed", "error_in_body")),
        (b'{"error": "no"}', 200, ("failed", "error_in_body")),
        (b"<html>", 502, ("failed", "http_502")),
        (b'{"error": {"message": "Model Not Exist"}}', 400, ("failed", "no_model")),
        (b'{"error": {"code": "insufficient_quota"}}', 429, ("failed", "no_credit")),
        (b"{}", 402, ("failed", "no_credit")),
        (b'{"error": {"code": "context_length_exceeded"}}', 400, ("failed", "too_long")),
        (b'{"error": {"code": "content_filter"}}', 400, ("refused", "content_filter")),
        (b'{"error": {"metadata": {"flagged_input": "x"}}}', 403, ("refused", "content_filter")),
        (_completion("content_filter", content=None), 400, ("refused", "content_filter")),
        (_completion("content_filter", content="half"), 200, ("refused", "content_filter")),
        (_completion(refusal="I can't.", content=None), 200, ("refused", "refusal")),
        (_completion(content=None), 200, ("empty", "no_text")),
        (_completion(content=" \n"), 200, ("empty", "no_text")),
        (_completion(content="", reasoning_content="hm"), 200, ("empty", "no_answer")),
        (_completion(content="<think>hm"), 200, ("empty", "no_answer")),
        (_completion("length", content="<think>hm"), 200, ("truncated", None)),
        (_completion("error", content="ha"), 200, ("failed", "error_in_body")),
        (_completion(None, content="4"), 200, ("ok", None)),
        (b"\n\n" + _completion(content="4"), 200, ("ok", None)),
    ],
)
def test_status_and_error_kind(body: bytes, status: int, expected: tuple[str, str | None]) -> None:
    parsed = parse_reply(body, status)
    assert (parsed.status, parsed.error_kind) == expected


def test_reasoning_in_its_field_and_a_tag_in_the_answer_is_not_well_formed() -> None:
    parsed = parse_reply(_completion(content="<think>b</think>4", reasoning="a"))
    assert (parsed.reasoning, parsed.answer, parsed.block) == ("a", "<think>b</think>4", "not_well_formed")


def test_an_empty_field_does_not_hide_the_block() -> None:
    parsed = parse_reply(_completion(content="<think>b</think>4", reasoning_content="", reasoning=None))
    assert (parsed.reasoning, parsed.answer, parsed.block) == ("b", "4", "well_formed")


def test_reasoning_tokens_without_text_is_hidden_reasoning() -> None:
    usage = {"completion_tokens": 9, "completion_tokens_details": {"reasoning_tokens": 7}}
    assert parse_reply(_completion(content="4", usage=usage)).reasoning_form == "hidden"


@pytest.mark.parametrize("usage", [None, [], "many", {"prompt_tokens": "3", "completion_tokens": -1}, {"x": True}])
def test_counts_of_another_shape_are_unknown_and_not_zero(usage: object) -> None:
    assert parse_reply(_completion(content="4", usage=usage)).usage == Usage()


def test_counts() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 4.0, "prompt_cache_hit_tokens": 0, "reasoning_tokens": 10**30}
    assert parse_reply(_completion(content="4", usage=usage)).usage == Usage(3, 0, 4, None)


def test_half_an_emoji_becomes_text_that_can_be_stored() -> None:
    parsed = parse_reply(b'{"choices": [{"message": {"content": "party \\ud83c"}, "finish_reason": "length"}]}')
    assert parsed.answer == "party ?"
    assert parse_reply(b'{"choices": [{"message": {"content": "\xff4"}}]}').answer.endswith("4")


NAMES = [
    "choices",
    "message",
    "content",
    "reasoning",
    "reasoning_details",
    "text",
    "thinking",
    "usage",
    "error",
    "code",
]
NAMES += ["type", "finish_reason", "refusal", "model", "metadata", "prompt_tokens", "tool_calls", "reasoning_content"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(NAMES),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON, st.sampled_from([200, 400, 403, 429, 500]))
def test_no_shape_of_body_raises(body: Any, http_status: int) -> None:
    for value in (body, {"choices": [body]}, {"choices": [{"message": body}]}, {"error": body}):
        parsed = parse_reply(json.dumps(value).encode(), http_status)
        parsed.answer.encode()
        (parsed.reasoning or "").encode()


@given(st.binary(), st.sampled_from([200, 404, 503]))
def test_no_bytes_raise(body: bytes, http_status: int) -> None:
    parse_reply(body, http_status)
