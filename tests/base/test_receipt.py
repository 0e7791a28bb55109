"""A receipt verifies if and only if nothing of it, of the texts or of the salt was changed."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Any

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.base.receipt_texts import differing_texts

from stillroom.base.canonical import canonical_bytes
from stillroom.base.receipt import (
    MOST_TURNS,
    RECEIPT_TYP,
    Receipt,
    from_the_wire,
    on_the_wire,
    read_receipt,
    reply_digests,
    request_settings,
    salted_digest,
    text_digest,
    tool_calls_bytes,
    turn_digests,
)
from stillroom.base.signatures import MAX_TOKEN_BYTES, PublicKey, PublicKeys, SignatureRefused, SigningKey

KEY = SigningKey.generate()
KEYS = PublicKeys([PublicKey(KEY.jwk, KEY.kid, not_before=900_000)])
NOW = 1_000_000
SALT = bytes(range(16))

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
CALLS = st.lists(
    st.fixed_dictionaries({"id": TEXT, "function": st.fixed_dictionaries({"name": TEXT, "arguments": TEXT})}),
    max_size=2,
)


@dataclass(frozen=True)
class Said:
    reasoning: str | None
    answer: str
    tool_calls: Any = None


SAID = st.builds(Said, st.none() | TEXT, TEXT, st.none() | CALLS)


def claims(said: list[Said], salt: bytes = SALT, **changes: Any) -> dict[str, Any]:
    return {
        "v": 1,
        "jti": "ab" * 16,
        "iss": "Abacus Models",
        "iat": NOW,
        "at_us": NOW * 1_000_000,
        "call_id": "call",
        "sub": "0" * 32,
        "permit": "permit_1",
        "model": "abacus",
        "served_model": "abacus-7",
        "route": "chat",
        "stream": True,
        "prompt_tokens": 5,
        "completion_tokens": 7,
        "counted_by": "provider",
        "prompt": salted_digest(salt, "prompt", b"[]"),
        "user": text_digest(salt, "user", "What is 2 + 3?"),
        "settings": salted_digest(salt, "settings", b"{}"),
        "replies": [reply_digests(salt, each) for each in said],
        **changes,
    }


def receipt_of(said: list[Said], salt: bytes = SALT, **changes: Any) -> str:
    return on_the_wire(KEY.sign(RECEIPT_TYP, claims(said, salt, **changes)), salt)


FIVE = Said("Two and three.", "5")
WIRE = receipt_of([FIVE, Said(None, "five")])


def differing(said: Said, choice: int = 0, **texts: Any) -> list[str]:
    receipt, salt = read_receipt(WIRE, KEYS, NOW)
    return list(differing_texts(receipt, salt, choice, said, **texts))


@given(st.lists(SAID, min_size=1, max_size=3), st.binary(min_size=16, max_size=16))
def test_what_was_said_is_what_the_receipt_is_over(said: list[Said], salt: bytes) -> None:
    receipt, read_salt = read_receipt(receipt_of(said, salt), KEYS, NOW)
    assert read_salt == salt
    for choice, each in enumerate(said):
        assert differing_texts(receipt, salt, choice, each) == []


@given(SAID, SAID)
def test_replies_that_differ_have_receipts_that_differ(one: Said, other: Said) -> None:
    receipt, salt = read_receipt(receipt_of([one]), KEYS, NOW)
    assert differing_texts(receipt, salt, 0, other) == [
        name for name in ("reasoning", "answer", "tool_calls") if _normal(one, name) != _normal(other, name)
    ]


def _normal(said: Said, name: str) -> Any:
    """What counts: texts without white space around them, calls without ids; empty is none."""
    if name == "tool_calls":
        return [(call["function"]["name"], call["function"]["arguments"]) for call in said.tool_calls or []]
    return (getattr(said, name) or "").strip()


@given(st.data())
def test_a_character_changed_anywhere_is_found(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(WIRE) - 1))
    changed = WIRE[:place] + data.draw(st.characters(exclude_characters=WIRE[place])) + WIRE[place + 1 :]
    try:
        receipt, salt = read_receipt(changed, KEYS, NOW)
    except SignatureRefused:
        return
    assert place > WIRE.index("~")  # the salt is not signed: it is wrong when no text fits any more
    assert differing_texts(receipt, salt, 0, FIVE, prompt=b"[]", user="What is 2 + 3?", settings=b"{}") == [
        "prompt",
        "user",
        "settings",
        "reasoning",
        "answer",
    ]


@given(
    st.sampled_from(sorted(Receipt.model_fields)),
    st.none() | st.integers(-(2**53), 2**53) | st.text() | st.booleans(),
)
def test_a_changed_claim_needs_the_owners_key(name: str, value: object) -> None:
    token, salt = from_the_wire(WIRE)
    head, signed, signature = token.split(".")
    changed = {**claims([FIVE, Said(None, "five")]), name: value}
    forged = SigningKey.generate().sign(RECEIPT_TYP, changed).split(".")[1]
    assume(forged != signed)
    with pytest.raises(SignatureRefused) as caught:
        read_receipt(on_the_wire(f"{head}.{forged}.{signature}", salt), KEYS, NOW)
    assert caught.value.reason == "signature"


def test_each_text_is_named_that_differs() -> None:
    assert differing(FIVE) == []
    assert differing(replace(FIVE, answer=" 5\n")) == []
    assert differing(replace(FIVE, answer="6")) == ["answer"]
    assert differing(replace(FIVE, reasoning=None)) == ["reasoning"]
    assert differing(replace(FIVE, tool_calls=[{"function": {"name": "add", "arguments": "{}"}}])) == ["tool_calls"]
    assert differing(FIVE, prompt=b"[1]") == ["prompt"]
    assert differing(FIVE, user="What is 2 + 4?") == ["user"]
    assert differing(FIVE, settings=b'{"n":2}') == ["settings"]
    assert differing(Said(None, "five"), 1) == []
    for choice in (2, -1):
        assert differing(FIVE, choice) == ["answer"]


def test_a_text_in_the_wrong_place_does_not_fit() -> None:
    assert differing(Said("5", "Two and three.")) == ["reasoning", "answer"]
    assert text_digest(SALT, "reasoning", "x") != text_digest(SALT, "answer", "x")


def test_a_digest_is_what_the_docs_say() -> None:
    assert text_digest(SALT, "answer", "5") == "NTcNL6jkYNQe6Jg1qMCtxAY1BuUfVa91xb1L0qiE6hY"
    with pytest.raises(ValueError, match="16 bytes"):
        text_digest(b"short", "answer", "5")


MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "developer", "user", "assistant"]), "content": TEXT}
)


@given(st.lists(MESSAGE, max_size=MOST_TURNS + 4))
def test_turns_are_the_last_messages_that_are_no_system_prompt(messages: list[dict[str, str]]) -> None:
    turns = [each for each in messages if each["role"] in ("user", "assistant")]
    digests = turn_digests(SALT, messages)
    if len(turns) < 2:
        assert digests == []
    else:
        assert digests == [salted_digest(SALT, "turn", canonical_bytes(turn)) for turn in turns[-MOST_TURNS:]]
    receipt, _ = read_receipt(receipt_of([FIVE], turns=digests), KEYS, NOW)
    assert list(receipt.turns) == digests


def test_what_is_no_conversation_has_no_turns() -> None:
    prompts: tuple[object, ...] = ("text", ["one", "two"], [1, None], {}, None)
    assert [turn_digests(SALT, prompt) for prompt in prompts] == [[]] * 5


def test_settings_are_the_body_without_what_is_asked_and_how_it_is_streamed() -> None:
    body = {"model": "m", "messages": [1], "temperature": 1.0, "stream": True, "stream_options": {}, "a": {"b": 0.5}}
    assert request_settings(body) == b'{"a":{"b":0.5},"model":"m","temperature":1}'
    assert request_settings({"input": "x", "prompt": "y"}) == b"{}"


@given(st.dictionaries(TEXT, st.floats(allow_nan=False, allow_infinity=False) | TEXT | st.lists(st.integers())))
def test_settings_are_canonical(body: dict[str, Any]) -> None:
    asked = {"messages", "prompt", "input", "stream", "stream_options"}
    assert request_settings(body) == canonical_bytes({name: body[name] for name in body if name not in asked})


def test_ids_of_tool_calls_do_not_count() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
    assert tool_calls_bytes([call]) == b'[{"arguments":"{\\"a\\": 1}","name":"add"}]'
    assert tool_calls_bytes([{**call, "id": "call_2"}]) == tool_calls_bytes([call])
    assert tool_calls_bytes([{"function": None}]) == b'[{"arguments":null,"name":null}]'


@pytest.mark.parametrize(
    "salt", ["", "AA", "A" * 21, "A" * 23, "A" * 21 + "B", "A" * 21 + "=", "A" * 20 + "+/", "é" * 22, "A" * 22 + "~"]
)
def test_a_salt_of_another_form_is_refused(salt: str) -> None:
    with pytest.raises(SignatureRefused, match="salt"):
        read_receipt(f"{WIRE.split('~')[0]}~{salt}", KEYS, NOW)


def test_a_receipt_without_its_salt_is_refused() -> None:
    with pytest.raises(SignatureRefused, match="salt"):
        read_receipt(WIRE.split("~")[0], KEYS, NOW)


def test_a_receipt_from_the_future_is_refused() -> None:
    assert read_receipt(receipt_of([FIVE], iat=NOW + 60), KEYS, NOW)
    for iat, what in ((NOW + 61, "in the future"), (900_000 - 61, "not in use")):
        with pytest.raises(SignatureRefused, match=what) as caught:
            read_receipt(receipt_of([FIVE], iat=iat), KEYS, NOW)
        assert caught.value.reason == "time"


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"v": 2}, "v: "),
        ({"jti": ""}, "jti: "),
        ({"iat": "1000000"}, "iat: should be a whole number"),
        ({"iat": 1e6}, "iat: "),
        ({"iat": -1}, "iat: "),
        ({"at_us": 10**18}, "at_us: "),
        ({"sub": "alice"}, "sub: "),
        ({"prompt_tokens": -1}, "prompt_tokens: "),
        ({"counted_by": "me"}, "counted_by: "),
        ({"answer": "5"}, "answer: is no key here"),
        ({"prompt": "sha256:ab"}, "prompt: "),
        ({"turns": ["x"]}, "turns.0: "),
        ({"turns": ["A" * 43] * 17}, "turns: "),
        ({"replies": {}}, "replies: "),
        ({"replies": [{"answer": "x"}]}, "replies.0.reasoning: is missing"),
        ({"replies": [None]}, "replies.0: "),
    ],
)
def test_claims_that_are_no_receipts_are_refused(change: dict[str, Any], what: str) -> None:
    with pytest.raises(SignatureRefused, match=what) as caught:
        read_receipt(receipt_of([FIVE], **change), KEYS, NOW)
    assert caught.value.reason == "claims"


def test_what_is_huge_is_refused_before_it_is_read() -> None:
    for wire in ("a" * (MAX_TOKEN_BYTES + 1), "a~" + "A" * MAX_TOKEN_BYTES):
        with pytest.raises(SignatureRefused) as caught:
            read_receipt(wire, KEYS, NOW)
        assert caught.value.reason == "too_large"


def test_a_permit_is_no_receipt() -> None:
    wire = on_the_wire(KEY.sign("stillroom-permit+jws", claims([FIVE])), SALT)
    with pytest.raises(SignatureRefused) as caught:
        read_receipt(wire, KEYS, NOW)
    assert caught.value.reason == "type"


def test_a_receipt_of_128_choices_is_read() -> None:
    said = [Said("thought", str(number), [{"function": {}}]) for number in range(128)]
    wire = receipt_of(said, os.urandom(16))
    assert len(wire) < MAX_TOKEN_BYTES
    assert len(read_receipt(wire, KEYS, NOW)[0].replies) == 128


def test_nothing_of_the_texts_is_in_it() -> None:
    token, _ = from_the_wire(WIRE)
    said = orjson.dumps(read_receipt(WIRE, KEYS, NOW)[0].model_dump())
    assert b"three" not in said
    assert "~" not in token
