"""One look at a gateway's calls: take in what is new, find, keep. And calibration on the weeks before.

WATCH/state         counts by account and day
WATCH/banks         known collections of questions
WATCH/calibration   what is usual, and the thresholds
WATCH/review.sqlite findings and what people decided
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from math import inf
from pathlib import Path

import pyarrow as pa

from stillroom.base.clock import Clock, SystemClock
from stillroom.base.errors import DataError, StoreError, UsageError
from stillroom.base.records import Finding
from stillroom.store.files import write_json
from stillroom.store.secrets import Secrets
from stillroom.watch.alarms import note_alarms
from stillroom.watch.banks.printed import keys_of, printed_banks
from stillroom.watch.banks.prints import BankPrints
from stillroom.watch.banks.stored import read_banks
from stillroom.watch.calibration.drift import Baseline, Drift, baseline, drifts
from stillroom.watch.calibration.kept import CalibrationFolder, Step, not_as_written, read_finite
from stillroom.watch.compaction import compact
from stillroom.watch.detectors import (
    DETECTOR_VERSION,
    RECENT_DAYS,
    WHOLE_DAYS,
    Calibrated,
    Candidates,
    Windows,
    calibrate,
    candidates,
    findings_of,
)
from stillroom.watch.drill import Drills
from stillroom.watch.engine import Engine, open_engine
from stillroom.watch.folder import held, scratch_folder
from stillroom.watch.intake import TakenIn, new_key_ids, take_in
from stillroom.watch.parts import open_parts
from stillroom.watch.review.store import FindingStore
from stillroom.watch.signals.standing import Standings
from stillroom.watch.state import window
from stillroom.watch.window import Bank

_DAY_US = 86_400_000_000
_WEEK = 7
_NAME_A_DAY = "Give --until a day of which there are calls, as 2026-10-31."
_STANDINGS = "standings.json"
_CLOCK = SystemClock()


@dataclass(frozen=True, slots=True)
class Looked:
    """What one look found."""

    taken: TakenIn
    until_day: int
    """Days before this one were looked at: counted from 1970-01-01, UTC."""
    findings: tuple[Finding, ...]
    """As they are kept, with their lasting ids and what was decided; campaigns before organisations alone."""
    banks: int
    """How many banks are looked for."""
    version: str | None
    """The calibration that counts; None before the first."""
    drifts: tuple[Drift, ...]
    """What is no longer as it was when that was made."""
    organisations: int
    """How many called in the four weeks."""
    missing: frozenset[str]
    """Columns that no call had: what needs them was not looked at."""


@contextmanager
def engine_of(watch: Path, name: str) -> Iterator[Engine]:
    """`name`: `duckdb` or `spark`. Its temporary files lie in the watch folder and are removed. Raises StoreError."""
    with scratch_folder(watch) as scratch, open_engine(name, scratch) as engine:
        yield engine


def take(engine: Engine, calls: Path, watch: Path, secrets: Secrets | None, events: pa.Table | None) -> TakenIn:
    """Take in what is new in a folder of calls. Without the gateway's secret, no bank is looked for."""
    return take_in(engine, calls, watch / "state", _banks(calls, watch, secrets), events=events)


def look(
    calls: Path,
    watch: Path,
    secrets: Secrets | None,
    *,
    engine: Engine,
    until_day: int | None = None,
    events: pa.Table | None = None,
    clock: Clock = _CLOCK,
) -> Looked:
    """Take in what is new, look at the four weeks before `until_day` (of the last call, if not given), keep findings.

    Raises UsageError where there are no calls at all, StoreError for a folder that cannot be read or written.
    """
    with held(watch):
        taken = take(engine, calls, watch, secrets, events)
        compact(engine, watch / "state", clock)
        last = _until(last_day(watch, clock), until_day)
        found = candidates(windows_until(engine, watch, last))
        folder = CalibrationFolder(watch, clock)
        version = folder.counting()
        calibrated = None if version is None else kept_calibration(watch, version)
        name = DETECTOR_VERSION if version is None else f"{DETECTOR_VERSION}/{version}"
        described = findings_of(found, calibrated, found_at=clock.now_us(), version=name)
        store = FindingStore(watch, clock)
        ids = store.put_all(described)
        for each in (version, *folder.in_shadow()):
            if each is not None and found.population.size:
                note_alarms(watch, each, last, found.alarming(kept_calibration(watch, each)), found.population.size)
        return Looked(
            taken=taken,
            until_day=last,
            findings=tuple(store.get(kept).finding for kept in ids),
            banks=len(read_banks(watch)),
            version=version,
            drifts=() if version is None else _drifts(folder.baselines(version), found),
            organisations=found.population.size,
            missing=found.windows.whole.missing,
        )


def _until(newest: int, until_day: int | None) -> int:
    if until_day is not None and until_day > newest + 1:
        raise UsageError(
            f"{day_named(until_day - 1)} is later than the last call, which is of {day_named(newest)}.", _NAME_A_DAY
        )
    return newest + 1 if until_day is None else until_day


def windows_until(engine: Engine, watch: Path, until_day: int) -> Windows:
    """Of what was taken in, the days before `until_day`."""
    banks = tuple(Bank(bank.name, len(bank.questions), bank.split) for bank in read_banks(watch))
    state = watch / "state"
    whole = window(engine, state, until_day - WHOLE_DAYS, until_day, banks)
    return Windows(window(engine, state, until_day - RECENT_DAYS, until_day, banks), whole)


