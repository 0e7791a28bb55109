"""A server's response, whole."""

from __future__ import annotations

from aiohttp import ClientResponse

from stillroom.serve.gateway.upstream import NOT_ANSWERED, UpstreamFailed


async def read_whole(response: ClientResponse, most: int) -> bytes:
    """Raises UpstreamFailed where it breaks off, or is longer than `most` bytes."""
    parts: list[bytes] = []
    size = 0
    try:
        while piece := await response.content.readany():
            parts.append(piece)
            size += len(piece)
            if size > most:
                raise UpstreamFailed("too large")
    except NOT_ANSWERED as error:
        raise UpstreamFailed("broke off") from error
    return parts[0] if len(parts) == 1 else b"".join(parts)
