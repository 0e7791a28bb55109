"""With which key plans and bundles are signed: the gateway's, or one of the folder's own where there is no gateway.

`keys.json` in the folder is the JWK set of every key that ever signed there, for whoever checks it later.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from stillroom.base.errors import StoreError
from stillroom.base.signatures import ALGORITHM, PublicKeys, SignatureRefused, SigningKey, open_token
from stillroom.probe.plan_log import FILE, RECORD_TYPE, read_log
from stillroom.store.files import read_object, sync, write_json

KEYS = "keys.json"
_OWN = "signing-key.json"


@dataclass(frozen=True, slots=True)
class Signer:
    sign: Callable[[str, Mapping[str, Any]], str]
    """`SigningKey.sign`: the compact JWS of claims, of the `typ` given first."""
    keys: Mapping[str, Any]
    """The JWK set in which the key that signs is found, as a gateway publishes it."""


def own_signer(probe: Path) -> Signer:
    """With a key of this folder, made where there is none. Raises StoreError."""
    path = probe / _OWN
    if not path.exists():
        _make(path)
    try:
        if path.stat().st_mode & 0o077:
            raise StoreError(f"{path} can be read by others.", f"Take their right away: chmod 600 {path}.")
        private_key = OKPKey.import_key(orjson.loads(path.read_bytes())).private_key
    except (OSError, orjson.JSONDecodeError, JoseError, ValueError, TypeError) as error:
        raise StoreError(f"{path} is no signing key.", "Put it back from a backup.") from error
    if not isinstance(private_key, Ed25519PrivateKey):
        raise StoreError(f"{path} is no {ALGORITHM} key.", "Put it back from a backup.")
    key = SigningKey(private_key)
    published = {**key.jwk.as_dict(private=False), "kid": key.kid, "use": "sig", "alg": ALGORITHM}
    return Signer(key.sign, {"keys": [published]})


def has_own_key(probe: Path) -> bool:
    return (probe / _OWN).exists()


def goes_on_with(probe: Path, keys: Mapping[str, Any]) -> bool:
    """Whether one of these keys (a JWK set) signed the last record of the folder's log; of an empty log, always.

    A log that two owners' keys sign in turn is one that nobody can verify with the keys of either. Raises StoreError,
    and SignatureRefused where the last record's signature is damaged.
    """
    log = read_log(probe / FILE)
    if not log:
        return True
    if not keys["keys"]:
        return False
    try:
        open_token(log[-1].jws, RECORD_TYPE, public_keys(keys, KEYS))
    except SignatureRefused as refused:
        if refused.reason == "unknown_key":
            return False
        raise
    return True


def remember_keys(probe: Path, signer: Signer) -> dict[str, Any]:
    """Add the signer's public keys to those that signed here before; returns the JWK set of all. Raises StoreError."""
    path = probe / KEYS
    known = read_object(path) if path.exists() else {"keys": []}
    try:
        by_kid = {each["kid"]: each for each in [*known["keys"], *signer.keys["keys"]]}
    except (KeyError, TypeError) as error:
        raise StoreError(f"{path} is no set of keys.", "Put it back from a backup.") from error
    merged = {"keys": list(by_kid.values())}
    if merged != known:
        write_json(path, merged)
    return merged


def public_keys(jwks: Mapping[str, Any], name: str) -> PublicKeys:
    """Of a JWK set. `name`: of its file, for errors. Raises DataError."""
    return PublicKeys.from_jwks(orjson.dumps(jwks), name)


def _make(path: Path) -> None:
    """Written aside, then linked: a kill leaves no half of a key, and of two who make one at once one is kept."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(orjson.dumps(SigningKey.generate().jwk.as_dict(private=True)))
            file.flush()
            os.fsync(descriptor)
        with suppress(FileExistsError):
            os.link(aside, path)
        sync(path.parent)
    except OSError as error:
        raise StoreError(f"{path} could not be written: {error.strerror}.", "Mend the folder's rights.") from error
    finally:
        aside.unlink(missing_ok=True)
