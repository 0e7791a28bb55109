"""The escrow: which calls have a second reply drawn, and the folder in which it is kept until it expires.

    escrow/<print of the account>/key.json                       the account's key, wrapped
    escrow/<print of the account>/2026-11-26/<time>-<call>.sealed
    escrow/holds/<name>.json, escrow/actions.jsonl               who stopped deletion, and who did what

Those who write records share a lock; whoever deletes, or holds, has it alone. So a hold that was set is heeded by an
expiry that has begun, and no record is written under a key that is being deleted.
"""

from __future__ import annotations

import asyncio
import fcntl
import hmac
import os
import re
import secrets as randomness
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stillroom.base.clock import Clock, SystemClock
from stillroom.base.errors import StoreError
from stillroom.base.escrow_commitment import SALT_BYTES, Coin, Drawn
from stillroom.base.records import Call
from stillroom.serve.accounts.caller import Caller
from stillroom.serve.escrow.account_key import FILE, make_key, read_key
from stillroom.serve.escrow.holds import Hold, add_hold, end_hold, holding, note_action, read_holds
from stillroom.serve.escrow.record_file import SUFFIX, Opened, read_record, write_record
from stillroom.serve.routes.asked import AskedFor
from stillroom.serve.settings import EscrowSettings
from stillroom.store.files import sync
from stillroom.store.secrets import Secrets

FOLDER = "escrow"
_CALL_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_DAY_US = 86_400 * 1_000_000
_ACCOUNT_FOLDER = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Kept:
    """What is there of one account."""

    account: str
    records: int
    oldest_at: int | None
    """UTC microseconds."""
    newest_at: int | None
    holds: list[str]


