"""What the call log says of a sealed record: salted digests that tell nothing, until the record is opened."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Literal

Coin = Literal[0, 1]
"""Which of the two replies, in the order in which they were asked for, was served."""

SALT_BYTES = 16
_VERSION = "escrow1"


@dataclass(frozen=True, slots=True)
class Drawn:
    """A call with both of its replies: bodies as they came from the model, byte for byte."""

    call_id: str
    account: str
    at: int
    """When it was sealed, UTC microseconds."""
    coin: Coin
    request: bytes
    served: bytes
    sealed: bytes

    def escrow_digest(self, salt: bytes) -> str:
        """`escrow1:` and four digests, in hex, with colons: of request, served reply, sealed reply and coin.

        Each is SHA-256 over the salt, the part's name, the call's id and the part itself, with a zero byte between: any
        of the four can be opened without the others, and none belongs to another call.
        """
        parts = {
            "request": self.request,
            "served": self.served,
            "sealed": self.sealed,
            "coin": str(self.coin).encode(),
        }
        digests = (
            hashlib.sha256(b"\0".join((salt, name.encode(), self.call_id.encode(), part))).hexdigest()
            for name, part in parts.items()
        )
        return ":".join((_VERSION, *digests))


def is_opened_by(escrow_digest: str, drawn: Drawn, salt: bytes) -> bool:
    """Whether the call log's `escrow_digest` is the one of this record."""
    return hmac.compare_digest(escrow_digest.encode(), drawn.escrow_digest(salt).encode())
