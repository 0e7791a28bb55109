"""Public complaints about what came after: verdicts that are inherited, appeals that nobody reads.

One gateway's log over six weeks: twelve names divide a bank in the first of them, and then go on as any customer does.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.watch.call_log import FIRST_DAY, CallLog, own_text, questions
from tests.watch.logs import DAY_US, seal

from stillroom.testing.traffic import TRAFFIC_SECRET, benign
from stillroom.watch.banks.stored import add_bank
from stillroom.watch.review.accused import export_for, in_words
from stillroom.watch.review.store import FindingStore
from stillroom.watch.run import Looked, engine_of, look

NAMES, EACH = 12, 60
FIRST_LOOK, SECOND_LOOK = FIRST_DAY + 14, FIRST_DAY + 36
"""The second one's four weeks begin after the bank was asked."""


@dataclass(frozen=True)
class Weeks:
    watch: Path
    first: Looked
    again: Looked
    """At the same days, after what was found had been dismissed."""
    later: Looked
    told: str
    """What one of the names is told of it."""


@pytest.fixture(scope="module")
def weeks(tmp_path_factory: pytest.TempPathFactory) -> Weeks:
    folder = tmp_path_factory.mktemp("weeks")
    calls, watch = folder / "calls", folder / "watch"
    benign(5, organisations=200, calls_per_organisation=30, twins=()).write(calls)
    (folder / "bank.jsonl").write_text("".join(json.dumps({"question": text}) + "\n" for text in questions()))
    add_bank(watch, folder / "bank.jsonl", "problems", by="Olga", role="owner", reason="ours", split="train")
    log = distilled_then_ordinary()
    seal(calls, log.calls().to_pylist(), 1, worker="w1", sketches=log.sketches)
    store = FindingStore(watch)
    with engine_of(watch, "duckdb") as engine:
        first = look(calls, watch, TRAFFIC_SECRET, engine=engine, until_day=FIRST_LOOK)
        name = first.findings[0].id
        told = in_words(export_for(store.get(name), "org name 3", "appeals@example.com"))
        store.decide(name, "dismiss", by="Olga", reason="They wrote to us: a course, with one card for all.")
        again = look(calls, watch, TRAFFIC_SECRET, engine=engine, until_day=FIRST_LOOK)
        later = look(calls, watch, TRAFFIC_SECRET, engine=engine, until_day=SECOND_LOOK)
    return Weeks(watch, first, again, later, told)


def distilled_then_ordinary() -> CallLog:
    chance, log = random.Random(1), CallLog()
    who = {"address": "203.0.113.20", "card": "one card", "agent": "tool/1"}
    for name in range(NAMES):
        for number in range(EACH):
            log.ask(f"name {name}", questions()[name * EACH + number], day=chance.uniform(0, 7), **who)
        log.ask(f"name {name}", "Hi", day=30, **who)
        for number in range(30):
            text = f"Reconcile these two lists of mine: {own_text(chance)}"
            log.ask(f"name {name}", text, day=31 + number / 6, turns=2 * number + 3, **who)
    return log


def test_what_was_found_names_its_days(weeks: Weeks) -> None:
    (found,) = weeks.first.findings
    assert found.accounts == tuple(sorted(f"name {number}" for number in range(NAMES)))
    assert (found.since_at, found.until_at) == ((FIRST_LOOK - 28) * DAY_US, FIRST_LOOK * DAY_US)
    assert found.calls == NAMES * EACH


# https://github.com/anthropics/claude-code/issues/87640


def test_no_later_call_inherits_a_verdict(weeks: Weeks) -> None:
    """The names still share a card, an address and a program; what they do now is looked at anew."""
    assert weeks.later.findings == ()
    (kept,) = FindingStore(weeks.watch).list()
    assert kept.finding.until_at == FIRST_LOOK * DAY_US


# https://github.com/anthropics/claude-code/issues/87273


def test_an_appeal_goes_to_a_person_past_every_detector(weeks: Weeks) -> None:
    assert "write to appeals@example.com" in weeks.told
    assert "A person reads what you write; no detector does." in weeks.told


def test_what_an_appeal_brought_stays(weeks: Weeks) -> None:
    (found,) = weeks.again.findings
    assert found.id == weeks.first.findings[0].id
    (kept,) = FindingStore(weeks.watch).list()
    assert kept.finding.status == "dismissed"
    steps = FindingStore(weeks.watch).history(found.id)
    assert [step.reason for step in steps if step.by == "Olga"] == [
        "They wrote to us: a course, with one card for all."
    ]
