"""The banks that an operator keeps: added, listed and removed by an owner, each act in the audit log.

WATCH/banks/NAME/questions.parquet, bank.json
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stillroom.base.canonical import digest
from stillroom.base.errors import StoreError, UsageError
from stillroom.store.files import read_object, replacing_folder, write_json
from stillroom.text.nearest import nearest_name
from stillroom.watch.banks.audit import (
    ADDED,
    REMOVED,
    AuditRecord,
    append_record,
    audit_locked,
    check_owner,
    read_audit,
)
from stillroom.watch.banks.collection import collection_of
from stillroom.watch.banks.prints import BankText
from stillroom.watch.banks.reading import read_texts

_FOLDER, _QUESTIONS, _BANK = "banks", "questions.parquet", "bank.json"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)
_SPLIT = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}", re.ASCII)
_ABOUT = {"bank", "file", "questions", "digest", "split", "proof", "record"}
_RESTORE = "Put it back from a backup, or remove it and add it again."


@dataclass(frozen=True, slots=True)
class BankAdded:
    name: str
    questions: int
    repeated: int
    """Texts of the file that are the same as an earlier one, but for case and spacing."""
    too_short: int
    """Texts that are too short to be anybody's question in particular; empty ones among them."""
    digest: str
    """Of the questions."""
    record: AuditRecord


@dataclass(frozen=True, slots=True)
class BankRow:
    """What is known of a bank without its questions."""

    name: str
    questions: int
    split: str | None
    file: str
    added_at: int
    """UTC in microseconds."""
    by: str
    reason: str
    digest: str


def add_bank(
    watch: Path,
    file: Path,
    name: str,
    *,
    by: str,
    role: str,
    reason: str,
    split: str | None = None,
    column: str | None = None,
    proof: str | None = None,
) -> BankAdded:
    """Keep the questions of a file as a bank, and say so in the audit log.

    `by`: the person; `role`: what that person was found to be, which must be `owner`; `proof`: how that was found.
    Raises UsageError for a name that is taken or was another bank's, a role that may not, or no reason; DataError for a
    file that cannot be read or is no collection of 500 different questions; StoreError.
    """
    check_owner(by, role, reason)
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no bank's name.", "Use small letters, digits, dots, dashes: gsm8k-train.")
    if split is not None and not _SPLIT.fullmatch(split):
        raise UsageError(f"{split!r} is no split's name.", "Say train, test or another word.")
    found = collection_of(read_texts(file, column), file.name)
    bank_digest = digest([*found.questions])
    with audit_locked(watch):
        _refuse_taken(watch, name, bank_digest)
        about = {"bank": name, "file": file.name, "questions": len(found.questions), "digest": bank_digest}
        about |= {"split": split, "proof": proof}
        folder = watch / _FOLDER / name
        with replacing_folder(folder) as part:
            part.chmod(0o700)
            pq.write_table(pa.table({"question": pa.array(found.questions, pa.string())}), part / _QUESTIONS)
            # Before the folder takes its place: no bank is read that the log does not have.
            record = append_record(watch, ADDED, by=by, role=role, reason=reason, detail=about)
            write_json(part / _BANK, {**about, "record": record.digest})
    return BankAdded(name, len(found.questions), found.repeated, found.too_short, bank_digest, record)


def remove_bank(watch: Path, name: str, *, by: str, role: str, reason: str, proof: str | None = None) -> AuditRecord:
    """Delete a bank, and say so in the audit log. Raises UsageError where there is none, StoreError."""
    check_owner(by, role, reason)
    with audit_locked(watch):
        folder = watch / _FOLDER / name
        if name not in _names(watch):
            raise _no_such(watch, name)
        record = append_record(watch, REMOVED, by=by, role=role, reason=reason, detail={"bank": name, "proof": proof})
        # Gone at once, whatever ends the deleting; adding a bank of that name clears away what is left of it.
        old = folder.with_name(f".{name}.old")
        shutil.rmtree(old, ignore_errors=True)
        folder.replace(old)
        shutil.rmtree(old)
    return record


def list_banks(watch: Path) -> list[BankRow]:
    """By name. Raises StoreError for a bank that the audit log does not have."""
    added = _added(watch)
    return [_row(watch, name, added) for name in _names(watch)]


def bank_named(watch: Path, name: str) -> BankRow:
    """Raises UsageError, with the nearest name, where there is none."""
    if name not in _names(watch):
        raise _no_such(watch, name)
    return _row(watch, name, _added(watch))


def read_banks(watch: Path) -> list[BankText]:
    """All banks with their questions, by name.

    Raises StoreError for one that the audit log does not have, or that is not as it was added.
    """
    return [_bank(watch, row) for row in list_banks(watch)]


def bank_folder(watch: Path, name: str) -> Path:
    return watch / _FOLDER / name


def _bank(watch: Path, row: BankRow) -> BankText:
    path = bank_folder(watch, row.name) / _QUESTIONS
    try:
        with pq.ParquetFile(path) as file:
            questions: Sequence[Any] = file.read(["question"])["question"].to_pylist()
    except (pa.ArrowException, OSError, KeyError, UnicodeDecodeError) as error:
        raise StoreError(f"{path} cannot be read: {str(error).splitlines()[0]}.", _RESTORE) from error
    if digest([*questions]) != row.digest:
        raise StoreError(f"The questions of the bank {row.name} are not those that were added.", _RESTORE)
    return BankText(row.name, tuple(questions), row.split, row.digest)


def _row(watch: Path, name: str, added: dict[str, AuditRecord]) -> BankRow:
    path = bank_folder(watch, name) / _BANK
    about = read_object(path)
    record = added.get(name)
    is_as_added = record is not None and {**record.detail, "record": record.digest} == about
    if record is None or not is_as_added or about.keys() != _ABOUT:
        what = f"The bank {name} is not as the audit log says it was added."
        raise StoreError(what, "Delete its folder, and add it with stillroom watch bank add.")
    return BankRow(
        name=name,
        questions=about["questions"],
        split=about["split"],
        file=about["file"],
        added_at=record.at,
        by=record.by,
        reason=record.reason,
        digest=about["digest"],
    )


def _refuse_taken(watch: Path, name: str, bank_digest: str) -> None:
    """A name stays that of its questions: what was found of a bank is kept by its name and a question's place."""
    if name in _names(watch):
        raise UsageError(f"There is a bank {name} already.", "Remove it first, or choose another name.")
    of_name = [record for record in read_audit(watch) if record.act == ADDED and record.detail.get("bank") == name]
    if any(record.detail.get("digest") != bank_digest for record in of_name):
        raise UsageError(f"{name} was the name of a bank with other questions.", "Choose another name.")


def _added(watch: Path) -> dict[str, AuditRecord]:
    """Of each bank that is there by the log, the record that it was added with."""
    added: dict[str, AuditRecord] = {}
    for record in read_audit(watch):
        name = record.detail.get("bank")
        if record.act == ADDED and isinstance(name, str):
            added[name] = record
        elif record.act == REMOVED and isinstance(name, str):
            added.pop(name, None)
    return added


def _names(watch: Path) -> list[str]:
    folder = watch / _FOLDER
    if not folder.is_dir():
        return []
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and _NAME.fullmatch(path.name))


def _no_such(watch: Path, name: str) -> UsageError:
    near = nearest_name(name, _names(watch))
    remedy = f"Did you mean {near}?" if near else "stillroom watch bank list shows those that there are."
    return UsageError(f"There is no bank {name!r}.", remedy)
