from __future__ import annotations

import copy
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillroom.base.records import Reply, Status
from stillroom.client.reply import ParsedReply, parse_replies, parse_reply, read_reply
from stillroom.client.usage import Usage

DATA = Path(__file__).parent.parent / "data" / "replies"


def _rows(name: str) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in map(json.loads, (DATA / name).read_text(encoding="utf-8").splitlines())}


RECORDED = _rows("replies.jsonl")
EXPECTED = _rows("expected.jsonl")


def _bytes(identity: str) -> bytes:
    body = RECORDED[identity]["body"]
    return (body if isinstance(body, str) else json.dumps(body)).encode()


def _completion(finish_reason: str | None = "stop", usage: object = None, **message: object) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish_reason}
    return json.dumps({"model": "m-1", "choices": [choice], "usage": usage}).encode()


def _is(expected: str | dict[str, Any] | None, text: str | None) -> bool:
    if not isinstance(expected, dict) or text is None:
        return text == expected
    ends = (text[: len(expected["begins"])], text[-len(expected["ends"]) :], len(text))
    return ends == (expected["begins"], expected["ends"], expected["characters"])


def test_every_recorded_reply_has_an_expectation() -> None:
    assert len(RECORDED) == 163
    assert RECORDED.keys() == EXPECTED.keys()


@pytest.mark.parametrize("identity", RECORDED)
def test_recorded_replies(identity: str) -> None:
    expected = EXPECTED[identity]
    parsed = parse_reply(_bytes(identity), RECORDED[identity]["status"])
    assert (parsed.status, parsed.error_kind) == (expected["status"], expected["error_kind"])
    assert parsed.finish_reason == expected["finish_reason"]
    assert parsed.usage == Usage(*expected["usage"])
    assert (parsed.reasoning_form, parsed.block) == (expected["reasoning_form"], expected["block"])
    assert _is(expected["reasoning"], parsed.reasoning)
    assert _is(expected["answer"], parsed.answer)
    assert parse_replies(_bytes(identity), RECORDED[identity]["status"]) == (parsed,)


def test_an_empty_name_is_unknown() -> None:
    parsed = parse_reply(_bytes("5daf5b4d0d15"))  # "model": ""
    assert (parsed.served_model, parsed.fingerprint) == (None, "fp_6f1d30ad9d")
    parsed = parse_reply(_bytes("9b07353e1984"))  # "system_fingerprint": ""
    assert (parsed.served_model, parsed.fingerprint) == ("llama3.1-8b", None)


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
        (b'{"choices": null}', 200, ("empty", "no_choices")),
        (b'{"choices": [null]}', 200, ("empty", "no_choices")),
        (b'{"choices": {"a": 1}}', 200, ("empty", "no_choices")),
        (b"<html>", 502, ("failed", "http_502")),
        (_completion("content_filter", content=None), 400, ("refused", "content_filter")),
        (_completion("content_filter", content="half"), 200, ("refused", "content_filter")),
        (_completion("SAFETY", content=None), 200, ("refused", "content_filter")),
        (_completion("content_filter: RECITATION", content=None), 200, ("refused", "content_filter")),
        (_completion(refusal="I can't.", content=None), 200, ("refused", "refusal")),
        (_completion(content=[{"type": "refusal", "refusal": "I can't."}]), 200, ("refused", "refusal")),
        (_completion(content=None), 200, ("empty", "no_text")),
        (_completion(content=" \n"), 200, ("empty", "no_text")),
        (_completion(content="", reasoning_content="hm"), 200, ("empty", "no_answer")),
        (_completion(content="<think>hm"), 200, ("empty", "no_answer")),
        (_completion(content=None, tool_calls=[{"id": "1"}]), 200, ("empty", "no_answer")),
        (_completion("length", content="<think>hm"), 200, ("truncated", None)),
        (_completion("length", content=None), 200, ("truncated", None)),
        (_completion("MAX_TOKENS", content="half"), 200, ("truncated", None)),
        (_completion("error", content="ha"), 200, ("failed", "error_in_body")),
        (_completion("abort", content="ha"), 200, ("failed", "error_in_body")),
        (_completion(None, content="4"), 200, ("ok", None)),
        (b"\xef\xbb\xbf" + _completion(content="4"), 200, ("ok", None)),
        (b"\n\n" * 1000 + _completion(content="4") + b"\n", 200, ("ok", None)),
    ],
)
def test_status_and_error_kind(body: bytes, status: int, expected: tuple[str, str | None]) -> None:
    parsed = parse_reply(body, status)
    assert (parsed.status, parsed.error_kind) == expected


