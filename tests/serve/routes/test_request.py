from __future__ import annotations

import json
from typing import Any, get_args

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillroom.base.canonical import canonical_bytes
from stillroom.base.records import Route
from stillroom.serve.routes.errors import ApiError
from stillroom.serve.routes.request import AskedFor, read_body, read_request, upstream_body

ROUTES: tuple[Route, ...] = get_args(Route)
USER = {"role": "user", "content": "What is 2 + 3?"}
LEAST: dict[Route, dict[str, Any]] = {
    "chat": {"model": "m", "messages": [USER]},
    "completions": {"model": "m", "prompt": "Once"},
    "responses": {"model": "m", "input": "What is 2 + 3?"},
    "embeddings": {"model": "m", "input": "What is 2 + 3?"},
    "messages": {"model": "m", "max_tokens": 10, "messages": [USER]},
}


def _asked(route: Route, **fields: Any) -> AskedFor:
    return read_request(route, LEAST[route] | fields)


def _refused(route: Route, **fields: Any) -> ApiError:
    with pytest.raises(ApiError) as raised:
        _asked(route, **fields)
    assert raised.value.status == 400
    return raised.value


# --- what is asked for -----------------------------------------------------------------------------------------------


def test_a_chat() -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "function": {"name": "f"}}]},
        {"role": "tool", "tool_call_id": "1", "content": "42"},
        {"role": "user", "content": [{"type": "text", "text": "And "}, {"type": "text", "text": "now?"}]},
        {"role": "developer", "content": "In French."},
        {"role": "user", "content": "Please."},
    ]
    asked = _asked(
        "chat",
        messages=messages,
        stream=True,
        stream_options={"include_usage": True},
        max_tokens=7,
        temperature=1,
        n=3,
        user="u-1",
        unknown_field={"x": 1},
    )
    assert (asked.route, asked.model, asked.stream, asked.include_usage) == ("chat", "m", True, True)
    assert (asked.turns, asked.n, asked.replies, asked.max_tokens, asked.most_completion_tokens) == (3, 3, 3, 7, 21)
    assert (asked.temperature, asked.user) == (1.0, "u-1")
    assert asked.new_user_text == "And now?\n\nPlease."
    assert (asked.last_user_text, asked.system_text) == ("Please.", "Be brief.\n\nIn French.")
    assert asked.prompt is messages
    assert (asked.asks_reasoning, asked.asks_logprobs, asked.asks_grading) == (False, False, False)


def test_the_newer_token_limit_wins() -> None:
    assert _asked("chat", max_tokens=5, max_completion_tokens=9).max_tokens == 9
    assert _asked("chat", max_tokens=5).max_tokens == 5
    assert _asked("chat", max_tokens=5.0).max_tokens == 5
    assert _asked("chat").max_tokens is None
    assert _asked("chat").most_completion_tokens is None


def test_a_conversation_that_ends_with_the_model_has_no_new_text() -> None:
    asked = _asked("chat", messages=[USER, {"role": "assistant", "content": "5"}])
    assert (asked.new_user_text, asked.last_user_text, asked.turns) == ("", USER["content"], 1)
    assert _asked("chat", messages=[{"role": "system", "content": "x"}]).last_user_text is None


@pytest.mark.parametrize(
    ("prompt", "count", "text"),
    [
        ("Once upon", 1, "Once upon"),
        (["Once", "Twice"], 2, "Once\n\nTwice"),
        ([1, 2, 3], 1, ""),
        ([[1, 2], [3]], 2, ""),
    ],
)
def test_a_completion_and_its_prompts(prompt: object, count: int, text: str) -> None:
    asked = _asked("completions", prompt=prompt, max_tokens=10, n=2, best_of=3)
    assert (asked.replies, asked.most_completion_tokens, asked.n) == (3 * count, 30 * count, 2)
    assert (asked.new_user_text, asked.last_user_text) == (text, text or None)
    assert asked.prompt == prompt
    embedding = read_request("embeddings", {"model": "m", "input": prompt})
    assert (embedding.new_user_text, embedding.replies, embedding.stream) == (text, 0, False)


def test_tokens_are_counted_as_they_are() -> None:
    assert _asked("completions", prompt=[[5] * 100, [6] * 11]).prompt_token_estimate == 111


def test_a_response() -> None:
    items = [
        {"role": "user", "content": [{"type": "input_text", "text": "Hello"}]},
        {"type": "reasoning", "id": "rs", "summary": []},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hi"}]},
        {"type": "message", "role": "user", "content": "What is 2 + 3?"},
    ]
    asked = _asked("responses", input=items, instructions="Be brief.", max_output_tokens=8, safety_identifier="s")
    assert (asked.turns, asked.max_tokens, asked.user, asked.system_text) == (2, 8, "s", "Be brief.")
    assert (asked.new_user_text, asked.last_user_text) == ("What is 2 + 3?", "What is 2 + 3?")
    assert _asked("responses").new_user_text == "What is 2 + 3?"
    after_a_call = [items[0], {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "c"}]
    assert _asked("responses", input=after_a_call).new_user_text == ""


