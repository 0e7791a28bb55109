"""Written permissions that the user has recorded: a file of theirs, which no run and no data set holds as a whole."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from stillroom.base.errors import DataError, StoreError, UsageError
from stillroom.base.validation import first_problem
from stillroom.store.files import write_atomically
from stillroom.store.lock import FolderLock
from stillroom.store.stages import file_digest
from stillroom.terms.ledger import TermsId

VARIABLE = "STILLROOM_PERMISSIONS"
"""The environment variable that names another file."""
_HEAD = "# Written permissions, recorded by `stillroom terms allow`. Keep the documents: the digests here are theirs.\n"
_A_DOCUMENT = "Name the file that holds the permission: a letter, a mail."
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class Permission(BaseModel):
    """That somebody allowed, in writing, what some terms do not allow by themselves."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    terms: TermsId
    """The id of an entry, or a name of the user's own for terms that the ledger has not."""
    by: str = Field(min_length=1, max_length=200)
    """Who gave it."""
    document: str = Field(min_length=1, max_length=255)
    """The document's name, without its place."""
    digest: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")
    recorded_at: datetime
    note: str | None = Field(default=None, max_length=2000)

    @field_validator("by", "document", "note")
    @classmethod
    def _is_one_line(cls, value: str | None) -> str | None:
        if value is not None and _UNPRINTABLE.search(value):
            raise ValueError("it should be one line of text")
        return value


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    permission: tuple[Permission, ...] = ()


def permissions_file(environment: Mapping[str, str] = os.environ) -> Path:
    """Where the user's permissions lie: STILLROOM_PERMISSIONS, or stillroom/permissions.toml in their configuration."""
    if named := environment.get(VARIABLE):
        return Path(named).expanduser()
    folder = environment.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(folder).expanduser() / "stillroom" / "permissions.toml"


def read_permissions(path: Path) -> list[Permission]:
    """In the order in which they were recorded; none where there is no file. Raises DataError for a damaged one."""
    if path.exists() and not path.is_file():  # some devices never end
        raise DataError(f"{path} is no file.", f"Name another one in {VARIABLE}.")
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}.", f"Mend it, or name another file in {VARIABLE}.") from error
    try:
        return list(_File.model_validate(tomllib.loads(text)).permission)
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"{path} is not TOML: {error}.", "Mend it, or move it away and record them again.") from error
    except ValidationError as error:
        what = f"{path} holds what is no permission: {first_problem(error)}."
        raise DataError(what, "Mend it, or move it away and record them again.") from error


def record_permission(
    path: Path, terms: str, document: Path, by: str, note: str | None, recorded_at: datetime
) -> Permission:
    """Add a permission to the user's file, with the digest of its document. Returns it.

    Raises UsageError for a document that cannot be read or a value that is no line of text, DataError for a damaged
    file, StoreError where it cannot be written or another process is writing it.
    """
    try:
        permission = Permission(
            terms=terms,
            by=by.strip(),
            document=document.name,
            digest=_digest_of(document),
            recorded_at=recorded_at,
            note=(note or "").strip() or None,
        )
    except ValidationError as error:
        what = f"This cannot be recorded: {first_problem(error)}."
        raise UsageError(what, "stillroom terms allow --help shows an example.") from error
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{path.parent} cannot be made: {error.strerror}.", f"Name a file in {VARIABLE}.") from error
    lock = FolderLock(path.with_name(f".{path.name}.lock"), str(path))
    try:
        read_permissions(path)  # a damaged file is not written on
        before = path.read_text(encoding="utf-8") if path.exists() else _HEAD
        write_atomically(path, f"{before.rstrip()}\n\n{_block(permission)}")
    finally:
        lock.release()
    return permission


def _digest_of(document: Path) -> str:
    try:
        empty = document.is_file() and document.stat().st_size == 0
        digest = file_digest(document) if document.is_file() else None
    except OSError as error:
        raise UsageError(f"{document} cannot be read: {error.strerror}.", "Name a file that you may read.") from error
    if digest is None:
        raise UsageError(
            f"There is no document {document}.", "Name the file that holds the permission: a letter, a mail."
        )
    if empty:
        raise UsageError(f"{document} is empty.", "Name the file that holds the permission: a letter, a mail.")
    return digest


def _block(permission: Permission) -> str:
    values = permission.model_dump(mode="json", exclude_none=True)
    # A string of JSON is one of TOML, but for characters that no permission holds.
    lines = (f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items())
    return "[[permission]]\n" + "\n".join(lines) + "\n"
