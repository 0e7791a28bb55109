"""Replies of the five APIs, as their servers send them: what is read is what the APIs' own packages read."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillroom.base.receipt import reply_digests
from stillroom.base.records import Route
from stillroom.client.reply import parse_replies
from stillroom.client.usage import Usage
from stillroom.serve.routes.events import EventSplitter
from stillroom.serve.routes.reply import ReplyReader, Said

DATA = Path(__file__).parents[2] / "data" / "replies" / "replies.jsonl"
RECORDED = {row["id"]: row for row in map(json.loads, DATA.read_text(encoding="utf-8").splitlines())}
CUTS = st.lists(st.integers(0, 20_000), max_size=40)


def _stream(events: Iterable[dict[str, Any]], *, named: bool = False, done: bool = False) -> bytes:
    lines = [(f"event: {event['type']}\n" if named else "") + f"data: {json.dumps(event)}\n\n" for event in events]
    return ("".join(lines) + "data: [DONE]\n\n" * done).encode()


def _read(route: Route, body: bytes, cuts: Iterable[int] = (), most: int = 1 << 25) -> ReplyReader:
    """A stream as a gateway sees it."""
    reader, splitter = ReplyReader(route, most), EventSplitter()
    edges = [0, *sorted(cut for cut in cuts if cut < len(body)), len(body)]
    for left, right in pairwise(edges):
        for event in splitter.feed(body[left:right]):
            reader.feed_event(event)
    reader.feed_event(splitter.rest())
    return reader


def _whole(route: Route, body: object, http_status: int = 200) -> ReplyReader:
    reader = ReplyReader(route)
    reader.whole(body if isinstance(body, bytes) else json.dumps(body).encode(), http_status)
    return reader


def _facts(reader: ReplyReader) -> tuple[object, ...]:
    return reader.said, reader.usage, reader.counted_by, reader.finished, reader.outcome, reader.served_model


# --- chat ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("identity", RECORDED)
def test_recorded_chats_are_read_as_ask_reads_them(identity: str) -> None:
    row = RECORDED[identity]
    raw = (row["body"] if isinstance(row["body"], str) else json.dumps(row["body"])).encode()
    expected = parse_replies(raw, row["status"])
    whole = _whole("chat", raw, row["status"])
    readers = [whole]
    if row["stream"]:
        readers += [_read("chat", raw), _read("chat", raw, range(0, len(raw), 13))]
    for reader in readers:
        assert reader.usage == expected[0].usage
        assert reader.error_kind == expected[0].error_kind
        assert reader.served_model == expected[0].served_model
        if reader.said:
            texts = [(reply.reasoning, reply.answer, reply.tool_calls or None) for reply in expected]
            assert [(said.reasoning, said.answer, said.tool_calls) for said in reader.said] == texts
        else:  # no choice came: there is nothing that a receipt could be over
            assert [reply.answer for reply in expected] == [""]
            assert not whole.said
            assert reader.outcome != "ok"


def test_most_recorded_chats_say_something() -> None:
    said = [_whole("chat", json.dumps(row["body"]).encode()).said for row in RECORDED.values() if not row["stream"]]
    assert sum(map(bool, said)) > 130
    called = [each for choices in said for choice in choices for each in choice.tool_calls or ()]
    assert len(called) > 20
    assert all(
        call["function"]["name"] and json.loads(call["function"]["arguments"] or "{}") is not None for call in called
    )


@given(st.sampled_from([identity for identity, row in RECORDED.items() if row["stream"]]), CUTS)
@settings(max_examples=40)
def test_any_chunking_of_a_recorded_stream_reads_the_same(identity: str, cuts: list[int]) -> None:
    raw = RECORDED[identity]["body"].encode()
    assert _facts(_read("chat", raw, cuts)) == _facts(_whole("chat", raw))


def _chunk(finish_reason: str | None = None, index: int = 0, **delta: object) -> dict[str, Any]:
    return {"model": "m-1", "choices": [{"index": index, "delta": delta, "finish_reason": finish_reason}]}


def test_tool_calls_are_the_same_whole_and_streamed() -> None:
    def piece(index: int, **fields: object) -> dict[str, Any]:
        return _chunk(tool_calls=[{"index": index, **fields}])

    stream = _stream(
        [
            piece(0, id="c1", type="function", function={"name": "add", "arguments": ""}),
            piece(0, function={"arguments": '{"a": 1,'}),
            piece(1, id="c2", type="function", function={"name": "sub", "arguments": "{}"}),
            piece(0, function={"arguments": ' "b": 2}'}),
            _chunk("tool_calls"),
        ],
        done=True,
    )
    calls = [
        {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1, "b": 2}'}},
        {"id": "c2", "type": "function", "function": {"name": "sub", "arguments": "{}"}},
    ]
    message = {"role": "assistant", "content": None, "tool_calls": calls}
    whole = {"model": "m-1", "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}
    assert _read("chat", stream).said == _whole("chat", whole).said == (Said(None, "", tuple(calls)),)
    assert _read("chat", stream).outcome == _whole("chat", whole).outcome == "ok"
    # Some servers give every whole call the same index, or none.
    for index in ({"index": 0}, {}):
        again = _stream([_chunk(tool_calls=[call | index]) for call in calls] + [_chunk("tool_calls")])
        assert _read("chat", again).said == (Said(None, "", tuple(calls)),)


def test_how_a_stream_ended() -> None:
    begun = [_chunk(content="One")]
    assert (_read("chat", b"").finished, _read("chat", b"").outcome) == (False, "failed")
    cut = _read("chat", _stream(begun))
    assert (cut.finished, cut.outcome, cut.error_kind, cut.said[0].answer) == (False, "failed", "cut_stream", "One")
    assert (cut.may_be_signed, cut.estimated_completion_tokens) == (False, 3)
    assert _read("chat", _stream(begun, done=True)).outcome == "ok"
    assert _read("chat", _stream(begun, done=True)).may_be_signed
    assert _read("chat", _stream([*begun, _chunk("stop")])).outcome == "ok"
    assert _read("chat", _stream([*begun, _chunk("content_filter")])).outcome == "refused"
    assert _read("chat", _stream([*begun, {"error": {"message": "It broke.", "code": 500}}])).outcome == "failed"
    two = [_chunk("stop", content="One"), _chunk(index=1, content="Two")]
    assert not _read("chat", _stream(two)).finished


@pytest.mark.parametrize(
    ("status", "outcome"), [(400, "refused"), (404, "refused"), (429, "refused"), (500, "failed"), (503, "failed")]
)
@pytest.mark.parametrize("route", ["chat", "completions", "responses", "messages", "embeddings"])
def test_an_error_says_nothing(route: Route, status: int, outcome: str) -> None:
    reader = _whole(route, {"type": "error", "error": {"type": "x", "message": "No."}}, status)
    assert (reader.said, reader.usage, reader.outcome) == ((), Usage(), outcome)


# --- completions -----------------------------------------------------------------------------------------------------

COMPLETION: dict[str, Any] = {
    "id": "cmpl-1",
    "object": "text_completion",
    "created": 1,
    "model": "m-1",
    "choices": [
        {"text": " upon a time", "index": 0, "logprobs": None, "finish_reason": "length"},
        {"text": "<think>so</think>Twice", "index": 1, "logprobs": None, "finish_reason": "stop"},
    ],
    "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12},
}


def test_completions() -> None:
    whole = _whole("completions", COMPLETION)
    assert whole.said == (Said(None, " upon a time", None), Said("so", "Twice", None))
    assert (whole.usage, whole.counted_by, whole.outcome) == (Usage(5, None, 7, None), "provider", "ok")
    pieces = [" upon", " a time", "<think>so", "</think>Twice"]
    events: list[dict[str, Any]] = [
        {"model": "m-1", "choices": [{"text": piece, "index": place // 2, "finish_reason": None}]}
        for place, piece in enumerate(pieces)
    ]
    events += [
        {"model": "m-1", "choices": [{"text": "", "index": index, "finish_reason": reason}]}
        for index, reason in enumerate(("length", "stop"))
    ]
    events.append({"model": "m-1", "choices": [], "usage": COMPLETION["usage"]})
    assert _facts(_read("completions", _stream(events, done=True))) == _facts(whole)


# --- embeddings ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("numbers", [3, 200_000])
def test_embeddings_are_not_read_but_counted(numbers: int) -> None:
    vector = [0.125] * numbers
    body = {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": vector}],
        "model": "m-1",
        "usage": {"prompt_tokens": 8, "total_tokens": 8},
    }
    reader = _whole("embeddings", body)
    assert (reader.said, reader.usage, reader.counted_by) == ((), Usage(8, None, 0, None), "provider")
    assert (reader.finished, reader.outcome) == (True, "ok")
    reader = _whole("embeddings", {name: value for name, value in body.items() if name != "usage"})
    assert (reader.usage, reader.counted_by, reader.outcome) == (Usage(), None, "ok")


# --- messages --------------------------------------------------------------------------------------------------------

MESSAGE_EVENTS: list[dict[str, Any]] = [
    {
        "type": "message_start",
        "message": {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude-1",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {
                "input_tokens": 10,
                "cache_creation_input_tokens": 200,
                "cache_read_input_tokens": 3000,
                "output_tokens": 1,
            },
        },
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}},
    {"type": "ping"},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "2 and 3 "}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "are 5."}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "EqQB"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "It is "}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "5 ☕."}},
    {"type": "content_block_stop", "index": 1},
    {
        "type": "content_block_start",
        "index": 2,
        "content_block": {"type": "tool_use", "id": "toolu_1", "name": "save", "input": {}},
    },
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": ""}},
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": '{"sum": 5, '}},
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": '"at": "é"}'}},
    {"type": "content_block_stop", "index": 2},
    {
        "type": "content_block_start",
        "index": 3,
        "content_block": {"type": "tool_use", "id": "toolu_2", "name": "stop", "input": {}},
    },
    {"type": "content_block_delta", "index": 3, "delta": {"type": "input_json_delta", "partial_json": ""}},
    {"type": "content_block_stop", "index": 3},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "tool_use", "stop_sequence": None},
        "usage": {"output_tokens": 89, "output_tokens_details": {"thinking_tokens": 40}},
    },
    {"type": "message_stop"},
]


def _sent(server: Any, body: bytes) -> None:
    server.status, server.kind, server.body = 200, "text/event-stream", body


def test_messages(server: Any, anthropic_client: anthropic.Anthropic) -> None:
    stream = _stream(MESSAGE_EVENTS, named=True)
    reader = _read("messages", stream)
    [said] = reader.said
    assert (said.reasoning, said.answer) == ("2 and 3 are 5.", "It is 5 ☕.")
    assert said.tool_calls is not None
    assert [json.loads(call["function"]["arguments"]) for call in said.tool_calls] == [{"sum": 5, "at": "é"}, {}]
    assert reader.usage == Usage(3210, 3000, 89, 40)
    assert (reader.counted_by, reader.finished, reader.outcome) == ("provider", True, "ok")
    _sent(server, stream)
    asked: list[Any] = [{"role": "user", "content": "x"}]
    with anthropic_client.messages.stream(model="m", max_tokens=99, messages=asked) as events:
        whole = events.get_final_message()
    assert _facts(_whole("messages", whole.to_json().encode())) == _facts(reader)


@given(CUTS)
@settings(max_examples=20)
def test_any_chunking_of_a_message_reads_the_same(cuts: list[int]) -> None:
    stream = _stream(MESSAGE_EVENTS, named=True)
    assert _facts(_read("messages", stream, cuts)) == _facts(_read("messages", stream))


def test_a_message_that_is_cut_has_no_count_of_what_was_written() -> None:
    for end in range(1, len(MESSAGE_EVENTS) - 2):
        reader = _read("messages", _stream(MESSAGE_EVENTS[:end], named=True))
        assert reader.usage == Usage(3210, 3000, None, None)
        assert (reader.counted_by, reader.finished, reader.outcome) == (None, False, "failed")
    assert reader.said[0].answer == "It is 5 ☕."


def test_a_message_that_breaks_or_is_refused() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    broken = _read("messages", _stream([*MESSAGE_EVENTS[:9], error], named=True))
    assert (broken.outcome, broken.said[0].answer, broken.usage.prompt_tokens) == ("failed", "It is ", 3210)
    alone = _read("messages", _stream([error], named=True))
    assert (alone.outcome, alone.said, alone.usage) == ("failed", (), Usage())
    whole = {
        "type": "message",
        "model": "m",
        "content": [],
        "stop_reason": "refusal",
        "usage": {"input_tokens": 4, "output_tokens": 1},
    }
    assert (_whole("messages", whole).outcome, _whole("messages", whole).usage) == ("refused", Usage(4, None, 1, None))


# --- responses -------------------------------------------------------------------------------------------------------

REASONING: dict[str, Any] = {
    "id": "rs_1",
    "type": "reasoning",
    "summary": [{"type": "summary_text", "text": "Adding."}],
    "encrypted_content": "gAAA",
}
ANSWER: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "It is 5 ☕.", "annotations": [], "logprobs": []}],
}
CALL: dict[str, Any] = {
    "id": "fc_1",
    "type": "function_call",
    "status": "completed",
    "call_id": "call_1",
    "name": "save",
    "arguments": '{"sum": 5}',
}
RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "model": "gpt-1",
    "error": None,
    "incomplete_details": None,
    "instructions": None,
    "output": [REASONING, ANSWER, CALL],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "usage": {
        "input_tokens": 36,
        "input_tokens_details": {"cached_tokens": 12, "cache_write_tokens": 0},
        "output_tokens": 87,
        "output_tokens_details": {"reasoning_tokens": 64},
        "total_tokens": 123,
    },
}
_BEGUN = RESPONSE | {"status": "in_progress", "output": [], "usage": None}
_UNNUMBERED: list[dict[str, Any]] = [
    {"type": "response.created", "response": _BEGUN},
    {"type": "response.in_progress", "response": _BEGUN},
    {"type": "response.output_item.added", "output_index": 0, "item": REASONING | {"summary": []}},
    {
        "type": "response.reasoning_summary_part.added",
        "item_id": "rs_1",
        "output_index": 0,
        "summary_index": 0,
        "part": {"type": "summary_text", "text": ""},
    },
    {
        "type": "response.reasoning_summary_text.delta",
        "item_id": "rs_1",
        "output_index": 0,
        "summary_index": 0,
        "delta": "Adding.",
    },
    {"type": "response.output_item.done", "output_index": 0, "item": REASONING},
    {
        "type": "response.output_item.added",
        "output_index": 1,
        "item": ANSWER | {"content": [], "status": "in_progress"},
    },
    {
        "type": "response.content_part.added",
        "item_id": "msg_1",
        "output_index": 1,
        "content_index": 0,
        "part": {"type": "output_text", "text": "", "annotations": [], "logprobs": []},
    },
    *(
        {
            "type": "response.output_text.delta",
            "item_id": "msg_1",
            "output_index": 1,
            "content_index": 0,
            "delta": delta,
            "logprobs": [],
        }
        for delta in ("It is ", "5 ☕.")
    ),
    {"type": "response.output_item.done", "output_index": 1, "item": ANSWER},
    {
        "type": "response.output_item.added",
        "output_index": 2,
        "item": CALL | {"arguments": "", "status": "in_progress"},
    },
    *(
        {
            "type": "response.function_call_arguments.delta",
            "item_id": "fc_1",
            "output_index": 2,
            "delta": delta,
        }
        for delta in ('{"sum"', ": 5}")
    ),
    {"type": "response.output_item.done", "output_index": 2, "item": CALL},
    {"type": "response.completed", "response": RESPONSE},
]
RESPONSE_EVENTS = [event | {"sequence_number": number} for number, event in enumerate(_UNNUMBERED)]


def test_responses(server: Any, openai_client: openai.OpenAI) -> None:
    whole = _whole("responses", RESPONSE)
    call = {"id": "call_1", "type": "function", "function": {"name": "save", "arguments": '{"sum": 5}'}}
    assert whole.said == (Said("Adding.", "It is 5 ☕.", (call,)),)
    assert (whole.usage, whole.counted_by) == (Usage(36, 12, 87, 64), "provider")
    assert (whole.finished, whole.outcome, whole.served_model) == (True, "ok", "gpt-1")
    stream = _stream(RESPONSE_EVENTS, named=True)
    assert _facts(_read("responses", stream)) == _facts(whole)
    _sent(server, stream)
    with openai_client.responses.stream(model="m", input="x") as events:
        response = events.get_final_response()
    assert response.output_text == whole.said[0].answer
    assert _facts(_whole("responses", response.to_json().encode())) == _facts(whole)


@given(CUTS)
@settings(max_examples=20)
def test_any_chunking_of_a_response_reads_the_same(cuts: list[int]) -> None:
    assert _facts(_read("responses", _stream(RESPONSE_EVENTS, named=True), cuts)) == _facts(
        _whole("responses", RESPONSE)
    )


def test_a_response_that_is_cut_has_what_had_come() -> None:
    texts = []
    for end in range(1, len(RESPONSE_EVENTS)):
        reader = _read("responses", _stream(RESPONSE_EVENTS[:end], named=True))
        assert (reader.usage, reader.counted_by, reader.finished, reader.outcome) == (Usage(), None, False, "failed")
        texts.append((reader.said[0].reasoning, reader.said[0].answer, len(reader.said[0].tool_calls or ())))
    assert texts == sorted(texts, key=lambda text: (text[0] is not None, text[1], text[2]))
    assert texts[-1] == ("Adding.", "It is 5 ☕.", 1)
    assert ("Adding.", "It is ", 0) in texts


def test_a_last_event_without_the_output_is_filled_from_what_came() -> None:
    last = {"type": "response.completed", "response": RESPONSE | {"output": []}}
    assert _facts(_read("responses", _stream([*RESPONSE_EVENTS[:-1], last]))) == _facts(_whole("responses", RESPONSE))


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, "ok"),
        ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, "refused"),
        ({"status": "failed", "error": {"code": "server_error", "message": "It broke."}}, "failed"),
        ({"output": [ANSWER | {"content": [{"type": "refusal", "refusal": "No."}]}]}, "refused"),
    ],
)
def test_how_a_response_ended(change: dict[str, Any], outcome: str) -> None:
    response = RESPONSE | change
    kind = {"incomplete": "response.incomplete", "failed": "response.failed"}.get(
        response["status"], "response.completed"
    )
    whole = _whole("responses", response)
    streamed = _read("responses", _stream([*RESPONSE_EVENTS[:-1], {"type": kind, "response": response}]))
    assert (whole.outcome, streamed.outcome) == (outcome, outcome)
    assert whole.said == streamed.said
    assert whole.usage == streamed.usage == Usage(36, 12, 87, 64)


# --- bounds, and bad input -------------------------------------------------------------------------------------------


def test_a_long_chat_is_not_kept_but_counted() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 5000, "completion_tokens_details": {"reasoning_tokens": 7}}
    events = [_chunk(content="word ") for _ in range(5000)]
    events += [_chunk("stop"), {"model": "m-1", "choices": [], "usage": usage}]
    reader = _read("chat", _stream(events, done=True), most=10_000)
    assert (reader.too_long, reader.said, reader.usage) == (True, (), Usage(9, None, 5000, 7))
    assert (reader.finished, reader.outcome, reader.counted_by) == (True, "ok", "provider")
    cut = _read("chat", _stream(events[:4000]), most=10_000)
    assert (cut.too_long, cut.said, cut.finished, cut.outcome, cut.usage) == (True, (), False, "failed", Usage())
    assert not reader.may_be_signed
    read = _read("chat", _stream(events[:4000]))
    assert read.estimated_completion_tokens == pytest.approx(5000, rel=0.01)
    assert cut.estimated_completion_tokens == pytest.approx(5000, rel=0.1)
    early = _read("chat", _stream([{"choices": [], "usage": usage}, *events[:400]]), most=10_000)
    assert early.usage == Usage(9, None, 5000, 7)


@pytest.mark.parametrize(
    ("route", "events", "usage"),
    [("messages", MESSAGE_EVENTS, Usage(3210, 3000, 89, 40)), ("responses", RESPONSE_EVENTS, Usage(36, 12, 87, 64))],
)
def test_the_other_streams_are_bounded_too(route: Route, events: list[dict[str, Any]], usage: Usage) -> None:
    reader = _read(route, _stream(events, named=True), most=1200)
    assert (reader.too_long, reader.said, reader.usage, reader.outcome) == (True, (), usage, "ok")


@pytest.mark.parametrize("route", ["chat", "completions", "messages", "responses"])
def test_a_long_body_is_counted_by_its_end(route: Route) -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 7, "completion_tokens_details": {"reasoning_tokens": 2}}
    if route in ("messages", "responses"):
        usage = {"input_tokens": 9, "output_tokens": 7, "output_tokens_details": {"reasoning_tokens": 2}}
    body = json.dumps({"choices": ["x" * 5000], "usage": usage, "user": None}, indent=1).encode()
    reader = ReplyReader(route, 4000)
    reader.whole(body)
    assert (reader.too_long, reader.said, reader.usage) == (True, (), Usage(9, None, 7, 2))
    without = ReplyReader(route, 4000)
    without.whole(json.dumps({"choices": ['"usage": {' * 900]}).encode())
    assert (without.usage, without.counted_by) == (Usage(), None)
    assert without.estimated_completion_tokens > 2000


_WORDS_TEXT = """
type index delta text content thinking partial_json message usage input_tokens output_tokens stop_reason
content_block error response output item output_index content_index summary arguments name status model id
choices finish_reason tool_calls function role reasoning reasoning_details object incomplete_details reason
"""
_WORDS = st.sampled_from(_WORDS_TEXT.split())
_KINDS_TEXT = """
message_start message_delta message_stop content_block_start content_block_delta text_delta thinking_delta
input_json_delta text thinking tool_use error response.created response.completed response.failed
response.output_item.added response.output_item.done response.output_text.delta response.refusal.delta
response.function_call_arguments.delta response.reasoning_summary_text.delta message reasoning function_call
completed incomplete stop
"""
_KINDS = st.sampled_from(_KINDS_TEXT.split())
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.text(max_size=5) | _KINDS | st.just("\ud83d"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_WORDS, inner, max_size=6),
    max_leaves=8,
)
_EVENTS = st.lists(st.dictionaries(_WORDS, _VALUES, max_size=5), max_size=4)


@given(st.sampled_from(["chat", "completions", "responses", "messages", "embeddings"]), _EVENTS, st.integers(0, 500))
@settings(max_examples=100)
def test_nothing_that_a_server_sends_is_an_error_of_ours(route: Route, events: list[Any], most: int) -> None:
    body = json.dumps(events[0] if events else None).encode()
    readers = [_read(route, _stream(map(dict, events))), _read(route, _stream(map(dict, events)), most=most)]
    readers += [_whole(route, body), _whole(route, body, 400), _whole(route, body[: len(body) // 2])]
    for reader in readers:
        said, usage, counted_by, finished, outcome, served = _facts(reader)
        assert isinstance(said, tuple)
        assert all(isinstance(each.answer, str) for each in said)
        for each in said:
            reply_digests(bytes(16), each)
        assert isinstance(usage, Usage)
        assert counted_by in ("provider", None)
        assert isinstance(finished, bool)
        assert outcome in ("ok", "refused", "failed")
        assert served is None or isinstance(served, str)


@given(st.binary(max_size=200))
@pytest.mark.parametrize("route", ["chat", "completions", "responses", "messages", "embeddings"])
def test_bytes_that_are_no_reply(route: Route, body: bytes) -> None:
    assert _whole(route, body).said == _read(route, body).said == ()


_SOUP = st.lists(
    st.sampled_from(
        [
            *(b"data: " + json.dumps(_chunk(content=text)).encode() for text in ("One ", "two ", "three")),
            *(b"data: " + json.dumps(_chunk(content=text, index=1)).encode() for text in ("4 ", "5")),
            b"data: " + json.dumps(_chunk("stop")).encode(),
            b'data: {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}}',
            b'data: {"choices": [{"delta":\ndata: {"content": "in two lines"}}]}',
            *(b"data: [DONE]", b": alive", b"event: x", b'{"choices": [{"delta": {"content": "bare"}}]}', b"words"),
            *(b'data: {"choices": [{"del', b'data: {"error": {"message": "It broke."}}', b"data:", b"\xff", b"id: 1"),
        ]
    ),
    max_size=14,
)
_LINE_ENDS = st.lists(
    st.sampled_from([b"\n\n", b"\n\n", b"\n", b"\r\n\r\n", b"\r\n", b"\r\r", b"\n\r\n"]), min_size=14, max_size=14
)


@given(_SOUP, _LINE_ENDS, st.lists(st.integers(0, 1500), max_size=40))
@settings(max_examples=200)
def test_a_stream_is_read_as_its_whole_bytes_are(lines: list[bytes], ends: list[bytes], cuts: list[int]) -> None:
    body = b"data: {}\n\n" + b"".join(line + end for line, end in zip(lines, ends, strict=False))
    streamed, whole = _read("chat", body, cuts), _whole("chat", body)
    assert _facts(streamed) == _facts(whole)
    expected = parse_replies(body)
    assert streamed.usage == expected[0].usage
    assert streamed.error_kind == next((reply.error_kind for reply in expected if reply.error_kind), None)
    if streamed.said:
        assert [said.answer for said in streamed.said] == [reply.answer for reply in expected]
