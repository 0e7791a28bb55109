"""What the log of calls is checked with: how a row is committed to, and the type of its signed records."""

from __future__ import annotations

from hashlib import sha256

RECORD_TYPE = "stillroom-call-log+jws"
"""The `typ` of the signatures over a chain's records."""


def commitment(salt: bytes, canonical: bytes) -> bytes:
    """SHA-256 over salt and row. Once the salt is gone, nobody can find the row by trying."""
    return sha256(salt + canonical).digest()
