"""What calibration keeps: thresholds come back as they were, and no version counts without having been compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stillroom.base.errors import StoreError, UsageError
from stillroom.watch.calibration.drift import baseline
from stillroom.watch.calibration.kept import CalibrationFolder
from stillroom.watch.calibration.shadow import ShadowComparison, VersionAlarms, compare_versions
from stillroom.watch.calibration.threshold import fit

WATCHED = {f"org{number}" for number in range(200)}


@pytest.fixture
def folder(tmp_path: Path) -> CalibrationFolder:
    return CalibrationFolder(tmp_path)


def comparison(old: str, new: str, *, only_new: tuple[str, ...] = ()) -> ShadowComparison:
    return compare_versions(
        VersionAlarms(old, set(), 1.0), VersionAlarms(new, set(only_new), 1.0), WATCHED, {}, weeks=2
    )


def test_a_threshold_comes_back_as_it_was(folder: CalibrationFolder) -> None:
    draw = np.random.default_rng(1)
    scores = {f"org{number}": float(score) for number, score in enumerate(draw.exponential(1.0, 400))}
    for kind, budget in (("account", 0.3), ("campaign", 2.0)):
        threshold = fit({0: scores, 1: {}}, budget)
        folder.keep_threshold("1.0", kind, threshold)  # type: ignore[arg-type]
        again = folder.threshold("1.0", kind)  # type: ignore[arg-type]
        assert again == threshold
        assert again is not None
        assert again.expected_per_month(threshold.score) == threshold.expected_per_month(threshold.score)
    assert folder.threshold("2.0", "account") is None


def test_baselines_come_back_as_they_were(folder: CalibrationFolder) -> None:
    kept = {"volume": baseline(np.arange(90.0)), "nobody": baseline(np.full(5, np.nan))}
    folder.keep_baselines("1.0", kept)
    assert folder.baselines("1.0") == kept
    assert folder.baselines("2.0") == {}


def test_the_first_version_counts_and_the_next_runs_in_shadow(folder: CalibrationFolder) -> None:
    assert folder.counting() is None
    assert folder.begin("1", by="ada", reason="first") == "counts"
    assert folder.begin("2", by="ada", reason="better shards") == "shadow"
    assert (folder.counting(), folder.in_shadow()) == ("1", ("2",))
    folder.promote(comparison("1", "2"), by="bob", reason="the same alarms for two weeks")
    assert (folder.counting(), folder.in_shadow()) == ("2", ())
    assert [(step.version, step.step, step.by) for step in folder.steps()] == [
        ("1", "counts", "ada"),
        ("2", "shadow", "ada"),
        ("1", "retired", "bob"),
        ("2", "counts", "bob"),
    ]


def test_a_version_that_something_speaks_against_counts_only_where_that_is_overruled(
    folder: CalibrationFolder,
) -> None:
    folder.begin("1", by="ada", reason="first")
    folder.begin("2", by="ada", reason="new")
    doubtful = comparison("1", "2", only_new=("org1",))
    with pytest.raises(UsageError, match="should not count yet: Nobody has decided on 1 alarm"):
        folder.promote(doubtful, by="bob", reason="looks fine")
    assert folder.counting() == "1"
    folder.promote(doubtful, by="bob", reason="seen by hand", overrule=True)
    assert folder.counting() == "2"
    assert folder.steps()[-1].overruled == doubtful.against


def test_a_comparison_of_other_versions_promotes_nothing(folder: CalibrationFolder) -> None:
    folder.begin("1", by="ada", reason="first")
    folder.begin("2", by="ada", reason="new")
    for other in (comparison("0", "2"), comparison("1", "3"), comparison("2", "1")):
        with pytest.raises(UsageError, match="does not run in shadow beside"):
            folder.promote(other, by="bob", reason="why not")


def test_a_version_in_shadow_can_be_ended(folder: CalibrationFolder) -> None:
    folder.begin("1", by="ada", reason="first")
    folder.begin("2", by="ada", reason="new")
    folder.retire("2", by="ada", reason="worse")
    assert folder.in_shadow() == ()
    with pytest.raises(UsageError, match="does not run in shadow"):
        folder.retire("1", by="ada", reason="the one that counts cannot be ended, only replaced")


def test_a_running_version_begins_once(folder: CalibrationFolder) -> None:
    folder.begin("1", by="ada", reason="first")
    with pytest.raises(UsageError, match="runs already"):
        folder.begin("1", by="ada", reason="again")


@pytest.mark.parametrize(("by", "reason"), [("", "first"), ("ada", "  ")])
def test_a_change_has_a_name_and_a_reason(folder: CalibrationFolder, by: str, reason: str) -> None:
    with pytest.raises(UsageError, match="needs who makes it, and why"):
        folder.begin("1", by=by, reason=reason)


@pytest.mark.parametrize("version", ["", "../../etc", "a/b", ".hidden", "x" * 65, "1\n"])
def test_a_version_is_no_path(folder: CalibrationFolder, version: str) -> None:
    with pytest.raises(UsageError, match="is no detector version"):
        folder.begin(version, by="ada", reason="first")
    with pytest.raises(UsageError, match="is no detector version"):
        folder.threshold(version, "account")


@pytest.mark.parametrize("content", ["", "[]", '{"score": 1}', '{"score": "high"}', "{" * 5_000])
def test_a_damaged_file_is_named(folder: CalibrationFolder, tmp_path: Path, content: str) -> None:
    path = tmp_path / "calibration" / "1" / "threshold-account.json"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(StoreError, match=r"threshold-account\.json"):
        folder.threshold("1", "account")