def test_a_bill_without_choices_is_a_bill() -> None:
    parsed = parse_reply(b'{"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 0}}')
    assert (parsed.status, parsed.error_kind, parsed.usage) == ("empty", "no_choices", Usage(9, None, 0, None))


def test_an_error_with_a_bill_is_a_bill() -> None:
    body = b'{"error": {"message": "too slow", "code": 504}, "usage": {"prompt_tokens": 9, "completion_tokens": 5}}'
    parsed = parse_reply(body)
    assert (parsed.status, parsed.error_kind, parsed.message) == ("failed", "http_504", "too slow")
    assert parsed.usage == Usage(9, None, 5, None)


def test_a_whole_completion_under_an_error_status_has_failed_and_keeps_its_text_and_its_bill() -> None:
    parsed = parse_reply(_completion(content="4", usage={"prompt_tokens": 9, "completion_tokens": 1}), 500)
    assert (parsed.status, parsed.error_kind, parsed.answer) == ("failed", "http_500", "4")
    assert parsed.usage == Usage(9, None, 1, None)


def test_an_error_beside_a_finished_choice_takes_nothing_from_it() -> None:
    choice = {"index": 0, "message": {"content": "4"}, "finish_reason": "stop"}
    error = {"message": "counting failed", "code": 500}
    assert parse_reply(json.dumps({"choices": [choice], "error": error}).encode()).status == "ok"
    unfinished = parse_reply(json.dumps({"choices": [choice | {"finish_reason": None}], "error": error}).encode())
    assert (unfinished.status, unfinished.error_kind, unfinished.answer) == ("failed", "http_500", "4")


def test_the_error_of_a_choice() -> None:
    choice = {"message": {"content": "4"}, "finish_reason": "stop", "error": {"code": 502, "message": "upstream"}}
    parsed = parse_reply(json.dumps({"choices": [choice]}).encode())
    assert (parsed.status, parsed.error_kind, parsed.message) == ("failed", "http_502", "upstream")


def test_choices_are_ordered_by_their_index() -> None:
    choices = [{"index": index, "message": {"content": f"<think>{index}</think>a{index}"}} for index in (2, 0, 3, 1)]
    body = json.dumps({"choices": choices, "usage": {"prompt_tokens": 5, "completion_tokens": 8}}).encode()
    parsed = parse_replies(body)
    assert [(each.reasoning, each.answer) for each in parsed] == [(f"{n}", f"a{n}") for n in range(4)]
    assert {each.usage for each in parsed} == {Usage(5, None, 8, None)}  # of the whole call
    assert parsed == tuple(parse_reply(body, choice=n) for n in range(4))
    fewer = parse_reply(body, choice=4)
    assert (fewer.status, fewer.error_kind, fewer.usage) == ("empty", "no_choices", Usage(5, None, 8, None))


def test_choices_without_an_index_keep_their_order() -> None:
    body = json.dumps({"choices": [{"message": {"content": f"{n}"}} for n in range(3)]}).encode()
    assert [each.answer for each in parse_replies(body)] == ["0", "1", "2"]


def _reply(raw: bytes, status: Status, error_kind: str | None, http_status: int | None, choice: int = 0) -> Reply:
    unknown = dict.fromkeys((field.name for field in fields(Reply)), None)
    told = {"status": status, "error_kind": error_kind, "http_status": http_status, "choice": choice, "raw": raw}
    values: dict[str, Any] = unknown | told
    return Reply(**values)


