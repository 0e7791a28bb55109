"""Clients that are slow, send too much, read nothing, leave half of a connection, or open too many."""

from __future__ import annotations

import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from tests.serve.gateway.asking import chat
from tests.serve.gateway.wire import (
    BODY,
    CHUNKED,
    CLOSE,
    ask,
    authorization,
    chunk,
    code,
    connect,
    read_answer,
    read_to_end,
    request,
    statuses,
)

if TYPE_CHECKING:
    from tests.serve.gateway.conftest import ModelServer, RunningGateway


def wait_for(model: ModelServer, name: str, number: int) -> None:
    from tests.serve.gateway.conftest import wait_until

    wait_until(lambda: model.get("/counts")[name] == number)


def test_a_head_or_a_body_that_comes_too_slowly_is_not_waited_for(cramped: RunningGateway, model: ModelServer) -> None:
    fields = authorization(cramped.key().key)
    before = model.get("/counts")["begun"]
    half = {
        "no whole line": b"POST /v1/cha",
        "no whole head": request(fields)[: -len(BODY) - 4],
        "no whole body": request(fields)[:-5],
        "no whole chunk": request(fields + CHUNKED, chunk(BODY)[:-9], has_length=False),
        "no end of chunks": request(fields + CHUNKED, chunk(BODY), has_length=False),
    }
    with ExitStack() as stack:
        connections = {name: stack.enter_context(connect(cramped.url)) for name in [*half, "a drop at a time", "none"]}
        for name, sent in half.items():
            connections[name].sendall(sent)
        slow = connections["a drop at a time"]
        slow.settimeout(0.2)
        answer = b""
        for byte in request(fields + b"X-A: " + b"a" * 600 + b"\r\n"):
            try:
                slow.sendall(bytes([byte]))
                answer = slow.recv(1 << 16)
                break
            except TimeoutError:
                continue
        slow.settimeout(60)
        answer += read_to_end(slow)
        assert (statuses(answer), code(answer)) == ([408], "request_too_slow")
        for name in half:
            answer = read_to_end(connections[name])
            assert (statuses(answer), code(answer)) == ([408], "request_too_slow"), name
        # Who sends nothing at all has asked nothing.
        assert read_to_end(connections["none"]) == b""
    assert model.get("/counts")["begun"] == before


def test_who_sends_too_much_is_told_so_and_can_read_it(cramped: RunningGateway, model: ModelServer) -> None:
    key = cramped.key().key
    before = model.get("/counts")["begun"]
    body = json.dumps(chat({"say": ["x" * 70_000]})).encode()
    declared = request(authorization(key) + CLOSE, body)
    chunked = request(authorization(key) + CHUNKED + CLOSE, chunk(body[:60_000]) + chunk(body), has_length=False)
    for sent in (declared, chunked):
        answer = ask(cramped.url, sent)
        assert (statuses(answer), code(answer)) == ([413], "request_too_large")
    # Ordinary clients, which send all of it before they read, whether or not they then close the connection.
    for fields in (b"", CLOSE):
        with connect(cramped.url) as connection:
            connection.sendall(request(authorization(key) + fields, b" " * (1 << 20)))
            answer = read_answer(connection)
            assert (statuses(answer), code(answer)) == ([413], "request_too_large")
    assert model.get("/counts")["begun"] == before


@pytest.mark.parametrize("sends_more", [b"", request(), b"\r\n\r\n"], ids=["quiet", "another request", "empty lines"])
def test_who_reads_nothing_of_a_stream_is_cut_off_and_the_model_stopped(
    sends_more: bytes, cramped: RunningGateway, model: ModelServer
) -> None:
    key = cramped.key()
    # Seven megabytes, which no buffer on the way holds.
    body = json.dumps(chat({"say": ["long words " * 500] * 10}, stream=True, n=128)).encode()
    with connect(cramped.url) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(request(authorization(key.key), body))
        time.sleep(0.5)
        connection.sendall(sends_more)
        (row,) = cramped.calls_of(key, 1)
    assert (row["status"], row["counted_by"]) == ("hung_up", "estimate")
    assert row["completion_tokens"] > 0
    wait_for(model, "open", 0)


def test_who_sends_no_more_has_gone(cramped: RunningGateway, model: ModelServer) -> None:
    """A connection that is closed on the client's side for sending counts as closed: its call is stopped."""
    key = cramped.key()
    with connect(cramped.url) as connection:
        body = json.dumps(chat({"say": ["x"] * 200, "pause_s": 0.05}, stream=True)).encode()
        connection.sendall(request(authorization(key.key), body))
        assert connection.recv(10) == b"HTTP/1.1 2"
        connection.shutdown(socket.SHUT_WR)
        read_to_end(connection)
        (row,) = cramped.calls_of(key, 1)
    assert row["status"] == "hung_up"
    wait_for(model, "open", 0)


