"""Signed statements: compact JWS (RFC 7515) with Ed25519 (RFC 8037, named as RFC 9864 does), and nothing else.

What a token says about itself chooses nothing: the algorithm is fixed here, the type is the reader's to say, and the
key comes from a set that the reader trusts. A token has one spelling: base64url without padding or spare bits, and JSON
without spaces or repeated names, so that a changed character is a changed statement.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from stillroom.base.errors import DataError

ALGORITHM = "Ed25519"
MAX_TOKEN_BYTES = 1 << 16
MAX_KEYS_BYTES = 1 << 20
CLOCK_LEEWAY_S = 60
"""By how much two machines' clocks may differ."""
LATEST = 253_402_300_799
"""The last second of the year 9999: a later time is no time."""

Reason = Literal["malformed", "too_large", "algorithm", "type", "unknown_key", "signature", "claims", "time"]

_HEADER = {"alg", "kid", "typ"}
_REGISTRY = jws.JWSRegistry(algorithms=[ALGORITHM])


class SignatureRefused(DataError):  # noqa: N818 - the outcome is the name
    """A token that is not what it should be, or not by whom it should be. `reason` is for programs."""

    def __init__(self, reason: Reason, what: str, remedy: str = "") -> None:
        super().__init__(what, remedy)
        self.reason: Reason = reason


class SigningKey:
    """A private key and what it is known by."""

    def __init__(self, private_key: Ed25519PrivateKey) -> None:
        self._private_key = private_key
        self.jwk = OKPKey.import_key(private_key)
        self.kid = self.jwk.thumbprint()
        """RFC 7638: the same key has the same one everywhere."""
        self._heads: dict[str, bytes] = {}

    @classmethod
    def generate(cls) -> Self:
        return cls(Ed25519PrivateKey.generate())

    def sign(self, typ: str, claims: Mapping[str, Any]) -> str:
        """A compact JWS of the claims, in the order given. `typ` as in `stillroom-receipt+jws`.

        By `cryptography` itself: through joserfc the same bytes take twice as long, on the way of every reply.
        """
        head = self._heads.get(typ)
        if head is None:
            header = orjson.dumps({"alg": ALGORITHM, "kid": self.kid, "typ": typ})
            head = self._heads[typ] = _base64url(header) + b"."
        signed = head + _base64url(orjson.dumps(claims))
        return (signed + b"." + _base64url(self._private_key.sign(signed))).decode("ascii")


@dataclass(frozen=True, slots=True)
class PublicKey:
    jwk: OKPKey
    kid: str
    not_before: int | None = None
    """Seconds since 1970, as every time here. What says that it was signed earlier is not by this key."""
    retired_at: int | None = None
    """What says that it was signed later is not by its owner. None: in use."""

    def check_time(self, signed_at: int, now: int) -> None:
        """Raises SignatureRefused for a signature said to be from the future, or from when this key was not in use."""
        if signed_at > now + CLOCK_LEEWAY_S:
            raise SignatureRefused("time", "It says that it was signed in the future.", "Check this machine's clock.")
        begun = self.not_before is None or signed_at >= self.not_before - CLOCK_LEEWAY_S
        if not begun or (self.retired_at is not None and signed_at > self.retired_at + CLOCK_LEEWAY_S):
            raise SignatureRefused("time", f"It says that it was signed when key {self.kid} was not in use.")


class PublicKeys:
    """The keys that a reader trusts, by their `kid`."""

    def __init__(self, keys: Iterable[PublicKey]) -> None:
        self._keys = {key.kid: key for key in keys}

    def __len__(self) -> int:
        return len(self._keys)

    def get(self, kid: object) -> PublicKey | None:
        return self._keys.get(kid) if isinstance(kid, str) else None

    @classmethod
    def from_jwks(cls, data: bytes, name: str) -> Self:
        """From the bytes of a JWK set (RFC 7517). `name`: the file or address that they are from, for errors.

        Keys of other kinds are passed over, as the RFC says. Raises DataError for what is no key set, has no Ed25519
        key, or holds a private key, which would mean that anyone could have signed.
        """
        remedy = "Take it again from the owner's gateway, at /.well-known/jwks.json."
        if len(data) > MAX_KEYS_BYTES:
            raise DataError(f"{name} is larger than {MAX_KEYS_BYTES} bytes, so it is no key set.", remedy)
        try:
            listed = orjson.loads(data)["keys"]
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise DataError(f"{name} is no JWK set: there is no list `keys` in it.", remedy) from error
        if not isinstance(listed, list):
            raise DataError(f"{name} is no JWK set: `keys` is no list.", remedy)
        entries = [each for each in listed if isinstance(each, dict) and _is_of_our_kind(each)]
        keys = [_public_key(entry, f"{name}, key {number}") for number, entry in enumerate(entries, 1)]
        if not keys:
            raise DataError(f"{name} has no {ALGORITHM} key.", remedy)
        if len({key.kid for key in keys}) < len(keys):
            raise DataError(f"{name} has two keys of one `kid`.", remedy)
        return cls(keys)


