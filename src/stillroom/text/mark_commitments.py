"""Keys of watermarks, and commitments to them: proof, later, that a key was there before anything was marked with it.

`watermark/commitments.jsonl` in the gateway's state folder holds a line of JSON for each key that ever marked a reply:
`{"record": {...}, "jws": "..."}`. A record says its place (`index`, from 0), the digest of the one before it
(`previous`), when it was written (`at`) and the `commitment`, a digest over the key and all that the mark depends on.
It names no account and gives no key away, so the file can be shown to anyone; the JWS is over the record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stillroom.base.canonical import digest
from stillroom.base.errors import StoreError
from stillroom.base.signatures import PublicKeys, SignatureRefused, open_token
from stillroom.base.validation import first_problem
from stillroom.store.append_only import append_line, whole_lines
from stillroom.store.lock import alone_in
from stillroom.store.secrets import Secrets
from stillroom.text.green_list import KEY_BYTES, WIDTH, Mark

FOLDER, FILE = "watermark", "commitments.jsonl"
RECORD_TYPE = "stillroom-watermark-commitment+jws"
"""The `typ` of the signatures."""
_VERSION = "mark1"
_MOST_BYTES = 256 << 20

Sign = Callable[[dict[str, Any]], str]
"""Gives the compact JWS of a record, of the type RECORD_TYPE."""
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]


@dataclass(frozen=True, slots=True)
class Marking:
    """Whose replies of which model are marked, and how."""

    model: str
    """The name that it is served under."""
    account: str | None
    """None: one key for all accounts."""
    share: float
    strength: float
    tokenizer: str
    """What `generate.tokenizer_digest` says of the model's tokenizer."""

    def mark(self, secrets: Secrets) -> Mark:
        """With the key that is derived from the gateway's secret: one for each model and account."""
        return self.mark_with(secrets.derive("watermark", f"{self.model}\0{self.account or ''}")[:KEY_BYTES])

    def mark_with(self, key: bytes) -> Mark:
        return Mark(key, self.share, self.strength)

    def commitment(self, key: bytes) -> str:
        """`sha256:` and hex digits. The key's 128 bits keep anyone from finding it, or the account, by trying."""
        return digest(
            {
                "version": _VERSION,
                "key": key.hex(),
                "model": self.model,
                "account": self.account,
                "share": self.share,
                "strength": self.strength,
                "width": WIDTH,
                "tokenizer": self.tokenizer,
            }
        )


class CommitmentRecord(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    index: int = Field(ge=0)
    previous: Digest | None
    """The digest of the record before; of the first one, null."""
    at: int = Field(ge=0)
    """UTC microseconds."""
    commitment: Digest

    @property
    def digest(self) -> str:
        return digest(self.model_dump(mode="json"))


@dataclass(frozen=True, slots=True)
class CommitmentLine:
    record: CommitmentRecord
    jws: str


def commitments_file(state: Path) -> Path:
    return state / FOLDER / FILE


def read_commitments(path: Path) -> list[CommitmentLine]:
    """All of a file; none where there is no file. A last line that a kill cut short does not count.

    Raises StoreError, naming the line, for one that is none, or does not follow the one before it.
    """
    if path.exists() and path.stat().st_size > _MOST_BYTES:
        raise StoreError(f"{path} is larger than {_MOST_BYTES:,} bytes: it is no file of commitments.")
    lines: list[CommitmentLine] = []
    for number, written in enumerate(whole_lines(path), 1):
        line = _parsed(written, f"{path}, line {number}")
        previous = lines[-1].record.digest if lines else None
        if (line.record.index, line.record.previous) != (number - 1, previous):
            raise StoreError(
                f"{path}, line {number}, does not follow the line before it: one is missing, moved or altered.",
                "Put the file back from a backup.",
            )
        lines.append(line)
    return lines


def commit(state: Path, commitment: str, now_us: int, sign: Sign) -> CommitmentRecord:
    """The record of a commitment, written down now if it was not before; on the disk when this returns.

    Raises StoreError.
    """
    path = commitments_file(state)
    with alone_in(path.parent, "commitments.lock"):
        before = read_commitments(path)
        known = first_of(before, commitment)
        if known is not None:
            return known
        record = CommitmentRecord(
            index=len(before),
            previous=before[-1].record.digest if before else None,
            at=max(now_us, before[-1].record.at if before else 0),
            commitment=commitment,
        )
        content = record.model_dump(mode="json")
        append_line(path, orjson.dumps({"record": content, "jws": sign(content)}))
        return record


def first_of(lines: Iterable[CommitmentLine], commitment: str) -> CommitmentRecord | None:
    return next((line.record for line in lines if line.record.commitment == commitment), None)


def signature_problems(lines: Sequence[CommitmentLine], keys: PublicKeys) -> list[str]:
    """What is wrong with the lines' signatures, a sentence each. `keys`: whom the reader trusts."""
    problems = []
    for line in lines:
        try:
            claims, key = open_token(line.jws, RECORD_TYPE, keys)
            if claims != line.record.model_dump(mode="json"):
                problems.append(f"Commitment {line.record.index} is not what was signed.")
            else:
                key.check_time(line.record.at // 1_000_000, line.record.at // 1_000_000)
        except SignatureRefused as error:
            problems.append(f"Commitment {line.record.index}: {error.what}")
    return problems


def _parsed(written: bytes, name: str) -> CommitmentLine:
    remedy = "Put the file back from a backup."
    try:
        value = orjson.loads(written)
    except orjson.JSONDecodeError as error:
        raise StoreError(f"{name}, is not JSON.", remedy) from error
    if not isinstance(value, dict) or value.keys() != {"record", "jws"} or not isinstance(value["jws"], str):
        raise StoreError(f"{name}, is no commitment.", remedy)
    try:
        record = CommitmentRecord.model_validate_json(orjson.dumps(value["record"]))
    except ValidationError as error:
        raise StoreError(f"{name}, is no commitment: {first_problem(error)}.", remedy) from error
    return CommitmentLine(record, value["jws"])
