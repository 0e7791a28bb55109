"""From windows to findings: campaigns that are found, and customers that are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from stillroom.base.records import Finding
from stillroom.testing.traffic import START_AT, TRAFFIC_SECRET, Campaign, Traffic, bank_texts, benign, campaign
from stillroom.text.prints import Prints, epoch_at
from stillroom.watch.banks.prints import BankPrints, BankText
from stillroom.watch.detectors import Candidates, Windows, calibrate, candidates, findings_of
from stillroom.watch.state import window_of
from stillroom.watch.window import Window

DAY_US = 86_400_000_000
FIRST = START_AT // DAY_US
SEED = 5


@pytest.fixture(scope="module")
def bank() -> BankPrints:
    texts = tuple(bank_texts("word_problems"))
    return BankPrints.of(BankText("problems", texts, "train", ""), Prints(TRAFFIC_SECRET, epoch_at(START_AT)))


@pytest.fixture(scope="module")
def customers() -> Traffic:
    return benign(SEED, organisations=250, calls_per_organisation=60, twins=("office", "subsidiaries"))


Look = Callable[[Traffic, int], Candidates]


@pytest.fixture(scope="module")
def look(bank: BankPrints) -> Look:
    def looked(traffic: Traffic, until: int) -> Candidates:
        return candidates(Windows(window(traffic, bank, until - 14, until), window(traffic, bank, until - 28, until)))

    return looked


def window(traffic: Traffic, bank: BankPrints, since: int, until: int) -> Window:
    return window_of(
        traffic.calls,
        traffic.sketches,
        traffic.events,
        [bank],
        FIRST + since,
        FIRST + until,
        splits={"problems": "train"},
    )


def setting(families: str, **changes: object) -> Campaign:
    settings: dict[str, object] = {
        "questions": 1_800,
        "accounts": 24,
        "bank": "word_problems",
        "dilution": 0.3,
        "days": 14,
        "start_day": 14,
        "families": frozenset(families.split()),
        **changes,
    }
    return Campaign("test", **settings)  # type: ignore[arg-type]


def found_in(look: Look, traffic: Traffic) -> list[Finding]:
    found = findings_of(look(traffic, 28), None, found_at=traffic.end_at, version="test")
    return [one.finding for one in found]


def test_customers_alone_are_no_campaign(look: Look, customers: Traffic) -> None:
    assert found_in(look, customers) == []


@pytest.mark.parametrize(
    ("families", "changes"),
    [
        ("network payment", {}),
        ("payment client", {"split": "random"}),
        ("network client", {"source": "reworded"}),
        ("network payment", {"source": "template"}),
        ("payment client", {"replaced": 8}),
    ],
)
def test_a_campaign_that_two_families_tie_is_found_whole_and_alone(
    look: Look, customers: Traffic, families: str, changes: dict[str, object]
) -> None:
    laid = campaign(setting(families, **changes), SEED, customers)
    findings = found_in(look, customers.with_traffic(laid))
    assert [finding.kind for finding in findings] == ["campaign"]
    (finding,) = findings
    guilty = set(laid.truth["organisation"].to_pylist())
    assert set(finding.organisations) <= guilty
    assert len(finding.organisations) >= 0.8 * len(guilty)
    # Questions drawn at random overlap as chance has it: they tie nobody.
    content = set() if changes.get("split") == "random" else {"content"}
    assert {link.family for link in finding.links} >= {*families.split(), *content}
    assert all(explanation.is_ruled_out for explanation in finding.explanations)
    assert finding.explanations
    assert finding.questions is not None
    assert finding.questions > 800
    assert finding.calls <= laid.calls.num_rows


def test_shards_of_a_bank_and_one_client_program_are_enough(look: Look, customers: Traffic) -> None:
    laid = campaign(setting("client"), SEED, customers)
    (finding,) = found_in(look, customers.with_traffic(laid))
    assert {link.family for link in finding.links} == {"client", "content"}


@pytest.mark.parametrize(
    "changes",
    [
        {"families": "", "source": "seeds"},
        {"families": "client", "source": "template"},  # an application's customers look the same
        {"families": "network", "source": "seeds"},  # and so does an office
    ],
)
def test_one_family_alone_makes_no_campaign(look: Look, customers: Traffic, changes: dict[str, object]) -> None:
    families = str(changes["families"])
    laid = campaign(setting(families, source=changes["source"]), SEED, customers)
    assert [one for one in found_in(look, customers.with_traffic(laid)) if one.kind == "campaign"] == []


def test_calls_with_a_permit_are_outside(look: Look, customers: Traffic) -> None:
    laid = campaign(setting("network payment"), SEED, customers)
    permitted = laid.calls.set_column(
        laid.calls.column_names.index("permit_id"), "permit_id", pa.array(["permit"] * laid.calls.num_rows)
    )
    both = customers.with_traffic(with_calls(laid, permitted))
    assert found_in(look, both) == []


def test_what_goes_on_without_the_permit_is_inside(look: Look, customers: Traffic) -> None:
    laid = campaign(setting("network payment"), SEED, customers)
    rows = laid.calls.num_rows
    ids = pa.array(["permit" if row % 2 else None for row in range(rows)], pa.string())
    half = laid.calls.set_column(laid.calls.column_names.index("permit_id"), "permit_id", ids)
    (finding,) = found_in(look, customers.with_traffic(with_calls(laid, half)))
    assert finding.permitted_calls > 0
    assert finding.calls + finding.permitted_calls <= rows
    assert finding.calls < 0.6 * rows


def with_calls(traffic: Traffic, calls: pa.Table) -> Traffic:
    from dataclasses import replace

    return replace(traffic, calls=calls)


def test_a_column_that_nobody_gave_links_nobody(bank: BankPrints, customers: Traffic) -> None:
    """Unknown addresses and cards are not the same address and card."""
    laid = campaign(setting("network payment"), SEED, customers)
    both = customers.with_traffic(laid)
    assert found_without(both, bank, ()) != []
    assert found_without(both, bank, ("ip_print", "billing_print", "tls_print", "agent", "system_print")) == []


def found_without(traffic: Traffic, bank: BankPrints, columns: tuple[str, ...]) -> list[Finding]:
    calls, events = traffic.calls, traffic.events
    for name in columns:
        empty = pa.nulls(calls.num_rows, calls.schema.field(name).type)
        calls = calls.set_column(calls.column_names.index(name), name, empty)
    if columns:
        events = events.slice(0, 0)  # they name cards, too
    made = [
        window_of(calls, traffic.sketches, events, [bank], FIRST + since, FIRST + 28, splits={}) for since in (14, 0)
    ]
    found = findings_of(candidates(Windows(*made)), None, found_at=0, version="test")
    return [one.finding for one in found]


def test_calibration_keeps_what_was_usual_below_its_threshold(look: Look, customers: Traffic) -> None:
    calibrated = calibrate({7: look(customers, 7), 14: look(customers, 14)}, 1.0)
    found = look(customers, 14)
    assert found.alarming(calibrated) == frozenset()
    laid = campaign(setting("network payment"), SEED, customers)
    after = look(customers.with_traffic(laid), 28)
    findings = [one.finding for one in findings_of(after, calibrated, found_at=0, version="test")]
    campaigns = [one for one in findings if one.kind == "campaign"]
    assert len(campaigns) == 1
    assert campaigns[0].alarm_rate is not None
    assert set(campaigns[0].organisations) <= after.alarming(calibrated)
    others = [one for one in findings if one.kind == "account"]
    assert not {name for one in others for name in one.organisations} & set(campaigns[0].organisations)


def test_made_traffic_is_there(tmp_path: Path, customers: Traffic) -> None:
    """The tests above would pass on nothing."""
    customers.write(tmp_path / "calls")
    assert customers.calls.num_rows > 10_000
