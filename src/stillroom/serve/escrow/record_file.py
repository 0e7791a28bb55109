"""One call's record as a file: compressed, then encrypted under its account's key."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import NamedTuple

import orjson
import zstandard

from stillroom.base.escrow_commitment import Drawn
from stillroom.serve.escrow.account_key import AccountKey, decrypt, encrypt, write_private
from stillroom.store.files import sync

SUFFIX = ".sealed"
_LEVEL = 3
_BYTES = ("request", "served", "sealed")


class Opened(NamedTuple):
    drawn: Drawn
    salt: bytes
    """Of its digests."""

    @property
    def escrow_digest(self) -> str:
        return self.drawn.escrow_digest(self.salt)


def write_record(path: Path, drawn: Drawn, salt: bytes, key: AccountKey) -> None:
    """Whole or not at all, and on the disk when this returns."""
    content = {"at": drawn.at, "coin": drawn.coin, "salt": base64.b64encode(salt).decode()}
    content |= {name: base64.b64encode(getattr(drawn, name)).decode() for name in _BYTES}
    packed = zstandard.ZstdCompressor(level=_LEVEL).compress(orjson.dumps(content))
    aside = path.with_name(f".{path.name}.{os.urandom(4).hex()}.part")
    write_private(aside, encrypt(key.key, packed, _meaning(drawn.call_id, key.account)))
    aside.rename(path)
    sync(path.parent)


def read_record(path: Path, call_id: str, key: AccountKey) -> Opened:
    """Raises StoreError, naming the file, where it was altered."""
    packed = decrypt(key.key, path.read_bytes(), _meaning(call_id, key.account), path)
    # What was encrypted by us is what we packed: its size and shape need no doubt.
    content = orjson.loads(zstandard.ZstdDecompressor().decompress(packed))
    parts = {name: base64.b64decode(content[name]) for name in _BYTES}
    drawn = Drawn(call_id, key.account, content["at"], content["coin"], **parts)
    return Opened(drawn, base64.b64decode(content["salt"]))


def _meaning(call_id: str, account: str) -> bytes:
    """A record that is put under another call's name, or into another account's folder, does not open."""
    return f"{call_id}\0{account}".encode()
