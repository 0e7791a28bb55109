"""Calls whose second reply is kept sealed: who pays, what is committed to, and what a client sees of it."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.request import Request, urlopen

import pytest
from tests.serve.gateway.asking import chat

from stillroom.base.escrow_commitment import is_opened_by
from stillroom.escrow_pairs import gather_pairs
from stillroom.serve.escrow.escrow import FOLDER, Escrow
from stillroom.serve.settings import EscrowSettings, read_settings
from stillroom.testing import MisbehavingTeacher
from stillroom.testing.answer import Answer

if TYPE_CHECKING:
    from tests.serve.gateway.conftest import ModelServer, Start


@pytest.mark.parametrize("stream", [False, True])
def test_a_second_reply_is_sealed_and_committed_to(stream: bool, start_gateway: Start, model: ModelServer) -> None:
    gateway = start_gateway(model.url, escrow={"share": 1})
    key = gateway.key(retention=True)
    begun = model.get("/counts")["begun"]
    body = chat({"say": ["yes"]}, temperature=0.7, stream=stream)
    status, reply, _ = gateway.post("/v1/chat/completions", body, key.key)
    assert status == 200
    assert gateway.post("/v1/chat/completions", chat({"say": ["no"]}, temperature=0), key.key)[0] == 200
    other = gateway.key("keeps nothing")
    assert gateway.post("/v1/chat/completions", body, other.key)[0] == 200
    assert gateway.stop() == ""
    assert model.get("/counts")["begun"] == begun + 4
    escrowed, greedy, unkept = gateway.calls()
    assert escrowed["escrow_digest"] is not None
    assert greedy["escrow_digest"] is None
    assert unkept["escrow_digest"] is None
    # The account pays for the one reply that it was served.
    assert escrowed["cost_usd"] == unkept["cost_usd"]
    opened = Escrow(gateway.state / FOLDER, gateway.secrets, EscrowSettings(share=1)).open(escrowed["call_id"], "test")
    assert opened is not None
    assert is_opened_by(escrowed["escrow_digest"], opened.drawn, opened.salt)
    assert b"yes" in opened.drawn.served
    assert b"yes" in opened.drawn.sealed
    if not stream:
        assert opened.drawn.served == reply


def test_without_a_reply_nothing_is_kept_and_of_a_client_that_hung_up_what_it_had(
    start_gateway: Start, model: ModelServer
) -> None:
    gateway = start_gateway(model.url, escrow={"share": 1})
    key = gateway.key(retention=True)
    assert gateway.post("/v1/chat/completions", chat({"status": 400}), key.key)[0] == 400
    plan = {"say": [f"word{number} " for number in range(60)], "pause_s": 0.05}
    body = json.dumps(chat(plan, temperature=0.7, stream=True)).encode()
    headers = {"content-type": "application/json", "authorization": f"Bearer {key.key}"}
    with urlopen(Request(f"{gateway.url}/v1/chat/completions", body, headers), timeout=30) as response:
        while b"word3 " not in response.readline():
            pass
    assert gateway.post("/v1/chat/completions", chat({"say": ["yes"]}, temperature=0.7), key.key)[0] == 200
    rows = gateway.calls_of(key, 3)
    refused = next(row for row in rows if row["status"] == "refused")
    assert refused["escrow_digest"] is None
    settings = read_settings(gateway.folder / "gateway.yaml")
    gathered = gather_pairs(gateway.state, settings, None, "test")  # while it runs
    assert gathered.left_out == Counter({"identical": 2})  # this model says the same each time, as far as was heard
    assert gateway.stop() == ""
    cut = next(row for row in rows if row["status"] == "hung_up")
    opened = Escrow(gateway.state / FOLDER, gateway.secrets, settings.escrow).open(cut["call_id"], "test")
    assert opened is not None
    assert is_opened_by(cut["escrow_digest"], opened.drawn, opened.salt)
    assert b"word3 " in opened.drawn.served
    assert b"word59 " not in opened.drawn.served
    assert b"word59 " in opened.drawn.sealed


def test_a_limit_of_length_strikes_both_replies(start_gateway: Start) -> None:
    """Of two replies one is too long, and which of them is served is a coin's: neither pair is kept."""
    lengths: defaultdict[str, Iterator[int]] = defaultdict(lambda: iter((20, 2000)))
    with MisbehavingTeacher(lambda question: Answer("word " * next(lengths[question])), models=["m"]) as model:
        gateway = start_gateway(model.base_url.removesuffix("/v1"), escrow={"share": 1}, bounds={"reply_bytes": 6000})
        key = gateway.key(retention=True)
        for number in range(10):
            body = chat({"number": number}, temperature=0.7, stream=True)
            assert gateway.post("/v1/chat/completions", body, key.key)[0] == 200
        assert gateway.stop() == ""
    assert [row["status"] for row in gateway.calls()] == ["ok"] * 10
    assert [row["escrow_digest"] for row in gateway.calls()] == [None] * 10
