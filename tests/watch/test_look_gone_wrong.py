"""Looks and calibrations where something is wrong: clocks, days without calls, damaged files, kills."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.watch.logs import seal
from tests.watch.review.conftest import HandClock

from stillroom.base.errors import UsageError
from stillroom.testing.traffic import START_AT, TRAFFIC_SECRET, Campaign, Traffic, benign, campaign
from stillroom.watch.alarms import looks
from stillroom.watch.calibration.kept import CalibrationFolder
from stillroom.watch.engine import Engine
from stillroom.watch.run import calibrate_on, last_day, look

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
    assert look(calls, watch, None, engine=engine, until_day=FIRST + 2_000_000).organisations == 0
    assert looks(watch, "first") is None
