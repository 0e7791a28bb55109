"""Who alarmed at each look, by calibration: what alarm shares and comparisons in shadow are made of.

WATCH/calibration/VERSION/alarms.jsonl    one line for each look
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stillroom.base.errors import StoreError, UsageError
from stillroom.store.files import write_atomically
from stillroom.watch.calibration.groupings import busiest_hours, shared_addresses
from stillroom.watch.calibration.groups import GroupReport, group_report
from stillroom.watch.calibration.kept import CalibrationFolder
from stillroom.watch.calibration.reviewed import AlarmReport, alarm_report, label_organisations
from stillroom.watch.calibration.shadow import ShadowComparison, VersionAlarms, compare_versions
from stillroom.watch.review.store import FindingStore
from stillroom.watch.signals.organisations import Organisations
from stillroom.watch.window import Window

_WEEK = 7


@dataclass(frozen=True, slots=True)
class Looks:
    """All looks with one calibration."""

    alarmed: frozenset[str]
    """Organisations that ever alarmed."""
    first_day: int
    last_day: int

    @property
    def weeks(self) -> float:
        return max(1.0, (self.last_day - self.first_day) / _WEEK + 1)


@dataclass(frozen=True, slots=True)
class AlarmFigures:
    version: str
    alarms: AlarmReport
    groups: tuple[GroupReport, ...]
    """By busiest hours and by shared addresses. None of these scores."""


def note_alarms(watch: Path, version: str, until_day: int, alarmed: frozenset[str], organisations: int) -> None:
    """Of one look, with one calibration."""
    path = _file(watch, version)
    line = {"until_day": until_day, "organisations": organisations, "alarmed": sorted(alarmed)}
    try:
        with path.open("a+b") as file:
            # What a killed process left of a line is cut off.
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)
            file.write(json.dumps(line).encode() + b"\n")
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}.", "Free the disk, and run again.") from error


def looks(watch: Path, version: str) -> Looks | None:
    """None where there was none. A last line that a kill cut short does not count. Raises StoreError for a line that
    cannot be read.
    """
    days: list[int] = []
    alarmed: set[str] = set()
    for number, look in enumerate(_lines(watch, version), 1):
        try:
            days.append(int(look["until_day"]))
            alarmed.update(map(str, look["alarmed"]))
        except (ValueError, OverflowError, KeyError, TypeError) as error:
            raise _no_look(watch, version, number) from error
    return Looks(frozenset(alarmed), min(days), max(days)) if days else None


def rename_alarmed(watch: Path, version: str, names: Mapping[str, str]) -> None:
    """Put other names in the place of organisations that `names` has. Raises StoreError."""
    told = _lines(watch, version)
    if not any(name in names for look in told for name in look.get("alarmed", ())):
        return
    renamed = [look | {"alarmed": sorted(names.get(name, name) for name in look["alarmed"])} for look in told]
    write_atomically(_file(watch, version), "".join(json.dumps(look) + "\n" for look in renamed))


def alarm_figures(watch: Path, window: Window) -> AlarmFigures:
    """Of the calibration that counts, over all its looks; `window` says who there is. Raises UsageError without any."""
    version = CalibrationFolder(watch).counting()
    seen = None if version is None else looks(watch, version)
    if version is None or seen is None:
        raise UsageError("No look was made with a calibration yet.", "First stillroom watch calibrate, then run.")
    everyone = frozenset(Organisations.of(window.activity).names) | seen.alarmed
    labels = label_organisations(one.finding for one in FindingStore(watch).list())
    groupings = {
        "busiest hours": busiest_hours(window.activity),
        "shared address": shared_addresses(window.keys, window.activity),
    }
    return AlarmFigures(
        version,
        alarm_report(seen.alarmed, everyone, labels, weeks=seen.weeks),
        tuple(group_report(by, of, seen.alarmed, everyone, weeks=seen.weeks) for by, of in groupings.items()),
    )


def compared(watch: Path, new: str, window: Window) -> ShadowComparison:
    """A calibration in shadow beside the one that counts. Raises UsageError where they did not run together."""
    folder = CalibrationFolder(watch)
    old = folder.counting() or "none"
    by_old, by_new = looks(watch, old), looks(watch, new)
    if by_old is None or by_new is None:
        raise UsageError(f"{new} did not run beside another calibration yet.", "Run stillroom watch run first.")
    made = []
    for version, seen in ((old, by_old), (new, by_new)):
        threshold = folder.threshold(version, "account")
        # Half of a budget is for organisations alone, half for campaigns.
        made.append(VersionAlarms(version, seen.alarmed, 2 * threshold.budget_per_week if threshold else 1.0))
    everyone = frozenset(Organisations.of(window.activity).names) | by_old.alarmed | by_new.alarmed
    labels = label_organisations(one.finding for one in FindingStore(watch).list())
    return compare_versions(made[0], made[1], everyone, labels, weeks=by_new.weeks)


def _lines(watch: Path, version: str) -> list[dict[str, Any]]:
    path = _file(watch, version)
    try:
        lines = path.read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}.") from error
    told = []
    for number, line in enumerate(lines, 1):
        try:
            look = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise _no_look(watch, version, number) from error
        if not isinstance(look, dict) or not isinstance(look.get("alarmed"), list):
            raise _no_look(watch, version, number)
        told.append(look)
    return told


def _no_look(watch: Path, version: str, number: int) -> StoreError:
    return StoreError(f"Line {number} of {_file(watch, version)} is no look.", "Take the line out.")


def _file(watch: Path, version: str) -> Path:
    return watch / "calibration" / version / "alarms.jsonl"
