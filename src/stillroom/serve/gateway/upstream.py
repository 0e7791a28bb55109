"""The servers behind a model: asked one after the other until one begins to answer, and watched until they are back."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final
from urllib.parse import urlsplit

from aiohttp import (
    ClientConnectorError,
    ClientError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    TCPConnector,
)
from yarl import URL

from stillroom.base.errors import UsageError
from stillroom.base.records import Route
from stillroom.serve.meter.cost import model_pricing
from stillroom.serve.settings import Bounds, ModelSettings, UpstreamSettings

PATHS: Final[Mapping[Route, str]] = {
    "chat": "/chat/completions",
    "completions": "/completions",
    "responses": "/responses",
    "embeddings": "/embeddings",
    "messages": "/messages",
}
_KEPT_S = 4.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0
_TOLD_AGAIN_S = 60.0
NOT_ANSWERED: Final = (ClientError, OSError, TimeoutError)
"""What is raised where a server can't be reached, breaks off or says nothing."""
_BUSY, _WRONG_KEY = 429, (401, 403)
_NOT_THERE = 404
"""Passed on, as 4xx are; but the gateway asks for what its settings say that there is."""


class UpstreamFailed(Exception):  # noqa: N818 - what happened is the name
    """No server of the model answered in a way that can be passed on."""

    def __init__(self, reason: str, *, busy: bool = False, retry_after: str | None = None) -> None:
        super().__init__(reason)
        self.busy = busy
        """The servers are there, and say that they are asked too much."""
        self.retry_after = retry_after


@dataclass(slots=True)
class _Health:
    failures: int = 0
    """In a row."""
    closed_until: float = 0.0
    """On the event loop's clock: not asked before, while another one can be."""
    is_down: bool = False
    """It can't be reached. One that answers with an error may have been given a request that it can't stand."""
    told_at: float = -_TOLD_AGAIN_S
    """When whoever runs the gateway was last told why."""


class Upstream:
    """One server of a model."""

    def __init__(self, settings: UpstreamSettings, session: ClientSession) -> None:
        self.settings = settings
        self.health = _Health()
        self._session = session
        self._urls = {route: URL(settings.base_url + path) for route, path in PATHS.items()}
        self._headers = {"accept-encoding": "identity", "content-type": "application/json", "user-agent": "stillroom"}
        key = _read_key(settings.api_key_env)
        address = urlsplit(settings.base_url).netloc
        # A bare name is a word like others: it stays.
        told = [key, address if "." in address or ":" in address else None]
        self.secrets = [each.encode() for each in told if each]
        """What no client is told."""
        if key is not None:
            self._headers |= {"authorization": f"Bearer {key}", "x-api-key": key}

    async def post(self, route: Route, body: bytes, headers: Mapping[str, str]) -> ClientResponse:
        """Its response, once that has begun; it has to be closed. Raises one of NOT_ANSWERED where there is none.

        A redirect is not followed: it would send the upstream's key to wherever the server says.
        """
        sent = {**headers, **self._headers} if headers else self._headers
        return await self._session.post(self._urls[route], data=body, headers=sent, allow_redirects=False)

    def failed(self, now: float, why: str, *, is_down: bool = False) -> None:
        """Leave it alone for a second, and twice as long each time it fails again. `why`: no text of the server's."""
        self.tell_rarely(now, f"fails: {why}.")
        self.health.is_down |= is_down
        pause = min(_FIRST_PAUSE_S * 2 ** min(self.health.failures, 10), _LONGEST_PAUSE_S)
        self.health.failures += 1
        self.health.closed_until = now + pause

    def answered(self) -> None:
        if self.health.is_down:
            self._tell("answers again.")
        self.health.failures, self.health.is_down = 0, False

    def tell_rarely(self, now: float, what: str) -> None:
        """Told to whoever runs the gateway, unless something was in the last minute."""
        if now - self.health.told_at >= _TOLD_AGAIN_S:
            self.health.told_at = now
            self._tell(what)

    def _tell(self, what: str) -> None:
        print(f"The server {self.settings.base_url} {what}", file=sys.stderr, flush=True)

    async def is_back(self) -> bool:
        """Whether it answers a question that costs nothing."""
        url = URL(self.settings.base_url + (self.settings.health_path or "/models"))
        try:
            async with (
                asyncio.timeout(5),
                self._session.get(url, headers=self._headers, allow_redirects=False) as response,
            ):
                return response.status < 500
        except NOT_ANSWERED:
            return False