def test_the_text_of_a_reply_from_the_journal() -> None:
    choices = [{"index": n, "message": {"content": f"<think>{n}</think>a{n}"}} for n in range(2)]
    raw = json.dumps({"choices": choices}).encode()
    text = read_reply(_reply(raw, "truncated", None, 200, choice=1))  # the outcome is the journal's
    assert (text.status, text.reasoning, text.answer, text.block) == ("truncated", "1", "a1", "well_formed")
    cut = read_reply(_reply(b'data: {"choices": [{"delta": {"content": "hal"}}]}', "failed", "cut_stream", 200))
    assert (cut.status, cut.error_kind, cut.answer) == ("failed", "cut_stream", "hal")
    error = read_reply(_reply(b'{"error": {"message": "busy"}}', "failed", "http_503", 503))
    assert (error.status, error.error_kind, error.answer, error.message) == ("failed", "http_503", "", "busy")
    silence = read_reply(_reply(b"", "failed", "timeout", None))
    assert (silence.status, silence.error_kind, silence.answer) == ("failed", "timeout", "")


@pytest.mark.parametrize(
    ("message", "expected"),  # reasoning, answer, form, block
    [
        ({"content": "4", "reasoning_content": "a", "reasoning": "a"}, ("a", "4", "full", "none")),
        ({"content": "4", "reasoning_content": " ", "reasoning": "\na\n"}, ("a", "4", "full", "none")),
        (
            {"content": "<think>b</think>4", "reasoning_content": "", "reasoning": None},
            ("b", "4", "full", "well_formed"),
        ),
        ({"content": "<think>a</think>4", "reasoning": "a"}, ("a", "4", "full", "well_formed")),
        ({"content": "<think>b</think>4", "reasoning": "a"}, ("a", "<think>b</think>4", "full", "not_well_formed")),
        ({"content": "<think>\n\n</think>\n\n4"}, (None, "4", "none", "well_formed")),
        ({"content": "why</think>4"}, ("why", "4", "full", "well_formed")),
        ({"content": "<think>a</think><think>b</think>4"}, ("a", "<think>b</think>4", "full", "not_well_formed")),
        ({"content": "<think>a<think>b</think>4"}, ("a<think>b", "4", "full", "not_well_formed")),
        ({"content": "Write <think>."}, (None, "Write <think>.", "none", "not_well_formed")),
        ({"content": "<thought>s</thought>4"}, ("s", "4", "summary", "well_formed")),
        ({"content": [{"type": "text", "text": "4"}, {"type": "text", "text": "2"}]}, (None, "42", "none", "none")),
        ({"content": ["4", {"text": "2"}, 7, None]}, (None, "42", "none", "none")),
        (
            {"content": [{"type": "thinking", "thinking": "a"}, {"type": "text", "text": "4"}]},
            ("a", "4", "full", "none"),
        ),
        ({"content": [{"type": "reasoning", "text": "a"}, {"type": "text", "text": "4"}]}, ("a", "4", "full", "none")),
        (
            {"content": [{"type": "reasoning", "summary": [{"text": "s"}]}, {"type": "text", "text": "4"}]},
            ("s", "4", "summary", "none"),
        ),
        ({"content": [{"type": "redacted_thinking", "data": "x"}, {"text": "4"}]}, (None, "4", "hidden", "none")),
        ({"content": "4", "reasoning_details": [{"type": "reasoning.text", "text": "a"}]}, ("a", "4", "full", "none")),
        (
            {"content": "4", "reasoning": "s", "reasoning_details": [{"type": "reasoning.summary", "summary": "s"}]},
            ("s", "4", "summary", "none"),
        ),
        (
            {"content": "4", "reasoning_details": [{"type": "reasoning.summary", "summary": s} for s in "st"]},
            ("s\n\nt", "4", "summary", "none"),
        ),
        (
            {"content": "4", "reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]},
            (None, "4", "hidden", "none"),
        ),
        ({"content": "4", "reasoning_details": [{"type": "reasoning.text", "text": ""}]}, (None, "4", "none", "none")),
        ({"content": "4", "reasoning": {"a": 1}, "reasoning_details": "b"}, (None, "4", "none", "none")),
    ],
)
def test_where_reasoning_stands(message: dict[str, Any], expected: tuple[str | None, str, str, str]) -> None:
    parsed = parse_reply(_completion(**message))
    assert (parsed.reasoning, parsed.answer, parsed.reasoning_form, parsed.block) == expected


def test_reasoning_tokens_without_text_is_hidden_reasoning() -> None:
    usage = {"completion_tokens": 9, "completion_tokens_details": {"reasoning_tokens": 7}}
    assert parse_reply(_completion(content="4", usage=usage)).reasoning_form == "hidden"


@pytest.mark.parametrize(
    "usage",
    [
        None,
        [],
        "many",
        {"prompt_tokens": "three", "completion_tokens": -1},
        {"prompt_tokens": True, "completion_tokens": 1.5},
        {"prompt_tokens": 10**12, "completion_tokens": "-3"},
        {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
        {"x": True},
    ],
)
def test_counts_of_another_shape_are_unknown_and_not_zero(usage: object) -> None:
    assert parse_reply(_completion(content="4", usage=usage)).usage == Usage()


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (
            {"prompt_tokens": 3, "completion_tokens": 4.0, "prompt_cache_hit_tokens": 0, "reasoning_tokens": 10**30},
            Usage(3, 0, 4, None),
        ),
        ({"prompt_tokens": "3", "completion_tokens": " 12 "}, Usage(3, None, 12, None)),
        ({"prompt_tokens": 3}, Usage(3, None, None, None)),
        ({"prompt_tokens": 3, "completion_tokens": 0}, Usage(3, None, None, None)),  # there is text
        # xAI: reasoning is named and stands outside
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "total_tokens": 45,
                "completion_tokens_details": {"reasoning_tokens": 30},
            },
            Usage(10, None, 35, 30),
        ),
        # Gemini: reasoning is in the total only
        ({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 45}, Usage(10, None, 35, 30)),
        # OpenAI: reasoning stands inside
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 35,
                "total_tokens": 45,
                "completion_tokens_details": {"reasoning_tokens": 30},
            },
            Usage(10, None, 35, 30),
        ),
        # without a total: more reasoning than completion cannot stand inside
        ({"prompt_tokens": 10, "completion_tokens": 5, "reasoning_tokens": 30}, Usage(10, None, 35, 30)),
        ({"prompt_tokens": 10, "completion_tokens": 35, "reasoning_tokens": 30}, Usage(10, None, 35, 30)),
        ({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 7}, Usage(10, None, 5, None)),
    ],
)
def test_counts(usage: dict[str, Any], expected: Usage) -> None:
    assert parse_reply(_completion(content="4", usage=usage)).usage == expected