def calibrate_on(
    engine: Engine,
    watch: Path,
    version: str,
    until_day: int,
    weeks: int,
    budget_per_week: float,
    *,
    by: str,
    reason: str,
    left_out: frozenset[str] = frozenset(),
    clock: Clock = _CLOCK,
) -> tuple[Calibrated, Step]:
    """Fit on the weeks before `until_day`, and keep what comes of it as a version: in shadow, where one counts already.

    `left_out`: organisations that are no part of ordinary traffic. Those of confirmed findings and of drills are left
    out too. Raises UsageError for a name that is taken.
    """
    if weeks < 1 or not 0 < budget_per_week < inf:
        raise UsageError(
            f"{weeks} weeks and {budget_per_week:g} alarms a week cannot be.", "Give a week or more, and more than 0."
        )
    with held(watch):
        folder = CalibrationFolder(watch, clock)
        folder.check_new(version, by=by, reason=reason)
        # The earliest first: where the calls do not go back so far, it is known at once.
        ends = [until_day - _WEEK * back for back in reversed(range(weeks))]
        found = {end: _some_candidates(engine, watch, end) for end in ends}
        guilty = left_out | _guilty(watch, found[until_day])
        calibrated = calibrate(found, budget_per_week, left_out=guilty)
        keep_calibration(watch, version, calibrated)
        folder.keep_baselines(version, {name: baseline(of) for name, of in found[until_day].signals.values.items()})
        return calibrated, folder.begin(version, by=by, reason=reason)


def _some_candidates(engine: Engine, watch: Path, until_day: int) -> Candidates:
    """Raises UsageError where nobody called: a week without calls is no quiet one."""
    found = candidates(windows_until(engine, watch, until_day))
    if not found.population.size:
        raise UsageError(
            f"There are no calls in the four weeks to {day_named(until_day - 1)}.",
            "Give a later --until, or fewer --weeks.",
        )
    return found


def keep_calibration(watch: Path, version: str, calibrated: Calibrated) -> None:
    """Raises StoreError."""
    folder = CalibrationFolder(watch)
    folder.keep_threshold(version, "account", calibrated.account)
    folder.keep_threshold(version, "campaign", calibrated.campaign)
    write_json(_standings_file(watch, version), calibrated.standings.as_json())


def kept_calibration(watch: Path, version: str) -> Calibrated:
    """Raises StoreError where one of its files is gone."""
    folder, path = CalibrationFolder(watch), _standings_file(watch, version)
    account, campaign = folder.threshold(version, "account"), folder.threshold(version, "campaign")
    if account is None or campaign is None or not path.exists():
        raise StoreError(
            f"{path.parent} lacks a part of the calibration {version}.",
            "Put it back from a backup, or move the folder calibration aside and calibrate anew.",
        )
    try:
        standings = Standings.from_json(read_finite(path))
    except DataError as error:
        raise not_as_written(path, error.what.rstrip(".")) from error
    return Calibrated(standings, account, campaign)


def _drifts(before: Mapping[str, Baseline], found: Candidates) -> tuple[Drift, ...]:
    return tuple(one for one in drifts(before, found.signals.values) if one.level in ("some", "much"))


def _guilty(watch: Path, found: Candidates) -> frozenset[str]:
    """Organisations of confirmed findings, and of drills, whether they were found or not."""
    confirmed = (one.finding for one in FindingStore(watch).list() if one.finding.status in ("confirmed", "drill"))
    drilled = {account for drill in Drills(watch).list() for account in drill.accounts}
    known = found.population.known
    of_drills = {
        known.names[owner]
        for account, owner in zip(known.accounts.to_pylist(), known.of_account.tolist(), strict=True)
        if account in drilled
    }
    return frozenset(of_drills | {name for finding in confirmed for name in finding.organisations})


def _standings_file(watch: Path, version: str) -> Path:
    return watch / "calibration" / version / _STANDINGS


def _banks(calls: Path, watch: Path, secrets: Secrets | None) -> list[BankPrints]:
    """As the keys of the calls that are new would print them."""
    banks = read_banks(watch)
    if secrets is None or not banks:
        return []
    return printed_banks(watch, banks, keys_of(secrets, new_key_ids(calls, watch / "state")))


def last_day(watch: Path, clock: Clock = _CLOCK) -> int:
    """Of all calls that were ever taken in, from 1970-01-01 in UTC. Calls that a wrong clock dated later than today do
    not count, unless there are no others. Raises UsageError where there are none.
    """
    with open_parts(watch / "state") as parts:
        listed, today = parts.listed(), clock.now_us() // _DAY_US
        if not listed:
            raise UsageError(
                "There are no calls to look at.",
                "Name the folder `calls` of a gateway's state folder, or one that `stillroom watch import` made.",
            )
        past = [day for part in listed if (day := parts.last_day(part, today)) is not None]
        return max(past, default=min(part.last_day for part in listed))


def day_named(day: int) -> str:
    """2026-10-31 of a day from 1970-01-01."""
    return (date(1970, 1, 1) + timedelta(day)).isoformat()
