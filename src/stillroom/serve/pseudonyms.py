"""Who called, for readers outside: the same account has another name under each permit."""

from __future__ import annotations

import hmac

from stillroom.serve.secrets import Secrets


class Pseudonyms:
    def __init__(self, secrets: Secrets) -> None:
        self._key = secrets.derive("pseudonyms")

    def of(self, account: str, permit_id: str | None) -> str:
        """32 hex digits: HMAC-SHA256 over permit and account, shortened. None: of calls without a permit."""
        message = f"{permit_id or ''}\0{account}".encode()
        return hmac.digest(self._key, message, "sha256")[:16].hex()
