"""One HTTP call, and what came of it as data: the only place that knows the HTTP library."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

import zstandard
from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import PyreqwestError, RequestTimeoutError
from pyreqwest.http import Url
from pyreqwest.response import Response, ResponseBodyReader

from stillroom.base.errors import RecipeError
from stillroom.base.permit import PERMIT_HEADER
from stillroom.base.receipt import RECEIPT_HEADER
from stillroom.base.signatures import MAX_TOKEN_BYTES
from stillroom.client.permit_file import permit_to_present
from stillroom.client.secret import Secret
from stillroom.client.settings import Endpoint
from stillroom.client.stream import read_json
from stillroom.client.told_receipt import receipt_to_fetch

CHAT = "chat/completions"
CONNECT_TIMEOUT_S = 30
LARGEST_BODY = 1 << 28
"""Bytes. What comes beyond them is not waited for, and what came is not kept: it is nobody's answer to a question."""
_RECEIPT_WAITS_S = (0.0, 0.5, 2.0)
"""Before each try to fetch a receipt that was too long for a header."""
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_SPOOL_BYTES = 1 << 16
_STREAM_COMPRESSION = zstandard.ZstdCompressionParameters(
    window_log=15, hash_log=13, compression_level=1, write_content_size=False
)
"""A stream of chunks says the same envelope thousands of times: a small window is enough."""
_READ_AHEAD_BYTES = 4096
"""Counted in payload; but every small chunk that is read ahead keeps 8 KiB alive, in 200 streams at once."""
_PIECE_BYTES = 1 << 20
"""Of a body that is no stream: most have one piece."""
_DONE, _TAIL_BYTES = re.compile(rb"(?:^|[\r\n])data: ?\[DONE\]\s*$"), 32


@dataclass(slots=True)
class Answered:
    http_status: int
    body: bytes
    """Whole; or, of a stream that broke off, what had come."""
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class NotAnswered:
    error_kind: Literal["connect", "connection", "timeout", "too_large"]
    """`connect`: no connection was made, so nothing was sent. The others: it may have been received, and billed.

    `too_large`: it was answered, with more than `LARGEST_BODY`.
    """
    detail: str
    http_status: None = None
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


async def _at_once() -> None:
    pass


class Transport:
    """Connections to one address of an endpoint; an async context manager.

    Raises RecipeError where the environment variable that should hold the key does not, for a wrong address, and for a
    permit that is none or is for another model; PermitOver for one that does not hold now.
    """

    def __init__(self, endpoint: Endpoint, base_url: str | None = None, route: str = CHAT) -> None:
        base_url = base_url or endpoint.base_url
        try:
            self._url = Url(f"{base_url}/{route}")
        except ValueError as error:  # the HTTP library knows better than urlsplit what an address is
            raise RecipeError(f"{base_url} is not an address: {error}.", "Mend it: https://host/v1.") from error
        self._receipts = f"{base_url.removesuffix('/v1')}/receipts/"
        self._key = read_api_key(endpoint.api_key_env)
        self.secret = Secret(self._key)
        self._permit = None
        if endpoint.permit is not None:
            self._permit = permit_to_present(Path(endpoint.permit), endpoint.model, int(time.time()))
        self._streams, self._idle_s = endpoint.stream, endpoint.idle_timeout_s
        builder = (
            ClientBuilder()
            .connect_timeout(timedelta(seconds=CONNECT_TIMEOUT_S))
            .follow_redirects(False)  # a redirect would turn the call into a GET, or send the key elsewhere
            .user_agent("stillroom")
        )
        if endpoint.stream:
            builder = builder.read_timeout(timedelta(seconds=endpoint.idle_timeout_s))
        else:
            builder = builder.timeout(timedelta(seconds=endpoint.timeout_s))
        if is_loopback(base_url):
            builder = builder.no_proxy()
        self._client: Client = builder.build()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()
        # pyreqwest 0.15 lets go of failed calls on a thread of its own. A process that ended at this moment was seen to
        # abort ("PyGILState_Release") in one of eight trials, and in none of thirty after a pause.
        await asyncio.sleep(0.05)

    async def send(
        self,
        body: bytes,
        request_id: str,
        *,
        begun: Callable[[], None] = lambda: None,
        may_unpack: Callable[[], Awaitable[None]] = _at_once,
    ) -> Answered | NotAnswered:
        """POST the body and read the whole reply. Never raises for what a network or a server can do.

        `request_id` is sent as X-Client-Request-Id, which some providers keep, and a support desk can look up. `begun`
        is called when the first few KiB of a stream are there. What comes is kept compressed, until `may_unpack` has
        returned. A stream that breaks off after it began is an answer too: what came has been paid for.
        """
        request = (
            self._client.post(self._url)
            .header("Content-Type", "application/json")
            .header("X-Client-Request-Id", request_id)
            .body_bytes(body)
        )
        if self._key is not None:
            request = request.header("Authorization", f"Bearer {self._key}", is_sensitive=True)
        if self._permit is not None:
            request = request.header(PERMIT_HEADER, self._permit, is_sensitive=True)
        if self._streams:
            request = request.streamed_read_buffer_limit(_READ_AHEAD_BYTES)
        spool = _Spool()
        status, headers = 0, None
        try:
            async with request.build_streamed() as response:
                status, headers = response.status, _readable(response.headers)
                if self._streams:
                    await self._receive_stream(response, spool, begun)
                else:
                    await _receive_whole(response.body_reader, spool)
        except PyreqwestError as error:
            if headers is None or spool.size == 0 or not self._streams:
                return _not_answered(error)
        assert headers is not None
        if spool.size > LARGEST_BODY:
            return NotAnswered("too_large", f"more than {LARGEST_BODY >> 20} MiB came")
        await may_unpack()
        body = self.secret.without(spool.read())
        receipt_id = receipt_to_fetch(headers, body)
        if receipt_id is not None and (receipt := await self._fetch_receipt(receipt_id)) is not None:
            return Answered(status, body, {**headers, RECEIPT_HEADER: receipt})
        return Answered(status, body, headers)

    async def _fetch_receipt(self, receipt_id: str) -> str | None:
        """None where it is not to be had: the reply has been paid for, and is kept without."""
        for wait_s in _RECEIPT_WAITS_S:
            await asyncio.sleep(wait_s)
            request = self._client.get(Url(self._receipts + receipt_id))
            if self._key is not None:
                request = request.header("Authorization", f"Bearer {self._key}", is_sensitive=True)
            try:
                async with request.build_streamed() as response:
                    told = read_json(bytes(await response.body_reader.read(2 * MAX_TOKEN_BYTES) or b""))
            except PyreqwestError:
                continue
            receipt = told.get("receipt") if isinstance(told, dict) else None
            if response.status == 200 and isinstance(receipt, str):
                return receipt
        return None

    async def _receive_stream(self, response: Response, spool: _Spool, begun: Callable[[], None]) -> None:
        clock = asyncio.get_running_loop().time
        last_data, has_begun = clock(), response.status != 200
        while (chunk := await response.body_reader.read_chunk()) is not None:
            spool.write(data := bytes(chunk))
            if b"data:" in data or b"{" in data:
                last_data = clock()
                if not has_begun:
                    has_begun = True
                    begun()
            # Some servers leave the connection open after the end, or send comments for ever.
            if spool.is_done or clock() - last_data > self._idle_s or spool.size > LARGEST_BODY:
                return


