"""An alarm share stays one until people have decided on alarms; drills are in none."""

from __future__ import annotations

import pytest

from stillroom.base.records import Finding, FindingStatus
from stillroom.watch.calibration.reviewed import alarm_report, label_organisations

WATCHED = {f"org{number}" for number in range(1_000)}


def finding(status: FindingStatus, *organisations: str) -> Finding:
    return Finding(
        id="f1", kind="campaign", accounts=organisations, organisations=organisations, since_at=0, until_at=1,
        found_at=1, score=9.0, alarm_rate=None, signals=(), links=(), explanations=(), against=(), calls=10,
        questions=None, permits=(), permitted_calls=0, calls_root=None, detector_version="1", status=status,
    )  # fmt: skip


def test_unreviewed_alarms_are_a_share_and_no_rate() -> None:
    report = alarm_report({"org1", "org2"}, WATCHED, {}, weeks=2)
    assert report.false_alarms is None
    assert report.precision is None
    assert report.undecided == 2
    assert "2 of 1,000 organisations (0.20 %" in report.sentence
    assert "alarm share, not a false-alarm rate" in report.sentence


def test_reviews_make_it_a_false_alarm_rate() -> None:
    labels: dict[str, FindingStatus] = {"org1": "confirmed", "org2": "dismissed", "org3": "asked"}
    report = alarm_report({"org1", "org2", "org3", "org4"}, WATCHED, labels, weeks=2)
    assert (report.confirmed, report.dismissed, report.undecided) == (1, 1, 2)
    rate = report.false_alarms
    assert rate is not None
    assert rate.rate == pytest.approx(1 / 999)  # whoever is guilty cannot be accused falsely
    assert rate.low <= rate.rate < 3 / 999 < rate.high  # the undecided ones may be false as well
    assert "false-alarm rate 0.10 %" in report.sentence


def test_where_all_are_decided_the_rate_is_as_sure_as_the_share() -> None:
    labels = dict.fromkeys(("org1", "org2"), "dismissed")
    report = alarm_report({"org1", "org2"}, WATCHED, labels, weeks=2)  # type: ignore[arg-type]
    assert report.false_alarms is not None
    assert (report.false_alarms.low, report.false_alarms.high) == (report.alarms.low, report.alarms.high)


def test_precision_is_of_those_decided_on() -> None:
    labels: dict[str, FindingStatus] = {f"org{number}": "confirmed" for number in range(8)}
    labels |= {"org8": "dismissed", "org9": "dismissed"}
    report = alarm_report(set(labels) | {"org10"}, WATCHED, labels, weeks=4)
    assert report.precision is not None
    assert report.precision == pytest.approx((0.4439, 0.9748), abs=1e-4)  # Clopper and Pearson's of 8 in 10


def test_drills_are_no_alarms() -> None:
    report = alarm_report({"org1", "org2"}, WATCHED, {"org1": "drill"}, weeks=2)
    assert report.alarms.alarmed == 1
    assert report.alarms.organisations == 999


def test_an_organisation_in_several_findings_is_labelled_once() -> None:
    labels = label_organisations(
        [
            finding("dismissed", "a", "b", "c"),
            finding("confirmed", "b"),
            finding("open", "c", "d"),
            finding("dismissed", "a"),
            finding("drill", "e"),
        ]
    )
    assert labels == {"a": "dismissed", "b": "confirmed", "c": "open", "d": "open", "e": "drill"}
