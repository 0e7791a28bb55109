"""A look at a gateway's folder of calls, calibration, and what runs in shadow beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stillroom.base.clock import SystemClock
from stillroom.base.errors import UsageError
from stillroom.testing.traffic import START_AT, TRAFFIC_SECRET, Campaign, Traffic, bank_texts, benign, campaign
from stillroom.watch.alarms import alarm_figures, compared
from stillroom.watch.banks.stored import add_bank
from stillroom.watch.calibration.kept import CalibrationFolder
from stillroom.watch.drill import Drills
from stillroom.watch.engine import Engine
from stillroom.watch.review.store import FindingStore
from stillroom.watch.run import calibrate_on, engine_of, last_day, look, windows_until

DAY_US = 86_400_000_000
FIRST = START_AT // DAY_US
SEED = 7
SETTING = Campaign(
    "test",
    questions=1_500,
    accounts=20,
    bank="word_problems",
    families=frozenset({"network", "payment"}),
    dilution=0.3,
    days=14,
    start_day=14,
)


class Before(SystemClock):
    """A clock that stands before the first call."""

    def now_us(self) -> int:
        return START_AT


@pytest.fixture(scope="module")
def traffic() -> Traffic:
    customers = benign(SEED, organisations=120, calls_per_organisation=40, twins=())
    return customers.with_traffic(campaign(SETTING, SEED, customers))


@pytest.fixture(scope="module")
def guilty(traffic: Traffic) -> set[str]:
    names = zip(traffic.truth["organisation"].to_pylist(), traffic.truth["role"].to_pylist(), strict=True)
    return {str(name) for name, role in names if role == "campaign"}


@pytest.fixture(scope="module")
def calls(traffic: Traffic, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gateway") / "calls"
    traffic.write(folder)
    return folder


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bank") / "problems.txt"
    path.write_text("\n".join(text.replace("\n", " ") for text in bank_texts("word_problems")), encoding="utf-8")
    return path


@pytest.fixture
def watch(tmp_path: Path, bank: Path) -> Path:
    folder = tmp_path / "watch"
    add_bank(folder, bank, "problems", by="Olga", role="owner", reason="known", split="train")
    return folder


@pytest.fixture
def engine(watch: Path) -> Iterator[Engine]:
    with engine_of(watch, "duckdb") as opened:
        yield opened


def test_a_look_keeps_what_it_finds_and_a_second_one_finds_the_same(
    calls: Path, watch: Path, engine: Engine, traffic: Traffic, guilty: set[str]
) -> None:
    first = look(calls, watch, TRAFFIC_SECRET, engine=engine)
    assert first.taken.counted == traffic.calls.num_rows
    assert first.until_day == FIRST + 28 == last_day(watch) + 1
    assert first.version is None
    (finding,) = first.findings
    assert set(finding.organisations) <= guilty
    again = look(calls, watch, TRAFFIC_SECRET, engine=engine)
    assert again.taken.counted == 0
    assert [one.id for one in again.findings] == [finding.id]
    assert [one.finding.id for one in FindingStore(watch).list()] == [finding.id]


def test_spark_finds_what_duckdb_finds(
    calls: Path, watch: Path, engine: Engine, spark: Engine, tmp_path: Path, bank: Path
) -> None:
    other = tmp_path / "other"
    add_bank(other, bank, "problems", by="Olga", role="owner", reason="known", split="train")
    by_duckdb = look(calls, watch, TRAFFIC_SECRET, engine=engine)
    by_spark = look(calls, other, TRAFFIC_SECRET, engine=spark)
    assert by_spark.taken == by_duckdb.taken
    told = [
        [(one.id, one.score, one.signals, one.links, one.accounts, one.calls) for one in looked.findings]
        for looked in (by_duckdb, by_spark)
    ]
    assert told[0] == told[1] != []


def test_a_look_at_earlier_weeks_sees_nothing_of_later_ones(calls: Path, watch: Path, engine: Engine) -> None:
    assert look(calls, watch, TRAFFIC_SECRET, engine=engine, until_day=FIRST + 14).findings == ()


def test_without_the_secret_no_bank_is_known(calls: Path, watch: Path, engine: Engine) -> None:
    found = look(calls, watch, None, engine=engine)
    assert all(link.kind not in ("bank", "shards") for finding in found.findings for link in finding.links)


def test_the_first_calibration_counts_and_the_next_runs_in_shadow(
    calls: Path, watch: Path, engine: Engine, guilty: set[str]
) -> None:
    look(calls, watch, TRAFFIC_SECRET, engine=engine, until_day=FIRST + 14)
    _, step = calibrate_on(engine, watch, "first", FIRST + 14, 2, 1.0, by="Olga", reason="begin")
    assert step == "counts"
    looked = look(calls, watch, TRAFFIC_SECRET, engine=engine)
    assert looked.version == "first"
    assert all(finding.alarm_rate is not None for finding in looked.findings if finding.kind == "campaign")
    with pytest.raises(UsageError, match="already"):
        calibrate_on(engine, watch, "first", FIRST + 14, 2, 1.0, by="Olga", reason="again")
    _, step = calibrate_on(engine, watch, "second", FIRST + 21, 2, 1.0, by="Olga", reason="more weeks")
    assert step == "shadow"
    whole = windows_until(engine, watch, FIRST + 28).whole
    with pytest.raises(UsageError, match="did not run"):
        compared(watch, "second", whole)
    assert [one.id for one in look(calls, watch, TRAFFIC_SECRET, engine=engine).findings] == [
        one.id for one in looked.findings
    ]
    comparison = compared(watch, "second", whole)
    assert (comparison.old, comparison.new) == ("first", "second")
    assert {alarm.organisation for alarm in comparison.alarms if alarm.by_old} >= guilty & set(
        looked.findings[0].organisations
    )
    folder = CalibrationFolder(watch)
    with pytest.raises(UsageError, match="should not count yet"):
        folder.promote(comparison, by="Olga", reason="hurry")
    folder.promote(comparison, by="Olga", reason="it was looked at", overrule=True)
    assert folder.counting() == "second"


def test_the_share_of_alarms_becomes_a_rate_as_people_decide(
    calls: Path, watch: Path, engine: Engine, guilty: set[str]
) -> None:
    look(calls, watch, TRAFFIC_SECRET, engine=engine, until_day=FIRST + 14)
    calibrate_on(engine, watch, "first", FIRST + 14, 2, 1.0, by="Olga", reason="begin")
    (finding, *_) = look(calls, watch, TRAFFIC_SECRET, engine=engine).findings
    whole = windows_until(engine, watch, FIRST + 28).whole
    before = alarm_figures(watch, whole)
    assert before.alarms.false_alarms is None
    assert before.alarms.alarms.alarmed >= len(finding.organisations)
    assert {report.by for report in before.groups} == {"busiest hours", "shared address"}
    FindingStore(watch).decide(finding.id, "confirm", by="Olga", reason="one operator")
    after = alarm_figures(watch, whole)
    assert after.alarms.confirmed == len(finding.organisations)
    made, _ = calibrate_on(engine, watch, "second", FIRST + 28, 2, 1.0, by="Olga", reason="with the last weeks")
    assert not guilty & {name for name, _ in made.campaign.highest}  # whom people confirmed is not what is usual


def test_a_drill_is_no_part_of_what_is_usual(
    calls: Path, watch: Path, engine: Engine, traffic: Traffic, guilty: set[str]
) -> None:
    pairs = zip(traffic.truth["account"].to_pylist(), traffic.truth["organisation"].to_pylist(), strict=True)
    accounts = [str(account) for account, owner in pairs if owner in guilty]
    begin, end = START_AT + 14 * DAY_US, START_AT + 28 * DAY_US
    Drills(watch, Before()).add(
        "autumn", accounts, since_at=begin, until_at=end, by="Olga", reason="a test of ourselves"
    )
    (finding,) = look(calls, watch, TRAFFIC_SECRET, engine=engine).findings
    assert FindingStore(watch).get(finding.id).finding.status == "drill"
    made, _ = calibrate_on(engine, watch, "first", FIRST + 28, 2, 1.0, by="Olga", reason="begin")
    assert not guilty & {name for name, _ in made.campaign.highest}


@pytest.mark.parametrize(("weeks", "budget"), [(0, 1.0), (2, 0.0), (2, -1.0)])
def test_senseless_calibrations_are_refused(watch: Path, engine: Engine, weeks: int, budget: float) -> None:
    with pytest.raises(UsageError):
        calibrate_on(engine, watch, "first", FIRST + 14, weeks, budget, by="Olga", reason="begin")


def test_no_calls_is_said(tmp_path: Path, watch: Path, engine: Engine) -> None:
    (tmp_path / "calls" / "w0").mkdir(parents=True)
    with pytest.raises(UsageError, match="no calls"):
        look(tmp_path / "calls", watch, TRAFFIC_SECRET, engine=engine)