@pytest.mark.parametrize(
    "fields", [{"previous_response_id": "resp_1"}, {"conversation": "conv_1"}, {"background": True}]
)
def test_a_response_that_leans_on_what_is_kept_elsewhere_is_refused(fields: dict[str, Any]) -> None:
    error = _refused("responses", **fields)
    assert (error.code, error.param) == ("unsupported_parameter", next(iter(fields)))
    assert _asked("responses", **dict.fromkeys(fields)).model == "m"


@pytest.mark.parametrize(
    "item", [{"type": "item_reference", "id": "msg_1"}, {"id": "msg_1"}, {"type": None, "id": "m"}]
)
def test_an_item_that_is_kept_elsewhere_is_refused(item: dict[str, Any]) -> None:
    error = _refused("responses", input=[{"role": "user", "content": "Go on."}, item])
    assert (error.code, error.param) == ("unsupported_parameter", "input[1]")


def test_a_message() -> None:
    messages = [
        USER,
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]},
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "42"}]},
                {"type": "text", "text": "Go on."},
            ],
        },
    ]
    asked = _asked(
        "messages",
        messages=messages,
        system=[{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        metadata={"user_id": "u"},
        temperature=0.5,
    )
    assert (asked.turns, asked.max_tokens, asked.user, asked.n, asked.replies) == (2, 10, "u", None, 1)
    assert (asked.new_user_text, asked.system_text) == ("Go on.", "Be brief.")
    messages[-1] = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "42"}]}
    asked = _asked("messages", messages=messages)
    assert (asked.turns, asked.last_user_text, asked.new_user_text) == (1, USER["content"], "")


def test_the_estimate_grows_with_all_that_is_sent() -> None:
    short = _asked("chat").prompt_token_estimate
    long = _asked("chat", messages=[{"role": "user", "content": "word " * 1000}]).prompt_token_estimate
    assert 1000 < long < 1500
    tools = [{"type": "function", "function": {"name": "f", "description": "x" * 400}}]
    assert _asked("chat", tools=tools).prompt_token_estimate > short + 100
    image = [{"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 10**6}}]
    assert 1000 < _asked("chat", messages=[{"role": "user", "content": image}]).prompt_token_estimate < 1100
    result = [{"type": "tool_result", "content": "x" * 4000}]
    assert _asked("messages", messages=[{"role": "user", "content": result}]).prompt_token_estimate > 1000


# --- signs -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("route", "fields", "expected"),
    [
        ("chat", {"reasoning_effort": "high"}, True),
        ("chat", {"reasoning_effort": "none"}, False),
        ("chat", {"reasoning_effort": None}, False),
        ("chat", {"reasoning": {"effort": "low"}}, True),
        ("chat", {"reasoning": {"enabled": False}}, False),
        ("chat", {"reasoning": {"effort": "none"}}, False),
        ("chat", {"include_reasoning": True}, True),
        ("chat", {"enable_thinking": True}, True),
        ("chat", {"chat_template_kwargs": {"enable_thinking": True}}, True),
        ("chat", {"chat_template_kwargs": {"enable_thinking": False}}, False),
        ("chat", {"chat_template_kwargs": {"thinking": True}}, True),
        ("chat", {"thinking": {"type": "enabled"}}, True),
        ("chat", {"thinking": {"type": "disabled"}}, False),
        ("messages", {"thinking": {"type": "enabled", "budget_tokens": 2000}}, True),
        ("messages", {"thinking": {"type": "adaptive"}}, True),
        ("messages", {"thinking": {"type": "disabled"}}, False),
        ("responses", {"reasoning": {"summary": "auto"}}, True),
        ("responses", {"include": ["reasoning.encrypted_content"]}, True),
        ("responses", {"reasoning": {}}, False),
        ("embeddings", {"reasoning_effort": "high"}, False),
    ],
)
def test_reasoning_is_asked_for_in_many_words(route: Route, fields: dict[str, Any], expected: bool) -> None:
    assert _asked(route, **fields).asks_reasoning is expected


@pytest.mark.parametrize(
    ("route", "fields", "expected"),
    [
        ("chat", {"logprobs": True, "top_logprobs": 5}, True),
        ("chat", {"logprobs": False}, False),
        ("completions", {"logprobs": 0}, True),
        ("completions", {"logprobs": None}, False),
        ("completions", {"prompt_logprobs": 1}, True),
        ("responses", {"top_logprobs": 2}, True),
        ("responses", {"include": ["message.output_text.logprobs"]}, True),
        ("responses", {}, False),
    ],
)
def test_logprobs(route: Route, fields: dict[str, Any], expected: bool) -> None:
    assert _asked(route, **fields).asks_logprobs is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Rate the following response on a scale of 1 to 10.", True),
        ("Score each answer from 1 to 5 by the rubric below.", True),
        ("Please act as an impartial judge. Output [[A]] if assistant A is better, [[B]] if assistant B is.", True),
        ("You are a strict grader. Say pass or fail.", True),
        ("Which of the two responses is better?", True),
        ("x" * 10_000 + "\nGrade this solution from 0 to 10.", True),
        ("What is a good interest rate for a savings account?", False),
        ("Write a story about a judge in a small town.", False),
        ("My son is in grade 5. Which book is better for him?", False),
        ("Evaluate the integral of x from 0 to 10.", False),
        ("Hi", False),
        ("", False),
    ],
)
def test_grading_is_told_by_a_few_phrases(text: str, expected: bool) -> None:
    assert _asked("chat", messages=[{"role": "user", "content": text}]).asks_grading is expected
    assert _asked("messages", system=text).asks_grading is expected
    assert _asked("responses", instructions=text).asks_grading is expected


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("model", [None, "", 5, ["m"], "m" * 300])
def test_a_model_is_named(route: Route, model: object) -> None:
    assert _refused(route, model=model).param == "model"


