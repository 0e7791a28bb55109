"""Bodies of every route become the same texts, and whatever is left out is left out whichever of the two it is in."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.probe.bodies import ROUTES, request, streamed, whole

from stillroom.base.records import Route
from stillroom.probe.exclusions import IN_WORDS, Reason, Siblings, read_siblings
from stillroom.probe.request_messages import messages_of

ASKED = [{"role": "user", "content": "What is 2+2?"}]


@pytest.mark.parametrize("route", ROUTES)
def test_a_pair_reads_alike_however_it_came(route: Route) -> None:
    asked = request(route, "What is 2+2?")
    expected = Siblings(ASKED, "It is four.", "2+2 makes 4")
    assert read_siblings(route, asked, whole(route, "It is four."), whole(route, "2+2 makes 4")) == expected
    assert read_siblings(route, asked, streamed(route, "It is four."), streamed(route, "2+2 makes 4 ")) == expected
    assert read_siblings(route, asked, whole(route, "It is four."), streamed(route, "2+2 makes 4")) == expected


@pytest.mark.parametrize("route", ROUTES)
def test_the_system_prompt_is_part_of_the_question(route: Route) -> None:
    expected = [] if route == "completions" else [{"role": "system", "content": "Be brief."}]
    assert messages_of(route, request(route, "Hi", "Be brief.")) == [*expected, {"role": "user", "content": "Hi"}]


@pytest.mark.parametrize("route", ["chat", "responses", "messages"])
def test_reasoning_stands_in_a_think_block(route: Route) -> None:
    read = read_siblings(route, request(route, "?"), whole(route, "4", "two and two"), whole(route, "5", "hm"))
    assert isinstance(read, Siblings)
    assert read[1:] == ("<think>\ntwo and two\n</think>\n\n4", "<think>\nhm\n</think>\n\n5")


def test_reasoning_that_the_token_limit_cut_has_no_end() -> None:
    cut = json.dumps(
        {"choices": [{"message": {"content": "", "reasoning_content": "two and"}, "finish_reason": "length"}]}
    ).encode()
    read = read_siblings("chat", request("chat", "?"), cut, whole("chat", "4"))
    assert isinstance(read, Siblings)
    assert read.first == "<think>\ntwo and"


def message(**fields: Any) -> bytes:
    return json.dumps({"choices": [{"message": fields, "finish_reason": fields.pop("finish", "stop")}]}).encode()


CALLS_A_TOOL = message(
    content="Let me see.", tool_calls=[{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
)
UNUSABLE = {
    "empty": message(content=""),
    "refused": message(content=None, refusal="I will not."),
    "failed": streamed("chat", "half of it", ends=False),
    "tool_calls": CALLS_A_TOOL,
    "too_long": b" " * ((32 << 20) + 1),
}


@pytest.mark.parametrize("reason", UNUSABLE)
def test_a_reply_that_is_none_is_left_out_whichever_it_is(reason: str) -> None:
    asked, good, bad = request("chat", "?"), whole("chat", "4"), UNUSABLE[reason]
    assert read_siblings("chat", asked, good, bad) == reason
    assert read_siblings("chat", asked, bad, good) == reason
    assert read_siblings("chat", asked, bad, UNUSABLE["empty"]) == read_siblings("chat", asked, UNUSABLE["empty"], bad)


@pytest.mark.parametrize(
    ("route", "body", "reason"),
    [
        ("chat", b"not json", "unreadable_request"),
        ("chat", b"[]", "unreadable_request"),
        ("chat", {"messages": []}, "unreadable_request"),
        ("chat", {"messages": [{"role": "wizard", "content": "x"}]}, "unreadable_request"),
        ("chat", {"messages": [*ASKED, {"role": "assistant", "content": "4"}, *ASKED]}, "assistant_turn"),
        ("chat", {"messages": [*ASKED, {"role": "tool", "content": "4"}]}, "assistant_turn"),
        ("messages", {"messages": [*ASKED, {"role": "assistant", "content": "The answer is"}]}, "assistant_turn"),
        ("responses", {"input": [*ASKED, {"type": "function_call", "name": "f"}]}, "assistant_turn"),
        ("responses", {"input": [*ASKED, {"type": "reasoning", "summary": []}]}, "assistant_turn"),
        ("chat", {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "not_text"),
        ("completions", {"prompt": [1, 2, 3]}, "not_text"),
        ("completions", {"prompt": "Once", "echo": True}, "not_text"),
        ("completions", {"prompt": "def f(", "suffix": "return x"}, "not_text"),
        ("completions", {}, "not_text"),
        ("embeddings", {"input": "x"}, "not_text"),
    ],
)
def test_requests_that_are_no_question_by_themselves(route: Route, body: Any, reason: str) -> None:
    asked = body if isinstance(body, bytes) else json.dumps(body).encode()
    assert read_siblings(route, asked, whole("chat", "a"), whole("chat", "b")) == reason


def test_parts_of_a_content_are_one_text() -> None:
    parts = [{"type": "text", "text": "What is "}, {"type": "text", "text": "2+2?"}]
    asked = json.dumps({"messages": [{"role": "user", "content": parts}]}).encode()
    assert messages_of("chat", asked) == messages_of("messages", asked) == ASKED
    newer = json.dumps({"input": [{"role": "user", "content": [{"type": "input_text", "text": "What is 2+2?"}]}]})
    assert messages_of("responses", newer.encode()) == ASKED


def test_siblings_that_are_alike_say_nothing() -> None:
    assert read_siblings("chat", request("chat", "?"), whole("chat", "4"), streamed("chat", " 4\n")) == "identical"


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("cut", [0, 1])
def test_what_a_client_cut_is_cut_in_its_sibling(route: Route, cut: int) -> None:
    asked, heard, sealed = (
        request(route, "?"),
        streamed(route, "It is fo", ends=False),
        whole(route, "Four, I believe."),
    )
    bodies = (heard, sealed) if cut == 0 else (sealed, heard)
    read = read_siblings(route, asked, *bodies, 0 if cut == 0 else 1)
    texts = ("It is", "Four,")
    assert read == Siblings([{"role": "user", "content": "?"}], *(texts if cut == 0 else texts[::-1]))
    assert read_siblings(route, asked, *bodies) == "failed"  # of a call that was not hung up on, this is no reply
    assert read_siblings(route, asked, *bodies, 1 if cut == 0 else 0) == "failed"


def test_a_cut_leaves_whole_words_and_what_ended_before_it() -> None:
    heard = streamed("chat", "one two three fo", ends=False)
    for sealed, left in (
        ("1 2", "1 2"),
        ("uno dos tres cuatro", "uno dos tres"),
        ("uno, dos tres", "uno, dos"),
        ("一二三四五", "一二三"),
    ):
        read = read_siblings("chat", request("chat", "?"), heard, whole("chat", sealed), 0)
        assert isinstance(read, Siblings)
        assert read[1:] == ("one two three", left)
    assert read_siblings("chat", request("chat", "?"), streamed("chat", "on", ends=False), heard, 0) == "failed"
    assert (
        read_siblings("chat", request("chat", "?"), streamed("chat", "on", ends=False), whole("chat", "1"), 0)
        == "empty"
    )


replies_of_words = st.lists(st.sampled_from(["a", "to", "one", "word", "reply", "another"]), min_size=4, max_size=30)


@given(replies_of_words, replies_of_words, st.integers(2, 40))
def test_what_is_compared_is_the_same_whichever_was_served_to_a_client_that_hangs_up(
    first: list[str], second: list[str], patience: int
) -> None:
    """Clients that listen for so many words: were only what they heard out kept, the served ones would be shorter.

    Two replies are compared over as many words as both have. But for the word at the cut, it is as many under either
    coin, and they are the same words.
    """
    compared = []
    for coin in (0, 1):
        bodies = [whole("chat", " ".join(text)) for text in (first, second)]
        served = (first, second)[coin]
        is_cut = len(served) > patience
        if is_cut:
            bodies[coin] = streamed("chat", " ".join(served[:patience]), ends=False)
        read = read_siblings("chat", request("chat", "?"), bodies[0], bodies[1], coin if is_cut else None)
        if not isinstance(read, Siblings):
            assert read == "identical"
            one, other = first[: patience - 1], second[: patience - 1]  # as far as was heard
            assert one == other
            return
        one, other = read.first.split(), read.second.split()
        length = min(len(one), len(other))
        compared.append((one[:length], other[:length]))
    lengths = [len(one) for one, _ in compared]
    assert abs(lengths[0] - lengths[1]) <= 1
    shared = min(lengths)
    assert compared[0][0][:shared] == compared[1][0][:shared] == first[:shared]
    assert compared[0][1][:shared] == compared[1][1][:shared] == second[:shared]


texts = st.text(st.characters(codec="utf-8"), max_size=30)
replies = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([*(UNUSABLE[name] for name in UNUSABLE if name != "too_long")]),
    st.builds(whole, st.sampled_from(ROUTES), texts, st.none() | texts),
    st.builds(streamed, st.sampled_from(ROUTES), texts, ends=st.booleans()),
)
requests = st.one_of(st.binary(max_size=40), st.builds(request, st.sampled_from(ROUTES), texts))


@given(st.sampled_from(ROUTES), requests, replies, replies, st.sampled_from([None, 0, 1]))
def test_exchanged_replies_are_exchanged_texts(
    route: Route, asked: bytes, first: bytes, second: bytes, cut: Any
) -> None:
    """What holds the test of a suspect: nothing is decided by which of the two was served."""
    other_cut = None if cut is None else 1 - cut
    one = read_siblings(route, asked, first, second, cut)
    other = read_siblings(route, asked, second, first, other_cut)
    if isinstance(one, Siblings):
        assert other == Siblings(one.messages, one.second, one.first)
    else:
        assert one == other
        assert one in IN_WORDS


def test_every_reason_has_words() -> None:
    def names(kind: Any) -> set[str]:
        return {name for each in get_args(kind) for name in ({each} if isinstance(each, str) else names(each))}

    assert names(Reason) == set(IN_WORDS)
