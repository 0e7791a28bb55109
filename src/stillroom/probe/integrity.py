"""Whether a bundle is, byte for byte, what was signed."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from pydantic import ValidationError

from stillroom.base.canonical import digest_bytes
from stillroom.base.errors import DataError
from stillroom.base.signatures import PublicKeys, SignatureRefused, open_token
from stillroom.base.validation import first_problem
from stillroom.probe.bounded import MOST_FILE_BYTES, read_bounded
from stillroom.probe.bundle import BUNDLE_TYPE, MANIFEST, OPTIONAL, REQUIRED, SIGNATURE, BundleFile, Manifest, paths_in
from stillroom.probe.pack import KEYS
from stillroom.probe.plan import is_spelled

_STAMP = re.compile(r"stamps/[0-9]{8}-[0-9a-f]{64}\.tsr")
_AT_ONCE = 1 << 20


@dataclass(frozen=True, slots=True)
class Integrity:
    problems: list[str]
    """A sentence each; none: every byte is what was signed."""
    manifest: Manifest
    digest: str
    """Of the manifest."""
    keys: PublicKeys
    """Those trusted, or the bundle's own."""
    signed_by: str | None
    """The `kid` of the key; None: the signature is wrong."""


def check_integrity(folder: Path, trusted: PublicKeys | None) -> Integrity:
    """`trusted` None: the keys that the bundle itself has. Raises DataError where it is no bundle that can be read."""
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder.", "Name the folder of a bundle.")
    if not (folder / MANIFEST).exists() and (folder / "plans").is_dir():
        raise DataError(
            f"{folder} is no bundle, but a folder of plans.", f"Name a tested plan's: {folder / 'bundles'}/NAME"
        )
    data = read_bounded(folder / MANIFEST)
    try:
        manifest = Manifest.model_validate_json(data)
    except ValidationError as error:
        raise DataError(
            f"{folder / MANIFEST} is no manifest of a bundle of this version: {first_problem(error)}.",
            "Take the bundle again from whoever made it.",
        ) from error
    problems = [] if is_spelled(manifest, data) else [f"{MANIFEST} is not spelled as a manifest is."]
    problems += _wrong_files(folder, manifest)
    signed_by, keys = None, trusted or PublicKeys([])
    try:
        keys = trusted or PublicKeys.from_jwks(read_bounded(folder / KEYS), KEYS)
        signed_by = _signed_by(folder, manifest, data, keys)
    except DataError as refused:
        problems.append(f"{SIGNATURE}: {refused.what}")
    return Integrity(problems, manifest, digest_bytes(data), keys, signed_by)


def _signed_by(folder: Path, manifest: Manifest, data: bytes, keys: PublicKeys) -> str:
    token = read_bounded(folder / SIGNATURE).decode("ascii", errors="replace")
    claims, key = open_token(token, BUNDLE_TYPE, keys)
    made_at = manifest.made_at // 1_000_000
    if claims != {"manifest": digest_bytes(data), "plan": manifest.plan_digest, "iat": made_at}:
        raise SignatureRefused("claims", "It is a signature over another manifest.")
    key.check_time(made_at, int(time.time()))
    return key.kid


def _wrong_files(folder: Path, manifest: Manifest) -> Iterator[str]:
    there = {*paths_in(folder)} - {MANIFEST, SIGNATURE}
    for path in sorted(manifest.files.keys() | there | REQUIRED):
        if path not in manifest.files:
            yield f"{path} is in the bundle, and not in its manifest." if path in there else f"{path} is missing."
        elif path not in there:
            yield f"{path} is missing."
        elif path not in REQUIRED | OPTIONAL and not _STAMP.fullmatch(path):
            yield f"{path} is no file of a bundle."
        elif (wrong := _wrong_file(folder / path, manifest.files[path])) is not None:
            yield f"{path} {wrong}."


def _wrong_file(path: Path, described: BundleFile) -> str | None:
    if path.is_symlink() or not path.is_file():
        return "is no file"
    size = path.stat().st_size
    if size > MOST_FILE_BYTES:
        return f"is larger than {MOST_FILE_BYTES:,} bytes, which it may not be"
    if size != described.bytes:
        return f"has {size:,} bytes, and not {described.bytes:,}: it was changed"
    with path.open("rb") as file:
        hashed = sha256()
        while block := file.read(_AT_ONCE):
            hashed.update(block)
    return None if hashed.hexdigest() == described.sha256 else "was changed"