def test_who_goes_on_sending_while_it_is_answered_is_cut_off(cramped: RunningGateway, model: ModelServer) -> None:
    key = cramped.key()
    with connect(cramped.url) as connection:
        connection.sendall(request(authorization(key.key), json.dumps(chat({"say": ["x"], "wait_s": 5})).encode()))
        wait_for(model, "open", 1)
        with pytest.raises(ConnectionError):
            _send_for_ever(connection)
    (row,) = cramped.calls_of(key, 1)
    assert row["status"] == "hung_up"
    wait_for(model, "open", 0)


def _send_for_ever(connection: socket.socket) -> None:
    ends = time.monotonic() + 60
    while time.monotonic() < ends:
        connection.sendall(request() * 10)
        time.sleep(0.01)


def test_more_connections_than_are_allowed_are_closed_and_the_others_served(cramped: RunningGateway) -> None:
    from tests.serve.gateway.conftest import wait_until

    key = cramped.key().key
    with ExitStack() as stack:
        connections = [stack.enter_context(connect(cramped.url)) for _ in range(60)]
        wait_until(lambda: sum(map(_is_closed, connections)) >= 60 - 24)
        # At once: who sends nothing for two seconds is closed too.
        open_one = next(connection for connection in connections if not _is_closed(connection))
        open_one.sendall(request(authorization(key) + CLOSE))
        assert statuses(read_to_end(open_one)) == [200]
    # All of them are gone: there is room again.
    wait_until(lambda: statuses(ask(cramped.url, request(authorization(key) + CLOSE))) == [200])


def _is_closed(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
    finally:
        connection.settimeout(60)


def test_a_stream_that_takes_too_long_ends_with_an_error(cramped: RunningGateway, model: ModelServer) -> None:
    key = cramped.key()
    plans = (chat({"say": ["x"] * 200, "pause_s": 0.1}, stream=True), chat({"say": ["x"], "wait_s": 30}))
    with ThreadPoolExecutor(2) as pool:
        answers = pool.map(lambda plan: cramped.post("/v1/chat/completions", plan, key.key), plans)
        (_, stream, _), (status, body, _) = answers
    last = stream.strip().split(b"\n\n")[-1]
    assert json.loads(last.removeprefix(b"data: "))["error"]["code"] == "upstream_too_slow"
    assert (status, json.loads(body)["error"]["code"]) == (504, "upstream_too_slow")
    whole, streamed = sorted(cramped.calls_of(key, 2), key=lambda row: bool(row["stream"]))
    assert (streamed["status"], streamed["http_status"]) == ("failed", 200)
    assert streamed["completion_tokens"] > 0
    assert (whole["status"], whole["http_status"]) == ("failed", None)
    wait_for(model, "open", 0)


def test_behind_a_trusted_proxy_only_what_it_wrote_itself_is_believed(cramped: RunningGateway) -> None:
    key = cramped.key()
    sent: list[tuple[list[bytes], bytes]] = [
        ([b"203.0.113.9"], b""),
        ([b"192.0.2.1, 203.0.113.9"], b""),
        ([b"192.0.2.1", b"203.0.113.9"], b""),
        ([b"203.0.113.9, 127.0.0.1"], b""),
        ([b"203.0.113.9"], b"X-Forwarded-For: 192.0.2.1\r\n"),
        ([b"192.0.2.1"], b""),
        ([b"203.0.113.9, \xff<script>"], b""),
        ([], b""),
    ]
    for values, trailers in sent:
        fields = b"".join(b"X-Forwarded-For: %b\r\n" % value for value in values)
        body = chunk(BODY) + b"0\r\n" + trailers + b"\r\n"
        answer = ask(cramped.url, request(authorization(key.key) + CHUNKED + CLOSE + fields, body, has_length=False))
        assert statuses(answer) == [200]
    told = [row["ip_print"] for row in cramped.calls_of(key, len(sent))]
    assert len(set(told[:5])) == 1
    another, nonsense, the_proxy = told[5:]
    assert nonsense is None
    assert len({told[0], another, the_proxy, None}) == 4


def test_in_front_of_no_proxy_nobody_is_believed(gateway: RunningGateway) -> None:
    keys = [gateway.key() for _ in range(2)]
    forged = {"x-forwarded-for": "203.0.113.9", "x-real-ip": "203.0.113.9", "forwarded": "for=203.0.113.9"}
    gateway.post("/v1/chat/completions", chat({"say": ["x"]}), keys[0].key, {**forged, "x-tls-print": "t13d"})
    gateway.post("/v1/chat/completions", chat({"say": ["x"]}), keys[1].key)
    (one,), (other,) = (gateway.calls_of(key, 1) for key in keys)
    assert one["ip_print"] == other["ip_print"]
    assert one["tls_print"] is None