def _readable(headers: Mapping[str, str]) -> dict[str, str]:
    """By names in lower case. A value that is no text (a server may send any bytes) is one that means nothing."""
    try:
        return dict(headers)
    except ValueError:
        return {name: _value(headers, name) for name in headers}


def _value(headers: Mapping[str, str], name: str) -> str:
    try:
        return headers[name]
    except ValueError:
        return "\N{REPLACEMENT CHARACTER}"


def is_loopback(address: str) -> bool:
    """Whether a web address is on this machine, where no proxy is to be asked. What is no address is not."""
    try:
        return urlsplit(address).hostname in _LOOPBACK
    except ValueError:  # a bracket without its other half
        return False


def causes_of(error: PyreqwestError) -> list[str]:
    """What led to it, in words, the nearest to the network last."""
    details = error.args[1] if len(error.args) > 1 and isinstance(error.args[1], dict) else {}
    return [str(cause["message"]) for cause in details.get("causes") or ()]


class _Spool:
    """A body while it comes, compressed where it is long: hundreds of long replies are in flight at once."""

    def __init__(self) -> None:
        self._compressor: zstandard.ZstdCompressionObj | None = None
        self._compressed: list[bytes] = []
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._tail = b""
        self.size = 0

    def write(self, chunk: bytes) -> None:
        self.size += len(chunk)
        self._waiting.append(chunk)
        self._waiting_bytes += len(chunk)
        self._tail = (self._tail + chunk)[-_TAIL_BYTES:]
        if self._waiting_bytes >= _SPOOL_BYTES:
            if self._compressor is None:
                self._compressor = zstandard.ZstdCompressor(compression_params=_STREAM_COMPRESSION).compressobj()
            self._compressed.append(self._compressor.compress(b"".join(self._waiting)))
            self._waiting.clear()
            self._waiting_bytes = 0

    @property
    def is_done(self) -> bool:
        """The last line of an event stream has come."""
        return b"[DONE]" in self._tail and _DONE.search(self._tail) is not None

    def read(self) -> bytes:
        """All of it; the spool is at its end."""
        if self._compressor is None:
            return b"".join(self._waiting)
        self._compressed.append(self._compressor.compress(b"".join(self._waiting)) + self._compressor.flush())
        return zstandard.ZstdDecompressor().decompressobj().decompress(b"".join(self._compressed))


async def _receive_whole(reader: ResponseBodyReader, spool: _Spool) -> None:
    while spool.size <= LARGEST_BODY:
        piece = await reader.read(_PIECE_BYTES)
        spool.write(b"" if piece is None else bytes(piece))
        if piece is None or len(piece) < _PIECE_BYTES:
            return


def _not_answered(error: PyreqwestError) -> NotAnswered:
    causes = causes_of(error)
    detail = causes[-1] if causes else error.message
    # The exception's class does not say whether the call was sent: a server that reads it and resets shows as
    # ConnectError, one that never answers as ConnectTimeoutError. The phase stands in the chain of causes.
    if any(cause.endswith("(Connect)") for cause in causes):
        return NotAnswered("connect", detail)
    return NotAnswered("timeout" if isinstance(error, RequestTimeoutError) else "connection", detail)


def read_api_key(variable: str | None) -> str | None:
    """The key that `api_key_env` names; None where it names none. Raises RecipeError where the variable is not set."""
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
