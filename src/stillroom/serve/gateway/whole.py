"""A server's response, whole."""

from __future__ import annotations

from pyreqwest.exceptions import PyreqwestError
from pyreqwest.response import Response

from stillroom.serve.gateway.upstream import UpstreamFailed


async def read_whole(response: Response, most: int) -> bytes:
    """Raises UpstreamFailed where it breaks off, or is longer than `most` bytes."""
    parts: list[bytes] = []
    size = 0
    try:
        while (piece := await response.body_reader.read_chunk()) is not None:
            parts.append(bytes(piece))
            size += len(piece)
            if size > most:
                raise UpstreamFailed("too large")
    except PyreqwestError as error:
        raise UpstreamFailed("broke off") from error
    return parts[0] if len(parts) == 1 else b"".join(parts)
