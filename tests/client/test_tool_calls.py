from __future__ import annotations

import json
from itertools import pairwise, zip_longest
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillroom.base.canonical import canonical_bytes
from stillroom.client.tool_calls import arguments_text, read_tool_calls

_CALLS = st.lists(
    st.fixed_dictionaries({"name": st.text(min_size=1, max_size=5), "arguments": st.text(max_size=20)}), max_size=4
)


def _whole(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"id": f"c{n}", "type": "function", "function": call} for n, call in enumerate(calls)]


@given(_CALLS, st.lists(st.integers(0, 20), max_size=5), st.booleans())
def test_fragments_are_the_whole(calls: list[dict[str, Any]], cuts: list[int], repeats_id: bool) -> None:
    of_each: list[list[dict[str, Any]]] = []
    for index, call in enumerate(_whole(calls)):
        text = call["function"]["arguments"]
        edges = [0, *sorted(cut for cut in cuts if cut < len(text)), len(text)]
        begins = {"index": index, **call, "function": {"name": call["function"]["name"], "arguments": ""}}
        again = {"id": call["id"]} if repeats_id else {}
        pieces = [text[left:right] for left, right in pairwise(edges)]
        of_each.append([begins, *({"index": index, **again, "function": {"arguments": piece}} for piece in pieces)])
    one_after_the_other = [fragment for fragments in of_each for fragment in fragments]
    in_turns = [fragment for turn in zip_longest(*of_each) for fragment in turn if fragment is not None]
    for fragments in (one_after_the_other, in_turns, _whole(calls)):
        assert list(read_tool_calls(fragments)) == _whole(calls)


@pytest.mark.parametrize("index", [{}, {"index": 0}])
def test_calls_of_servers_that_do_not_number_them(index: dict[str, int]) -> None:
    calls = _whole([{"name": "a", "arguments": "{}"}, {"name": "b", "arguments": '{"x": 1}'}])
    assert list(read_tool_calls([call | index for call in calls])) == calls


def test_calls_without_an_id() -> None:
    calls = [{"function": {"name": name, "arguments": {"x": 1}}} for name in ("a", "a")]
    assert [call["function"] for call in read_tool_calls(calls)] == [{"name": "a", "arguments": '{"x":1}'}] * 2
    assert [call["id"] for call in read_tool_calls(calls)] == [None, None]


def test_a_custom_tool_has_an_input() -> None:
    custom = [{"id": "c", "type": "custom", "custom": {"name": "shell", "input": "ls"}}]
    assert read_tool_calls(custom)[0]["function"] == {"name": "shell", "arguments": "ls"}


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), ("{} ", "{} "), ({"b": 1, "a": [None]}, '{"a":[null],"b":1}'), (5, "5"), (False, "false")],
)
def test_arguments_as_one_text(value: object, text: str) -> None:
    assert arguments_text(value) == text


def test_what_comes_of_half_an_emoji_can_be_written() -> None:
    halves = [
        {"index": 0, "id": "c", "function": {"name": "f", "arguments": text}}
        for text in ("a\ud83d", "\ude00", "\ud83d")
    ]
    assert read_tool_calls(halves)[0]["function"]["arguments"] == "a\U0001f600\ufffd"
    named = read_tool_calls([{"id": "\ud83d", "function": {"name": "\ude00", "arguments": {"\ud83d": 1}}}])
    canonical_bytes(list(named))


def test_arguments_that_nest_too_deeply_are_none() -> None:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    assert arguments_text(value) == ""
    while value:
        value = value.pop()  # one level at a time: to free them all at once would end the process


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=3),
        lambda x: (
            st.lists(x)
            | st.dictionaries(
                st.sampled_from(["index", "id", "function", "custom", "name", "arguments", "input", "type"]), x
            )
        ),
        max_leaves=10,
    )
)
def test_anything_is_read(value: object) -> None:
    for call in read_tool_calls(value):
        assert call.keys() == {"id", "type", "function"}
        assert isinstance(call["function"]["arguments"], str)
        json.dumps(call)
