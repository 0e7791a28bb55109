"""What calibration keeps in a watch folder: thresholds and baselines of each detector version, and which one counts.

WATCH/calibration/VERSION/threshold-KIND.json
WATCH/calibration/VERSION/baselines.json
WATCH/calibration/versions.json               every change of which version counts: who, when, why
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import TypeAdapter, ValidationError

from stillroom.base.clock import Clock, SystemClock
from stillroom.base.errors import StoreError, UsageError
from stillroom.base.validation import first_problem
from stillroom.store.files import read_json, write_json
from stillroom.watch.calibration.drift import Baseline
from stillroom.watch.calibration.shadow import ShadowComparison
from stillroom.watch.calibration.threshold import Threshold

FindingKind = Literal["account", "campaign"]
Step = Literal["shadow", "counts", "retired"]
Value = TypeVar("Value")

_CLOCK = SystemClock()
_STEPS = "versions.json"
_MOST_US = 253_402_300_800_000_000
"""The end of the year 9999: what can be shown as a date."""
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")


@dataclass(frozen=True, slots=True)
class VersionStep:
    """A detector version began to run in shadow, to count, or ended. Never changed or deleted."""

    version: str
    step: Step
    at: int
    """UTC in microseconds."""
    by: str
    reason: str
    overruled: tuple[str, ...]
    """What the comparison in shadow said against it, where it was made to count nevertheless."""


class CalibrationFolder:
    """One process at a time changes it. Every method raises StoreError for a file that cannot be read or written."""

    def __init__(self, watch: Path, clock: Clock = _CLOCK) -> None:
        self._folder = watch / "calibration"
        self._clock = clock

    def keep_threshold(self, version: str, kind: FindingKind, threshold: Threshold) -> None:
        self._keep(self._of(version) / f"threshold-{kind}.json", Threshold, threshold)

    def threshold(self, version: str, kind: FindingKind) -> Threshold | None:
        """None before the first calibration of this version."""
        path = self._of(version) / f"threshold-{kind}.json"
        kept = self._kept(path, Threshold)
        if kept is not None and not kept.is_sound():
            raise not_as_written(path, "no such threshold can be fitted")
        return kept

    def keep_baselines(self, version: str, baselines: dict[str, Baseline]) -> None:
        self._keep(self._of(version) / "baselines.json", dict[str, Baseline], baselines)

    def baselines(self, version: str) -> dict[str, Baseline]:
        path = self._of(version) / "baselines.json"
        kept = self._kept(path, dict[str, Baseline]) or {}
        if broken := [name for name, each in kept.items() if not each.is_sound()]:
            raise not_as_written(path, f"{broken[0]} is no distribution")
        return kept

    def steps(self) -> tuple[VersionStep, ...]:
        """In the order in which they were taken."""
        path = self._folder / _STEPS
        steps = self._kept(path, tuple[VersionStep, ...]) or ()
        if broken := [step for step in steps if not _is_version(step.version) or not 0 <= step.at < _MOST_US]:
            raise not_as_written(path, f"{broken[0].version!r} is no version, or of no time")
        return steps

    def counting(self) -> str | None:
        """The version whose findings people are called for; None before the first."""
        return next((step.version for step in reversed(self.steps()) if step.step == "counts"), None)

    def in_shadow(self) -> tuple[str, ...]:
        """The versions that run beside it and call nobody."""
        last = {step.version: step.step for step in self.steps()}
        return tuple(version for version, step in last.items() if step == "shadow")

    def check_new(self, version: str, *, by: str, reason: str) -> None:
        """Raises UsageError for a name that is taken or none, and where nobody is named or no reason is given."""
        self._of(version)
        if version in {step.version for step in self.steps()}:
            raise UsageError(f"There is a calibration {version} already.", "Give the new one another name: --name.")
        if not by.strip() or not reason.strip():
            raise UsageError("A change of detector versions needs who makes it, and why.", "Give --by and --reason.")

    def begin(self, version: str, *, by: str, reason: str) -> Step:
        """Take a new version in: it counts where none does, and else runs in shadow until `promote`."""
        if version == self.counting() or version in self.in_shadow():
            raise UsageError(f"Detector version {version} runs already.", "Give the new one another version.")
        step: Step = "shadow" if self.counting() else "counts"
        self._take(VersionStep(version, step, self._clock.now_us(), by, reason, ()))
        return step

    def promote(self, comparison: ShadowComparison, *, by: str, reason: str, overrule: bool = False) -> None:
        """Let the version that was in shadow count in the place of the other.

        Raises UsageError where the comparison is of other versions than these, no reason is given, or something speaks
        against it and nobody overrules that.
        """
        if comparison.old != self.counting() or comparison.new not in self.in_shadow():
            raise UsageError(
                f"{comparison.new} does not run in shadow beside {comparison.old}.",
                f"The version that counts is {self.counting()}.",
            )
        if comparison.against and not overrule:
            raise UsageError(
                f"{comparison.new} should not count yet: {' '.join(comparison.against)}",
                "Review its alarms and compare again, or overrule this.",
            )
        at = self._clock.now_us()
        self._take(
            VersionStep(comparison.old, "retired", at, by, reason, ()),
            VersionStep(comparison.new, "counts", at, by, reason, comparison.against),
        )

    def retire(self, version: str, *, by: str, reason: str) -> None:
        """End a version that runs in shadow. Raises UsageError where it does not."""
        if version not in self.in_shadow():
            raise UsageError(f"Detector version {version} does not run in shadow.")
        self._take(VersionStep(version, "retired", self._clock.now_us(), by, reason, ()))

    def _take(self, *steps: VersionStep) -> None:
        if not all(step.by.strip() and step.reason.strip() for step in steps):
            raise UsageError("A change of detector versions needs who makes it, and why.")
        for step in steps:
            self._of(step.version)
        self._keep(self._folder / _STEPS, tuple[VersionStep, ...], (*self.steps(), *steps))

    def _of(self, version: str) -> Path:
        if not _is_version(version):
            raise UsageError(f"{version!r} is no detector version.", "Use letters, digits, dots and dashes.")
        return self._folder / version

    def _keep(self, path: Path, kind: type[Value], value: Value) -> None:
        write_json(path, TypeAdapter(kind).dump_python(value, mode="json"))

    def _kept(self, path: Path, kind: type[Value]) -> Value | None:
        if not path.exists():
            return None
        try:
            return TypeAdapter(kind).validate_python(read_finite(path))
        except ValidationError as error:
            raise not_as_written(path, first_problem(error)) from error


def read_finite(path: Path) -> Any:
    """As it was written: without a number that is none. Raises StoreError."""
    value = read_json(path)
    if not _is_finite(value):
        raise not_as_written(path, "a number in it is none")
    return value


def not_as_written(path: Path, why: str) -> StoreError:
    remedy = "Put it back from a backup, or move the folder calibration aside and calibrate anew."
    return StoreError(f"{path} is not what calibration wrote: {why}.", remedy)


def _is_finite(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    if isinstance(value, list):
        return all(map(_is_finite, value))
    return not isinstance(value, float) or isfinite(value)


def _is_version(name: str) -> bool:
    return _VERSION.fullmatch(name) is not None and name != _STEPS
