"""The key of one account's records: random, and itself encrypted under the gateway's secret.

To delete this one small file is to delete all of the account's records, wherever copies of them lie.
"""

from __future__ import annotations

import base64
import binascii
import os
from pathlib import Path
from typing import NamedTuple

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from stillroom.base.errors import StoreError
from stillroom.store.files import sync

FILE = "key.json"
_NONCE_BYTES = 12


class AccountKey(NamedTuple):
    account: str
    key: bytes


def encrypt(key: bytes, data: bytes, meaning: bytes) -> bytes:
    """AES-256-GCM, a random nonce in front. `meaning` is not hidden, and has to be the same when it is decrypted."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, data, meaning)


def decrypt(key: bytes, data: bytes, meaning: bytes, path: Path) -> bytes:
    """Raises StoreError, naming the file, where it is not what was encrypted."""
    try:
        return AESGCM(key).decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], meaning)
    except (InvalidTag, ValueError) as error:
        raise StoreError(
            f"{path} was altered, or belongs to another secret.", "Put it, or the gateway's secret, back from a backup."
        ) from error


def read_key(folder: Path, wrapping_key: bytes) -> AccountKey:
    """Raises FileNotFoundError where the account has none, StoreError where it can't be read."""
    path = folder / FILE
    data = path.read_bytes()
    try:
        entry = orjson.loads(data)
        account, wrapped = str(entry["account"]), base64.b64decode(entry["wrapped"], validate=True)
    except (orjson.JSONDecodeError, KeyError, TypeError, binascii.Error) as error:
        raise StoreError(f"{path} is no key of an escrow.", "Put it back from a backup.") from error
    return AccountKey(account, decrypt(wrapping_key, wrapped, account.encode(), path))


def make_key(folder: Path, account: str, wrapping_key: bytes) -> AccountKey:
    """Of a new account, or the one that another process made just now."""
    wrapped = encrypt(wrapping_key, AESGCM.generate_key(256), account.encode())
    entry = orjson.dumps({"account": account, "wrapped": base64.b64encode(wrapped).decode()})
    folder.mkdir(mode=0o700, exist_ok=True)
    aside = folder / f".{os.urandom(8).hex()}.part"
    write_private(aside, entry)
    try:
        os.link(aside, folder / FILE)
    except FileExistsError:
        pass
    finally:
        aside.unlink()
    sync(folder)
    sync(folder.parent)
    return read_key(folder, wrapping_key)


def write_private(path: Path, data: bytes) -> None:
    """A new file that is the owner's alone to read, on the disk when this returns; none where the disk is full."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
    except OSError:
        path.unlink(missing_ok=True)
        raise
