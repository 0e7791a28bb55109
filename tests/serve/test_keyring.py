"""Signing keys in files: one signs, all are published, and a rotation is seen without a restart."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import stat
from pathlib import Path
from typing import Any

import orjson
import pytest

from stillroom.base.errors import StoreError
from stillroom.base.signatures import PublicKeys, SignatureRefused, open_token
from stillroom.serve.keyring import OVERLAP_S, Keyring

TYP = "stillroom-test+jws"


class ClockByHand:
    def __init__(self) -> None:
        self.seconds = 1_000_000.0

    def now_us(self) -> int:
        return int(self.seconds * 1_000_000)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        raise AssertionError(f"nothing here waits, and {seconds} s were asked for")


@pytest.fixture
def clock() -> ClockByHand:
    return ClockByHand()


def key_files(state: Path) -> list[Path]:
    return sorted((state / "keys").glob("*.json"))


def test_the_first_key_is_made_and_is_the_owners_alone_to_read(tmp_path: Path, clock: ClockByHand) -> None:
    keyring = Keyring.open(tmp_path, clock)
    (file,) = key_files(tmp_path)
    assert file.name == f"{keyring.active.kid}.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700
    assert Keyring.open(tmp_path, clock).active.kid == keyring.active.kid
    assert len(key_files(tmp_path)) == 1


def test_a_rotation_is_seen_by_a_worker_that_runs(tmp_path: Path, clock: ClockByHand) -> None:
    worker = Keyring.open(tmp_path, clock)
    old = worker.active
    clock.seconds += 500
    new = Keyring.open(tmp_path, clock).rotate()
    clock.seconds += 1
    assert worker.active.kid == new.kid
    assert [(each.key.kid, each.retired_at) for each in worker.keys] == [
        (new.kid, None),
        (old.kid, 1_000_500 + OVERLAP_S),
    ]


def test_a_rotation_is_seen_where_the_folder_s_time_is_the_same(tmp_path: Path, clock: ClockByHand) -> None:
    """As within a tick of the kernel's clock."""
    worker = Keyring.open(tmp_path, clock)
    before = (tmp_path / "keys").stat()
    new = Keyring.open(tmp_path, clock).rotate()
    os.utime(tmp_path / "keys", ns=(before.st_atime_ns, before.st_mtime_ns))
    clock.seconds += 1
    assert worker.active.kid == new.kid


def test_the_newest_key_signs_however_fast_they_follow(tmp_path: Path, clock: ClockByHand) -> None:
    keyring = Keyring.open(tmp_path, clock)
    made = [keyring.active.kid, *(keyring.rotate().kid for _ in range(10))]
    assert [each.key.kid for each in keyring.keys] == made[::-1]
    assert [each.key.kid for each in Keyring.open(tmp_path, clock).keys] == made[::-1]
    clock.seconds -= 1000  # put back
    assert keyring.rotate().kid == keyring.active.kid


def test_what_was_signed_with_a_retired_key_stays_good(tmp_path: Path, clock: ClockByHand) -> None:
    keyring = Keyring.open(tmp_path, clock)
    token = keyring.active.sign(TYP, {"text": "before"})
    clock.seconds += 10
    keyring.rotate()
    clock.seconds += 10
    keyring.rotate()
    published = PublicKeys.from_jwks(orjson.dumps(keyring.jwks()), "jwks.json")
    for keys in (published, keyring.public_keys()):
        assert len(keys) == 3
        _, key = open_token(token, TYP, keys)
        assert (key.not_before, key.retired_at) == (1_000_000, 1_000_010 + OVERLAP_S)
        key.check_time(1_000_010, now=1_000_020)
        with pytest.raises(SignatureRefused):
            key.check_time(1_000_200, now=1_000_200)


def test_what_is_published_holds_nothing_private(tmp_path: Path, clock: ClockByHand) -> None:
    keyring = Keyring.open(tmp_path, clock)
    private = orjson.loads(key_files(tmp_path)[0].read_bytes())["d"]
    clock.seconds += 10
    new = keyring.rotate()
    newest, oldest = keyring.jwks()["keys"]
    assert private not in orjson.dumps(keyring.jwks()).decode()
    assert newest == {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": newest["x"],
        "kid": new.kid,
        "use": "sig",
        "alg": "Ed25519",
        "nbf": 1_000_010,
    }
    assert oldest["retired_at"] == 1_000_010 + OVERLAP_S
    assert private not in repr(keyring.keys)


