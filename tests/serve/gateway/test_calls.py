"""What the log says of calls on every route: whole, streamed, refused, cut and left."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from stillroom.base.receipt import read_receipt, text_digest
from stillroom.base.signatures import PublicKeys

if TYPE_CHECKING:
    from tests.serve.gateway.conftest import ModelServer, RunningGateway

PATHS = {
    "chat": "/v1/chat/completions",
    "completions": "/v1/completions",
    "responses": "/v1/responses",
    "embeddings": "/v1/embeddings",
    "messages": "/v1/messages",
}


def _body(route: str, plan: dict[str, Any], **more: Any) -> dict[str, Any]:
    text = json.dumps(plan)
    asked: dict[str, Any] = {"messages": [{"role": "user", "content": text}]}
    if route == "completions":
        asked = {"prompt": text}
    elif route in ("responses", "embeddings"):
        asked = {"input": text}
    if route == "messages":
        asked["max_tokens"] = 100
    return {"model": "m", **asked, **more}


@pytest.mark.parametrize("route", PATHS)
def test_a_whole_reply_is_passed_on_byte_for_byte_and_metered(
    route: str, gateway: RunningGateway, model: ModelServer
) -> None:
    key = gateway.key()
    body = _body(route, {"say": ["fine ", "words"]}, an_unknown_field={"x": 1})
    status, reply, headers = gateway.post(PATHS[route], body, key.key)
    assert status == 200
    assert model.get("/last")["body"] == body
    import urllib.request

    direct = urllib.request.Request(
        model.url + PATHS[route], json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(direct, timeout=30) as response:
        assert response.read() == reply
    jwks = gateway.get("/.well-known/jwks.json")[1]
    receipt, salt = read_receipt(headers["x-stillroom-receipt"], PublicKeys.from_jwks(jwks, "test"), 2**33)
    assert receipt.model == "m"
    assert receipt.route == route
    if route != "embeddings":
        assert receipt.replies[0].answer == text_digest(salt, "answer", "fine words")
    again = json.loads(gateway.get(f"/receipts/{headers['x-stillroom-receipt-id']}", key.key)[1])
    assert again["receipt"] == headers["x-stillroom-receipt"]
    other = gateway.key()
    assert gateway.get(f"/receipts/{headers['x-stillroom-receipt-id']}", other.key)[0] == 404
    (row,) = gateway.calls_of(key, 1)
    assert (row["account"], row["route"], row["status"], row["http_status"]) == (key.account, route, "ok", 200)
    assert row["prompt_tokens"] == (15 if route == "messages" else 11)
    assert row["completion_tokens"] == (0 if route == "embeddings" else 4)
    assert row["counted_by"] == "provider"
    assert row["receipt_id"] == headers["x-stillroom-receipt-id"]


@pytest.mark.parametrize("route", [route for route in PATHS if route != "embeddings"])
def test_a_stream_is_passed_on_with_a_receipt_before_its_last_event(route: str, gateway: RunningGateway) -> None:
    key = gateway.key()
    body = _body(route, {"say": ["one ", "two ", "three"]}, stream=True)
    status, stream, _ = gateway.post(PATHS[route], body, key.key)
    assert status == 200
    events = stream.split(b"\n\n")
    comments = [event for event in events if event.startswith(b": stillroom-receipt ")]
    assert len(comments) == 1
    assert events.index(comments[0]) == len(events) - 3
    assert b'"usage": {"prompt_tokens"' not in stream or route not in ("chat", "completions")
    jwks = gateway.get("/.well-known/jwks.json")[1]
    wire = comments[0].removeprefix(b": stillroom-receipt ").decode()
    receipt, salt = read_receipt(wire, PublicKeys.from_jwks(jwks, "test"), 2**33)
    assert receipt.replies[0].answer == text_digest(salt, "answer", "one two three")
    (row,) = gateway.calls_of(key, 1)
    assert (row["status"], row["completion_tokens"], row["counted_by"]) == ("ok", 6, "provider")


@pytest.mark.parametrize("limit", [{"tokens_per_minute": 50}, {"usd_per_day": "0.000001"}])
def test_a_request_that_is_too_large_for_its_limit_is_told_what_helps(
    limit: dict[str, Any], gateway: RunningGateway
) -> None:
    """Waiting would not: there is no retry-after."""
    key = gateway.key(**limit)
    status, reply, headers = gateway.post(PATHS["chat"], _body("chat", {"say": ["words"]}, max_tokens=4000), key.key)
    assert status == 429
    assert json.loads(reply)["error"]["message"].endswith("Name a smaller max_tokens, or send less.")
    assert "retry-after" not in headers
