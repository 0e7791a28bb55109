"""A model's owner for tests: signs permits and receipts as a stillroom gateway does, with a key that is no secret."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from stillroom.base.canonical import canonical_bytes
from stillroom.base.permit import PERMIT_HEADER, PERMIT_TYP, read_permit
from stillroom.base.receipt import (
    RECEIPT_TYP,
    on_the_wire,
    reply_digests,
    request_settings,
    salted_digest,
    text_digest,
    turn_digests,
)
from stillroom.base.signatures import PublicKey, PublicKeys, SignatureRefused, SigningKey
from stillroom.client.reply import parse_replies
from stillroom.testing.call import Call
from stillroom.testing.completion import text_of
from stillroom.testing.faults import Fault, http_error
from stillroom.testing.rewrites import Completion

KEYS_PATH = "/.well-known/jwks.json"
_YEAR_S = 365 * 86_400


class Owner:
    """Give it to a `MisbehavingTeacher`: then each reply carries a receipt, in a header or in the stream.

    `seed` makes the key: the same seed signs the same way in every process. Calls that present a permit are refused as
    a gateway does where it does not hold.
    """

    def __init__(self, name: str = "owner", seed: int = 0) -> None:
        private = hashlib.sha256(f"stillroom.testing {name} {seed}".encode()).digest()
        self.name = name
        self.key = SigningKey(Ed25519PrivateKey.from_private_bytes(private))
        self._keys = PublicKeys([PublicKey(self.key.jwk, self.key.kid)])
        self._account = hashlib.sha256(private).hexdigest()[:32]
        self._signed = 0
        self._known: dict[str, str] = {}
        """Ids of permits."""
        self._calls: Counter[str] = Counter()
        """By permit."""

    def keys(self) -> bytes:
        """The JWK set that the teacher also serves, at `/.well-known/jwks.json` of its host."""
        return orjson.dumps({"keys": [{**self.key.jwk.as_dict(private=False), "kid": self.key.kid}]})

    def permit(self, models: Sequence[str] = ("teacher",), **claims: Any) -> str:
        """A permit of a year for these models, without limits. `claims` take the place of its own."""
        now = int(time.time())
        told: dict[str, Any] = {
            "v": 1,
            "jti": hashlib.sha256(f"{self.name} {self._account}".encode()).hexdigest()[:16],
            "iss": self.name,
            "iat": now,
            "nbf": now,
            "exp": now + _YEAR_S,
            "organisation": "a laboratory",
            "accounts": [self._account],
            "models": list(models),
            "purpose": "a test",
            "calls": None,
            "tokens": None,
            "student": "student",
            "conditions": [],
        }
        return self.key.sign(PERMIT_TYP, told | claims)

    def refusal(self, call: Call) -> Fault | None:
        """Why a call is not answered under the permit that it presents. One that is answered is counted."""
        presented = call.headers.get(PERMIT_HEADER)
        if presented is None:
            return None
        now = int(time.time())
        try:
            permit = read_permit(presented, self._keys, now)
        except SignatureRefused as error:
            return http_error(403, error.what, code="permit_refused")
        if now >= permit.exp:
            return http_error(403, "the permit has expired", code="permit_expired")
        if now < permit.nbf:
            return http_error(403, "the permit has not begun", code="permit_not_begun")
        if call.fields["model"] not in permit.models:
            return http_error(403, "the permit is for other models", code="permit_model")
        if self._account not in permit.accounts:
            return http_error(403, "the permit is for another account", code="permit_not_yours")
        if permit.calls is not None and self._calls[permit.jti] >= permit.calls:
            return http_error(429, "the permit is spent", code="permit_spent")
        self._calls[permit.jti] += 1
        return None

    def _permit_id(self, token: str) -> str:
        known = self._known.get(token)
        if known is None:
            known = self._known[token] = read_permit(token, self._keys, int(time.time())).jti
        return known

    def receipt(self, call: Call, reply: Completion, **claims: Any) -> str:
        """For a reply as it is sent: `JWS~SALT`. `claims` take the place of its own."""
        self._signed += 1
        receipt_id = hashlib.sha256(f"{self._account} {self._signed} {time.time_ns()}".encode()).hexdigest()[:32]
        salt = hashlib.sha256(receipt_id.encode()).digest()[:16]
        presented = call.headers.get(PERMIT_HEADER)
        now_us = time.time_ns() // 1000
        parsed = parse_replies(orjson.dumps(reply))
        users = [message for message in call.fields["messages"] if message.get("role") == "user"]
        usage = parsed[0].usage
        told = {
            "v": 1,
            "jti": receipt_id,
            "iss": self.name,
            "iat": now_us // 1_000_000,
            "at_us": now_us,
            "call_id": receipt_id,
            "sub": self._account,
            "permit": None if presented is None else self._permit_id(presented),
            "model": call.fields["model"],
            "served_model": parsed[0].served_model,
            "route": "chat",
            "stream": call.streams,
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "counted_by": "provider" if usage.completion_tokens is not None else None,
            "prompt": salted_digest(salt, "prompt", canonical_bytes(call.fields["messages"])),
            "user": text_digest(salt, "user", text_of(users[-1])) if users else None,
            "turns": turn_digests(salt, call.fields["messages"]),
            "settings": salted_digest(salt, "settings", request_settings(call.fields)),
            "replies": [reply_digests(salt, each) for each in parsed],
        }
        return on_the_wire(self.key.sign(RECEIPT_TYP, told | claims), salt)
