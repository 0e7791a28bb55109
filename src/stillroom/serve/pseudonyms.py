"""Who called, for readers outside: the same account has another name under each permit."""

from __future__ import annotations

import hmac
from functools import lru_cache

from stillroom.store.secrets import Secrets

_KEPT = 4096


class Pseudonyms:
    def __init__(self, secrets: Secrets) -> None:
        self._key = secrets.derive("pseudonyms")
        self.of = lru_cache(_KEPT)(self._of)
        """`of(account, permit_id)`: see `_of`. An account that calls has just called, most of the time."""

    def _of(self, account: str, permit_id: str | None) -> str:
        """32 hex digits: HMAC-SHA256 over permit and account, shortened. None: of calls without a permit."""
        message = f"{permit_id or ''}\0{account}".encode()
        return hmac.digest(self._key, message, "sha256")[:16].hex()
