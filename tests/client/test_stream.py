from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillroom.client.reply import ParsedReply, parse_replies, parse_reply
from stillroom.client.usage import Usage

USAGE = {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}
DONE = "data: [DONE]\n\n"


def _chunk(finish_reason: str | None = None, index: int = 0, **delta: object) -> dict[str, Any]:
    choice = {"index": index, "delta": delta, "finish_reason": finish_reason}
    return {"object": "chat.completion.chunk", "model": "m-1", "choices": [choice]}


def _stream(*events: object, done: bool = True) -> bytes:
    lines = [event if isinstance(event, str) else f"data: {json.dumps(event)}\n\n" for event in events]
    return ("".join(lines) + DONE * done).encode()


def _outcome(parsed: ParsedReply) -> tuple[str, str | None, str | None, str]:
    return parsed.status, parsed.error_kind, parsed.reasoning, parsed.answer


def test_a_stream_is_read_like_the_completion_it_carries() -> None:
    body = _stream(
        _chunk(role="assistant", content=""),
        _chunk(reasoning_content="2 and 2"),
        _chunk(reasoning_content=" is 4"),
        _chunk(content="The answer"),
        _chunk(content=" is 4."),
        _chunk("stop"),
        {"choices": [], "usage": USAGE, "system_fingerprint": "fp"},
    )
    assert parse_reply(body) == ParsedReply(
        "ok",
        reasoning="2 and 2 is 4",
        answer="The answer is 4.",
        reasoning_form="full",
        finish_reason="stop",
        served_model="m-1",
        fingerprint="fp",
        usage=Usage(9, None, 5, None),
    )


WAYS_TO_WRITE_IT = {
    "carriage returns": lambda body: body.replace(b"\n", b"\r\n"),
    "old carriage returns": lambda body: body.replace(b"\n", b"\r"),
    "no space": lambda body: body.replace(b"data: ", b"data:"),
    "keep-alive comments": lambda body: b": keep-alive\n\n" * 50 + body.replace(b"data: [", b": keep-alive\n\ndata: ["),
    "empty lines": lambda body: b"\n" * 1000 + body,
    "event names": lambda body: body.replace(b"data:", b"event: message\nid: 7\nretry: 10\ndata:"),
    "no empty lines between": lambda body: body.replace(b"\n\n", b"\n"),
    "spaces around lines": lambda body: body.replace(b"\n", b" \n").replace(b"data:", b"  data:"),
    "byte order mark": lambda body: b"\xef\xbb\xbf" + body,
    "several data lines": lambda body: body.replace(b', "', b',\ndata: "').replace(b": [", b":\ndata: ["),
    "no end mark": lambda body: body.removesuffix(DONE.encode()),
    "no last line end": lambda body: body.rstrip(),
}


@pytest.mark.parametrize("way", WAYS_TO_WRITE_IT)
def test_ways_to_write_the_same_stream(way: str) -> None:
    body = _stream(_chunk(content="a: "), _chunk(content="{1}"), _chunk("stop"), {"choices": [], "usage": USAGE})
    written = WAYS_TO_WRITE_IT[way](body)
    assert written != body
    assert parse_reply(written) == parse_reply(body)
    assert parse_reply(written).answer == "a: {1}"


def test_a_think_block_that_is_split_across_chunks() -> None:
    body = _stream(*(_chunk(content=piece) for piece in ("<th", "ink>wh", "y</", "think", ">\n", "4")), _chunk("stop"))
    parsed = parse_reply(body)
    assert (parsed.reasoning, parsed.answer, parsed.block) == ("why", "4", "well_formed")


def test_half_an_emoji_in_each_of_two_chunks() -> None:
    body = _stream(_chunk(content="\ud83c"), _chunk(content="\udf89"), _chunk("stop"))
    assert parse_reply(body).answer == "\U0001f389"


