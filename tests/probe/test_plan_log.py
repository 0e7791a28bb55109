"""The log of plans: chained, signed, cut at no place unseen, and stamped by an authority outside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.probe.probes import make_probe, planned, signer
from tests.store.authority import Authority, answering

from stillroom.base.errors import StoreError
from stillroom.probe.log_checks import log_problems
from stillroom.probe.pack import STAMPS
from stillroom.probe.plan_log import FILE, read_log, write_log
from stillroom.probe.recorded import abandon, make_pack
from stillroom.probe.signer import KEYS, public_keys
from stillroom.probe.stamping import check_log_stamps, stamp_log, times_of
from stillroom.store.files import read_object


@pytest.fixture
def probe(tmp_path: Path) -> Path:
    return make_probe(tmp_path / "probe")


def test_records_follow_one_another_and_carry_signatures(probe: Path) -> None:
    planned(probe, number=10)
    second = planned(probe, "second", number=10)
    log = read_log(probe / FILE)
    assert [line.record.event for line in log] == ["planned", "planned"]
    assert log[1].record.previous == log[0].record.digest
    keys = public_keys(read_object(probe / KEYS), KEYS)
    problems = [*log_problems(log, second.plan, "", b"", keys)]
    assert problems == [
        "The log says of the plan, after it was recorded: nothing. It has to say: answers received, opened."
    ]


@pytest.mark.parametrize("line", [0, 1])
def test_a_record_that_was_altered_dropped_or_moved_is_seen(probe: Path, line: int) -> None:
    for name in ("first", "second", "third"):
        planned(probe, name, number=5)
    path = probe / FILE
    lines = path.read_bytes().splitlines(keepends=True)
    for altered in (
        [*lines[:line], *lines[line + 1 :]],
        [*lines[:line], lines[line + 1], lines[line], *lines[line + 2 :]],
        [*lines[:line], lines[line].replace(b"abacus", b"abacas"), *lines[line + 1 :]],
    ):
        path.write_bytes(b"".join(altered))
        with pytest.raises(StoreError, match="does not follow"):
            read_log(path)


def test_lines_that_are_no_records_are_named(probe: Path) -> None:
    planned(probe, number=5)
    path = probe / FILE
    whole = path.read_bytes()
    for junk in (b"no JSON\n", b"[]\n", b'{"record": {}, "jws": ""}\n', b'{"record": 5, "jws": null}\n'):
        path.write_bytes(whole + junk)
        with pytest.raises(StoreError, match="line 2"):
            read_log(path)
    path.write_bytes(whole + b'{"half')
    assert len(read_log(path)) == 1


def test_a_signature_by_somebody_else_is_seen(probe: Path, tmp_path: Path) -> None:
    plan = planned(probe, number=5).plan
    stranger = signer(tmp_path / "stranger")
    log = read_log(probe / FILE)
    (problem, *_) = log_problems(log, plan, "", b"", public_keys(stranger.keys, "theirs"))
    assert "not among the owner's" in problem


def test_the_last_record_is_stamped_once_and_the_pack_has_the_stamp(probe: Path) -> None:
    made = planned(probe, number=5)
    authority = Authority()
    with answering(authority) as url:
        at = stamp_log(probe, url, [authority.root])
        assert at is not None
        assert stamp_log(probe, url) is None
    log = read_log(probe / FILE)
    assert times_of(probe / STAMPS, log) == {0: at}
    make_pack(probe, "first")
    assert check_log_stamps(made.pack / STAMPS, log, [authority.root]).wrong == []
    assert check_log_stamps(made.pack / STAMPS, log, [Authority().root]).wrong != []


def test_a_log_that_was_written_anew_lacks_what_was_stamped(probe: Path, tmp_path: Path) -> None:
    planned(probe, number=5)
    authority = Authority()
    with answering(authority) as url:
        stamp_log(probe, url)
    other = make_probe(tmp_path / "other")
    planned(other, number=5)
    (wrong,) = check_log_stamps(probe / STAMPS, read_log(other / FILE), None).wrong
    assert "does not have" in wrong


def test_a_copy_of_the_log_is_the_log(probe: Path, tmp_path: Path) -> None:
    planned(probe, number=5)
    abandon(probe, "first", "a slip", signer(probe), "Olga")
    log = read_log(probe / FILE)
    write_log(tmp_path / "copy.jsonl", log)
    assert (tmp_path / "copy.jsonl").read_bytes() == (probe / FILE).read_bytes()
    assert log[1].record.note == "a slip"


def test_a_clock_that_was_put_back_is_no_reason_for_an_unordered_log(
    probe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned(probe, number=5)
    monkeypatch.setattr("stillroom.base.clock.time.time_ns", lambda: 1_000_000_000)
    with pytest.raises(StoreError, match="clock"):
        planned(probe, "second", number=5)


def test_nothing_secret_is_in_the_log(probe: Path) -> None:
    planned(probe, number=5)
    secret: dict[str, Any] = orjson.loads((probe / "signing-key.json").read_bytes())
    written = b"".join(
        path.read_bytes() for path in probe.rglob("*") if path.is_file() and path.name != "signing-key.json"
    )
    assert secret["d"].encode() not in written