@pytest.mark.parametrize(
    ("route", "fields", "param"),
    [
        ("chat", {"messages": None}, "messages"),
        ("chat", {"messages": []}, "messages"),
        ("chat", {"messages": "x"}, "messages"),
        ("chat", {"messages": ["x"]}, "messages[0]"),
        ("chat", {"messages": [USER, {"content": "x"}]}, "messages[1].role"),
        ("chat", {"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ("chat", {"stream": "yes"}, "stream"),
        ("chat", {"stream": 1}, "stream"),
        ("chat", {"stream_options": True}, "stream_options"),
        ("chat", {"max_tokens": "10"}, "max_tokens"),
        ("chat", {"max_tokens": 0}, "max_tokens"),
        ("chat", {"max_tokens": True}, "max_tokens"),
        ("chat", {"max_tokens": 1.5}, "max_tokens"),
        ("chat", {"max_tokens": 2**31}, "max_tokens"),
        ("chat", {"max_completion_tokens": -1}, "max_completion_tokens"),
        ("chat", {"temperature": "hot"}, "temperature"),
        ("chat", {"temperature": True}, "temperature"),
        ("chat", {"n": 0}, "n"),
        ("chat", {"n": 129}, "n"),
        ("chat", {"user": 5}, "user"),
        ("completions", {"prompt": 5}, "prompt"),
        ("completions", {"prompt": []}, "prompt"),
        ("completions", {"prompt": ["x", 5]}, "prompt"),
        ("completions", {"prompt": [True]}, "prompt"),
        ("completions", {"best_of": 1000}, "best_of"),
        ("embeddings", {"input": None}, "input"),
        ("embeddings", {"input": {}}, "input"),
        ("responses", {"input": 5}, "input"),
        ("responses", {"input": ["x"]}, "input[0]"),
        ("responses", {"instructions": 5}, "instructions"),
        ("responses", {"max_output_tokens": "x"}, "max_output_tokens"),
        ("messages", {"messages": [{"role": "user", "content": {}}]}, "messages[0].content"),
        ("messages", {"system": 5}, "system"),
        ("messages", {"metadata": 5}, "metadata"),
        ("messages", {"metadata": {"user_id": 5}}, "metadata.user_id"),
    ],
)
def test_a_wrong_type_is_named(route: Route, fields: dict[str, Any], param: str) -> None:
    error = _refused(route, **fields)
    assert error.param == param
    assert param in error.message


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[]", b"5", b"null", b'{"model": NaN}', b'{"model": "\xff"}', b'{"model": "\\ud800"}', b"[" * 10**6],
)
def test_bodies_that_are_no_json_object(raw: bytes) -> None:
    with pytest.raises(ApiError):
        read_body(raw)


@pytest.mark.parametrize("depth", [250, 400, 990, 1020, 100_000])
def test_a_body_is_nested_so_far_and_no_further(depth: int) -> None:
    raw = b'{"model": "m", "x": %b%b}' % (b"[" * depth, b"]" * depth)
    if depth == 250:
        canonical_bytes(read_body(raw))
        return
    with pytest.raises(ApiError):
        read_body(raw)
    with pytest.raises(ApiError):
        read_body(b'{"model": "m", "\\u006eothing": 1, "x": %b%b}' % (b"[" * depth, b"]" * depth))


@pytest.mark.parametrize(
    ("raw", "param"),
    [
        (b'{"model": "cheap", "messages": [], "model": "dear"}', "model"),
        (b'{"model":"cheap","model":"dear"}', "model"),
        (b'{"model":"cheap","mod\\u0065l":"dear"}', "model"),
        (b'{"model":"m","n":1,"x":1e5,"n":100}', "n"),
        (b'{"model":"m","Model":"dear"}', "model"),
        (b'{"model":"m","MAX_TOKENS":5}', "max_tokens"),
        (b'{"model":"m","\xc5\xbftream":true}', "stream"),
    ],
)
def test_a_field_that_parsers_could_read_differently_is_refused(raw: bytes, param: str) -> None:
    with pytest.raises(ApiError) as raised:
        read_body(raw)
    assert raised.value.param == param


def test_the_same_name_deeper_inside_is_no_repetition() -> None:
    body = {"model": "m", "tools": [{"model": "x", "input": [{"model": "y"}]}], "input": 'the "model" and "model"'}
    for raw in (json.dumps(body), json.dumps(body, separators=(",", ":")), json.dumps(body, indent=1)):
        assert read_body(raw.encode()) == body


# --- any body --------------------------------------------------------------------------------------------------------

_NAMES_TEXT = """
model messages prompt input system instructions role content type text stream stream_options include_usage n
best_of max_tokens max_completion_tokens max_output_tokens temperature user metadata user_id tools reasoning
thinking effort include logprobs top_logprobs chat_template_kwargs extra_body tool_calls reasoning_content
response_format background
"""
_NAMES = st.sampled_from(_NAMES_TEXT.split())
_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(
        ["user", "assistant", "system", "text", "m", "high", "enabled", "function_call", "rate an answer"]
    )
)
_JSON = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_NAMES | st.text(max_size=4), inner, max_size=5),
    max_leaves=25,
)