@pytest.mark.parametrize(
    ("events", "done", "expected"),  # status, error_kind, reasoning, answer
    [
        ([_chunk(content="4"), _chunk("stop")], False, ("ok", None, None, "4")),
        ([_chunk(content="4")], True, ("ok", None, None, "4")),
        ([_chunk(content="4")], False, ("failed", "cut_stream", None, "4")),
        ([_chunk(reasoning="why"), _chunk(content="4")], False, ("failed", "cut_stream", "why", "4")),
        ([_chunk(content="<think>why")], False, ("failed", "cut_stream", "why", "")),
        ([_chunk(role="assistant")], False, ("failed", "cut_stream", None, "")),
        ([_chunk(content="4"), 'data: {"choices": [{"del'], False, ("failed", "cut_stream", None, "4")),
        (['data: {"choices": [{"del'], False, ("failed", "cut_stream", None, "")),
        ([{"choices": [], "usage": USAGE}], False, ("failed", "cut_stream", None, "")),
        ([": keep-alive\n\n"], False, ("failed", "empty_body", None, "")),
        ([], True, ("failed", "empty_body", None, "")),
        (["data: ping\n\n"], True, ("failed", "empty_body", None, "")),
        ([{"choices": []}], True, ("empty", "no_choices", None, "")),
        ([{"hello": "you"}], True, ("failed", "not_a_reply", None, "")),
        ([_chunk("length", content="half")], True, ("truncated", None, None, "half")),
        ([_chunk(content="half"), _chunk("content_filter")], True, ("refused", "content_filter", None, "half")),
        ([_chunk(refusal="I"), _chunk(refusal=" can't."), _chunk("stop")], True, ("refused", "refusal", None, "")),
        ([_chunk(tool_calls=[{"index": 0}]), _chunk("tool_calls")], True, ("empty", "no_answer", None, "")),
        ([_chunk("stop")], True, ("empty", "no_text", None, "")),
        ([_chunk(content="ha"), _chunk("error")], True, ("failed", "error_in_body", None, "ha")),
        # what was lost stood in the middle, so that the text is not the whole
        (
            [_chunk(content="4"), 'data: {"choices": [{"del\n\n', _chunk("stop")],
            True,
            ("failed", "not_json", None, "4"),
        ),
        (["data: ping\n\n", _chunk(content="4"), "data: ping\n\n", _chunk("stop")], True, ("ok", None, None, "4")),
    ],
)
def test_how_a_stream_ends(events: list[Any], done: bool, expected: tuple[str, str | None, str | None, str]) -> None:
    assert _outcome(parse_reply(_stream(*events, done=done))) == expected


@pytest.mark.parametrize(
    ("error", "error_kind"),
    [
        ({"error": {"message": "busy", "code": 503}}, "http_503"),
        ({"error": {"message": "no tool was called", "status_code": 400}}, "http_400"),
        ({"error": {"message": "Rate limit reached", "type": "rate_limit_error"}}, "http_429"),
        ({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, "http_529"),
        ({"error": {"message": "The server had an error", "type": "server_error"}}, "error_in_body"),
        ({"error": {"code": "insufficient_quota", "message": "You exceeded your current quota"}}, "no_credit"),
        ({"object": "error", "message": "out of memory", "code": 500}, "http_500"),
        ('{"error": {"message": "bare", "code": 502}}\n', "http_502"),
        ({"choices": [{"index": 0, "delta": {}, "error": {"message": "upstream", "code": 502}}]}, "http_502"),
    ],
)
def test_an_error_in_the_middle(error: object, error_kind: str) -> None:
    parsed = parse_reply(_stream(_chunk(reasoning="why"), _chunk(content="hal"), "event: error\n", error))
    assert _outcome(parsed) == ("failed", error_kind, "why", "hal")
    assert parsed.message
    alone = parse_reply(_stream(error, done=False))
    assert (alone.status, alone.error_kind) == ("failed", error_kind)


def test_an_error_after_the_end_takes_nothing_from_it() -> None:
    error = {"error": {"message": "Token limit reached", "code": 400}, "usage": USAGE}
    parsed = parse_reply(_stream(_chunk("length", content="half"), error))
    assert _outcome(parsed) == ("truncated", None, None, "half")
    assert parsed.usage == Usage(9, None, 5, None)


def test_an_event_stream_under_an_error_status() -> None:
    parsed = parse_reply(_stream({"error": {"message": "slow down"}}, done=False), 429)
    assert _outcome(parsed) == ("failed", "http_429", None, "")
    assert parsed.message == "slow down"


@pytest.mark.parametrize(
    "places",
    [
        [None, None, USAGE],
        [{"prompt_tokens": 9, "completion_tokens": n, "total_tokens": 9 + n} for n in (1, 3, 5)],
        [{"prompt_tokens": 0, "completion_tokens": 0}, None, USAGE],
        [USAGE, {"prompt_tokens": None, "completion_tokens": None}, None],
        [{"prompt_tokens": 9}, None, {"completion_tokens": 5}],
    ],
)
def test_where_usage_stands(places: list[Any]) -> None:
    chunks = [_chunk(content="4"), _chunk("stop"), {"choices": []}]
    body = _stream(*(chunk | {"usage": usage} for chunk, usage in zip(chunks, places, strict=True)))
    assert parse_reply(body).usage == Usage(9, None, 5, None)


def test_usage_inside_the_choice_or_in_a_place_of_groqs() -> None:
    last = _chunk("stop")
    last["choices"][0]["usage"] = USAGE
    assert parse_reply(_stream(_chunk(content="4"), last)).usage == Usage(9, None, 5, None)
    first = _chunk(content="4") | {"x_groq": {"id": "r"}}
    body = _stream(first, _chunk("stop") | {"x_groq": {"id": "r", "usage": USAGE}})
    assert parse_reply(body).usage == Usage(9, None, 5, None)


def test_no_usage_is_unknown() -> None:
    assert parse_reply(_stream(_chunk(content="4"), _chunk("stop") | {"usage": None})).usage == Usage()


def test_parts_and_text_mixed() -> None:
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "wh"}]}
    body = _stream(
        _chunk(content=""),
        _chunk(content=[thinking]),
        _chunk(content=[thinking | {"thinking": [{"type": "text", "text": "y"}]}, {"type": "text", "text": "T"}]),
        _chunk(content="wo and "),
        _chunk(content=[{"type": "text", "text": "two"}]),
        _chunk("stop", content="."),
    )
    assert _outcome(parse_reply(body)) == ("ok", None, "why", "Two and two.")