def test_counts_of_groq_stand_in_a_place_of_their_own() -> None:
    body = json.loads(_completion(content="4")) | {"x_groq": {"usage": {"prompt_tokens": 3, "completion_tokens": 1}}}
    assert parse_reply(json.dumps(body).encode()).usage == Usage(3, None, 1, None)


def test_text_can_always_be_stored() -> None:
    half = parse_reply(b'{"choices": [{"message": {"content": "party \\ud83c"}, "finish_reason": "length"}]}')
    assert half.answer == "party \ufffd"
    whole = parse_reply(b'{"choices": [{"message": {"content": "\\ud83c\\udf89 \\udf89 \xff"}}]}')
    assert whole.answer == "\U0001f389 \ufffd \ufffd"


def test_control_characters_and_nan_are_read() -> None:
    parsed = parse_reply(b'{"choices": [{"message": {"content": "a\nb"}, "logprobs": NaN}]}')
    assert parsed.answer == "a\nb"


def test_a_body_of_50_megabytes() -> None:
    reasoning = "why \U0001f389 " * 3_000_000
    parsed = parse_reply(json.dumps({"choices": [{"message": {"content": f"<think>{reasoning}</think>4"}}]}).encode())
    assert (parsed.reasoning, parsed.answer) == (reasoning.strip(), "4")
    cut = parse_reply(b'{"choices": [{"message": {"content": "' + b"a" * 50_000_000)
    assert cut.error_kind == "not_json"
    assert len(cut.message) == 300