@given(st.sampled_from(ROUTES), st.dictionaries(_NAMES, _JSON, max_size=8), st.booleans())
def test_any_body_is_read_or_refused_in_the_apis_shape(route: Route, fields: dict[str, Any], usable: bool) -> None:
    raw = json.dumps(LEAST[route] | fields if usable else fields).encode()
    refusal: ApiError | None = None
    try:
        body = read_body(raw)
        asked = read_request(route, body)
    except ApiError as error:
        refusal = error
    if refusal is not None:
        assert refusal.status == 400
        assert orjson.loads(refusal.body(route))["error"]["message"] == refusal.message
        return
    assert asked.model == fields.get("model", "m")
    assert asked.prompt_token_estimate >= 0
    assert asked.replies >= 0
    (asked.new_user_text + asked.system_text + (asked.last_user_text or "")).encode()
    canonical_bytes(asked.prompt)
    changed = read_body(upstream_body(raw, body, asked, "other"))
    assert changed["model"] == "other"
    if asked.stream and route in ("chat", "completions"):
        assert changed["stream_options"]["include_usage"] is True
    assert {k: v for k, v in changed.items() if k not in ("model", "stream_options")} == {
        k: v for k, v in body.items() if k not in ("model", "stream_options")
    }


# --- what the upstream gets ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("route", ROUTES)
def test_the_bytes_go_on_as_they_came(route: Route) -> None:
    raw = json.dumps(LEAST[route] | {"x": 1.0, "y": "é"}, indent=2).encode()
    body = read_body(raw)
    assert upstream_body(raw, body, read_request(route, body)) is raw
    assert upstream_body(raw, body, read_request(route, body), "m") is raw
    renamed = upstream_body(raw, body, read_request(route, body), "org/m")
    assert json.loads(renamed) == body | {"model": "org/m"}


@pytest.mark.parametrize("route", ROUTES)
def test_the_usage_of_a_stream_is_asked_for(route: Route) -> None:
    body = LEAST[route] | {"stream": True}
    raw = json.dumps(body).encode()
    sent = upstream_body(raw, body, read_request(route, body))
    if route in ("chat", "completions"):
        assert json.loads(sent) == body | {"stream_options": {"include_usage": True}}
        body |= {"stream_options": {"include_usage": False, "continuous_usage_stats": False}}
        sent = upstream_body(raw, body, read_request(route, body))
        assert json.loads(sent)["stream_options"] == {"include_usage": True, "continuous_usage_stats": False}
        body |= {"stream_options": {"include_usage": True}}
        raw = json.dumps(body).encode()
        assert upstream_body(raw, body, read_request(route, body)) is raw
    else:
        assert sent is raw
