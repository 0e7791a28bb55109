"""HTTP that two servers in a row could read in two ways, on raw sockets: refused, and nothing of it reaches a model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.serve.gateway.wire import (
    BODY,
    CHUNKED,
    CLOSE,
    PATH,
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

from stillroom.serve.accounts.admins import THE_MACHINE, create_admin
from stillroom.serve.accounts.events import changing
from stillroom.serve.accounts.keys import KeyHashes

if TYPE_CHECKING:
    from tests.serve.gateway.conftest import ModelServer, RunningGateway

LENGTH = b"Content-Length: %d\r\n" % len(BODY)
END = b"0\r\n\r\n"

NO_HTTP = {
    "a length and chunks": request(CHUNKED),
    "chunks and a length": request(CHUNKED + LENGTH, chunk(BODY) + END, has_length=False),
    "one length twice": request(LENGTH),
    "two lengths": request(b"Content-Length: 4\r\n"),
    "a list of lengths": request(b"Content-Length: %d, %d\r\n" % (len(BODY), len(BODY)), has_length=False),
    "a signed length": request(b"Content-Length: +%d\r\n" % len(BODY), has_length=False),
    "a negative length": request(b"Content-Length: -1\r\n", has_length=False),
    "a length with a space inside": request(b"Content-Length: 1 0\r\n", has_length=False),
    "a hexadecimal length": request(b"Content-Length: 0x10\r\n", has_length=False),
    "a length beyond all": request(b"Content-Length: 99999999999999999999999\r\n", has_length=False),
    "a folded length": request(b"Content-Length:\r\n %d\r\n" % len(BODY), has_length=False),
    "a folded header": request(b"X-A: b\r\n c\r\n"),
    "a line feed alone": request(b"X-A: b\nX-B: c\r\n"),
    "line feeds alone": request().replace(b"\r\n", b"\n"),
    "a carriage return alone": request(b"X-A: b\rX-B: c\r\n"),
    "a null byte": request(b"X-A: b\0c\r\n"),
    "a control character": request(b"User-Agent: b\x1b[31mc\r\n"),
    "a space in a name": request(b"X A: b\r\n"),
    "a space before the colon": request(b"Transfer-Encoding : chunked\r\n"),
    "no name": request(b": b\r\n"),
    "another coding": request(b"Transfer-Encoding: gzip, chunked\r\n", chunk(BODY) + END, has_length=False),
    "no coding": request(b"Transfer-Encoding: identity\r\n", has_length=False),
    "an unknown coding": request(b"Transfer-Encoding: xchunked\r\n", chunk(BODY) + END, has_length=False),
    "chunked and more": request(b"Transfer-Encoding: chunked, x\r\n", chunk(BODY) + END, has_length=False),
    "chunked twice": request(CHUNKED + CHUNKED, chunk(BODY) + END, has_length=False),
    "a vertical tab": request(b"Transfer-Encoding: \x0bchunked\r\n", chunk(BODY) + END, has_length=False),
    "quotation marks": request(b'Transfer-Encoding: "chunked"\r\n', chunk(BODY) + END, has_length=False),
    "chunks in HTTP/1.0": request(CHUNKED, chunk(BODY) + END, has_length=False, version=b"HTTP/1.0"),
    "a line feed in an extension": request(CHUNKED, b"2;a\nb\r\n{}\r\n" + END, has_length=False),
    "chunks with line feeds alone": request(CHUNKED, b"2\n{}\n0\n\n", has_length=False),
    "a space behind a size": request(CHUNKED, b"2 \r\n{}\r\n" + END, has_length=False),
    "a size with 0x": request(CHUNKED, b"0x2\r\n{}\r\n" + END, has_length=False),
    "a negative size": request(CHUNKED, b"-2\r\n{}\r\n" + END, has_length=False),
    "a size beyond all": request(CHUNKED, b"fffffffffffffffff\r\n{}\r\n" + END, has_length=False),
    "no end of a chunk": request(CHUNKED, b"2\r\n{}0\r\n\r\n", has_length=False),
    "no size": request(CHUNKED, b"\r\n{}\r\n" + END, has_length=False),
    "HTTP/9.9": request(version=b"HTTP/9.9"),
    "HTTP/0.9": b"GET /health\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "a method in small letters": request(method=b"post"),
    "a path of bytes": request(path=b"/v1/\xc3\xa9"),
    "a null byte in the path": request(path=PATH + b"\x00"),
    "no path": request(path=b"?x"),
}
NO_UPGRADE = {
    "a websocket": request(b"Connection: Upgrade\r\nUpgrade: websocket\r\n"),
    "HTTP/2 in clear": request(b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"),
    "a tunnel": b"CONNECT elsewhere.example:80 HTTP/1.1\r\nHost: x\r\n\r\n",
}
TOO_LARGE = {
    "a long value": request(b"X-A: " + b"a" * 70_000 + b"\r\n"),
    "many headers": request(b"X: y\r\n" * 16_000),
    "a long path": request(path=b"/v1/" + b"a" * 70_000),
    "a long trailer": request(CHUNKED, chunk(BODY) + b"0\r\nX-A: " + b"a" * 70_000 + b"\r\n\r\n", has_length=False),
    "many trailers": request(CHUNKED, chunk(BODY) + b"0\r\n" + b"X: y\r\n" * 16_000 + b"\r\n", has_length=False),
    "no end of a header": request(b"X-A: " + b"a" * 400_000),
    "a long extension": request(CHUNKED, b"2;" + b"a" * 400_000 + b"\r\n{}\r\n" + END, has_length=False),
    "a long trailer without an end": request(CHUNKED, b"0\r\nX-A: " + b"a" * 400_000, has_length=False),
}
READ = {
    "a length": request(),
    "spaces around a length": request(b"Content-Length:  %d  \r\n" % len(BODY), has_length=False),
    "chunks": request(CHUNKED, chunk(BODY[:9]) + chunk(BODY[9:]) + END, has_length=False),
    "an extension": request(CHUNKED, b"%x;a=b\r\n%s\r\n" % (len(BODY), BODY) + END, has_length=False),
    "HTTP/1.0": request(version=b"HTTP/1.0"),
    "empty lines before it": b"\r\n\r\n" + request(),
    "thousands of headers": request(b"X: y\r\n" * 5_000),
    "an absolute address": request(path=b"http://elsewhere.example" + PATH),
    "bytes in a value": request(b"Accept: \xff\xfe\r\nUser-Agent: \xe9\r\n"),
}


def _with(fields: bytes, sent: bytes) -> bytes:
    """The request with header lines right behind its first one."""
    return sent.replace(b"Host: x\r\n", b"Host: x\r\n" + fields, 1)


@pytest.mark.parametrize(
    ("table", "status", "code_"),
    [(NO_HTTP, 400, "bad_http"), (NO_UPGRADE, 400, "no_upgrade"), (TOO_LARGE, 431, "head_too_large")],
    ids=["no HTTP", "no upgrade", "too large"],
)
def test_what_can_be_read_in_two_ways_is_refused_and_the_connection_closed(
    table: dict[str, bytes], status: int, code_: str, gateway: RunningGateway, model: ModelServer
) -> None:
    fields = authorization(gateway.key().key)
    before = model.get("/counts")["begun"]
    for name, sent in table.items():
        # Another request behind it is what smugglers are after.
        answer = ask(gateway.url, _with(fields, sent) + request(fields))
        assert statuses(answer) == [status], name
        assert code(answer) == code_, name
    assert model.get("/counts")["begun"] == before


def test_what_can_be_read_in_one_way_is_read(gateway: RunningGateway) -> None:
    fields = authorization(gateway.key().key) + CLOSE
    for name, sent in READ.items():
        assert statuses(ask(gateway.url, sent.replace(b"Host: x\r\n", b"Host: x\r\n" + fields, 1))) == [200], name


def test_a_request_that_comes_ahead_of_its_turn_is_not_read(gateway: RunningGateway, model: ModelServer) -> None:
    key = gateway.key()
    good = request(authorization(key.key))
    before = model.get("/counts")["begun"]
    assert statuses(ask(gateway.url, good + good)) == [200]
    assert statuses(ask(gateway.url, good + b"NO HTTP\r\n\r\n")) == [200]
    assert statuses(ask(gateway.url, request(authorization("sr-nobody")) + good)) == [401]
    assert statuses(ask(gateway.url, request(authorization(key.key), path=b"/x") + good)) == [404]
    assert model.get("/counts")["begun"] == before + 2
    assert [row["status"] for row in gateway.calls_of(key, 2)] == ["ok", "ok"]


def test_one_request_after_the_other_is_answered_on_one_connection(gateway: RunningGateway) -> None:
    """The body of a request that was refused early is no request, whatever it looks like."""
    fields = authorization(gateway.key().key)
    with connect(gateway.url) as connection:
        for sent, status in (
            (request(fields), 200),
            (request(b"", request(fields)), 401),
            (request(fields, request(fields)), 400),
            (request(fields), 200),
        ):
            connection.sendall(sent)
            assert statuses(read_answer(connection)) == [status]
        connection.sendall(request(fields + CLOSE))
        assert statuses(read_to_end(connection)) == [200]


def test_a_field_after_the_body_is_no_header(gateway: RunningGateway) -> None:
    key = gateway.key().key

    def with_trailers(fields: bytes, trailers: bytes) -> bytes:
        return request(CHUNKED + CLOSE + fields, chunk(BODY) + b"0\r\n" + trailers + b"\r\n", has_length=False)

    assert statuses(ask(gateway.url, with_trailers(b"", authorization(key)))) == [401]
    # Not a second key either, which would be refused.
    assert statuses(ask(gateway.url, with_trailers(authorization(key), b"X-Api-Key: another\r\n"))) == [200]
    assert statuses(ask(gateway.url, with_trailers(authorization(key), b"X-Stillroom-Permit: x\r\n"))) == [200]


def test_the_admin_port_reads_no_more_into_a_request_than_that(gateway: RunningGateway) -> None:
    with changing(gateway.engine, "test") as change:
        hashes = KeyHashes(gateway.secrets, "sra")
        _, admin = create_admin(change, hashes, THE_MACHINE, name="Otto", role="auditor", organisation=None)
    key = authorization(admin.text)

    def sent(fields: bytes, body: bytes = b"", *, has_length: bool = True) -> bytes:
        return request(fields, body, path=b"/v1/me", method=b"GET", has_length=has_length)

    assert statuses(ask(gateway.admin_url, sent(key + CLOSE))) == [200]
    assert statuses(ask(gateway.admin_url, sent(key) + sent(key))) == [200]
    hidden = sent(CHUNKED + CLOSE, b"0\r\n" + key + b"\r\n", has_length=False)
    assert statuses(ask(gateway.admin_url, hidden)) == [401]
    for name in ("a length and chunks", "a space before the colon", "another coding", "a line feed alone"):
        assert statuses(ask(gateway.admin_url, _with(key, NO_HTTP[name]) + sent(key))) == [400], name
    assert statuses(ask(gateway.admin_url, _with(key, NO_UPGRADE["HTTP/2 in clear"]))) == [400]
    assert statuses(ask(gateway.admin_url, sent(key + b"X: y\r\n" * 16_000))) == [431]


def test_a_body_that_was_not_asked_for_leaves_nothing_on_the_connection(gateway: RunningGateway) -> None:
    """Behind `Expect`, a client may keep its body back once it is refused: nobody can tell what comes next."""
    expecting = b"Expect: 100-continue\r\n"
    good = authorization(gateway.key().key)
    assert statuses(ask(gateway.url, request(expecting + authorization("sr-nobody")) + request(good))) == [401]
    answer = ask(gateway.url, request(expecting + good + CLOSE))
    assert statuses(answer) == [100, 200]


PATHS = {
    b"//v1/chat/completions": 404,
    b"/v1//chat/completions": 404,
    b"/v1/chat/completions/": 404,
    b"/v1/../v1/chat/completions": 404,
    b"/v1/%2e%2e/v1/chat/completions": 404,
    b"/v1/chat%2Fcompletions": 404,
    b"/v1/chat%252Fcompletions": 404,
    b"/v1/ch%61t/completions": 404,
    b"/v1/chat/completions%00": 404,
    b"/v1/chat/completions;x": 404,
    b"/v1/chat\\completions": 404,
    b"/V1/chat/completions": 404,
    b"/v1/%zz": 404,
    b"/v1/%ff%fe": 404,
    b"/v1/%ef%bc%8fchat": 404,
    b"/": 404,
    b"*": 404,
    b"/v1/chat/completions?x=%00&y=%ff": 200,
}


def test_paths_are_what_is_written(gateway: RunningGateway) -> None:
    fields = authorization(gateway.key().key) + CLOSE
    for path, status in PATHS.items():
        assert statuses(ask(gateway.url, request(fields, path=path))) == [status], path
    for path in (b"/receipts/..%2fv1%2fmodels", b"/receipts/../gateway.db", b"/receipts/%00", b"/v1/models/..%2fm"):
        assert statuses(ask(gateway.url, request(fields, b"", path=path, method=b"GET"))) == [404], path
    for path in (b"/v1/models/m", b"/v1/models/%6d"):
        assert statuses(ask(gateway.url, request(fields, b"", path=path, method=b"GET"))) == [200], path


def test_other_methods_are_refused(gateway: RunningGateway) -> None:
    fields = authorization(gateway.key().key) + CLOSE
    for method in (b"GET", b"HEAD", b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"TRACE", b"PROPFIND"):
        answer = ask(gateway.url, request(fields, method=method))
        assert statuses(answer) == [405], method
        assert b"allow: POST\r\n" in answer
    answer = ask(gateway.url, request(fields + b"X-HTTP-Method-Override: GET\r\n", b"", path=b"/v1/models"))
    assert statuses(answer) == [405]


def test_two_keys_are_none(gateway: RunningGateway) -> None:
    one, other = gateway.key().key, gateway.key().key
    same = b"x-api-key: %b\r\n" % one.encode()
    for fields, status in (
        (authorization(one) * 2, 400),
        (authorization(one) + authorization(one).replace(b"Authorization", b"AUTHORIZATION"), 400),
        (authorization(one) + authorization(other), 400),
        (authorization(one) + b"X-Api-Key: %b\r\n" % other.encode(), 400),
        (same + same, 400),
        (authorization(one) + same, 200),
        (same, 200),
        (authorization(one).replace(b"Authorization", b"aUTHORIZATION"), 200),
        (authorization(one).replace(b"Bearer", b"bEARER"), 200),
        (authorization(one).replace(b"Bearer", b"Basic"), 401),
        (authorization(one).replace(b"Bearer ", b""), 401),
        (b"Authorization: Bearer\r\n", 401),
        (b"Authorization: Bearer \xff\xfe\r\n", 401),
        (authorization(one + "\u00e9"), 401),
        (authorization(one[:-1]), 401),
        (authorization(one.upper()), 401),
        (b"Authorization-: x\r\nX_Api_Key: %b\r\n" % one.encode(), 401),
        (b"Cookie: key=%b\r\n" % one.encode(), 401),
        (b"Proxy-" + authorization(one), 401),
    ):
        assert statuses(ask(gateway.url, request(fields + CLOSE))) == [status], fields


def test_a_key_in_an_address_is_refused_even_beside_a_good_one(gateway: RunningGateway) -> None:
    key = gateway.key().key.encode()
    for query in (b"key=" + key, b"api_key=" + key.replace(b"-", b"%2d"), b"x&%73r" + key[2:]):
        for fields in (b"", authorization(key.decode())):
            answer = ask(gateway.url, request(fields + CLOSE, path=PATH + b"?" + query))
            assert (statuses(answer), code(answer)) == ([400], "key_in_address")
            assert key not in answer
            answer = ask(gateway.url, request(fields + CLOSE, b"", path=b"/v1/models?" + query, method=b"GET"))
            assert (statuses(answer), code(answer)) == ([400], "key_in_address")


def test_errors_are_whole_json_whatever_stands_in_the_request(gateway: RunningGateway) -> None:
    key = gateway.key().key
    for name in ("\r\nx-injected: 1", '"}}', "\u0000", "\u202e", "\x1b[31m", "<script>", "%n" * 50, "m" * 257):
        body = {"model": name, "messages": [{"role": "user", "content": "x"}]}
        for path in ("/v1/chat/completions", "/v1/messages"):
            status, answer, headers = gateway.post(path, body, key)
            assert status in (400, 404)
            assert "message" in json.loads(answer)["error"]
            assert "x-injected" not in headers
