"""Receipts as the gateway makes them, one for each whole reply, on its way to the client."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stillroom.base.canonical import canonical_bytes
from stillroom.base.clock import Clock, SystemClock
from stillroom.base.receipt import (
    RECEIPT_TYP,
    SALT_BYTES,
    Digest,
    Said,
    on_the_wire,
    reply_digests,
    request_settings,
    salted_digest,
    text_digest,
    turn_digests,
)
from stillroom.base.records import Call
from stillroom.base.signatures import unverified_claims
from stillroom.serve.keyring import Keyring
from stillroom.serve.meter.ids import new_id
from stillroom.serve.pseudonyms import Pseudonyms
from stillroom.store.secrets import Secrets

MOST_BYTES_IN_HEADER = 3_000
"""Of a receipt on the wire. Proxies in front of a gateway commonly refuse a reply whose headers pass 4 KiB, so that a
longer one (of nine choices or more) is fetched from `GET /receipts/{id}` instead."""


@dataclass(frozen=True, slots=True)
class BegunReceipt:
    """The half that is known before the model is asked: what is kept of a request for as long as its reply takes."""

    receipt_id: str
    salt: bytes
    prompt: Digest
    user: Digest | None
    turns: list[Digest]
    settings: Digest


class Receipts:
    def __init__(self, secrets: Secrets, keyring: Keyring, owner: str, clock: Clock | None = None) -> None:
        """`owner`: whose name stands in each receipt as `iss`."""
        self._salt_key = secrets.derive("receipt salts")
        self._pseudonyms = Pseudonyms(secrets)
        self._keyring = keyring
        self._owner = owner
        self._clock = clock or SystemClock()

    def begin(self, prompt: Any, user: str | None, body: Mapping[str, Any]) -> BegunReceipt:
        """`prompt` is what is asked, as JSON; `user` the last user message's text; `body` the whole request as it came.

        Raises ValueError for a body that no receipt can be over: with lone surrogates, or hundreds of levels deep.
        """
        receipt_id = new_id(self._clock.now_us())
        salt = self._salt(receipt_id)
        return BegunReceipt(
            receipt_id,
            salt,
            salted_digest(salt, "prompt", canonical_bytes(prompt)),
            None if user is None else text_digest(salt, "user", user),
            turn_digests(salt, prompt),
            salted_digest(salt, "settings", request_settings(body)),
        )

    def sign(
        self, begun: BegunReceipt, call: Call, *, served_model: str | None, said: Sequence[Said]
    ) -> tuple[str, str]:
        """The receipt's id, and what is sent. The call's token counts are settled by now; `said`: one per choice."""
        claims = {
            "v": 1,
            "jti": begun.receipt_id,
            "iss": self._owner,
            "iat": self._clock.now_us() // 1_000_000,
            "at_us": call.at,
            "call_id": call.call_id,
            "sub": self._pseudonyms.of(call.account, call.permit_id),
            "permit": call.permit_id,
            "model": call.model,
            "served_model": served_model,
            "route": call.route,
            "stream": call.stream,
            "prompt_tokens": call.prompt_tokens,
            "completion_tokens": call.completion_tokens,
            "counted_by": call.counted_by,
            "prompt": begun.prompt,
            "user": begun.user,
            "turns": begun.turns,
            "settings": begun.settings,
            "replies": [reply_digests(begun.salt, each) for each in said],
        }
        return begun.receipt_id, on_the_wire(self._keyring.active.sign(RECEIPT_TYP, claims), begun.salt)

    def again(self, token: str) -> str:
        """What was sent, from the signed part that the log kept. Raises SignatureRefused where it is no receipt."""
        return on_the_wire(token, self._salt(unverified_claims(token, RECEIPT_TYP)["jti"]))

    def _salt(self, receipt_id: str) -> bytes:
        # Derived and not drawn: the log need not keep it, and a log that is stolen says nothing of the texts.
        return hmac.digest(self._salt_key, receipt_id.encode(), "sha256")[:SALT_BYTES]