def test_a_key_that_was_taken_away_is_published_no_more(tmp_path: Path, clock: ClockByHand) -> None:
    keyring = Keyring.open(tmp_path, clock)
    stolen = keyring.active
    token = stolen.sign(TYP, {})
    clock.seconds += 10
    keyring.rotate()
    (tmp_path / "keys" / f"{stolen.kid}.json").unlink()
    clock.seconds += 1
    with pytest.raises(SignatureRefused) as caught:
        open_token(token, TYP, keyring.public_keys())
    assert caught.value.reason == "unknown_key"


def test_a_worker_goes_on_where_a_file_is_being_written(
    tmp_path: Path, clock: ClockByHand, caplog: pytest.LogCaptureFixture
) -> None:
    worker = Keyring.open(tmp_path, clock)
    kid = worker.active.kid
    half = tmp_path / "keys" / "half.json"
    half.write_bytes(b'{"kty":"OKP"')
    half.chmod(0o600)
    clock.seconds += 1
    assert worker.active.kid == kid
    assert "half.json" in caplog.text
    half.unlink()
    clock.seconds += 1
    new = Keyring.open(tmp_path, clock).rotate()
    clock.seconds += 1
    assert worker.active.kid == new.kid


def test_a_worker_goes_on_where_the_folder_is_gone(tmp_path: Path, clock: ClockByHand) -> None:
    worker = Keyring.open(tmp_path, clock)
    kid = worker.active.kid
    shutil.rmtree(tmp_path / "keys")
    clock.seconds += 1
    assert worker.active.kid == kid
    assert len(worker.jwks()["keys"]) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"d": None},
        {"d": "AA"},
        {"kty": "oct", "k": "AAAA"},
        {"crv": "X25519"},
        {"nbf": "now"},
        {"nbf": True},
        {"nbf": None},
        {"x": "A" * 43},
    ],
)
def test_a_damaged_key_is_named(tmp_path: Path, clock: ClockByHand, change: dict[str, Any]) -> None:
    Keyring.open(tmp_path, clock)
    (file,) = key_files(tmp_path)
    entry = {**orjson.loads(file.read_bytes()), **change}
    file.write_bytes(orjson.dumps({name: value for name, value in entry.items() if value is not None}))
    with pytest.raises(StoreError, match="is no signing key") as caught:
        Keyring.open(tmp_path, clock)
    assert str(file) in caught.value.what


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"\xff"])
def test_a_file_that_is_no_key_is_named(tmp_path: Path, clock: ClockByHand, data: bytes) -> None:
    Keyring.open(tmp_path, clock)
    key_files(tmp_path)[0].write_bytes(data)
    with pytest.raises(StoreError, match="is no signing key"):
        Keyring.open(tmp_path, clock)


def test_a_key_that_others_can_read_is_refused(tmp_path: Path, clock: ClockByHand) -> None:
    Keyring.open(tmp_path, clock)
    key_files(tmp_path)[0].chmod(0o640)
    with pytest.raises(StoreError, match="can be read by others") as caught:
        Keyring.open(tmp_path, clock)
    assert "chmod 600" in caught.value.remedy


def test_a_state_folder_that_is_none_is_named(tmp_path: Path, clock: ClockByHand) -> None:
    (tmp_path / "keys").write_bytes(b"")
    with pytest.raises(StoreError, match="cannot be used"):
        Keyring.open(tmp_path, clock)


def test_keys_in_a_folder_that_nobody_may_write_to_are_used(tmp_path: Path, clock: ClockByHand) -> None:
    keyring = Keyring.open(tmp_path, clock)
    copy = tmp_path / "copy"
    shutil.copytree(tmp_path / "keys", copy / "keys", ignore=shutil.ignore_patterns(".*"))
    assert Keyring.open(copy, clock).active.kid == keyring.active.kid
    assert [path.suffix for path in (copy / "keys").iterdir()] == [".json"]  # nothing was written


def _open(state: Path) -> str:
    return Keyring.open(state).active.kid


def test_processes_that_start_together_make_one_first_key(tmp_path: Path) -> None:
    with multiprocessing.get_context("fork").Pool(4) as pool:
        assert len(set(pool.map(_open, [tmp_path] * 8))) == 1
    assert len(key_files(tmp_path)) == 1
