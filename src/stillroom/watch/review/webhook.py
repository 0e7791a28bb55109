"""Word of each step of a finding to the operator's own systems, signed as Standard Webhooks describes.

https://github.com/standard-webhooks/standard-webhooks: the headers `webhook-id`, `webhook-timestamp` and
`webhook-signature`, which is `v1,` and the base64 of HMAC-SHA256 over `ID.TIMESTAMP.BODY`.

Steps go out in the order in which they were taken, at least once each: a receiver knows one again by its `webhook-id`.
What is not taken is tried again by later runs, less and less often; after three days it is let go, and that stands in
the record.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
from pyreqwest.client import SyncClient, SyncClientBuilder
from pyreqwest.exceptions import PyreqwestError
from pyreqwest.http import Url

from stillroom.base.clock import Clock, SystemClock
from stillroom.base.errors import UsageError
from stillroom.client.transport import causes_of, is_loopback
from stillroom.watch.review.database import ReviewDatabase
from stillroom.watch.review.found import finding_as_json
from stillroom.watch.review.store import FindingStore, Step, step_of

URL_ENV, SECRET_ENV = "STILLROOM_WEBHOOK_URL", "STILLROOM_WEBHOOK_SECRET"
SECRET_PREFIX = "whsec_"
_LEAST_SECRET, _MOST_SECRET = 24, 64
_TIMEOUT_S = 15
_TOO_OLD_US = 3 * 86_400_000_000
_WAITS_S = (1.0, 4.0)
"""Between the attempts of one run."""
_LATER_S = (60, 300, 1_800, 7_200, 18_000, 36_000)
"""How long after an attempt that came to nothing the next run tries again: the first times, then the last of these."""
_CLOCK = SystemClock()


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where to, and the secret that both sides know: `whsec_` and the base64 of 24 to 64 bytes.

    Raises UsageError for another secret, and for an address that is not HTTPS, but on this machine.
    """

    url: str
    secret: str

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            is_address = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(self.url))
            is_address = is_address and bool(parts.hostname) and "@" not in parts.netloc and not parts.fragment
        except ValueError:
            is_address = False
        if not is_address:
            raise UsageError("The webhook's address is none that can be used.", "Give one such as https://HOST/PATH.")
        if not _LEAST_SECRET <= len(self._key()) <= _MOST_SECRET:
            remedy = f"Make one: {SECRET_PREFIX} and the base64 of {_LEAST_SECRET} to {_MOST_SECRET} random bytes."
            raise UsageError("The webhook's secret is none.", remedy)

    def signature(self, message: str, at_s: int, body: bytes) -> str:
        signed = hmac.digest(self._key(), f"{message}.{at_s}.".encode() + body, "sha256")
        return "v1," + base64.b64encode(signed).decode()

    def _key(self) -> bytes:
        try:
            return base64.b64decode(self.secret.removeprefix(SECRET_PREFIX), validate=True)
        except (binascii.Error, ValueError):
            return b""

    def __repr__(self) -> str:
        return f"Webhook({self.url!r})"


def webhook_of_environment() -> Webhook | None:
    """As the environment names it, so that its secret is in no file; None where it does not.

    Raises UsageError where what it names is none.
    """
    url = os.environ.get(URL_ENV, "")
    return Webhook(url, os.environ.get(SECRET_ENV, "")) if url else None


@dataclass(frozen=True, slots=True)
class Delivered:
    """What one run came to."""

    sent: int
    waiting: int
    """Steps that were not taken, and will be tried again."""
    let_go: int
    """Steps that became too old."""
    problem: str | None
    """Why the first of the waiting ones was not taken."""


def deliver(
    store: FindingStore, webhook: Webhook, clock: Clock = _CLOCK, sleep: Callable[[float], None] = time.sleep
) -> Delivered:
    """Send every step that has not been taken yet and whose time it is.

    Where nobody listens, or the server fails, the rest waits; where it refuses one step, that one alone does.
    """
    outbox = _Outbox(store.watch)
    let_go = outbox.let_go(clock.now_us() - _TOO_OLD_US, clock.now_us())
    steps, sent, problem = outbox.waiting(), 0, None
    with _client(webhook) as client:
        for step in (step for step in steps if outbox.next_at(step) <= clock.now_us()):
            answer = _send(client, webhook, outbox, step, _payload(store, step), clock, sleep)
            if _is_taken(answer):
                sent += 1
                continue
            problem = problem or (f"It answered with status {answer}." if answer.isdecimal() else answer)
            if not _is_refusal(answer):
                break
    return Delivered(sent, len(steps) - sent, let_go, problem)


