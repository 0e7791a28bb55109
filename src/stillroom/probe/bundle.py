"""A bundle: all that somebody needs to compute a test again, and a signature over every byte of it.

manifest.json        every other file with its length and SHA-256; manifest.jws: the signature over it
plan.json            what was fixed before the asking
pairs.parquet        both replies of each pair, in the order drawn
openings.parquet     which was served, to whom, and the bodies that the call log committed to
opening-salt         with which the plan committed to the coins
calls.jsonl          the rows of the call log, with what proves that they stood there; empty without recorded coins
asked.json           how the suspect was asked, and by whom
answers.parquet      what it said; likelihoods.parquet: how likely it holds each reply. One of them at least
thirds.parquet       further draws of the teacher, if there are any: the plan's references, where it has some
plans.jsonl          the log of plans up to this result; stamps/: time stamps of its records
keys.json            the public keys that signed
statement.json       what was found; report.html: the same in plain words
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from stillroom.base.canonical import canonical_bytes, digest_bytes
from stillroom.base.signatures import LATEST
from stillroom.probe.asked import ASKED, Asked, write_asked
from stillroom.probe.judging import Evidence
from stillroom.probe.logged_call import LoggedCall, write_calls
from stillroom.probe.pack import ANSWERS, KEYS, LIKELIHOODS, LOG, PAIRS, PLAN, STAMPS, copy_stamps
from stillroom.probe.plan import Digest, Text
from stillroom.probe.plan_log import LogLine, write_log
from stillroom.probe.signer import Signer
from stillroom.store.files import replacing_folder, write_atomically, write_json
from stillroom.store.siblings import Answer, Likelihood, Opening, Pair, write_rows

BUNDLE_TYPE = "stillroom-probe-bundle+jws"
"""The `typ` of a bundle's signature."""
MANIFEST, SIGNATURE = "manifest.json", "manifest.jws"
OPENINGS, SALT, CALLS, THIRDS = "openings.parquet", "opening-salt", "calls.jsonl", "thirds.parquet"
STATEMENT, REPORT = "statement.json", "report.html"
REQUIRED = {PLAN, PAIRS, OPENINGS, SALT, CALLS, ASKED, LOG, KEYS, STATEMENT, REPORT}
OPTIONAL = {ANSWERS, LIKELIHOODS, THIRDS}


class BundleFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Manifest(BaseModel):
    """manifest.json, in canonical JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: Literal["stillroom-probe-bundle"] = "stillroom-probe-bundle"
    schema_version: Literal[1] = 1
    plan: Text
    plan_digest: Digest
    made_at: int = Field(ge=0, le=LATEST * 1_000_000)
    """UTC microseconds."""
    software: Text
    files: dict[str, BundleFile]
    """By their path in the bundle, with `/` between folders."""

    def to_bytes(self) -> bytes:
        return canonical_bytes(self.model_dump(mode="json")) + b"\n"


@dataclass(frozen=True, slots=True)
class Contents:
    """What goes into a bundle."""

    evidence: Evidence
    salt: bytes
    asked: Asked
    calls: Sequence[LoggedCall]
    log: Sequence[LogLine]
    """Up to the record of the result."""
    stamps: Sequence[Path]
    keys: Mapping[str, Any]
    statement: bytes
    page: str
    made_at: int
    software: str


def write_bundle(folder: Path, contents: Contents, signer: Signer) -> str:
    """A whole folder or none. Returns the digest of its manifest, which stands for all of it."""
    plan = contents.evidence.plan
    with replacing_folder(folder) as aside:
        _write_files(aside, contents)
        manifest = Manifest(
            plan=plan.name,
            plan_digest=plan.digest,
            made_at=contents.made_at,
            software=contents.software,
            files={path: described((aside / path).read_bytes()) for path in paths_in(aside)},
        )
        data = manifest.to_bytes()
        write_atomically(aside / MANIFEST, data)
        claims = {"manifest": digest_bytes(data), "plan": plan.digest, "iat": contents.made_at // 1_000_000}
        write_atomically(aside / SIGNATURE, signer.sign(BUNDLE_TYPE, claims))
    return digest_bytes(data)


def paths_in(folder: Path) -> list[str]:
    """Of all files in a bundle, or whatever else is no folder, sorted."""
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()
    )


def described(data: bytes) -> BundleFile:
    return BundleFile(bytes=len(data), sha256=sha256(data).hexdigest())


def _write_files(folder: Path, contents: Contents) -> None:
    evidence = contents.evidence
    write_atomically(folder / PLAN, evidence.plan.to_bytes())
    write_rows(folder / PAIRS, Pair, evidence.pairs)
    write_rows(folder / OPENINGS, Opening, evidence.openings)
    write_atomically(folder / SALT, contents.salt)
    write_calls(folder / CALLS, contents.calls)
    write_asked(folder, contents.asked)
    if evidence.answers:
        write_rows(folder / ANSWERS, Answer, evidence.answers)
    if evidence.likelihoods:
        write_rows(folder / LIKELIHOODS, Likelihood, evidence.likelihoods)
    if evidence.thirds is not None:
        write_rows(folder / THIRDS, Answer, evidence.thirds)
    write_log(folder / LOG, contents.log)
    copy_stamps(contents.stamps, folder / STAMPS)
    write_json(folder / KEYS, contents.keys)
    write_atomically(folder / STATEMENT, contents.statement)
    write_atomically(folder / REPORT, contents.page)