class Escrow:
    """Of one gateway; `folder` is made at the first record. Everything but `wants` and `draw_coin` waits for the disk.

    Whatever it does to the folder may raise StoreError.
    """

    def __init__(self, folder: Path, secrets: Secrets, settings: EscrowSettings, clock: Clock | None = None) -> None:
        self._folder = folder
        self._settings = settings
        self._clock = clock or SystemClock()
        self._wrapping_key = secrets.derive("escrow account keys")
        self._print_key = secrets.derive("escrow account folders")
        self._sample_key = secrets.derive("escrow sample")

    def wants(self, call: Call, asked: AskedFor, caller: Caller) -> bool:
        """Whether this call's reply is to be drawn twice: its account agreed to it, the model says something else each
        time, and the call is in the sample.

        The sample is a keyed hash of the call's id, which nobody outside can foresee or choose. Without a temperature a
        request is at its API's default, which is above zero.
        """
        if not self._settings.share or not caller.retention or asked.route == "embeddings" or asked.replies != 1:
            return False
        if asked.temperature == 0:
            return False
        drawn = hmac.digest(self._sample_key, call.call_id.encode(), "sha256")
        return int.from_bytes(drawn[:8]) < self._settings.share * 2**64

    def draw_coin(self) -> Coin:
        """Fair, and from the system's source of randomness: which of the two replies, in the order asked, is served."""
        return 1 if randomness.randbelow(2) else 0

    async def seal(
        self, call_id: str, account: str, *, served: bytes, sealed: bytes, request: bytes, coin: Coin
    ) -> str:
        """Returns the call's `escrow_digest`, when the record is on the disk. Off the event loop."""
        drawn = Drawn(call_id, account, self._clock.now_us(), coin, request, served, sealed)
        return await asyncio.to_thread(self._write, drawn)

    def open(self, call_id: str, by: str) -> Opened | None:
        """One call's record; None where there is none. That it was opened, and by whom, is noted."""
        if not _CALL_ID.fullmatch(call_id):
            return None
        with self._locked(fcntl.LOCK_SH):
            path = next(self._folder.glob(f"*/*/*-{call_id}{SUFFIX}"), None)
            if path is None:
                return None
            key = read_key(path.parent.parent, self._wrapping_key)
            opened = read_record(path, call_id, key)
            self._note("show", by, account=key.account, call_id=call_id)
        return opened

    def opened_records(
        self, accounts: Collection[str] | None, by: str, why: str
    ) -> Iterator[tuple[str, Opened | None]]:
        """The records of these accounts, None: of all, by account and time, each with its call's id.

        None in a record's place where it was altered. That they are opened, and by whom, is noted before the first one
        is: one line, of `why`. What expires or is deleted meanwhile is left out.
        """
        with self._locked(fcntl.LOCK_SH):
            folders = self._account_folders() if accounts is None else [*map(self._account_folder, sorted(accounts))]
            paths = [path for folder in folders for path in sorted(_records(folder), key=_time_of)]
            self._note(why, by, accounts=None if accounts is None else sorted(accounts), records=len(paths))
        for path in paths:
            with self._locked(fcntl.LOCK_SH):
                call_id = path.name.removesuffix(SUFFIX).partition("-")[2]
                try:
                    opened = read_record(path, call_id, read_key(path.parent.parent, self._wrapping_key))
                except FileNotFoundError:
                    continue
                except StoreError:
                    opened = None
            yield call_id, opened

    def kept(self) -> list[Kept]:
        """What is there, account by account."""
        holds = self.holds()
        kept = []
        for folder in self._account_folders():
            account = read_key(folder, self._wrapping_key).account
            times = sorted(_time_of(path) for path in _records(folder))
            oldest, newest = (times[0], times[-1]) if times else (None, None)
            kept.append(Kept(account, len(times), oldest, newest, holding(holds, account)))
        return sorted(kept, key=lambda each: each.account)

    def forget(self, account: str, by: str) -> int:
        """Delete an account's key and records; returns how many. Raises StoreError where a hold covers them."""
        folder = self._account_folder(account)
        with self._locked(fcntl.LOCK_EX):
            if not folder.is_dir():
                return 0
            if names := holding(read_holds(self._folder), account):
                raise StoreError(
                    f"The records of {account} are under a legal hold: {', '.join(names)}.",
                    "Release it first: stillroom escrow release NAME.",
                )
            records = sum(1 for _ in _records(folder))
            _delete(folder)
            self._note("forget", by, account=account, records=records)
        return records

    def expire(self, now_us: int) -> int:
        """Delete what is older than the settings say and under no hold; returns how many records."""
        before = now_us - int(self._settings.days * _DAY_US)
        expired, problem = 0, None
        with self._locked(fcntl.LOCK_EX):
            holds = read_holds(self._folder)
            self._clear_unfinished(is_held=any(hold.released_at is None for hold in holds))
            for folder in self._account_folders():
                try:
                    account = read_key(folder, self._wrapping_key).account
                except StoreError as error:
                    problem = error  # one account's damage keeps nobody else's records alive
                    continue
                if not holding(holds, account):
                    expired += _expire(folder, before)
            if expired:
                self._note("expire", "the gateway", records=expired)
        if problem:
            raise problem
        return expired

    def hold(self, account: str | None, name: str, reason: str, by: str) -> Hold:
        """From now on nothing of this account (None: of any) expires or is deleted, until the hold is released."""
        hold = Hold(name, account, reason, by, self._clock.now_us())
        with self._locked(fcntl.LOCK_EX):
            add_hold(self._folder, hold)
            self._note("hold", by, hold=name, account=account, reason=reason)
        return hold

    def release(self, name: str, by: str) -> Hold:
        """Raises UsageError where no such hold is in force."""
        with self._locked(fcntl.LOCK_EX):
            hold = end_hold(self._folder, name, by, self._clock.now_us())
            self._note("release", by, hold=name, account=hold.account)
        return hold

    def holds(self) -> list[Hold]:
        """All that there are and were."""
        return read_holds(self._folder)

    def _write(self, drawn: Drawn) -> str:
        if not _CALL_ID.fullmatch(drawn.call_id):
            raise ValueError(f"not a call's id: {drawn.call_id!r}")
        salt = os.urandom(SALT_BYTES)
        folder = self._account_folder(drawn.account)
        with self._locked(fcntl.LOCK_SH):
            try:
                key = read_key(folder, self._wrapping_key)
            except FileNotFoundError:
                key = make_key(folder, drawn.account, self._wrapping_key)
            day = folder / datetime.fromtimestamp(drawn.at // 1_000_000, UTC).strftime("%Y-%m-%d")
            if not day.is_dir():
                day.mkdir(mode=0o700, exist_ok=True)
                sync(folder)
            write_record(day / f"{drawn.at}-{drawn.call_id}{SUFFIX}", drawn, salt, key)
        return drawn.escrow_digest(salt)

    def _account_folder(self, account: str) -> Path:
        """By a keyed print: an account's name needs no care as a file's name, and tells nothing to who lists files."""
        return self._folder / hmac.digest(self._print_key, account.encode(), "sha256").hex()[:32]

    def _account_folders(self) -> list[Path]:
        return sorted(key.parent for key in self._folder.glob(f"*/{FILE}"))

    def _clear_unfinished(self, *, is_held: bool) -> None:
        """What was being written, or deleted, when a process was killed."""
        for part in self._folder.rglob(".*.part"):
            part.unlink(missing_ok=True)  # nobody writes: the lock is ours alone
        for folder in self._folder.iterdir():
            if _ACCOUNT_FOLDER.fullmatch(folder.name) and not (folder / FILE).exists() and not is_held:
                shutil.rmtree(folder)

    def _note(self, action: str, by: str, **details: Any) -> None:
        note_action(self._folder, {"at": self._clock.now_us(), "action": action, "by": by, **details})

    @contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        """The folder, made if it is not there; what the system refuses in the block is a StoreError."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self._folder, os.O_RDONLY)
            try:
                fcntl.flock(descriptor, how)
                yield
            finally:
                os.close(descriptor)
        except OSError as error:
            what = f"{error.filename or self._folder}: {error.strerror or error}."
            raise StoreError(f"The escrow can't be used. {what}", "Free space, or mend the folder's rights.") from error


def _records(folder: Path) -> Iterator[Path]:
    return folder.glob(f"*/*{SUFFIX}")


def _time_of(record: Path) -> int:
    """When it was sealed, UTC microseconds."""
    return int(record.name.partition("-")[0])


def _expire(folder: Path, before: int) -> int:
    """Of one account, what was sealed before; the key goes with the last record."""
    expired = 0
    for day in sorted(path for path in folder.iterdir() if path.is_dir()):
        for record in list(day.glob(f"*{SUFFIX}")):
            if _time_of(record) < before:
                record.unlink()
                expired += 1
        if not any(day.iterdir()):
            day.rmdir()
    if not any(path.is_dir() for path in folder.iterdir()):
        _delete(folder)
    return expired


def _delete(folder: Path) -> None:
    """The key first: without it the rest is noise, should we be stopped in between."""
    (folder / FILE).unlink(missing_ok=True)
    sync(folder)
    shutil.rmtree(folder)
    sync(folder.parent)
