"""What the owner of a teacher has said: public keys, permits, and which permits are revoked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from stillroom.base.errors import DataError
from stillroom.base.permit import MAX_PERMIT_BYTES, Permit, read_permit, read_unverified_permit
from stillroom.base.signatures import PublicKeys, SignatureRefused

_LARGEST_FILE = 16 * MAX_PERMIT_BYTES


@dataclass(frozen=True, slots=True)
class Revocation:
    at: int | None
    """Seconds since 1970; None: not said."""


@dataclass(frozen=True, slots=True)
class Owner:
    keys: PublicKeys
    permits: Mapping[str, Permit]
    """By their ids. Each is signed by one of the keys."""
    revoked: Mapping[str, Revocation]
    now: int
    """Seconds since 1970."""


@dataclass(frozen=True, slots=True)
class HeldPermit:
    """A permit that came with a data set, or from whoever has it."""

    token: str
    name: str
    """Where it is from, for errors."""
    revoked_at: int | None = None
    """Seconds since 1970; None: it is not known to be revoked."""


def read_owner(
    document: bytes, name: str, held: Iterable[HeldPermit], now: int
) -> tuple[Owner, list[tuple[HeldPermit, str]]]:
    """The owner's word, and the permits that are not the owner's, each with why.

    `document`: a JWK set, from `name`; its member `revoked_permits`, if there is one, lists `{"jti", "revoked_at"}`.
    Raises DataError for a document that is none.
    """
    keys = PublicKeys.from_jwks(document, name)
    revoked = _revoked_permits(document, name)
    permits: dict[str, Permit] = {}
    refused: list[tuple[HeldPermit, str]] = []
    for each in held:
        try:
            permit = read_permit(each.token, keys, now)
        except SignatureRefused as error:
            refused.append((each, error.what))
            continue
        permits[permit.jti] = permit
        if each.revoked_at is not None:
            revoked.setdefault(permit.jti, Revocation(each.revoked_at))
    return Owner(keys, permits, revoked, now), refused


def permit_in_file(path: Path) -> HeldPermit:
    """The permit as it was issued; or JSON: with `jws` and `revoked_at`, or what `stillroom permit show --json` prints.

    Raises DataError for a file that cannot be read or holds no permit.
    """
    remedy = "Name the file that stillroom permit issue wrote, or what stillroom permit show ID --json printed."
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_FILE)
    except OSError as error:
        raise DataError(f"The permit {path} cannot be read: {error.strerror}.", remedy) from error
    text = data.decode("utf-8", errors="replace").strip()
    held = HeldPermit(text, str(path))
    if text.startswith("{"):
        try:
            held = _from_json(orjson.loads(data), str(path))
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise DataError(f"{path} holds no permit: it is JSON without a `jws` or `token`.", remedy) from error
    try:
        read_unverified_permit(held.token)
    except SignatureRefused as error:
        raise DataError(f"{path} is not a permit. {error.what}", remedy) from error
    return held


def permits_in_manifest(manifest: Mapping[str, Any], name: str) -> list[HeldPermit]:
    """Those that the run of a data set was asked under. Raises DataError for a manifest that lists none properly."""
    listed = manifest.get("permits", [])
    try:
        return [_from_json(each, f"permit {number} of {name}") for number, each in enumerate(listed, 1)]
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{name}: `permits` is not a list of objects with a `jws`.") from error


def as_json(held: Sequence[HeldPermit]) -> list[dict[str, Any]]:
    """What `from_json` reads."""
    return [{"jws": each.token, "name": each.name, "revoked_at": each.revoked_at} for each in held]


def from_json(listed: Iterable[Mapping[str, Any]]) -> list[HeldPermit]:
    return [_from_json(each, each["name"]) for each in listed]


def _from_json(value: Mapping[str, Any], name: str) -> HeldPermit:
    revoked_at = _seconds(value.get("revoked_at"))
    token = value.get("jws")
    if token is None:
        token = value["token"]  # as the gateway's administration prints it, whose times are microseconds
        revoked_at = None if revoked_at is None else revoked_at // 1_000_000
    if not isinstance(token, str):
        raise TypeError
    return HeldPermit(token, name, revoked_at)


def _revoked_permits(document: bytes, name: str) -> dict[str, Revocation]:
    listed = orjson.loads(document).get("revoked_permits", [])
    try:
        return {str(each["jti"]): Revocation(_seconds(each.get("revoked_at"))) for each in listed}
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f'{name}: `revoked_permits` is not a list of {{"jti", "revoked_at"}}.') from error


def _seconds(value: object) -> int | None:
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise TypeError
    return value