@pytest.mark.parametrize(
    ("deltas", "expected"),  # reasoning, form
    [
        ([{"reasoning": "a", "reasoning_content": "a"}, {"reasoning": "b", "reasoning_content": "b"}], ("ab", "full")),
        (
            [{"reasoning": x, "reasoning_details": [{"type": "reasoning.text", "text": x}]} for x in "ab"],
            ("ab", "full"),
        ),
        ([{"reasoning_details": [{"type": "reasoning.text", "index": 0, "text": x}]} for x in "ab"], ("ab", "full")),
        (
            [
                {"reasoning_details": [{"type": "reasoning.summary", "index": i, "summary": x}]}
                for i, x in ((0, "a"), (1, "b"))
            ],
            ("a\n\nb", "summary"),
        ),
        ([{"reasoning_details": [{"type": "reasoning.encrypted", "data": "x", "index": 0}]}], (None, "hidden")),
        ([{"reasoning_details": [{"type": "reasoning.text", "signature": "x", "index": 0}]}], (None, "hidden")),
        ([{"reasoning_details": []}], (None, "none")),
    ],
)
def test_reasoning_in_a_stream(deltas: list[dict[str, Any]], expected: tuple[str | None, str]) -> None:
    parsed = parse_reply(_stream(*(_chunk(**delta) for delta in deltas), _chunk("stop", content="4")))
    assert (parsed.reasoning, parsed.reasoning_form) == expected
    assert parsed.answer == "4"


def test_a_last_event_that_repeats_the_whole_message_does_not_double_it() -> None:
    whole = {"index": 0, "message": {"content": "The answer", "reasoning_content": "why"}, "finish_reason": "stop"}
    body = _stream(
        _chunk(reasoning_content="why"), _chunk(content="The "), _chunk(content="answer"), {"choices": [whole]}
    )
    assert _outcome(parse_reply(body)) == ("ok", None, "why", "The answer")


def test_a_completion_in_one_event() -> None:
    whole = {"index": 0, "message": {"content": "4"}, "finish_reason": "stop"}
    assert _outcome(parse_reply(_stream({"choices": [whole], "usage": USAGE}))) == ("ok", None, None, "4")
    bare = ": keep-alive\n\n" * 5 + json.dumps({"choices": [whole]})
    assert _outcome(parse_reply(bare.encode())) == ("ok", None, None, "4")


def test_one_of_several_choices_is_cut() -> None:
    body = _stream(_chunk(content="a", index=1), _chunk(content="b", index=0), _chunk("stop", index=1), done=False)
    assert [_outcome(each) for each in parse_replies(body)] == [
        ("failed", "cut_stream", None, "b"),
        ("ok", None, None, "a"),
    ]
    assert _outcome(parse_reply(body, choice=2)) == ("failed", "cut_stream", None, "")  # it never began


TEXTS = st.text(max_size=12) | st.sampled_from(["<think>why</think>4", "<think>", "a</think>b", " ", "\n4"])
CHOICES = st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=4)


@given(CHOICES, st.data())
def test_any_choices_in_any_pieces_in_any_order_are_read_like_one_body(
    choices: list[tuple[str, str]], data: st.DataObject
) -> None:
    waiting = []
    for index, (reasoning, content) in enumerate(choices):
        pieces = [("reasoning", piece) for piece in _pieces(reasoning, data)]
        pieces += [("content", piece) for piece in _pieces(content, data)]
        waiting.append([_chunk(index=index, **{name: piece}) for name, piece in pieces] + [_chunk("stop", index=index)])
    events = []
    while any(waiting):
        events.append(data.draw(st.sampled_from([queue for queue in waiting if queue])).pop(0))
    whole = [
        {"index": index, "message": {"content": content, "reasoning": reasoning}, "finish_reason": "stop"}
        for index, (reasoning, content) in enumerate(choices)
    ]
    body = json.dumps({"model": "m-1", "choices": whole, "usage": USAGE}).encode()
    assert parse_replies(_stream(*events, {"choices": [], "usage": USAGE})) == parse_replies(body)


def _pieces(text: str, data: st.DataObject) -> list[str]:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=3)))
    return [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]


def test_a_stream_of_200_000_chunks() -> None:
    chunk = f"data: {json.dumps(_chunk(reasoning=' word'))}\n\n" * 200_000
    parsed = parse_reply(_stream(chunk, _chunk("stop", content="4")))
    assert parsed.answer == "4"
    assert parsed.reasoning == ("word " * 200_000).rstrip()


@pytest.mark.parametrize("line", ['data: {"choi\n', 'data: {"choi\n\n', "data: x\n\n", ": \n\n", "\n", "data:\n"])
def test_many_bad_lines(line: str) -> None:
    parsed = parse_reply(_stream(_chunk(content="4"), line * 300_000, _chunk(content="2"), _chunk("stop")))
    assert parsed.answer.startswith("4")
    assert (parsed.error_kind is None) == ("{" not in line)
