"""Calls whose second reply is kept sealed: who pays, what is committed to, and what a client sees of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.serve.gateway.asking import chat

from stillroom.base.escrow_commitment import is_opened_by
from stillroom.serve.escrow.escrow import FOLDER, Escrow
from stillroom.serve.settings import EscrowSettings

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


def test_without_a_second_reply_nothing_is_committed_to(start_gateway: Start, model: ModelServer) -> None:
    gateway = start_gateway(model.url, escrow={"share": 1})
    key = gateway.key(retention=True)
    assert gateway.post("/v1/chat/completions", chat({"status": 400}), key.key)[0] == 400
    assert gateway.stop() == ""
    (row,) = gateway.calls()
    assert (row["status"], row["escrow_digest"]) == ("refused", None)
