"""Time stamps by an authority outside (RFC 3161): proof that some bytes were there by then.

A stamp is over SHA-256 of the bytes. What the authority answered is kept as it came, in a file of its own.
"""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

from cryptography.x509 import Certificate, load_pem_x509_certificates
from rfc3161_client import (
    HashAlgorithm,
    PKIStatus,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from stillroom.base.errors import DataError, ServeError, UsageError

SUFFIX = ".tsr"
_MOST_BYTES = 1 << 20
_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Stamp:
    at: datetime
    """What the authority says."""
    response: bytes
    """As it came."""


@dataclass(frozen=True, slots=True)
class CheckedStamps:
    fitting: dict[str, datetime]
    """The names of files that fit what they are of, and when they were stamped."""
    wrong: list[str]
    """What is wrong with the others, a sentence each."""


def ask_stamp(url: str, data: bytes, roots: Sequence[Certificate] | None = None) -> Stamp:
    """Have the authority at `url` sign that these bytes were there by now. It is told nothing but their digest.

    With `roots`, the stamp has to trace back to one of these certificates. Raises UsageError for an address that is
    none, ServeError for an authority that does not answer or answers something else.
    """
    check_address(url)
    builder = TimestampRequestBuilder().data(data).hash_algorithm(HashAlgorithm.SHA256)
    request = builder.cert_request(cert_request=True).nonce(nonce=True).build()
    response = _asked(url, request.as_bytes())
    wrong = _wrong(response, data, roots, request.nonce)
    if wrong:
        raise ServeError(f"{url}: {wrong}", "Ask another authority, or mend --roots.")
    return Stamp(response.tst_info.gen_time, response.as_bytes())


def check_address(url: str) -> None:
    """Raises UsageError for what is no address of an authority."""
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and url.isascii()
    except ValueError:  # a bracket without its other half
        is_address = False
    if not is_address:
        raise UsageError(f"{url} is no address of a time stamping authority.", "It looks like https://host/path.")


def stamp_name(index: int, digest: str) -> str:
    """The name of the file with a record's stamp: its place and its digest. What is cut off later is missed by it."""
    return f"{index:08d}-{digest.removeprefix('sha256:')}{SUFFIX}"


def check_stamps(
    folder: Path, stamped: Mapping[str, bytes], whose: str, roots: Sequence[Certificate] | None
) -> CheckedStamps:
    """Of all stamps in a folder. `stamped`: by a file's name, the bytes that its stamp has to be over.

    `whose`: what the bytes are of, for sentences. `roots` None: whom a stamp traces back to is not looked at.
    """
    checked = CheckedStamps({}, [])
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        if path.name not in stamped:
            checked.wrong.append(f"{path.name} is of a record that {whose} does not have.")
            continue
        try:
            response = decode_timestamp_response(_bounded(path))
        except (ValueError, OSError) as error:
            checked.wrong.append(f"{path.name} of {whose} cannot be read: {error}.")
            continue
        if what := _wrong(response, stamped[path.name], roots, None):
            checked.wrong.append(f"{path.name} of {whose}: {what}")
        else:
            checked.fitting[path.name] = response.tst_info.gen_time
    return checked


def stamped_at(response: bytes, data: bytes, roots: Sequence[Certificate] | None) -> datetime:
    """When these bytes were stamped. Raises DataError for a response that is no stamp of them, or not by `roots`."""
    try:
        decoded = decode_timestamp_response(response)
    except ValueError as error:
        raise DataError(f"A time stamp cannot be read: {error}.") from error
    if what := _wrong(decoded, data, roots, None):
        raise DataError(f"A time stamp is none. {what}")
    at: datetime = decoded.tst_info.gen_time
    return at


def read_roots(path: Path) -> list[Certificate]:
    """Certificates in PEM that stamps are traced back to. Raises DataError."""
    try:
        return load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DataError(f"{path} holds no certificates in PEM: {error}.", "Take those of the authority.") from error


def _bounded(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_MOST_BYTES)


def _asked(url: str, request: bytes) -> TimeStampResponse:
    asking = urllib.request.Request(url, request, {"Content-Type": "application/timestamp-query"}, method="POST")
    try:
        with urllib.request.urlopen(asking, timeout=_SECONDS) as reply:
            data = reply.read(_MOST_BYTES)
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise ServeError(f"{url} did not answer: {error}.", "Try again later, or ask another authority.") from error
    try:
        return decode_timestamp_response(data)
    except ValueError as error:
        raise ServeError(f"{url} did not answer with a time stamp.", "Ask another authority.") from error


def _wrong(
    response: TimeStampResponse, data: bytes, roots: Sequence[Certificate] | None, nonce: int | None
) -> str | None:
    """What keeps a response from being a stamp of these bytes."""
    if response.status != PKIStatus.GRANTED:
        return f"The authority refused: {' '.join(response.status_string) or f'status {response.status}'}."
    if response.tst_info.message_imprint.message != sha256(data).digest():
        return "It is not over this record."
    if nonce is not None and response.tst_info.nonce != nonce:
        return "It answers another request."
    return None if roots is None else _untraced(response, data, roots)


def _untraced(response: TimeStampResponse, data: bytes, roots: Sequence[Certificate]) -> str | None:
    builder = VerifierBuilder()
    for root in roots:
        builder = builder.add_root_certificate(root)
    try:
        builder.build().verify_message(response, data)
    except (VerificationError, ValueError) as error:
        return f"It does not trace back to a certificate that is trusted: {error}."
    return None
