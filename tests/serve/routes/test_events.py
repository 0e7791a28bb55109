from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stillroom.base.records import Route
from stillroom.serve.routes.events import EventSplitter, is_last_event, is_usage_event

PIECES = st.lists(
    st.sampled_from(
        [
            *(
                b"data: {}",
                b'data: {"a": 1}',
                b"data: [DONE]",
                b"data: {",
                b"data: }",
                b"event: x",
                b": alive",
                b"data:",
            ),
            *(b"\n", b"\n", b"\r\n", b"\r", b"\n\n", b"\r\n\r\n", b"x", b'{"b": 2}', b"\xef\xbb\xbf", b"\xff"),
        ]
    ),
    max_size=30,
).map(b"".join)
CUTS = st.lists(st.integers(0, 200), max_size=30)


def split(body: bytes, cuts: list[int], most: int = 1 << 20) -> list[bytes]:
    splitter = EventSplitter(most)
    edges = [0, *sorted(cut for cut in cuts if cut < len(body)), len(body)]
    events = [event for left, right in pairwise(edges) for event in splitter.feed(body[left:right])]
    rest = splitter.rest()
    return [*events, rest] if rest else events


@given(PIECES, CUTS)
@example(b"data: {}\r\n\r\ndata: {}\n\n", [9, 10, 11])
@example(b"data: {}\ndata: {}\ndata: [DONE]\n", [8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18])
def test_any_chunking_gives_the_same_events(body: bytes, cuts: list[int]) -> None:
    events = split(body, cuts)
    assert b"".join(events) == body
    assert all(events)
    assert events == split(body, [])


@given(st.lists(st.sampled_from([b'data: {"a": 1}', b"event: x\ndata: {}", b": alive", b"data: [DONE]"]), min_size=1))
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_an_event_ends_with_its_blank_line(line_end: bytes, events: list[bytes]) -> None:
    whole = [event.replace(b"\n", line_end) + 2 * line_end for event in events]
    splitter = EventSplitter()
    assert [splitter.feed(event) for event in whole] == [[event] for event in whole]
    assert splitter.rest() == b""
    assert EventSplitter().feed(b"".join(whole)) == whole


def test_events_without_a_blank_line_come_out_as_soon_as_the_next_one_begins() -> None:
    splitter = EventSplitter()
    assert splitter.feed(b'data: {"a": 1}\n') == []
    assert splitter.feed(b'data: {"a": 2}\ndata: [DONE]\n') == [b'data: {"a": 1}\n', b'data: {"a": 2}\n']
    assert splitter.rest() == b"data: [DONE]\n"


def test_an_event_in_several_data_lines_stays_one() -> None:
    event = b'data: {"a":\ndata: {"b": 1}\ndata: }\n\n'
    assert split(event, list(range(len(event)))) == [event]


@given(PIECES, CUTS, st.integers(1, 40))
def test_what_is_held_is_bounded(body: bytes, cuts: list[int], most: int) -> None:
    splitter = EventSplitter(most)
    edges = [0, *sorted(cut for cut in cuts if cut < len(body)), len(body)]
    given_out = b""
    for left, right in pairwise(edges):
        given_out += b"".join(splitter.feed(body[left:right]))
        assert right - len(given_out) <= most
    assert given_out + splitter.rest() == body


def test_a_long_event_in_small_chunks_is_looked_at_once() -> None:
    splitter = EventSplitter()
    event = b"data: " + json.dumps({"image": "A" * 1_000_000}).encode() + b"\n\n"
    chunks = [event[start : start + 50] for start in range(0, len(event), 50)]  # a quadratic search takes minutes
    assert [out for chunk in chunks for out in splitter.feed(chunk)] == [event]


@pytest.mark.parametrize(
    ("route", "event", "expected"),
    [
        ("chat", b"data: [DONE]\n\n", True),
        ("chat", b"data:[DONE]\r\n\r\n", True),
        ("completions", b"data: [DONE]", True),
        ("chat", b'data: {"choices": [{"delta": {"content": "data: [DONE]"}}]}\n\n', False),
        ("chat", b": [DONE]\n\n", False),
        ("messages", b'event: message_stop\ndata: {"type": "message_stop"}\n\n', True),
        ("messages", b'data: {"type": "message_stop"}\n\n', True),
        ("messages", b'data: {"type": "content_block_delta", "delta": {"text": "message_stop"}}\n\n', False),
        ("messages", b"data: [DONE]\n\n", False),
        ("responses", b'event: response.completed\ndata: {"type": "response.completed", "response": {}}\n\n', True),
        ("responses", b'data: {"type": "response.incomplete"}\n\n', True),
        ("responses", b'data: {"type": "response.failed"}\n\n', True),
        ("responses", b'data: {"type": "response.output_text.delta", "delta": "response.completed"}\n\n', False),
        ("embeddings", b"data: [DONE]\n\n", False),
    ],
)
def test_the_last_event(route: Route, event: bytes, expected: bool) -> None:
    assert is_last_event(route, event) is expected


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (b'data: {"choices": [], "usage": {"prompt_tokens": 1}}\n\n', True),
        (b'data: {"choices": [], "usage": null}\n\n', False),
        (b'data: {"choices": [{"delta": {}}], "usage": {"prompt_tokens": 1}}\n\n', False),
        (b'data: {"choices": [], "prompt_filter_results": []}\n\n', False),
        (b'data: {"choices": [{"delta": {"content": "\\"usage\\": {}"}}]}\n\n', False),
        (b': "usage" "choices"\n\n', False),
    ],
)
def test_the_event_that_only_holds_the_usage(event: bytes, expected: bool) -> None:
    assert is_usage_event(event) is expected
