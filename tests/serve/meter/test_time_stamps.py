"""Time stamps, by an authority on loopback that does what RFC 3161 says, and what may go wrong with one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from tests.store.authority import Authority, answering

from stillroom.base.errors import DataError, ServeError, UsageError
from stillroom.serve.meter.chain import read_chain
from stillroom.serve.meter.time_stamps import stamp_log
from stillroom.serve.meter.verification import verify_log
from stillroom.store.time_stamps import read_roots


@pytest.fixture
def authority() -> Authority:
    return Authority()


@pytest.fixture
def url(authority: Authority) -> Iterator[str]:
    with answering(authority) as address:
        yield address


@pytest.fixture
def calls(tmp_path: Path, sealed_log: Path) -> Path:
    shutil.copytree(sealed_log, tmp_path / "calls")
    return tmp_path / "calls"


def test_each_chain_is_stamped_once_and_the_stamps_verify(calls: Path, url: str, authority: Authority) -> None:
    roots = [authority.root]
    stamped = stamp_log(calls, url, roots)
    assert [(each.worker, each.index) for each in stamped] == [("w0", 1), ("w1", 0)]
    assert all(abs(each.at - datetime.now(UTC)) < timedelta(minutes=5) for each in stamped)
    assert stamp_log(calls, url, roots) == []
    report = verify_log(calls, None, roots)
    assert (report.problems, report.stamped) == ([], 2)
    assert verify_log(calls).stamped == 2


def test_nothing_of_the_log_is_told_to_the_authority_but_a_digest(calls: Path, url: str, authority: Authority) -> None:
    stamp_log(calls, url)
    digests = [bytes.fromhex(read_chain(calls / name)[-1].digest.removeprefix("sha256:")) for name in ("w0", "w1")]
    for query, digest in zip(authority.asked, digests, strict=True):
        assert digest in query
        assert len(query) < 100


def test_a_record_that_is_cut_off_later_is_missed(calls: Path, url: str) -> None:
    stamp_log(calls, url)
    path = calls / "w0" / "chain.jsonl"
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    shutil.rmtree(calls / "w0" / "00000002")
    (problem,) = verify_log(calls).problems
    assert (problem.kind, problem.worker) == ("time stamp wrong", "w0")


def test_a_stamp_of_something_else_is_no_stamp(calls: Path, url: str, authority: Authority) -> None:
    (first, second) = stamp_log(calls, url)
    second.file.write_bytes(first.file.read_bytes())
    assert verify_log(calls).stamped == 1
    assert "not over this record" in verify_log(calls).problems[0].what
    second.file.write_bytes(b"\x30\x03no")
    assert "cannot be read" in verify_log(calls).problems[0].what
    authority.spoil = b"another record"
    second.file.unlink()
    with pytest.raises(ServeError, match="not over this record"):
        stamp_log(calls, url)


def test_a_stamp_by_somebody_else_traces_back_to_no_root(calls: Path, url: str) -> None:
    stranger = Authority()
    with pytest.raises(ServeError, match="does not trace back"):
        stamp_log(calls, url, [stranger.root])
    assert not (calls / "w0" / "stamps").exists()
    stamp_log(calls, url)
    report = verify_log(calls, None, [stranger.root])
    assert {problem.kind for problem in report.problems} == {"time stamp wrong"}


def test_answers_that_are_none(calls: Path, url: str, authority: Authority) -> None:
    authority.nonce_off_by = 1
    with pytest.raises(ServeError, match="another request"):
        stamp_log(calls, url)
    authority.status = 2
    with pytest.raises(ServeError, match="refused"):
        stamp_log(calls, url)
    authority.answer = b"<html>"
    with pytest.raises(ServeError, match="did not answer with a time stamp"):
        stamp_log(calls, url)


@pytest.mark.parametrize("address", ["file:///etc/passwd", "ftp://127.0.0.1/x", "stamps", ""])
def test_addresses_that_are_none(calls: Path, address: str) -> None:
    with pytest.raises(UsageError, match="is no address"):
        stamp_log(calls, address)


def test_an_authority_that_is_not_there(calls: Path) -> None:
    with pytest.raises(ServeError, match="did not answer"):
        stamp_log(calls, "http://127.0.0.1:9/")


def test_roots_are_read_from_pem(tmp_path: Path, authority: Authority) -> None:
    path = tmp_path / "roots.pem"
    path.write_bytes(authority.root.public_bytes(Encoding.PEM) * 2)
    assert read_roots(path) == [authority.root, authority.root]
    path.write_bytes(b"no PEM")
    with pytest.raises(DataError, match="no certificates"):
        read_roots(path)
