"""The owner's receipt for a reply, as it came: in a header or, in a stream, as a comment line before the end.

One that is too long for a header, as that of a call with many choices, is asked for by its id.

What it says is not looked at here, nor who signed it: that needs the owner's keys, and is `stillroom verify`'s to do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from stillroom.base.receipt import RECEIPT_HEADER
from stillroom.base.signatures import MAX_TOKEN_BYTES
from stillroom.client.stream import is_event_stream

RECEIPT_ID_HEADER = "x-stillroom-receipt-id"
_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")
_COMMENT = b": stillroom-receipt "
_PART = r"[A-Za-z0-9_-]+"
_SHAPE = re.compile(rf"{_PART}\.{_PART}\.{_PART}~{_PART}")


class ToldReceipt(NamedTuple):
    receipt: str | None
    problem: str | None = None
    """Why what came in a receipt's place is none; None where one came, or nothing did."""


def read_receipt(headers: Mapping[str, str], body: bytes) -> ToldReceipt:
    """The receipt that came with a reply, `JWS~SALT`. Never raises: whatever a server sends is data."""
    told = _comment(body)
    if told is None:
        told = headers.get(RECEIPT_HEADER)
    if told is None or not (told := told.strip()):
        has_id = headers.get(RECEIPT_ID_HEADER) is not None
        return ToldReceipt(None, "it has an id, under which nothing was found" if has_id else None)
    if len(told) > MAX_TOKEN_BYTES:
        return ToldReceipt(None, f"it has {len(told):,} characters")
    if not _SHAPE.fullmatch(told):
        return ToldReceipt(None, "it is not of the form JWS~SALT")
    return ToldReceipt(told)


def receipt_to_fetch(headers: Mapping[str, str], body: bytes) -> str | None:
    """The id of a receipt that the reply itself does not bring."""
    told = headers.get(RECEIPT_ID_HEADER)
    if told is None or headers.get(RECEIPT_HEADER) or _comment(body) is not None:
        return None
    return told if _ID.fullmatch(told) else None


def _comment(body: bytes) -> str | None:
    """The last comment of a stream that names itself a receipt. A JSON text has no line that begins so."""
    if _COMMENT not in body or not is_event_stream(body.lstrip()):
        return None
    at = body.rfind(b"\n" + _COMMENT) + 1
    if at == 0 and not body.startswith(_COMMENT):
        return None
    line = re.split(rb"[\r\n]", body[at + len(_COMMENT) : at + len(_COMMENT) + MAX_TOKEN_BYTES + 2], maxsplit=1)[0]
    return line.decode("latin-1")
