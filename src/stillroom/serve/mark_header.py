"""How the gateway tells the server of its own models with which key a reply is to be marked.

The header is the gateway's alone: it passes on none that a client sends under this name, and what a client says in a
body changes nothing of the mark. The key goes over this machine's loopback, and into no log.
"""

from __future__ import annotations

from collections.abc import Mapping

from stillroom.serve.routes.errors import ApiError
from stillroom.serve.settings import WatermarkSettings
from stillroom.text.green_list import KEY_BYTES, Mark

MARK_HEADER = "x-stillroom-mark"


def mark_header(key: bytes) -> dict[str, str]:
    return {MARK_HEADER: key.hex()}


def read_mark(headers: Mapping[str, str], watermark: WatermarkSettings | None) -> Mark | None:
    """How the reply to this request is marked; None where the model's replies are not.

    Raises ApiError 403 where they are, and no gateway says with which key: none goes out unmarked.
    """
    if watermark is None:
        return None
    try:
        key = bytes.fromhex(headers.get(MARK_HEADER, ""))
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise ApiError(403, "This model's replies are marked: it answers through its gateway alone.")
    return Mark(key, watermark.share, watermark.strength)
