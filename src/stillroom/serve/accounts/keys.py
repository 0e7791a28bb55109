"""What a key looks like, and what is kept of it: a keyed hash, and the prefix that people recognise it by."""

from __future__ import annotations

import hmac
import re
import secrets as random
import string
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Literal

from stillroom.store.secrets import Secrets

KeyKind = Literal["sr", "sra"]
"""What a key begins with: an account's, which calls models, or an administrator's, which changes accounts."""

_PURPOSES = {"sr": "key hashes", "sra": "admin key hashes"}
_LETTERS = string.ascii_lowercase + string.digits
_PREFIX_LETTERS = 8
_RANDOM_BYTES = 32


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key at the only moment at which it is known. Shown to whoever asked for it, and then forgotten."""

    text: str = field(repr=False)
    prefix: str
    hash: bytes = field(repr=False)


class KeyHashes:
    """Makes keys of one kind, and the keyed hashes (HMAC-SHA256, 32 bytes) that they are looked up by.

    A key holds 256 random bits: a slow hash, which protects passwords from being guessed, would protect nothing here.
    The hash is keyed so that a stolen database is not enough to tell whether a key that somebody found belongs to it.
    """

    def __init__(self, secrets: Secrets, kind: KeyKind) -> None:
        self._secret = secrets.derive(_PURPOSES[kind])
        self._kind = kind
        self._form = re.compile(rf"{kind}-[a-z0-9]{{{_PREFIX_LETTERS}}}-[A-Za-z0-9_-]{{43}}", re.ASCII)

    def new(self) -> NewKey:
        prefix = f"{self._kind}-{''.join(random.choice(_LETTERS) for _ in range(_PREFIX_LETTERS))}"
        rest = urlsafe_b64encode(random.token_bytes(_RANDOM_BYTES)).rstrip(b"=").decode()
        text = f"{prefix}-{rest}"
        return NewKey(text, prefix, self._hash(text))

    def of(self, presented: str) -> bytes | None:
        """The hash of a key that somebody presents; None for what has not even a key's form.

        Finding a row by this hash tells nothing through the time that it takes. An ordinary comparison of keys stops at
        the first letter that differs, so that its time says how many were right; here, what is compared is the hash,
        whose bytes nobody without the secret can choose or foresee: a presented key that shares 42 letters with a real
        one has a hash that is as far away as any other. Whether the form is right says nothing about any real key.
        """
        if self._form.fullmatch(presented) is None:
            return None
        return self._hash(presented)

    def _hash(self, text: str) -> bytes:
        return hmac.digest(self._secret, text.encode(), "sha256")
