"""Looks and calibrations where something is wrong: clocks, days without calls, damaged files, kills."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from shutil import copytree, rmtree

import pytest
from tests.watch.logs import seal
from tests.watch.review.conftest import HandClock

from stillroom.base.errors import StoreError, UsageError
from stillroom.base.records import Finding
from stillroom.store import files
from stillroom.testing.traffic import START_AT, TRAFFIC_SECRET, Campaign, Traffic, bank_texts, benign, campaign
from stillroom.watch import run
from stillroom.watch.alarms import Looks, looks, note_alarms
from stillroom.watch.banks.stored import add_bank
from stillroom.watch.calibration.kept import CalibrationFolder
from stillroom.watch.engine import Engine
from stillroom.watch.folder import held, scratch_folder
from stillroom.watch.review.store import FindingStore
from stillroom.watch.run import calibrate_on, engine_of, kept_calibration, last_day, look, take

DAY_US = 86_400_000_000
FIRST = START_AT // DAY_US


@pytest.fixture(scope="module")
def traffic() -> Traffic:
    customers = benign(8, organisations=40, calls_per_organisation=30, twins=())
    families = frozenset({"network", "payment"})
    setting = Campaign(
        "test", questions=1_000, accounts=12, bank="word_problems", families=families, days=14, start_day=7
    )
    return customers.with_traffic(campaign(setting, 8, customers))


@pytest.fixture(scope="module")
def calls(traffic: Traffic, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gateway") / "calls"
    traffic.write(folder)
    return folder


@pytest.fixture
def watch(tmp_path: Path) -> Path:
    return tmp_path / "watch"


@pytest.fixture
def engine(duck: Engine) -> Engine:
    return duck


def clock_at(now: int) -> HandClock:
    clock = HandClock()
    clock.now = now
    return clock


def test_a_call_that_a_wrong_clock_dated_hides_no_other(
    calls: Path, watch: Path, engine: Engine, traffic: Traffic, tmp_path: Path
) -> None:
    here = clock_at((FIRST + 40) * DAY_US)
    seen = look(calls, watch, TRAFFIC_SECRET, engine=engine, clock=here).findings
    of_one = traffic.calls.slice(0, 1).to_pylist()[0]
    for number, at in enumerate((-5, 0, here.now + 900 * DAY_US, 253_402_300_799_000_000, 2**62)):
        seal(tmp_path / "more", [of_one | {"call_id": f"wrong {number}", "at": at}], number)
    looked = look(tmp_path / "more", watch, TRAFFIC_SECRET, engine=engine, clock=here)
    assert (looked.taken.counted, looked.taken.unattributed) == (2, 3)
    assert looked.until_day == FIRST + 28
    assert [one.id for one in looked.findings] == [one.id for one in seen]
    assert last_day(watch, clock_at((FIRST + 2_000) * DAY_US)) == here.now // DAY_US + 900


def test_weeks_without_calls_are_no_quiet_weeks(calls: Path, watch: Path, engine: Engine) -> None:
    look(calls, watch, None, engine=engine)
    with pytest.raises(UsageError, match="no calls in the four weeks to"):
        calibrate_on(engine, watch, "first", FIRST + 28, 100_000, 1.0, by="Olga", reason="begin")
    with pytest.raises(UsageError, match="no calls"):
        calibrate_on(engine, watch, "first", FIRST + 300, 1, 1.0, by="Olga", reason="begin")
    assert CalibrationFolder(watch).steps() == ()


@pytest.mark.parametrize(
    ("version", "by", "budget"),
    [
        ("../x", "Olga", 1.0),
        ("versions.json", "Olga", 1.0),
        ("first", " ", 1.0),
        ("first", "Olga", float("inf")),
        ("first", "Olga", float("nan")),
    ],
)
def test_what_cannot_be_calibrated_is_said_before_anything_is_done(
    watch: Path, engine: Engine, version: str, by: str, budget: float
) -> None:
    with pytest.raises(UsageError):
        calibrate_on(engine, watch, version, FIRST + 14, 1, budget, by=by, reason="begin")
    assert not (watch / "calibration").exists()


def test_a_look_at_days_without_calls_is_no_look(calls: Path, watch: Path, engine: Engine) -> None:
    look(calls, watch, None, engine=engine)
    calibrate_on(engine, watch, "first", FIRST + 28, 2, 1.0, by="Olga", reason="begin")
    assert look(calls, watch, None, engine=engine, until_day=FIRST - 30).organisations == 0
    for late in (FIRST + 29, FIRST + 2_000_000):
        with pytest.raises(UsageError, match="later than the last call"):
            look(calls, watch, None, engine=engine, until_day=late)
    assert looks(watch, "first") is None


@pytest.mark.parametrize(
    "damage",
    [
        "delete all of it",
        "update parts set known = 'x'",
        'update parts set known = \'{"at": "x"}\'',
        "update parts set tables = '[\"../x\"]'",
        "update parts set name = '../x'",
        "update parts set first_day = 'monday'",
    ],
)
def test_a_damaged_list_of_parts_is_said_and_nothing_deleted(
    calls: Path, watch: Path, engine: Engine, damage: str
) -> None:
    take(engine, calls, watch, None, None)
    files = sorted((watch / "state").rglob("*.parquet"))
    path = watch / "state" / "parts.sqlite3"
    if damage.startswith("delete"):
        path.write_bytes(b"")
    else:
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(damage)
    for _ in range(2):
        with pytest.raises(StoreError, match="list of"):
            look(calls, watch, None, engine=engine)
    assert sorted((watch / "state").rglob("*.parquet")) == files


@pytest.fixture(scope="module")
def calibrated(calls: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("calibrated") / "watch"
    with engine_of(folder, "duckdb") as opened:
        take(opened, calls, folder, None, None)
        calibrate_on(opened, folder, "first", FIRST + 28, 1, 1.0, by="Olga", reason="begin")
    return folder


@pytest.mark.parametrize(
    ("file", "was", "altered"),
    [
        ("first/threshold-account.json", '"weeks": 2.0', '"weeks": 0'),
        ("first/threshold-account.json", '"score": ', '"score": NaN, "was": '),
        ("first/threshold-account.json", '"score": ', '"score": 1e999, "was": '),
        ("first/threshold-account.json", '"score": ', '"score": -1, "was": '),
        ("first/threshold-campaign.json", '"peaks": [', '"peaks": [-5],"was": ['),
        ("first/threshold-campaign.json", "{", "["),
        ("first/standings.json", '"n": ', '"n": -'),
        ("first/standings.json", '"n": ', '"n": 0.'),
        ("first/standings.json", '"grid": [', '"grid": [NaN, '),
        ("first/standings.json", '"grid": [', '"grid": ["x", '),
        ("first/standings.json", '"grid": [', '"grid": [[0], '),
        ("first/standings.json", '"scale": "log"', '"scale": "lag"'),
        ("first/standings.json", '"owners": [', '"owners": ["me", '),
        ("first/standings.json", '"days"', '"daze"'),
        ("first/baselines.json", '"points": [', '"points": [1e300, '),
        ("first/baselines.json", "{", "[{"),
        ("versions.json", '"first"', '"../x"'),
        ("versions.json", '"at": ', '"at": -'),
    ],
)
def test_a_calibration_that_was_altered_is_said(
    calibrated: Path, tmp_path: Path, file: str, was: str, altered: str
) -> None:
    watch = Path(copytree(calibrated, tmp_path / "watch"))
    path = watch / "calibration" / file
    written = path.read_text(encoding="utf-8")
    assert was in written
    path.write_text(written.replace(was, altered, 1), encoding="utf-8")
    with pytest.raises(StoreError, match=rf"{path} is not"):
        read_all(watch)


def read_all(watch: Path) -> None:
    CalibrationFolder(watch).baselines("first")
    CalibrationFolder(watch).steps()
    kept_calibration(watch, "first")


def test_a_line_of_alarms_that_was_cut_short_does_not_count(calibrated: Path, tmp_path: Path) -> None:
    watch = Path(copytree(calibrated, tmp_path / "watch"))
    note_alarms(watch, "first", FIRST + 14, frozenset({"a"}), 5)
    path = watch / "calibration" / "first" / "alarms.jsonl"
    with path.open("a") as file:
        file.write('{"until_day": 3, "ala')
    assert looks(watch, "first") == looks_of({"a"}, FIRST + 14, FIRST + 14)
    note_alarms(watch, "first", FIRST + 15, frozenset({"b"}), 5)
    assert looks(watch, "first") == looks_of({"a", "b"}, FIRST + 14, FIRST + 15)
    for line in ("{", "[]", '{"until_day": 3}', '{"until_day": "x", "alarmed": []}', '{"alarmed": []}', "\x80"):
        path.write_bytes(line.encode("latin-1") + b"\n")
        with pytest.raises(StoreError, match=r"Line 1 of .* is no look"):
            looks(watch, "first")


def looks_of(alarmed: set[str], first_day: int, last_day: int) -> Looks:
    return Looks(frozenset(alarmed), first_day, last_day)


def test_two_do_not_change_one_folder_at_once(watch: Path, engine: Engine, calls: Path) -> None:
    with held(watch), pytest.raises(StoreError, match=f"in use by process {os.getpid()}"):
        look(calls, watch, None, engine=engine)
    with held(watch), pytest.raises(StoreError, match="in use"):
        calibrate_on(engine, watch, "first", FIRST + 14, 1, 1.0, by="Olga", reason="begin")


def test_temporary_files_of_the_killed_are_removed_and_no_others(watch: Path) -> None:
    left, fresh = watch / ".engine-left", watch / ".engine-fresh"
    for folder in (left, fresh):
        (folder / "spilled").mkdir(parents=True)
    os.utime(left, (0, 0))
    with scratch_folder(watch) as mine:
        os.utime(mine, (0, 0))
        with scratch_folder(watch) as other:
            assert sorted(watch.glob(".engine-*")) == sorted([fresh, mine, other])
    assert list(watch.glob(".engine-*")) == [fresh]


class Killed(BaseException):
    pass


def test_a_calibration_that_is_killed_is_made_by_giving_it_again(
    calibrated: Path, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Path(copytree(calibrated, tmp_path / "watch"))
    rmtree(watch / "calibration")
    written = 0

    def killed_at(last: int) -> Callable[[Path], None]:
        def count(_: Path) -> None:
            nonlocal written
            written += 1
            if written == last:
                raise Killed

        return count

    def again() -> str:
        return calibrate_on(engine, watch, "first", FIRST + 28, 1, 1.0, by="Olga", reason="begin")[1]

    for last in (1, 2, 4, 7, 9, 10):  # each file is synced, and then its folder
        written = 0
        with monkeypatch.context() as patch:
            patch.setattr(files, "sync", killed_at(last))
            with pytest.raises(Killed):
                again()
    if CalibrationFolder(watch).counting() is None:
        assert again() == "counts"
    for name in ("threshold-account.json", "threshold-campaign.json", "baselines.json", "standings.json"):
        made, wanted = (folder / "calibration" / "first" / name for folder in (watch, calibrated))
        assert made.read_bytes() == wanted.read_bytes()


@pytest.fixture(scope="module")
def before_the_campaign(calls: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Calibrated before it begins, and with nothing taken in."""
    folder = tmp_path_factory.mktemp("before") / "watch"
    bank = folder.with_name("problems.txt")
    bank.write_text("\n".join(text.replace("\n", " ") for text in bank_texts("word_problems")), encoding="utf-8")
    add_bank(folder, bank, "problems", by="Olga", role="owner", reason="known")
    with engine_of(folder, "duckdb") as opened:
        take(opened, calls, folder, TRAFFIC_SECRET, None)
        calibrate_on(opened, folder, "first", FIRST + 7, 1, 1.0, by="Olga", reason="begin")
    rmtree(folder / "state")
    return folder


@pytest.fixture(scope="module")
def found(before_the_campaign: Path, calls: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Finding]:
    watch = Path(copytree(before_the_campaign, tmp_path_factory.mktemp("found") / "watch"))
    return findings_of_look(calls, watch)


@pytest.mark.parametrize("at", ["compact", "candidates", "findings_of", "note_alarms", "_drifts"])
def test_a_look_that_is_killed_finds_the_same_when_it_is_given_again(
    before_the_campaign: Path,
    found: list[Finding],
    calls: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    at: str,
) -> None:
    watch = Path(copytree(before_the_campaign, tmp_path / "watch"))

    def killed(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(run, at, killed)
        with pytest.raises(Killed):
            findings_of_look(calls, watch)
    assert found
    assert findings_of_look(calls, watch) == found


def findings_of_look(calls: Path, watch: Path) -> list[Finding]:
    with engine_of(watch, "duckdb") as opened:
        look(calls, watch, TRAFFIC_SECRET, engine=opened)
    return [replace(one.finding, found_at=0) for one in FindingStore(watch).list()]
