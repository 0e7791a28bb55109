"""One HTTP call, and what came of it as data: the only place that knows the HTTP library."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, Self
from urllib.parse import urlsplit

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import PyreqwestError, RequestTimeoutError

from stillroom.base.errors import RecipeError
from stillroom.client.settings import Endpoint

CONNECT_TIMEOUT_S = 30
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True, slots=True)
class Answered:
    http_status: int
    body: bytes
    retry_after: str | None
    """The header, as it came."""


@dataclass(frozen=True, slots=True)
class NotAnswered:
    error_kind: Literal["connect", "connection", "timeout"]
    """`connect`: no connection was made, so nothing was sent. The others: it may have been received, and billed."""
    detail: str


class Transport:
    """Connections to one endpoint; an async context manager.

    Raises RecipeError where the environment variable that should hold the key does not, and for a wrong address.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._url = f"{endpoint.base_url}/chat/completions"
        self._key = _read_key(endpoint.api_key_env)
        builder = (
            ClientBuilder()
            .timeout(timedelta(seconds=endpoint.timeout_s))
            .connect_timeout(timedelta(seconds=CONNECT_TIMEOUT_S))
            .follow_redirects(False)  # a redirect would turn the call into a GET, or send the key elsewhere
            .user_agent("stillroom")
        )
        if urlsplit(endpoint.base_url).hostname in _LOOPBACK:
            builder = builder.no_proxy()
        self._client: Client = builder.build()
        try:
            self._client.post(self._url)
        except ValueError as error:  # the HTTP library knows better than urlsplit what an address is
            raise RecipeError(
                f"{endpoint.base_url} is not an address: {error}.", "Mend base_url: https://host/v1."
            ) from error

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()
        # pyreqwest 0.15 lets go of failed calls on a thread of its own. A process that ended at this moment was seen to
        # abort ("PyGILState_Release") in one of eight trials, and in none of thirty after a pause.
        await asyncio.sleep(0.05)

    async def send(self, body: bytes) -> Answered | NotAnswered:
        """POST the body and read the whole reply. Never raises for what a network or a server can do."""
        request = self._client.post(self._url).header("Content-Type", "application/json").body_bytes(body)
        if self._key is not None:
            request = request.header("Authorization", f"Bearer {self._key}", is_sensitive=True)
        try:
            response = await request.build().send()
            received = bytes(await response.bytes())
        except PyreqwestError as error:
            return self._not_answered(error)
        return Answered(response.status, self._without_key(received), response.get_header("Retry-After"))

    def _not_answered(self, error: PyreqwestError) -> NotAnswered:
        details = error.args[1] if len(error.args) > 1 and isinstance(error.args[1], dict) else {}
        causes = [str(cause["message"]) for cause in details.get("causes") or ()]
        detail = causes[-1] if causes else error.message
        # The exception's class does not say whether the call was sent: a server that reads it and resets shows as
        # ConnectError, one that never answers as ConnectTimeoutError. The phase stands in the chain of causes.
        if any(cause.endswith("(Connect)") for cause in causes):
            return NotAnswered("connect", detail)
        return NotAnswered("timeout" if isinstance(error, RequestTimeoutError) else "connection", detail)

    def _without_key(self, body: bytes) -> bytes:
        """Bodies are kept, and errors quoted; some servers repeat the key they were given."""
        key = self._key.encode() if self._key else b""
        return body.replace(key, b"[key]") if key and key in body else body


def _read_key(variable: str | None) -> str | None:
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise RecipeError(
            f"The environment variable {variable}, which api_key_env names, is not set.",
            f"Set it (export {variable}=...), then run the same command again.",
        )
    if not (key.isascii() and key.isprintable()):
        raise RecipeError(f"The key in {variable} holds characters that no key has.", "Copy it anew.")
    return key