NAMES = [
    "choices",
    "message",
    "delta",
    "index",
    "content",
    "reasoning",
    "reasoning_details",
    "text",
    "thinking",
    "summary",
    "usage",
    "error",
    "code",
    "object",
    "type",
    "finish_reason",
    "refusal",
    "model",
    "metadata",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "tool_calls",
    "reasoning_content",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=12,
)
STATUSES = st.sampled_from([200, 307, 400, 401, 403, 429, 500])


def _assert_readable(body: bytes, http_status: int) -> None:
    parsed = parse_replies(body, http_status)
    assert parsed
    assert parsed == tuple(parse_reply(body, http_status, choice) for choice in range(len(parsed)))
    for reply in parsed:
        _assert_consistent(reply)


def _assert_consistent(reply: ParsedReply) -> None:
    for text in (reply.answer, reply.reasoning, reply.message, reply.finish_reason, reply.served_model):
        (text or "").encode()
    assert reply.reasoning != ""
    assert (reply.reasoning is not None) == (reply.reasoning_form in ("full", "summary"))
    assert (reply.error_kind is None) == (reply.status in ("ok", "truncated"))
    assert reply.status != "ok" or reply.answer.strip()
    assert all(count is None or 0 <= count < 10**10 for count in _counts_of(reply.usage))


def _counts_of(usage: Usage) -> tuple[int | None, ...]:
    return usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens, usage.reasoning_tokens


@given(JSON, STATUSES)
def test_no_shape_of_body_raises(value: Any, http_status: int) -> None:
    for body in (value, {"choices": [value]}, {"choices": [{"message": value}]}, {"error": value}, {"usage": value}):
        _assert_readable(json.dumps(body).encode(), http_status)
        _assert_readable(b"data: " + json.dumps(body).replace("message", "delta").encode(), http_status)


@given(st.binary(), STATUSES)
def test_no_bytes_raise(body: bytes, http_status: int) -> None:
    _assert_readable(body, http_status)
    _assert_readable(b"data: " + body, http_status)


@given(st.sampled_from(sorted(RECORDED)), st.data(), STATUSES)
def test_no_damage_to_the_bytes_of_a_real_body_raises(identity: str, data: st.DataObject, http_status: int) -> None:
    body = bytearray(_bytes(identity))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(body)))
        gone = data.draw(st.sampled_from([0, 1, 7, 100, len(body)]))
        put = data.draw(
            st.sampled_from([b"", b"\n", b"\r", b'"', b"{", b"]", b"data: ", b"[DONE]", b"\xff", b"\\ud800"])
        )
        body[at : at + gone] = put
    _assert_readable(bytes(body), http_status)


@given(st.sampled_from(sorted(RECORDED)), st.data(), STATUSES)
def test_no_other_value_in_a_real_body_raises(identity: str, data: st.DataObject, http_status: int) -> None:
    body = RECORDED[identity]["body"]
    if isinstance(body, str):
        lines = [line for line in body.splitlines() if line.startswith("data: {")]
        chunks = [json.loads(line[6:]) for line in lines[:3] + lines[-3:]]
        changed = [_changed(chunk, data) for chunk in chunks]
        _assert_readable("".join(f"data: {json.dumps(chunk)}\n\n" for chunk in changed).encode(), http_status)
    else:
        _assert_readable(json.dumps(_changed(body, data)).encode(), http_status)


def _changed(body: Any, data: st.DataObject) -> Any:
    """`body` with another value in one of its places."""
    body = copy.deepcopy(body)
    place = body
    while isinstance(place, (dict, list)) and place:
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[key], (dict, list)) or data.draw(st.integers(0, 3)) == 0:
            place[key] = data.draw(JSON)
            break
        place = place[key]
    return body
