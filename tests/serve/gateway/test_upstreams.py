"""Several servers of one model: who is asked, who is passed over, and what a client is told."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from tests.ports import unused_port
from tests.serve.gateway.asking import chat
from tests.serve.gateway.conftest import model_server, wait_until

if TYPE_CHECKING:
    from tests.serve.gateway.conftest import ModelServer, RunningGateway, Start

CHAT = "/v1/chat/completions"


def test_a_server_that_is_down_is_passed_over_until_it_is_back(start_gateway: Start, model: ModelServer) -> None:
    port = unused_port()
    gateway = start_gateway(f"http://127.0.0.1:{port}", model.url)
    key = gateway.key()
    begun = model.get("/counts")["begun"]
    for _ in range(4):
        assert gateway.post(CHAT, chat({"say": ["a"]}), key.key)[0] == 200
    assert model.get("/counts")["begun"] == begun + 4
    with model_server(port) as first:

        def first_is_asked() -> bool:
            assert gateway.post(CHAT, chat({"say": ["a"]}), key.key)[0] == 200
            return bool(first.get("/counts")["begun"])

        wait_until(first_is_asked, pause_s=0.5)
        # A server that says 500 is passed over too; what the last one says is not the client's business either.
        status, body, _ = gateway.post(CHAT, chat({"status": 500, "message": "secret of the server"}), key.key)
        assert status == 502
        assert b"secret" not in body
        assert b"127.0.0.1" not in body
    # Whoever runs the gateway is told which server, why, and that it was back.
    assert gateway.stop() == ""
    told = "\n".join(gateway.told_of_servers)
    assert f"The server http://127.0.0.1:{port}/v1 fails: Cannot connect to host 127.0.0.1:{port}" in told
    assert f"The server http://127.0.0.1:{port}/v1 answers again." in told
    assert f"The server {model.url}/v1 fails: status 500." in told
    assert told.count("Cannot connect") == 1
    assert "secret" not in told


def test_what_a_server_refuses_is_passed_on_and_costs_nothing(gateway: RunningGateway) -> None:
    key = gateway.key(usd_per_day="1")
    status, body, headers = gateway.post(CHAT, chat({"status": 400, "message": "too long"}), key.key)
    assert status == 400
    assert json.loads(body)["error"]["message"] == "too long"
    assert "x-stillroom-receipt" not in headers
    (row,) = gateway.calls_of(key, 1)
    assert (row["status"], row["http_status"], row["cost_usd"], row["completion_tokens"]) == (
        "refused",
        400,
        None,
        None,
    )


def test_a_server_that_does_not_know_its_model_is_told_of(start_gateway: Start, model: ModelServer) -> None:
    gateway = start_gateway(model.url)
    assert gateway.post(CHAT, chat({"status": 404, "message": "no such model"}), gateway.key().key)[0] == 404
    assert gateway.stop() == ""
    what = "answers 404: are its base_url and the model's name there right?"
    assert gateway.told_of_servers == [f"The server {model.url}/v1 {what}"]


def test_busy_servers_say_when_to_come_back(gateway: RunningGateway) -> None:
    key = gateway.key()
    status, body, headers = gateway.post(CHAT, chat({"status": 429, "headers": {"retry-after": "7"}}), key.key)
    assert status == 429
    assert json.loads(body)["error"]["code"] == "upstream_busy"
    assert headers["retry-after"] == "7"


def test_a_server_that_does_not_know_our_key_is_not_the_clients_fault(gateway: RunningGateway) -> None:
    assert gateway.post(CHAT, chat({"status": 401}), gateway.key().key)[0] == 502


def test_a_stream_that_breaks_off_says_so(gateway: RunningGateway) -> None:
    key = gateway.key()
    status, stream, _ = gateway.post(CHAT, chat({"say": ["a", "b", "c"], "cut_after": 2}, stream=True), key.key)
    assert status == 200
    assert b"[DONE]" not in stream
    assert b"stillroom-receipt" not in stream
    last = json.loads(stream.strip().splitlines()[-1].removeprefix(b"data: "))
    assert last["error"]["code"] == "upstream_failed"
    (row,) = gateway.calls_of(key, 1)
    assert (row["status"], row["counted_by"]) == ("failed", "estimate")
    assert row["completion_tokens"] > 0


def test_events_come_as_they_are_written(gateway: RunningGateway) -> None:
    from urllib.request import Request, urlopen

    body = chat({"say": [f"{number} " for number in range(6)], "pause_s": 0.3}, stream=True)
    headers = {"authorization": f"Bearer {gateway.key().key}", "content-type": "application/json"}
    with urlopen(Request(gateway.url + CHAT, json.dumps(body).encode(), headers), timeout=60) as response:
        arrived = [(time.monotonic(), line) for line in response if line.startswith(b"data: ")]
    assert len(arrived) == 8
    # Six of them are written 0.3 s apart: held back, they would have come together.
    assert arrived[5][0] - arrived[0][0] > 0.6


def test_a_client_that_hangs_up_stops_the_server_before_it_says_a_word(
    start_gateway: Start, model: ModelServer
) -> None:
    import socket
    from urllib.parse import urlsplit

    gateway = start_gateway(model.url)
    key = gateway.key()
    body = json.dumps(chat({"say": ["a"], "wait_s": 600})).encode()
    head = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key.key}\r\ncontent-length: {len(body)}\r\n\r\n"
    address = urlsplit(gateway.url)
    open_before = model.get("/counts")["open"]
    with socket.create_connection((address.hostname, address.port)) as client:
        client.sendall(head.encode() + body)
        wait_until(lambda: model.get("/counts")["open"] == open_before + 1)
    wait_until(lambda: model.get("/counts")["open"] == open_before)
    (row,) = gateway.calls_of(key, 1)
    assert row["status"] == "hung_up"


def test_calls_in_flight_end_when_the_gateway_is_told_to_stop(start_gateway: Start, model: ModelServer) -> None:
    gateway = start_gateway(model.url)
    key = gateway.key()
    told: list[tuple[int, bytes]] = []
    body = chat({"say": ["a"] * 10, "pause_s": 0.2}, stream=True)
    caller = threading.Thread(target=lambda: told.append(gateway.post(CHAT, body, key.key)[:2]))
    begun = model.get("/counts")["begun"]
    caller.start()
    wait_until(lambda: model.get("/counts")["begun"] == begun + 1)
    assert gateway.stop() == ""
    caller.join()
    ((status, stream),) = told
    assert status == 200
    assert stream.endswith(b"data: [DONE]\n\n")
    (row,) = gateway.calls()
    assert row["status"] == "ok"


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_with_a_full_disk_no_call_is_served(path: str, start_gateway: Start, model: ModelServer) -> None:
    gateway = start_gateway(model.url, segments={"reserve_bytes": 10**18})
    key = gateway.key()
    begun = model.get("/counts")["begun"]
    body: dict[str, Any] = chat({"say": ["a"]}, max_tokens=5)
    status, told, headers = gateway.post(path, body, key.key)
    assert status == 503
    assert int(headers["retry-after"]) > 0
    assert b"written down" in told
    assert model.get("/counts")["begun"] == begun
    status, told, _ = gateway.get("/ready")
    assert (status, json.loads(told)["reasons"]) == (503, ["log_full"])