def open_token(token: str, typ: str, keys: PublicKeys) -> tuple[dict[str, Any], PublicKey]:
    """The claims of a token of this type, and the key of ours that signed them.

    Raises SignatureRefused. Times among the claims are the caller's to judge.
    """
    signature = _parse(token, typ)
    kid = signature.protected["kid"]
    key = keys.get(kid)
    if key is None:
        raise SignatureRefused(
            "unknown_key",
            f"It is signed with a key that is not among the owner's ({_shown(kid)}).",
            "Take the owner's keys again; if they still lack it, somebody else signed this.",
        )
    try:
        valid = jws.validate_compact(signature, key.jwk, registry=_REGISTRY)
    except JoseError as error:
        raise SignatureRefused("signature", f"Its signature cannot be checked: {error}.") from error
    if not valid:
        raise SignatureRefused("signature", "Its signature does not fit: something of it was changed.")
    return _claims(signature.payload), key


def unverified_claims(token: str, typ: str) -> dict[str, Any]:
    """What a token says, whoever signed it. Raises SignatureRefused where it is no token of this type."""
    return _claims(_parse(token, typ).payload)


def _parse(token: str, typ: str) -> jws.CompactSignature:
    if len(token) > MAX_TOKEN_BYTES:
        raise SignatureRefused("too_large", f"It has {len(token)} characters, more than the {MAX_TOKEN_BYTES} allowed.")
    try:
        signature = jws.extract_compact(token.encode("ascii"), registry=_REGISTRY)
    except (JoseError, ValueError, RecursionError) as error:
        raise SignatureRefused("malformed", "It is no compact JWS: three parts in base64url, with dots.") from error
    header = signature.protected
    if not isinstance(header, dict) or set(header) != _HEADER or not all(map(_is_plain_text, header.values())):
        raise SignatureRefused("malformed", "Its header does not have just `alg`, `kid` and `typ`, each in ASCII.")
    if header["alg"] != ALGORITHM:
        raise SignatureRefused("algorithm", f"Its algorithm is {_shown(header['alg'])}, not {ALGORITHM}.")
    if header["typ"] != typ:
        raise SignatureRefused("type", f"Its type is {_shown(header['typ'])}, not {typ!r}.")
    if _base64url(orjson.dumps(header)) != signature.segments["header"]:
        raise SignatureRefused("malformed", "Its header has spaces or a name twice.")
    return signature


def _claims(payload: bytes) -> dict[str, Any]:
    try:
        claims = orjson.loads(payload)
        written = orjson.dumps(claims)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError) as error:  # the latter: nested hundreds deep
        raise SignatureRefused("malformed", "Its claims are not JSON.") from error
    if not isinstance(claims, dict):
        raise SignatureRefused("malformed", "Its claims are no JSON object.")
    if written != payload:  # what was read is not all that stands there
        raise SignatureRefused("malformed", "Its claims have spaces or a name twice.")
    return claims


def _is_of_our_kind(entry: dict[str, Any]) -> bool:
    return entry.get("kty") == "OKP" and entry.get("crv") == ALGORITHM


def _public_key(entry: dict[str, Any], name: str) -> PublicKey:
    if "d" in entry:
        raise DataError(f"{name} is a private key.", "Whoever has this file can sign: have the owner change the key.")
    times = {member: entry.get(member) for member in ("nbf", "retired_at")}
    for member, value in times.items():
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            raise DataError(f"{name}: `{member}` is no whole number of seconds.")
    try:
        jwk = OKPKey.import_key({member: entry[member] for member in ("kty", "crv", "x")})
    except (JoseError, KeyError, ValueError, TypeError) as error:
        raise DataError(f"{name} is no {ALGORITHM} key: {error}.") from error
    kid = entry.get("kid", jwk.thumbprint())
    if not isinstance(kid, str):
        raise DataError(f"{name}: `kid` is no text.")
    return PublicKey(jwk, kid, times["nbf"], times["retired_at"])


def _is_plain_text(value: object) -> bool:
    return isinstance(value, str) and value.isascii()


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _shown(value: str) -> str:
    """Somebody else's text in an error: quoted, on one line, and short."""
    return json.dumps(value if len(value) <= 60 else value[:60] + "...")
