"""A new version counts only after it was compared, and what it would have done to whom is named."""

from __future__ import annotations

import pytest

from stillroom.base.records import FindingStatus
from stillroom.watch.calibration.shadow import VersionAlarms, compare_versions

WATCHED = {f"org{number}" for number in range(1_000)}


def alarms(version: str, *organisations: str, budget: float = 5.0) -> VersionAlarms:
    return VersionAlarms(version, set(organisations), budget)


def test_the_same_alarms_speak_for_the_new_version() -> None:
    labels: dict[str, FindingStatus] = {"org1": "confirmed"}
    comparison = compare_versions(alarms("1", "org1"), alarms("2", "org1"), WATCHED, labels, weeks=2)
    assert comparison.against == ()
    assert comparison.p_value == 1.0
    assert comparison.counts() == {"both": {"confirmed": 1}, "only old": {}, "only new": {}}


def test_alarms_are_told_apart_by_version_and_review() -> None:
    labels: dict[str, FindingStatus] = {"org1": "confirmed", "org2": "dismissed", "org3": "dismissed"}
    comparison = compare_versions(
        alarms("1", "org1", "org2", "org4"), alarms("2", "org1", "org3", "org4"), WATCHED, labels, weeks=2
    )
    assert comparison.counts() == {
        "both": {"confirmed": 1, "open": 1},
        "only old": {"dismissed": 1},
        "only new": {"dismissed": 1},
    }
    assert [alarm.organisation for alarm in comparison.alarms[:2]] == ["org2", "org3"]
    assert comparison.old_share.alarmed == comparison.new_share.alarmed == 3


def test_a_version_that_misses_what_was_confirmed_should_not_count() -> None:
    labels: dict[str, FindingStatus] = {"org1": "confirmed", "org2": "drill"}
    comparison = compare_versions(alarms("1", "org1", "org2"), alarms("2"), WATCHED, labels, weeks=2)
    assert any("misses 1 organisation that was confirmed: org1" in reason for reason in comparison.against)
    assert any("misses 1 organisation that is a drill: org2" in reason for reason in comparison.against)


def test_a_version_that_accuses_everybody_behind_one_repository_should_not_count() -> None:
    # After a change of its classifier a vendor blocked every conversation of one repository.
    tenants = [f"org{number}" for number in range(500)]
    comparison = compare_versions(alarms("1"), alarms("2", *tenants), WATCHED, {}, weeks=2)
    assert any("Nobody has decided on 500 alarms" in reason for reason in comparison.against)
    assert any(
        "500 organisations that nobody confirmed, in 2 weeks; the budget is 5 a week" in reason
        for reason in comparison.against
    )
    assert comparison.p_value < 1e-100


def test_more_dismissed_alarms_than_before_speak_against_it() -> None:
    labels: dict[str, FindingStatus] = {"org1": "dismissed", "org2": "dismissed"}
    comparison = compare_versions(alarms("1", "org1"), alarms("2", "org1", "org2"), WATCHED, labels, weeks=2)
    assert comparison.against == ("It alarms on 2 organisations that people dismissed; the old one on 1.",)


def test_one_week_beside_each_other_is_too_short() -> None:
    comparison = compare_versions(alarms("1"), alarms("2"), WATCHED, {}, weeks=1)
    assert comparison.against == ("They ran beside each other for 1 week only.",)


def test_drills_are_in_no_share() -> None:
    comparison = compare_versions(alarms("1"), alarms("2", "org7"), WATCHED, {"org7": "drill"}, weeks=2)
    assert comparison.new_share.alarmed == 0
    assert comparison.new_share.organisations == 999
    assert comparison.against == ()


def test_an_alarm_on_nobody_who_was_watched_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="stranger alarmed"):
        compare_versions(alarms("1"), alarms("2", "stranger"), WATCHED, {}, weeks=2)
