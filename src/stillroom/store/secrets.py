"""The gateway's one secret, and the keys that are derived from it: one for each purpose, none serves for two."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from stillroom.base.errors import StoreError

_BYTES = 32
_FILE = "secret"


class Secrets:
    """Keys derived by HKDF-SHA256 (RFC 5869) from 32 random bytes."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) != _BYTES:
            raise ValueError(f"a secret has {_BYTES} bytes, not {len(secret)}")
        self._secret = secret

    @classmethod
    def open(cls, state: Path) -> Self:
        """Of the gateway whose state folder this is; made where the folder has none. Raises StoreError.

        Whoever reads the file can make keys and receipts of this gateway: it is the owner's alone to read. Losing it
        makes every key, print and receipt salt that was made with it useless.
        """
        path = state / _FILE
        try:
            state.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                return cls(_read(path))
            except FileNotFoundError:
                _create(path)
                return cls(_read(path))  # the one that is there, if another process was faster
        except OSError as error:
            why = "it is no folder" if isinstance(error, FileExistsError | NotADirectoryError) else error.strerror
            raise StoreError(
                f"The state folder {state} cannot be used: {why}.",
                "Name a folder that this user may write to, and nobody else reads.",
            ) from error

    @classmethod
    def of(cls, state: Path) -> Self:
        """Of a gateway that has run. Raises StoreError where there is none: what an older one made would stay shut."""
        if not (state / _FILE).exists():
            remedy = "Look at state: in the gateway's file, or put the secret back from a backup."
            raise StoreError(f"{state} has no gateway's secret in it.", remedy)
        return cls.open(state)

    def derive(self, purpose: str, epoch: str = "") -> bytes:
        """32 bytes for one purpose and, where keys of it are changed from time to time, one epoch."""
        info = f"stillroom {purpose}\0{epoch}".encode()
        return HKDF(algorithm=SHA256(), length=_BYTES, salt=None, info=info).derive(self._secret)

    def __repr__(self) -> str:
        return "Secrets(...)"


def _read(path: Path) -> bytes:
    data = path.read_bytes()
    if len(data) != _BYTES:
        raise StoreError(f"{path} holds {len(data)} bytes, not {_BYTES}.", "Put it back from a backup.")
    if path.stat().st_mode & 0o077:
        raise StoreError(f"{path} can be read by others.", f"Take their right away: chmod 600 {path}.")
    return data


def _create(path: Path) -> None:
    """Written aside, then linked: a process that is killed in between leaves no half of a secret."""
    aside = path.with_name(f".{_FILE}.{os.getpid()}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, os.urandom(_BYTES))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    try:
        os.link(aside, path)
    except FileExistsError:
        pass
    finally:
        aside.unlink()