def open_session(bounds: Bounds) -> ClientSession:
    """What all upstreams of a worker are asked with. In a running event loop.

    aiohttp, and not the faster client of the student's side: a call that is given up before its response has begun
    has its connection closed here at once, so that the server stops working on it.
    """
    return ClientSession(
        # Kept for a shorter time than servers keep them, or a request meets one that is being closed.
        connector=TCPConnector(limit=0, keepalive_timeout=_KEPT_S),
        timeout=ClientTimeout(total=None, connect=bounds.connect_s, sock_read=bounds.idle_s),
        auto_decompress=False,
        cookie_jar=DummyCookieJar(),
    )


class Upstreams:
    """All servers of one model."""

    def __init__(self, model: ModelSettings, servers: Sequence[UpstreamSettings], session: ClientSession) -> None:
        self.model = model
        self.pricing = model_pricing(model.price)
        self._upstreams = [Upstream(settings, session) for settings in servers]

    def without_secrets(self, body: bytes) -> bytes:
        """The body of an error, in which some servers repeat the key or the address that they were asked with."""
        for secret in (secret for upstream in self._upstreams for secret in upstream.secrets):
            body = body.replace(secret, b"***")
        return body

    @property
    def up(self) -> int:
        """How many could be reached when they were last asked: no request of a client's says that one can't."""
        return sum(not upstream.health.is_down for upstream in self._upstreams)

    def in_order(self, now: float) -> list[Upstream]:
        """Those that are well first, in the order of the settings; then the others, since one of them may be back."""
        if len(self._upstreams) == 1:
            return self._upstreams
        return sorted(self._upstreams, key=lambda upstream: upstream.health.closed_until > now)

    async def watch(self) -> None:
        """Ask those that failed whether they are back, for ever."""
        while True:
            await asyncio.sleep(_FIRST_PAUSE_S)
            now = asyncio.get_running_loop().time()
            for upstream in self._upstreams:
                if upstream.health.failures and upstream.health.closed_until <= now:
                    if await upstream.is_back():
                        upstream.answered()
                    else:
                        upstream.failed(now, "it is still not back", is_down=True)


class FirstAnswer:
    """`async with FirstAnswer(...) as response:` the first response that is one.

    Servers that can't be reached, are busy or broken are passed over. `bodies` has the request for each name that the
    model has at its servers. Raises UpstreamFailed where none is left. A request that was received and then failed may
    have been worked on: the next server does it again.
    """

    def __init__(
        self, upstreams: Upstreams, route: Route, bodies: Mapping[str | None, bytes], headers: Mapping[str, str]
    ) -> None:
        self._upstreams, self._route, self._bodies, self._headers = upstreams, route, bodies, headers
        self._now = asyncio.get_running_loop().time

    async def __aenter__(self) -> ClientResponse:
        failure = UpstreamFailed("no server")
        for upstream in self._upstreams.in_order(self._now()):
            try:
                response = await upstream.post(self._route, self._bodies[upstream.settings.model], self._headers)
            except NOT_ANSWERED as error:
                upstream.failed(self._now(), _why(error), is_down=True)
                failure = UpstreamFailed(type(error).__name__)
                continue
            refusal = _refusal(response)
            if refusal is None:
                self._upstream, self._response = upstream, response
                upstream.answered()
                if response.status == _NOT_THERE:
                    upstream.tell_rarely(self._now(), "answers 404: are its base_url and the model's name there right?")
                return response
            response.close()
            failure = refusal
            if not refusal.busy:
                upstream.failed(self._now(), str(refusal))
        raise failure

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, UpstreamFailed):
            self._upstream.failed(self._now(), str(error))
        # Its connection is closed with it, unless it was read to its end.
        self._response.close()


def _refusal(response: ClientResponse) -> UpstreamFailed | None:
    """Why a response is not the client's business: it is about this gateway and that server."""
    status = response.status
    if status == _BUSY:
        return UpstreamFailed("busy", busy=True, retry_after=response.headers.get("retry-after"))
    if status == 200:  # a reply comes with no other, and is metered as one
        return None
    if status in _WRONG_KEY or not 400 <= status < 500:
        return UpstreamFailed(f"status {status}")
    return None


def _why(error: Exception) -> str:
    """An address that can't be reached is told in the system's words; other errors may quote what the server sent."""
    return str(error) if isinstance(error, ClientConnectorError) else type(error).__name__


def _read_key(variable: str | None) -> str | None:
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise UsageError(f"The environment variable {variable}, which api_key_env names, is not set.", "Set it.")
    if not (key.isascii() and key.isprintable()):
        raise UsageError(f"The key in {variable} holds characters that no key has.", "Copy it anew.")
    return key
