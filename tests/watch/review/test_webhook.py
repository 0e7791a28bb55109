"""Word of findings: signed, at least once, to the configured address alone, and what is not taken is tried again."""

from __future__ import annotations

import base64
import hmac
import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from stillroom.base.errors import UsageError
from stillroom.base.records import Finding
from stillroom.watch.review.database import FILE
from stillroom.watch.review.rendering import finding_page, word_of
from stillroom.watch.review.store import FindingStore
from stillroom.watch.review.webhook import Webhook, deliver

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
FindingMaker = Callable[..., Finding]


class Receiver:
    """A server that answers with what it is told to, once each, then with 200."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.got.append((self.path, headers, body))
                status = receiver.answers.pop(0) if receiver.answers else 200
                self.send_response(status)
                if status in (301, 302, 307, 308):
                    self.send_header("location", "/elsewhere")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hooks"

    def ids(self) -> list[str]:
        return [headers["webhook-id"] for _, headers, _ in self.got]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def test_a_step_arrives_signed(store: FindingStore, make_finding: FindingMaker, receiver: Receiver, clock: Any) -> None:
    store.put(make_finding())
    store.decide("f_1", "confirm", by="ada", reason="sure")
    webhook = Webhook(receiver.url, SECRET)
    done = deliver(store, webhook, clock)
    assert (done.sent, done.waiting, done.problem) == (2, 0, None)
    assert [json.loads(body)["type"] for _, _, body in receiver.got] == ["finding.found", "finding.confirmed"]
    path, headers, body = receiver.got[1]
    assert (path, headers["content-type"]) == ("/hooks", "application/json")
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.digest(KEY, signed, "sha256")).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert int(headers["webhook-timestamp"]) == clock.now_us() // 1_000_000
    told = json.loads(body)["data"]
    assert told["step"] == {"by": "ada", "reason": "sure", "version": 1, "detail": {}}
    assert (told["finding"]["id"], told["finding"]["status"]) == ("f_1", "confirmed")
    assert deliver(store, webhook, clock).sent == 0
    assert len(receiver.got) == 2
    assert SECRET not in repr(webhook)
    assert SECRET.encode() not in (store.watch / FILE).read_bytes()


def test_a_published_example() -> None:
    """Secret, message and signature that the standard's libraries are tested with."""
    webhook = Webhook("https://example.com/hook", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert webhook.signature("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body) == signature


def test_what_is_not_taken_is_tried_again(
    store: FindingStore, make_finding: FindingMaker, receiver: Receiver, clock: Any
) -> None:
    store.put(make_finding())
    webhook, waits = Webhook(receiver.url, SECRET), list[float]()
    receiver.answers = [500, 429]
    assert deliver(store, webhook, clock, waits.append).sent == 1
    assert waits == [1.0, 4.0]
    assert receiver.ids() == ["step_1"] * 3
    store.decide("f_1", "confirm", by="ada", reason="sure")
    store.decide("f_1", "dismiss", by="ada", reason="not so sure")
    receiver.answers = [503] * 3
    failed = deliver(store, webhook, clock, waits.append)
    assert (failed.sent, failed.waiting, failed.problem) == (0, 2, "It answered with status 503.")
    assert receiver.ids()[3:] == ["step_2"] * 3
    page = finding_page(store, "f_1", by="ada", form_token="x")
    assert page.count("The webhook took it, 2026-05-27 00:00 UTC.") == 1
    assert page.count("The webhook has not taken it in 3 attempts: 503.") == 1
    assert set(store.deliveries("f_1")) == {1, 2}
    clock.pass_days(301 / 86_400)
    assert deliver(store, webhook, clock, waits.append).sent == 2
    assert receiver.ids()[6:] == ["step_2", "step_3"]


def test_one_refused_step_holds_up_no_other(
    store: FindingStore, make_finding: FindingMaker, receiver: Receiver, clock: Any
) -> None:
    for number in range(3):
        store.put(make_finding(f"f_{number}", accounts=range(100 * number, 100 * number + 9)))
    receiver.answers = [200, 400]
    webhook = Webhook(receiver.url, SECRET)
    done = deliver(store, webhook, clock)
    assert (done.sent, done.waiting, done.problem) == (2, 1, "It answered with status 400.")
    assert receiver.ids() == ["step_1", "step_2", "step_3"]
    assert deliver(store, webhook, clock).sent == 0  # it is not time yet
    clock.pass_days(1)
    assert deliver(store, webhook, clock).sent == 1


def test_nobody_is_sent_elsewhere(
    store: FindingStore, make_finding: FindingMaker, receiver: Receiver, clock: Any
) -> None:
    store.put(make_finding())
    receiver.answers = [307]
    done = deliver(store, Webhook(receiver.url, SECRET), clock)
    assert (done.sent, done.problem) == (0, "It answered with status 307.")
    assert [path for path, _, _ in receiver.got] == ["/hooks"]


def test_nobody_listens_and_at_last_it_is_let_go(
    store: FindingStore, make_finding: FindingMaker, receiver: Receiver, clock: Any
) -> None:
    store.put(make_finding())
    gone = Webhook("http://127.0.0.1:9/hooks", SECRET)
    attempts: list[int] = []
    for _ in range(8 * 4):
        done = deliver(store, gone, clock, lambda _: None)
        assert (done.sent, done.waiting) == (0, 1 - done.let_go - sum(attempts))
        attempts.append(done.let_go)
        clock.pass_days(1 / 8)
    assert sum(attempts) == 1
    (let_go,) = store.deliveries("f_1").values()
    assert word_of(let_go) == f"The webhook did not take it in {let_go.attempts - 1} attempts: let go."
    with closing(sqlite3.connect(store.watch / FILE)) as connection:
        rows = connection.execute("select answer, is_done from deliveries order by attempt").fetchall()
        assert rows[-1] == ("too old", 1)
        assert 20 < len(rows) < 50
        assert all("refused" in answer for answer, is_done in rows if not is_done)
        with pytest.raises(sqlite3.DatabaseError, match="only ever added"):
            connection.execute("delete from deliveries")
    assert deliver(store, Webhook(receiver.url, SECRET), clock).sent == 0


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/hook",
        "ftp://example.com",
        "https://ada:pass@example.com/hook",
        "https:///hook",
        "https://[::1/hook",
        "http://127.0.0.1.example.com/",
        "",
    ],
)
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(UsageError, match="address") as caught:
        Webhook(url, SECRET)
    assert "pass" not in str(caught.value)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_AAAA", "whsec_" + "A" * 200, "whsec_%%%", "whsec_é" * 20])
def test_secrets_that_are_none(secret: str) -> None:
    with pytest.raises(UsageError, match="secret"):
        Webhook("https://example.com/hook", secret)
