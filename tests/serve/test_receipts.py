"""Receipts as the gateway makes them: readers outside find every text of the call under them, and nobody else does."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.base.receipt_texts import differing_texts

from stillroom.base.canonical import canonical_bytes
from stillroom.base.receipt import from_the_wire, read_receipt, request_settings
from stillroom.base.records import Call
from stillroom.base.signatures import SignatureRefused
from stillroom.client.reply import parse_reply
from stillroom.serve.keyring import Keyring
from stillroom.serve.pseudonyms import Pseudonyms
from stillroom.serve.receipts import MOST_BYTES_IN_HEADER, Receipts
from stillroom.store.secrets import Secrets

NOW = 1_800_000_000
BODY = {
    "model": "abacus",
    "messages": [{"role": "user", "content": "What is 2 + 3?"}],
    "temperature": 1.0,
    "stream": True,
}


@dataclass(frozen=True)
class Said:
    reasoning: str | None
    answer: str
    tool_calls: Any = None


class At:
    def now_us(self) -> int:
        return NOW * 1_000_000

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        raise AssertionError(f"nothing here waits, and {seconds} s were asked for")


def call(permit_id: str | None = "permit_1", account: str = "acct_1") -> Call:
    unknown: dict[str, Any] = dict.fromkeys(
        ("turns", "max_tokens", "temperature", "n", "asks_reasoning", "asks_logprobs", "asks_grading", "ip_print")
    )
    unknown |= dict.fromkeys(("tls_print", "agent", "billing_print", "user_print", "prompt_print", "system_print"))
    unknown |= dict.fromkeys(("skeleton_print", "print_key_id"))
    return Call(
        call_id="call_1",
        at=NOW * 1_000_000,
        account=account,
        organisation="org_1",
        key_id="key_1",
        model="abacus",
        route="chat",
        stream=True,
        permit_id=permit_id,
        prompt_tokens=5,
        completion_tokens=7,
        counted_by="provider",
        **unknown,
    )


class Gateway:
    def __init__(self, state: Path) -> None:
        self.secrets = Secrets.open(state)
        self.keyring = Keyring.open(state, At())
        self.receipts = Receipts(self.secrets, self.keyring, "Abacus Models", At())

    def sign(self, said: list[Said], call: Call) -> tuple[str, str]:
        begun = self.receipts.begin(BODY["messages"], "What is 2 + 3?", BODY)
        receipt_id, wire = self.receipts.sign(begun, call, served_model="abacus-7", said=said)
        assert receipt_id == begun.receipt_id
        return receipt_id, wire


@pytest.fixture
def gateway(tmp_path: Path) -> Gateway:
    return Gateway(tmp_path)


FIVE = Said("Two and three.", "5", [{"id": "1", "function": {"name": "add", "arguments": "{}"}}])


def test_a_reader_finds_the_call_and_its_texts_under_it(gateway: Gateway) -> None:
    receipt_id, wire = gateway.sign([FIVE, Said(None, "five")], call())
    receipt, salt = read_receipt(wire, gateway.keyring.public_keys(), NOW)
    assert receipt.jti == receipt_id
    assert (receipt.iss, receipt.model, receipt.served_model, receipt.route) == (
        "Abacus Models",
        "abacus",
        "abacus-7",
        "chat",
    )
    assert (receipt.prompt_tokens, receipt.completion_tokens, receipt.counted_by) == (5, 7, "provider")
    assert (receipt.iat, receipt.at_us, receipt.permit, receipt.call_id) == (NOW, NOW * 10**6, "permit_1", "call_1")
    asked: dict[str, Any] = {
        "prompt": canonical_bytes(BODY["messages"]),
        "user": "What is 2 + 3?",
        "settings": request_settings({**BODY, "temperature": 1, "stream": False}),
    }
    assert differing_texts(receipt, salt, 0, FIVE, **asked) == []
    assert differing_texts(receipt, salt, 1, Said(None, "five"), **asked) == []
    assert differing_texts(receipt, salt, 0, FIVE, prompt=b"[]") == ["prompt"]


def test_it_is_given_again_from_what_the_log_kept(gateway: Gateway, tmp_path: Path) -> None:
    _, wire = gateway.sign([FIVE], call())
    token, _ = from_the_wire(wire)
    assert Gateway(tmp_path).receipts.again(token) == wire
    with pytest.raises(SignatureRefused):
        gateway.receipts.again("not.a.receipt")


def test_two_receipts_of_one_call_share_no_digest(gateway: Gateway) -> None:
    keys = gateway.keyring.public_keys()
    one, _ = read_receipt(gateway.sign([FIVE], call())[1], keys, NOW)
    other, _ = read_receipt(gateway.sign([FIVE], call())[1], keys, NOW)
    assert one.jti != other.jti
    for name in ("prompt", "user", "settings", "replies"):
        assert getattr(one, name) != getattr(other, name)


def test_an_account_has_another_name_under_each_permit(gateway: Gateway) -> None:
    pseudonyms = Pseudonyms(gateway.secrets)
    names = {pseudonyms.of(account, permit) for account in ("acct_1", "acct_2") for permit in (None, "p1", "p2")}
    assert len(names) == 6
    receipt, _ = read_receipt(gateway.sign([FIVE], call())[1], gateway.keyring.public_keys(), NOW)
    assert receipt.sub == pseudonyms.of("acct_1", "permit_1")


def test_a_call_without_user_message_permit_or_usage_has_one(gateway: Gateway) -> None:
    settled = call(permit_id=None)
    settled.prompt_tokens = settled.completion_tokens = settled.counted_by = None
    begun = gateway.receipts.begin("Once upon a time", None, {"model": "abacus", "prompt": "Once upon a time"})
    _, wire = gateway.receipts.sign(begun, settled, served_model=None, said=[])
    receipt, salt = read_receipt(wire, gateway.keyring.public_keys(), NOW)
    assert (receipt.user, receipt.permit, receipt.prompt_tokens, receipt.replies) == (None, None, None, ())
    assert differing_texts(receipt, salt, 0, FIVE) == ["answer"]


def test_what_no_receipt_can_be_over_is_told_before_the_model_is_asked(gateway: Gateway) -> None:
    deep: list[Any] = []
    for _ in range(900):
        deep = [deep]
    for body in ({"metadata": deep}, {"metadata": "\ud800"}):
        with pytest.raises(ValueError):
            gateway.receipts.begin([], None, body)


def test_halves_of_characters_from_a_model_are_signed_for(gateway: Gateway) -> None:
    cut = {"id": "1\ud83e", "function": {"name": "add\ud83e", "arguments": "\ud83e"}}
    message = {"role": "assistant", "content": "a\ud83e", "reasoning_content": "\udd5a", "tool_calls": [cut]}
    body = json.dumps({"model": "abacus\ud83e", "choices": [{"message": message, "finish_reason": "stop"}]}).encode()
    read = parse_reply(body)
    said = Said(read.reasoning, read.answer, read.tool_calls)
    begun = gateway.receipts.begin([], None, {})
    _, wire = gateway.receipts.sign(begun, call(), served_model=read.served_model, said=[said])
    receipt, salt = read_receipt(wire, gateway.keyring.public_keys(), NOW)
    assert differing_texts(receipt, salt, 0, said) == []


def test_one_choice_fits_a_header_whatever_was_said(gateway: Gateway) -> None:
    _, wire = gateway.sign([Said("thought " * 10_000, "answer " * 1000, FIVE.tool_calls)], call())
    assert len(wire) < 1_500 < MOST_BYTES_IN_HEADER
    assert wire.isascii()
    assert len(gateway.sign([FIVE] * 8, call())[1]) < MOST_BYTES_IN_HEADER