def _send(
    client: SyncClient,
    webhook: Webhook,
    outbox: _Outbox,
    step: Step,
    body: bytes,
    clock: Clock,
    sleep: Callable[[float], None],
) -> str:
    """Some attempts; the last answer."""
    for wait in (*_WAITS_S, None):
        answer = _post(client, webhook, f"step_{step.number}", clock.now_us() // 1_000_000, body)
        outbox.note(step, clock.now_us(), answer, is_done=_is_taken(answer))
        if _is_taken(answer) or _is_refusal(answer) or wait is None:
            break
        sleep(wait)
    return answer


def _is_taken(answer: str) -> bool:
    return answer.isdecimal() and 200 <= int(answer) < 300


def _is_refusal(answer: str) -> bool:
    """Another attempt at once would be refused as well."""
    return answer.isdecimal() and 300 <= int(answer) < 500 and answer not in ("408", "429")


def _post(client: SyncClient, webhook: Webhook, message: str, at_s: int, body: bytes) -> str:
    """The status, or in words why there is none. What it answers beside that is not read."""
    try:
        request = (
            client.post(Url(webhook.url))
            .header("content-type", "application/json")
            .header("webhook-id", message)
            .header("webhook-timestamp", str(at_s))
            .header("webhook-signature", webhook.signature(message, at_s, body))
            .body_bytes(body)
        )
        with request.build_streamed() as response:
            return str(response.status)
    except PyreqwestError as error:
        return [error.message, *causes_of(error)][-1]


@contextmanager
def _client(webhook: Webhook) -> Iterator[SyncClient]:
    """To the configured address and to no other: where that answers with another place, nobody goes there."""
    builder = SyncClientBuilder().timeout(timedelta(seconds=_TIMEOUT_S)).follow_redirects(False).user_agent("stillroom")
    if is_loopback(webhook.url):
        builder = builder.no_proxy()
    with builder.build() as client:
        yield client


def _payload(store: FindingStore, step: Step) -> bytes:
    """The step, and the finding as it stands now."""
    facts: dict[str, Any] = {
        "type": f"finding.{step.step}",
        "timestamp": datetime.fromtimestamp(step.at / 1e6, UTC).isoformat().replace("+00:00", "Z"),
        "data": {
            "step": {"by": step.by, "reason": step.reason, "version": step.version, "detail": step.detail},
            "finding": finding_as_json(store.get(step.finding).finding),
        },
    }
    return orjson.dumps(facts)


class _Outbox:
    def __init__(self, watch: Path) -> None:
        self._database = ReviewDatabase(watch)

    def waiting(self) -> list[Step]:
        """The steps that nobody has taken yet and that were not let go, the first one first."""
        with self._database.reading() as connection:
            rows = connection.execute(
                """
                select * from steps where not exists (
                    select 1 from deliveries where step = steps.number and is_done
                ) order by number
                """
            )
            return [step_of(row) for row in rows.fetchall()]

    def next_at(self, step: Step) -> int:
        """When it may be tried next: UTC in microseconds."""
        with self._database.reading() as connection:
            attempts, last_at = connection.execute(
                "select count(*), coalesce(max(at), 0) from deliveries where step = ?", [step.number]
            ).fetchone()
        later = _LATER_S[min(attempts // (len(_WAITS_S) + 1), len(_LATER_S) - 1)]
        return int(last_at) + later * 1_000_000 if attempts else 0

    def let_go(self, before_at: int, now: int) -> int:
        """Note of the steps of before then that they are not tried any more; how many they were."""
        with self._database.changing() as connection:
            cursor = connection.execute(
                """
                insert into deliveries
                select number, 1 + (select count(*) from deliveries where step = number), ?, 'too old', 1
                from steps where at < ? and not exists (select 1 from deliveries where step = steps.number and is_done)
                """,
                [now, before_at],
            )
            return cursor.rowcount

    def note(self, step: Step, at: int, answer: str, *, is_done: bool) -> None:
        with self._database.changing() as connection:
            connection.execute(
                """
                insert into deliveries
                select ?1, coalesce(max(attempt), 0) + 1, ?2, ?3, ?4 from deliveries where step = ?1
                """,
                [step.number, at, answer, is_done],
            )
