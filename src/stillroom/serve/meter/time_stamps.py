"""Time stamps of a chain's records by an authority outside (RFC 3161): proof that the log was there by then.

A stamp is over the canonical bytes of a record, so its message imprint is the record's digest; each record names the
one before it, so a stamp of the last one stands for them all. What the authority answered lies in `stamps/`, named
after the record's place and digest: a record that is cut off later is missed by its stamp.
"""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from cryptography.x509 import Certificate, load_pem_x509_certificates
from rfc3161_client import (
    HashAlgorithm,
    PKIStatus,
    TimeStampRequest,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from stillroom.base.canonical import canonical_bytes
from stillroom.base.errors import DataError, ServeError, UsageError
from stillroom.serve.meter.chain import ChainLine, read_chain
from stillroom.store.calls import worker_folders
from stillroom.store.files import write_atomically

_FOLDER = "stamps"
_MOST_BYTES = 1 << 20
_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Stamped:
    worker: str
    index: int
    """Of the record."""
    at: datetime
    """What the authority says."""
    file: Path


def stamp_log(calls: Path, url: str, roots: Sequence[Certificate] | None = None) -> list[Stamped]:
    """Have the last record of each worker's chain stamped. `calls`: the folder of all of them.

    With `roots`, the stamp is traced back to one of these certificates before it is kept. A record that has a stamp
    already is not stamped again. Raises UsageError for an address that is none, ServeError for an authority that does
    not answer or answers something else.
    """
    if not _is_address(url):
        raise UsageError(f"{url} is no address of a time stamping authority.", "It looks like https://host/path.")
    stamped = []
    for folder in worker_folders(calls):
        lines = read_chain(folder)
        if not lines:
            continue
        path = folder / _FOLDER / _file_name(lines[-1])
        if path.exists():
            continue
        request = _request(lines[-1])
        response = _asked(url, request)
        wrong = _wrong(response, lines[-1], roots, request.nonce)
        if wrong:
            raise ServeError(f"{url}: {wrong}", "Ask another authority, or mend --roots.")
        write_atomically(path, response.as_bytes())
        stamped.append(Stamped(folder.name, lines[-1].record["index"], response.tst_info.gen_time, path))
    return stamped


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:  # a bracket without its other half
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and url.isascii()


def check_stamps(
    folder: Path, lines: Sequence[ChainLine], roots: Sequence[Certificate] | None
) -> tuple[int, list[str]]:
    """How many of a worker's stamps fit their records, and what is wrong with the others, a sentence each."""
    by_name = {_file_name(line): line for line in lines}
    fitting, wrong = 0, []
    for path in sorted((folder / _FOLDER).glob("*.tsr")):
        line = by_name.get(path.name)
        if line is None:
            wrong.append(f"{path.name} is of a record that the chain of {folder.name} does not have.")
            continue
        try:
            response = decode_timestamp_response(path.read_bytes())
        except (ValueError, OSError) as error:
            wrong.append(f"{path.name} of {folder.name} cannot be read: {error}.")
            continue
        what = _wrong(response, line, roots, None)
        if what:
            wrong.append(f"{path.name} of {folder.name}: {what}")
        else:
            fitting += 1
    return fitting, wrong


def read_roots(path: Path) -> list[Certificate]:
    """Certificates in PEM that stamps are traced back to. Raises DataError."""
    try:
        return load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DataError(f"{path} holds no certificates in PEM: {error}.", "Take those of the authority.") from error


def _request(line: ChainLine) -> TimeStampRequest:
    builder = TimestampRequestBuilder().data(canonical_bytes(line.record)).hash_algorithm(HashAlgorithm.SHA256)
    return builder.cert_request(cert_request=True).nonce(nonce=True).build()


def _asked(url: str, request: TimeStampRequest) -> TimeStampResponse:
    asking = urllib.request.Request(
        url, request.as_bytes(), {"Content-Type": "application/timestamp-query"}, method="POST"
    )
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
    response: TimeStampResponse, line: ChainLine, roots: Sequence[Certificate] | None, nonce: int | None
) -> str | None:
    """What keeps a response from being a stamp of this record."""
    if response.status != PKIStatus.GRANTED:
        return f"The authority refused: {' '.join(response.status_string) or f'status {response.status}'}."
    imprint = response.tst_info.message_imprint.message.hex()
    if f"sha256:{imprint}" != line.digest:
        return "It is not over this record."
    if nonce is not None and response.tst_info.nonce != nonce:
        return "It answers another request."
    if roots is not None:
        return _untraced(response, line, roots)
    return None


def _untraced(response: TimeStampResponse, line: ChainLine, roots: Sequence[Certificate]) -> str | None:
    builder = VerifierBuilder()
    for root in roots:
        builder = builder.add_root_certificate(root)
    try:
        builder.build().verify_message(response, canonical_bytes(line.record))
    except (VerificationError, ValueError) as error:
        return f"It does not trace back to a certificate that is trusted: {error}."
    return None


def _file_name(line: ChainLine) -> str:
    return f"{line.record.get('index', 0):08d}-{line.digest.removeprefix('sha256:')}.tsr"
