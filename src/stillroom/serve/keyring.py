"""The keys that receipts and permits are signed with: one file each, in the state folder, the newest in use.

A rotation adds a file, and that is all that it does: an older key is retired by being followed. It may sign a little
longer (`OVERLAP_S`), until every worker has seen the new one, and is published for ever, since what it signed is to be
checked for ever. Deleting a file takes a key that was stolen out of the set; everything that it signed is then refused.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from stillroom.base.clock import Clock, SystemClock
from stillroom.base.errors import StoreError
from stillroom.base.signatures import ALGORITHM, PublicKey, PublicKeys, SigningKey
from stillroom.store.lock import alone_in

FOLDER = "keys"
OVERLAP_S = 60
"""Seconds for which a key that was followed by another one may still sign."""
_LOOK_AGAIN_S = 1.0
_LOCK = ".lock"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KeyInFile:
    key: SigningKey
    not_before: int
    """Seconds since 1970, from which on it signs."""
    retired_at: int | None
    """When the last worker stopped signing with it; None: it signs."""


class Keyring:
    """Of one process. Which key signs follows the folder within a second, without a restart."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        """For `open`."""
        self._folder = folder
        self._clock = clock
        self._seen = _stamp(folder)
        self._keys = _read_keys(folder)
        self._looked_at = clock.monotonic()

    @classmethod
    def open(cls, state: Path, clock: Clock | None = None) -> Self:
        """Of the gateway whose state folder this is, with a first key where it has none. Raises StoreError."""
        clock = clock or SystemClock()
        folder = state / FOLDER
        if not _read_keys(folder):
            with alone_in(folder, _LOCK):
                if not _read_keys(folder):  # workers that start together make one first key
                    _write_key(folder, SigningKey.generate(), _seconds(clock))
        return cls(folder, clock)

    @property
    def active(self) -> SigningKey:
        """The key that signs now."""
        return self.keys[0].key

    @property
    def keys(self) -> list[KeyInFile]:
        """All of them, newest first."""
        now = self._clock.monotonic()
        if now - self._looked_at >= _LOOK_AGAIN_S:
            self._looked_at = now
            self._follow_folder()
        return self._keys

    def rotate(self) -> SigningKey:
        """Add a key that signs from now on. Raises StoreError."""
        with alone_in(self._folder, _LOCK):
            key = SigningKey.generate()
            # After every other one, also within a second, and where the clock was put back.
            followed = max((each.not_before + 1 for each in _read_keys(self._folder)), default=0)
            _write_key(self._folder, key, max(_seconds(self._clock), followed))
            self._seen = _stamp(self._folder)
            self._keys = _read_keys(self._folder)
        return key

    def jwks(self) -> dict[str, Any]:
        """What is published at `/.well-known/jwks.json` (RFC 7517), with `nbf` and `retired_at` as members of ours."""
        return {"keys": [_published(each) for each in self.keys]}

    def public_keys(self) -> PublicKeys:
        """Those that this gateway's own receipts and permits are checked with."""
        return PublicKeys(PublicKey(each.key.jwk, each.key.kid, each.not_before, each.retired_at) for each in self.keys)

    def _follow_folder(self) -> None:
        try:
            stamp = _stamp(self._folder)
            if stamp == self._seen:
                return
            keys = _read_keys(self._folder)
        except (StoreError, OSError) as error:
            # A reply that is being paid for is not refused because of a file that somebody is copying just now.
            _log.warning("The signing keys stay as they were: %s", error)
            return
        if keys:
            self._keys, self._seen = keys, stamp


def _seconds(clock: Clock) -> int:
    return clock.now_us() // 1_000_000


def _stamp(folder: Path) -> tuple[int, frozenset[str]]:
    """Another one once a key came or went. Not the time alone: to many a kernel four milliseconds are one moment."""
    return folder.stat().st_mtime_ns, frozenset(path.name for path in folder.glob("*.json"))


def _read_keys(folder: Path) -> list[KeyInFile]:
    """Newest first."""
    read = sorted((_read_key(path) for path in folder.glob("*.json")), key=lambda each: (each[1], each[0].kid))
    followed_at = [not_before for _, not_before in read[1:]]
    keys = [
        KeyInFile(key, not_before, None if number == len(followed_at) else followed_at[number] + OVERLAP_S)
        for number, (key, not_before) in enumerate(read)
    ]
    return keys[::-1]


def _read_key(path: Path) -> tuple[SigningKey, int]:
    try:
        mode = path.stat().st_mode
        data = path.read_bytes()
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}.", "Mend the file's rights.") from error
    if mode & 0o077:
        raise StoreError(f"{path} can be read by others.", f"Take their right away: chmod 600 {path}.")
    no_key = StoreError(f"{path} is no signing key of stillroom.", "Put it back from a backup, or move it away.")
    try:
        entry = orjson.loads(data)
        private_key = OKPKey.import_key(entry).private_key
        not_before = entry["nbf"]
    except (orjson.JSONDecodeError, JoseError, KeyError, TypeError, ValueError) as error:
        raise no_key from error
    if not isinstance(private_key, Ed25519PrivateKey) or type(not_before) is not int:
        raise no_key
    key = SigningKey(private_key)
    if entry != _entry(key, not_before):
        raise no_key
    return key, not_before


def _entry(key: SigningKey, not_before: int) -> dict[str, Any]:
    return {"kid": key.kid, "nbf": not_before, **key.jwk.as_dict(private=True)}


def _write_key(folder: Path, key: SigningKey, not_before: int) -> None:
    entry = _entry(key, not_before)
    aside, path = folder / f".{key.kid}.part", folder / f"{key.kid}.json"
    try:
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(orjson.dumps(entry))
            file.flush()
            os.fsync(descriptor)
        aside.replace(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise StoreError(f"{path} could not be written: {error.strerror}.", "Free space or mend the rights.") from error


def _published(each: KeyInFile) -> dict[str, Any]:
    entry = each.key.jwk.as_dict(private=False)
    published = {**entry, "kid": each.key.kid, "use": "sig", "alg": ALGORITHM, "nbf": each.not_before}
    return published if each.retired_at is None else {**published, "retired_at": each.retired_at}
