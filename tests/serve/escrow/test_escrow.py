"""The escrow's promises: sampled by nobody's choice, committed, encrypted, expiring, deletable, and held where told."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import re
from collections.abc import Iterator
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillroom.base.clock import SystemClock
from stillroom.base.errors import StoreError, UsageError
from stillroom.base.escrow_commitment import Coin, Drawn, is_opened_by
from stillroom.base.records import Call
from stillroom.serve.accounts.caller import AccountLimits, Caller
from stillroom.serve.escrow.escrow import FOLDER, Escrow
from stillroom.serve.meter.ids import new_id
from stillroom.serve.routes.asked import AskedFor
from stillroom.serve.routes.request import read_request
from stillroom.serve.settings import EscrowSettings
from stillroom.store.secrets import Secrets

DAY_US = 86_400_000_000
START_US = 1_790_000_000_000_000
SECRETS = Secrets(bytes(range(32)))
CALLER = Caller("acct_1", "org_1", "key_1", AccountLimits(), None, True, "2026-11", None)
REQUEST, SERVED, SEALED = b'{"messages": []}', b'{"choices": ["one secret word"]}', b'{"choices": ["another"]}'


class SetClock(SystemClock):
    def __init__(self) -> None:
        self.set_us = START_US

    def now_us(self) -> int:
        return self.set_us


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def escrow(tmp_path: Path, clock: SetClock) -> Escrow:
    return Escrow(tmp_path / FOLDER, SECRETS, EscrowSettings(share=1, days=90), clock)


def seal(escrow: Escrow, call_id: str, account: str = "acct_1", coin: Coin = 1) -> str:
    return asyncio.run(escrow.seal(call_id, account, served=SERVED, sealed=SEALED, request=REQUEST, coin=coin))


def files_in(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def call_of(call_id: str) -> Call:
    known: dict[str, Any] = {"call_id": call_id, "at": START_US, "account": "acct_1", "route": "chat", "stream": False}
    required = [field.name for field in fields(Call) if field.default is MISSING]
    return Call(**{**dict.fromkeys(required), **known})


def asked(temperature: float | None = 0.7, n: int | None = None) -> AskedFor:
    body: dict[str, object] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    body |= {"temperature": temperature} if temperature is not None else {}
    return read_request("chat", body | ({"n": n} if n else {}))


def test_what_was_sealed_is_opened(escrow: Escrow, tmp_path: Path, clock: SetClock) -> None:
    digest = seal(escrow, "c1")
    opened = escrow.open("c1", "ada")
    assert opened is not None
    assert opened.drawn == Drawn("c1", "acct_1", START_US, 1, REQUEST, SERVED, SEALED)
    assert opened.escrow_digest == digest
    assert escrow.open("c2", "ada") is None
    assert escrow.open("../*", "ada") is None
    assert escrow.open("*", "ada") is None
    actions = (tmp_path / FOLDER / "actions.jsonl").read_text()
    assert actions.count("\n") == 1
    assert all(word in actions for word in ('"show"', '"ada"', '"c1"', str(clock.set_us)))


def test_records_of_accounts_are_opened_in_their_order(escrow: Escrow, tmp_path: Path, clock: SetClock) -> None:
    digests = {}
    for call_id, account in (("c2", "acct_1"), ("c1", "acct_1"), ("c3", "acct_2"), ("c4", "acct_1")):
        clock.set_us += 1
        digests[call_id] = seal(escrow, call_id, account)
    found = dict(escrow.opened_records(["acct_1", "acct_3"], "ada", "pairs"))
    assert list(found) == ["c2", "c1", "c4"]
    assert {name: opened.escrow_digest for name, opened in found.items() if opened} == {
        name: digests[name] for name in found
    }
    assert set(dict(escrow.opened_records(None, "ada", "pairs"))) == set(digests)
    actions = [json.loads(line) for line in (tmp_path / FOLDER / "actions.jsonl").read_text().splitlines()]
    assert [(each["action"], each["by"], each["accounts"], each["records"]) for each in actions] == [
        ("pairs", "ada", ["acct_1", "acct_3"], 3),
        ("pairs", "ada", None, 4),
    ]


def test_what_is_damaged_or_goes_meanwhile_does_not_keep_the_others_shut(escrow: Escrow, tmp_path: Path) -> None:
    for call_id, account in (("c1", "acct_1"), ("c2", "acct_1"), ("c3", "acct_2"), ("c4", "acct_3")):
        seal(escrow, call_id, account)
    (damaged,) = tmp_path.glob("*/*/*/*-c1.sealed")
    damaged.write_bytes(b"noise")
    records = escrow.opened_records(["acct_1", "acct_2", "acct_3"], "ada", "pairs")
    found = dict([next(records)])
    escrow.forget("acct_2", "grace")
    (key,) = (path for path in tmp_path.glob("*/*/key.json") if b"acct_3" in path.read_bytes())
    key.unlink()
    found |= dict(records)
    assert {name: opened is not None for name, opened in found.items()} == {"c1": False, "c2": True}


def test_nothing_lies_there_in_the_clear(escrow: Escrow, tmp_path: Path) -> None:
    for number in range(3):
        seal(escrow, f"c{number}")
    for path in files_in(tmp_path):
        assert not path.stat().st_mode & 0o077
        assert b"secret word" not in path.read_bytes()
        assert b"choices" not in path.read_bytes()
    assert (tmp_path / FOLDER).stat().st_mode & 0o777 == 0o700


def test_the_digest_tells_nothing_and_admits_of_one_record(escrow: Escrow) -> None:
    """The same replies under the same coin have another digest each time: neither text nor coin can be guessed."""
    one, other = seal(escrow, "c1"), seal(escrow, "c2")
    assert re.fullmatch("escrow1(:[0-9a-f]{64}){4}", one)
    assert not set(one.split(":")[1:]) & set(other.split(":")[1:])
    opened = escrow.open("c1", "ada")
    assert opened is not None
    drawn, salt = opened
    assert is_opened_by(one, drawn, salt)
    assert not is_opened_by(other, drawn, salt)
    for altered in (
        replace(drawn, coin=0),
        replace(drawn, served=SEALED, sealed=SERVED),
        replace(drawn, request=REQUEST + b" "),
        replace(drawn, call_id="c3"),
    ):
        assert not is_opened_by(one, altered, salt)


@given(st.binary(), st.binary(), st.binary(), st.binary())
def test_no_two_records_share_a_digest(served: bytes, sealed: bytes, other_served: bytes, other_sealed: bytes) -> None:
    salt = bytes(16)
    one = Drawn("c", "a", 1, 0, b"", served, sealed).escrow_digest(salt)
    other = Drawn("c", "a", 1, 0, b"", other_served, other_sealed).escrow_digest(salt)
    assert (one == other) == ((served, sealed) == (other_served, other_sealed))


def test_a_share_of_calls_is_wanted_and_no_client_can_choose_which(tmp_path: Path) -> None:
    tenth = Escrow(tmp_path, SECRETS, EscrowSettings(share=0.1))
    other_secret = Escrow(tmp_path, Secrets(bytes(32)), EscrowSettings(share=0.1))
    ids = [new_id(START_US + number) for number in range(5000)]
    wanted = [tenth.wants(call_of(call_id), asked(), CALLER) for call_id in ids]
    assert 400 < sum(wanted) < 600  # 4.7 standard deviations
    assert wanted == [tenth.wants(call_of(call_id), asked(n=1), CALLER) for call_id in ids]
    assert wanted != [other_secret.wants(call_of(call_id), asked(), CALLER) for call_id in ids]


@pytest.mark.parametrize(
    ("share", "retention", "temperature", "n", "is_wanted"),
    [
        (1, True, 0.7, None, True),
        (1, True, None, None, True),
        (0, True, 0.7, None, False),
        (1, False, 0.7, None, False),
        (1, True, 0, None, False),
        (1, True, 0.7, 2, False),
    ],
)
def test_which_calls_are_wanted_at_all(
    tmp_path: Path, share: float, retention: bool, temperature: float | None, n: int | None, is_wanted: bool
) -> None:
    escrow = Escrow(tmp_path, SECRETS, EscrowSettings(share=share))
    caller = replace(CALLER, retention=retention)
    assert escrow.wants(call_of("c1"), asked(temperature, n), caller) == is_wanted


def test_the_coin_is_fair(escrow: Escrow) -> None:
    assert 4700 < sum(escrow.draw_coin() for _ in range(10_000)) < 5300  # six standard deviations


def test_an_account_that_is_forgotten(escrow: Escrow, tmp_path: Path) -> None:
    for call_id, account in (("c1", "acct_1"), ("c2", "acct_1"), ("c3", "acct_2")):
        seal(escrow, call_id, account)
    before = {path: path.read_bytes() for path in files_in(tmp_path)}
    assert escrow.forget("acct_1", "ada") == 2
    assert escrow.open("c1", "ada") is None
    assert escrow.open("c3", "ada") is not None
    assert escrow.forget("acct_1", "ada") == 0
    # A copy of the files, without the key's, says nothing any more: a new key opens none of them.
    seal(escrow, "c4", "acct_1")
    for path, data in before.items():
        if path.suffix == ".sealed" and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    with pytest.raises(StoreError, match="was altered"):
        escrow.open("c1", "ada")


def test_records_expire(escrow: Escrow, clock: SetClock, tmp_path: Path) -> None:
    seal(escrow, "c1")
    clock.set_us += DAY_US // 2
    seal(escrow, "c2")
    seal(escrow, "c3", "acct_2")
    assert escrow.expire(START_US + 90 * DAY_US) == 0
    assert escrow.expire(START_US + 90 * DAY_US + 1) == 1
    assert escrow.open("c1", "ada") is None
    assert escrow.open("c2", "ada") is not None
    assert escrow.expire(START_US + 91 * DAY_US) == 2
    assert escrow.kept() == []
    # No key outlives its last record.
    assert {path.name for path in files_in(tmp_path)} == {"actions.jsonl"}


def test_a_hold_stops_expiry_and_deletion_until_it_is_released(escrow: Escrow, clock: SetClock) -> None:
    seal(escrow, "c1")
    seal(escrow, "c2", "acct_2")
    escrow.hold("acct_1", "case-1", "court order 12/26", "ada")
    clock.set_us += 1
    escrow.hold(None, "audit", "yearly audit", "grace")
    assert escrow.expire(START_US + 1000 * DAY_US) == 0
    with pytest.raises(StoreError, match="legal hold: case-1, audit"):
        escrow.forget("acct_1", "ada")
    released = escrow.release("audit", "grace")
    assert (released.released_by, released.released_at) == ("grace", clock.set_us)
    with pytest.raises(StoreError, match="legal hold: case-1"):
        escrow.forget("acct_1", "ada")
    assert escrow.expire(START_US + 1000 * DAY_US) == 1
    assert [kept.account for kept in escrow.kept()] == ["acct_1"]
    escrow.release("case-1", "ada")
    assert escrow.forget("acct_1", "ada") == 1
    assert [(hold.name, hold.by, hold.released_by) for hold in escrow.holds()] == [
        ("case-1", "ada", "ada"),
        ("audit", "grace", "grace"),
    ]


@pytest.mark.parametrize("name", ["", "../out", "a/b", ".hidden", "x" * 65, "a\nb"])
def test_a_name_that_is_none(escrow: Escrow, name: str) -> None:
    with pytest.raises(UsageError):
        escrow.hold("acct_1", name, "reason", "ada")


def test_holds_that_make_no_sense(escrow: Escrow) -> None:
    escrow.hold("acct_1", "case", "reason", "ada")
    with pytest.raises(UsageError, match="already"):
        escrow.hold("acct_2", "case", "reason", "ada")
    with pytest.raises(UsageError, match="reason"):
        escrow.hold("acct_2", "other", " ", "ada")
    with pytest.raises(UsageError, match="in force"):
        escrow.release("other", "ada")
    escrow.release("case", "ada")
    with pytest.raises(UsageError, match="in force"):
        escrow.release("case", "ada")
    with pytest.raises(UsageError, match="or there was"):
        escrow.hold("acct_1", "case", "reason", "ada")


def test_a_hold_that_cannot_be_read_is_in_force(escrow: Escrow, tmp_path: Path) -> None:
    seal(escrow, "c1")
    escrow.hold("acct_1", "case", "reason", "ada")
    (tmp_path / FOLDER / "holds" / "case.json").write_text('{"name": "case"}')
    with pytest.raises(StoreError, match="no hold"):
        escrow.expire(START_US + 1000 * DAY_US)
    with pytest.raises(StoreError, match="no hold"):
        escrow.forget("acct_1", "ada")
    assert escrow.open("c1", "ada") is not None


def test_altered_files_are_noticed(escrow: Escrow, tmp_path: Path) -> None:
    seal(escrow, "c1")
    (record,) = tmp_path.rglob("*.sealed")
    data = record.read_bytes()
    for altered in (data[:-1], data[:5], b"", bytes([data[0] ^ 1]) + data[1:], data[:-1] + bytes([data[-1] ^ 1])):
        record.write_bytes(altered)
        with pytest.raises(StoreError, match="was altered"):
            escrow.open("c1", "ada")
    record.write_bytes(data)
    renamed = record.rename(record.with_name(record.name.replace("c1", "c2")))
    with pytest.raises(StoreError, match="was altered"):
        escrow.open("c2", "ada")
    renamed.rename(record)
    assert escrow.open("c1", "ada") is not None


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"account": "acct_1", "wrapped": "?"}', b'"text"'])
def test_a_damaged_key_keeps_nobody_elses_records_alive(escrow: Escrow, tmp_path: Path, content: bytes) -> None:
    seal(escrow, "c1")
    (key,) = tmp_path.rglob("key.json")
    seal(escrow, "c2", "acct_2")
    key.write_bytes(content)
    with pytest.raises(StoreError):
        escrow.expire(START_US + 1000 * DAY_US)
    assert escrow.open("c2", "ada") is None
    with pytest.raises(StoreError):
        escrow.open("c1", "ada")
    with pytest.raises(StoreError):
        seal(escrow, "c3")
    assert escrow.forget("acct_1", "ada") == 1


def test_another_gateways_secret_opens_nothing(escrow: Escrow, tmp_path: Path) -> None:
    seal(escrow, "c1")
    other = Escrow(tmp_path / FOLDER, Secrets(bytes(32)), EscrowSettings())
    with pytest.raises(StoreError, match="another secret"):
        other.open("c1", "ada")


def test_what_a_killed_process_left_is_cleared(escrow: Escrow, tmp_path: Path) -> None:
    seal(escrow, "c1")
    (record,) = tmp_path.rglob("*.sealed")
    half = record.with_name(".half.part")
    half.write_bytes(b"half")
    forgotten = tmp_path / FOLDER / ("0" * 32)
    forgotten.mkdir()
    (forgotten / "noise").write_bytes(b"its key was deleted already")
    assert escrow.expire(START_US) == 0
    assert not half.exists()
    assert not forgotten.exists()
    assert escrow.open("c1", "ada") is not None


def test_a_disk_that_takes_nothing(escrow: Escrow, tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_bytes(b"a file is in the way")
    with pytest.raises(StoreError, match="escrow can't be used"):
        seal(escrow, "c1")


def _seal_many(folder: Path, worker: int) -> None:
    escrow = Escrow(folder, SECRETS, EscrowSettings(share=1))
    for number in range(15):
        seal(escrow, f"w{worker}c{number}", f"acct_{number % 3}")


def test_several_workers_make_one_key_for_an_account(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_seal_many, args=(tmp_path / FOLDER, worker)) for worker in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    escrow = Escrow(tmp_path / FOLDER, SECRETS, EscrowSettings())
    assert {kept.account: kept.records for kept in escrow.kept()} == {"acct_0": 10, "acct_1": 10, "acct_2": 10}
    for call_id in ("w0c0", "w1c7", "w1c14"):
        assert escrow.open(call_id, "ada") is not None
