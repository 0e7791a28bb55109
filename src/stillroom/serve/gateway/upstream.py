"""The servers behind a model: asked one after the other until one begins to answer, and watched until they are back."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Final
from urllib.parse import urlsplit

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import PyreqwestError
from pyreqwest.http import Url
from pyreqwest.request import StreamRequest
from pyreqwest.response import Response

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
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_POOL_IDLE_S = 4
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0
_BUSY, _WRONG_KEY = 429, (401, 403)


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


class Upstream:
    """One server of a model."""

    def __init__(self, settings: UpstreamSettings, bounds: Bounds) -> None:
        self.settings = settings
        self.health = _Health()
        self._headers = {"accept-encoding": "identity", "content-type": "application/json"}
        key = _read_key(settings.api_key_env)
        if key is not None:
            self._headers |= {"authorization": f"Bearer {key}", "x-api-key": key}
        builder = (
            ClientBuilder()
            .connect_timeout(timedelta(seconds=bounds.connect_s))
            .read_timeout(timedelta(seconds=bounds.idle_s))
            # A redirect would send the upstream's key to wherever the server says.
            .follow_redirects(False)
            # Bodies are passed on as they come.
            .gzip(False)
            .brotli(False)
            .deflate(False)
            .zstd(False)
            # Shorter than what servers keep a connection for, or a request meets one that is being closed.
            .pool_idle_timeout(timedelta(seconds=_POOL_IDLE_S))
            .user_agent("stillroom")
        )
        if urlsplit(settings.base_url).hostname in _LOOPBACK:
            builder = builder.no_proxy()
        self._client: Client = builder.build()
        self._urls = {route: Url(settings.base_url + path) for route, path in PATHS.items()}

    def post(self, route: Route, body: bytes, headers: Mapping[str, str]) -> StreamRequest:
        """To be entered: gives its response once that has begun, and raises PyreqwestError where there is none."""
        request = self._client.post(self._urls[route]).headers(self._headers)
        return (request.headers(headers) if headers else request).body_bytes(body).build_streamed()

    def failed(self, now: float) -> None:
        """Leave it alone for a second, and twice as long each time it fails again."""
        pause = min(_FIRST_PAUSE_S * 2 ** min(self.health.failures, 10), _LONGEST_PAUSE_S)
        self.health.failures += 1
        self.health.closed_until = now + pause

    def answered(self) -> None:
        self.health.failures = 0

    async def is_back(self) -> bool:
        """Whether it answers a question that costs nothing."""
        path = self.settings.health_path or "/models"
        try:
            request = self._client.get(self.settings.base_url + path).headers(self._headers)
            async with request.timeout(timedelta(seconds=5)).build_streamed() as response:
                return response.status < 500
        except PyreqwestError:
            return False

    async def close(self) -> None:
        await self._client.close()


class Upstreams:
    """All servers of one model."""

    def __init__(self, model: ModelSettings, servers: Sequence[UpstreamSettings], bounds: Bounds) -> None:
        self.model = model
        self.pricing = model_pricing(model.price)
        self._upstreams = [Upstream(settings, bounds) for settings in servers]

    @property
    def up(self) -> int:
        """How many answered when they were last asked."""
        return sum(upstream.health.failures == 0 for upstream in self._upstreams)

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
                        upstream.failed(now)

    async def close(self) -> None:
        for upstream in self._upstreams:
            await upstream.close()


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

    async def __aenter__(self) -> Response:
        failure = UpstreamFailed("no server")
        for upstream in self._upstreams.in_order(self._now()):
            request = upstream.post(self._route, self._bodies[upstream.settings.model], self._headers)
            try:
                response = await request.__aenter__()
            except PyreqwestError as error:
                upstream.failed(self._now())
                failure = UpstreamFailed(type(error).__name__)
                continue
            refusal = _refusal(response)
            if refusal is None:
                self._upstream, self._request = upstream, request
                upstream.answered()
                return response
            await request.__aexit__(None, None, None)
            failure = refusal
            if not refusal.busy:
                upstream.failed(self._now())
        raise failure

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, PyreqwestError | UpstreamFailed):
            self._upstream.failed(self._now())
        await self._request.__aexit__(kind, error, trace)


def _refusal(response: Response) -> UpstreamFailed | None:
    """Why a response is not the client's business: it is about this gateway and that server."""
    status = response.status
    if status == _BUSY:
        return UpstreamFailed("busy", busy=True, retry_after=response.get_header("retry-after"))
    if status >= 500 or 300 <= status < 400 or status in _WRONG_KEY:
        return UpstreamFailed(f"status {status}")
    return None


def _read_key(variable: str | None) -> str | None:
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise UsageError(f"The environment variable {variable}, which api_key_env names, is not set.", "Set it.")
    if not (key.isascii() and key.isprintable()):
        raise UsageError(f"The key in {variable} holds characters that no key has.", "Copy it anew.")
    return key
