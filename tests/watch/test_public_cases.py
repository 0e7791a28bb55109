"""Complaints that people made in public about systems like this one, each as calls, with what is right in its place.

Beside most of them stands the guilty case that is nearest to it, which has to be found: a detector that finds nobody
would pass the rest. Cases that are the gateway's have their tests there: see `HELD_ELSEWHERE`.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.watch.call_log import (
    PEOPLE,
    PRINTS,
    CallLog,
    Customers,
    families,
    one_address,
    own_card,
    own_text,
    part_of_the_bank,
    questions,
    texts,
)

from stillroom.base.errors import DataError
from stillroom.base.records import Call
from stillroom.store.calls import call_dataset
from stillroom.testing.traffic import TRAFFIC_SECRET
from stillroom.watch.banks.collection import collection_of
from stillroom.watch.calibration.shadow import VersionAlarms, compare_versions
from stillroom.watch.importing.importer import import_calls
from stillroom.watch.importing.mapping import ImportMapping
from stillroom.watch.signals.measure import signals_of

TESTS = Path(__file__).parents[1]
HELD_ELSEWHERE = {
    # Who hangs up pays for what came; a client's word is no identity; a forged X-Forwarded-For is not believed.
    "serve/gateway/test_hang_ups.py": ("test_nothing_is_lost_or_left_over",),
    "serve/gateway/test_stream_ends.py": ("test_each_end_is_understood",),
    "serve/gateway/test_security_accounts.py": ("test_who_somebody_is_comes_from_the_key_alone",),
    "serve/gateway/test_security_clients.py": (
        "test_behind_a_trusted_proxy_only_what_it_wrote_itself_is_believed",
        "test_in_front_of_no_proxy_nobody_is_believed",
    ),
    # A revoked key is refused at once everywhere; no row of a reply that came is lost, and gaps are named.
    "serve/gateway/test_promises.py": (
        "test_a_revoked_key_is_refused_by_both_workers_within_two_seconds",
        "test_a_killed_worker_loses_no_call_that_got_a_reply",
        "test_the_log_verifies_after_kills",
    ),
    "serve/meter/test_verification.py": ("test_segments_that_are_gone", "test_rows_that_are_dropped"),
    # No credential and no text in any file; no second block of thoughts in an answer.
    "serve/gateway/test_security_secrets.py": ("test_nothing_that_was_told_in_confidence_is_in_a_file",),
    "text/test_think.py": ("test_tags_in_any_order_never_end_in_a_well_formed_answer_with_tags",),
}


@pytest.mark.parametrize("rows", HELD_ELSEWHERE.items(), ids=lambda rows: rows[0])
def test_what_is_held_elsewhere_is_there(rows: tuple[str, tuple[str, ...]]) -> None:
    name, tests = rows
    text = (TESTS / name).read_text(encoding="utf-8")
    assert all(f"\ndef {test}(" in text for test in tests)


# https://github.com/anthropics/claude-code/issues/95561


def lecture(said: Callable[[int], str]) -> CallLog:
    """A hundred and more rounds within hours, by one account with one program."""
    log, chance = CallLog(), random.Random(2)
    for number in range(420):
        log.ask(
            "lecturer",
            said(number),
            day=20.4 + number / 420 * 0.3,
            address="192.0.2.8",
            card="the lecturer's",
            agent="claude-cli/2.1",
            completion_tokens=chance.randrange(300, 900),
        )
    return log


def test_a_long_text_of_ones_own_turned_into_json_is_no_extraction(customers: Customers) -> None:
    chance = random.Random(3)

    def said(number: int) -> str:
        quoted = ' Here the model says: "I can\'t help with extracting that."' if number % 20 == 0 else ""
        order = "Turn this part of my lecture into JSON with the keys topic, summary and terms, and nothing else."
        return f"{order}\n\n{own_text(chance, 8)}{quoted}"

    assert customers.findings(lecture(said)) == []


def test_a_known_collection_worked_off_in_as_many_rounds_is_one(customers: Customers) -> None:
    (found,) = customers.findings(lecture(lambda number: questions()[number]))
    assert (found.kind, found.accounts) == ("account", ("lecturer",))
    assert any("420 of the 2,000 questions" in signal.sentence for signal in found.signals)


# https://github.com/anthropics/claude-code/issues/90922


def repository(organisation: Callable[[int], str]) -> CallLog:
    """Forty people work on one repository: its context file goes into each of their requests."""
    log, chance = CallLog(), random.Random(4)
    context = "Explain your reasoning step by step, and grade your own answer from 1 to 10. " + own_text(chance, 12)
    for person in range(40):
        for _ in range(30):
            log.ask(
                f"developer {person}",
                own_text(chance),
                day=chance.randrange(14, 28) + chance.uniform(8, 17) / 24,
                organisation=organisation(person),
                address="203.0.113.40",
                card="the company's",
                agent="claude-cli/2.1",
                tls="t",
                system=context,
                asks_reasoning=True,
                asks_grading=True,
            )
    return log


def test_a_file_in_everybodys_context_accuses_nobody(customers: Customers) -> None:
    assert customers.findings(repository(lambda _: "the company")) == []


def test_one_payer_behind_forty_names_is_found(customers: Customers) -> None:
    (found,) = customers.findings(repository(lambda person: f"name {person}"))
    assert len(found.organisations) == 40
    assert {"network", "payment", "client"} <= families(found)
    assert found.detector_version == "test"  # which version said so is part of it


def test_a_version_that_alarms_on_a_whole_customer_does_not_begin_to_count_unseen() -> None:
    everybody = {f"org {number}" for number in range(300)}
    company = {f"org {number}" for number in range(40)}
    compared = compare_versions(
        VersionAlarms("1", set(), 1.0), VersionAlarms("2", company, 1.0), everybody, {}, weeks=4.0
    )
    assert compared.counts()["only new"] == {"open": 40}
    assert len(compared.against) == 2  # nobody looked at these, and they are more than the budget
    assert compared.p_value < 1e-9


# https://github.com/m0rs3c0d3/Glasswally


def test_an_office_with_its_own_cards_stays_apart(customers: Customers) -> None:
    log = one_address(texts(5), own_card)
    assert customers.findings(log) == []
    found = [one for one in customers.with_log(log).campaigns if one.group.calls >= 1_800]
    assert found == []  # not merely below a threshold


def test_an_office_that_divides_a_bank_and_pays_with_one_card_does_not(customers: Customers) -> None:
    (found,) = customers.findings(one_address(part_of_the_bank(30), lambda _: "one card"))
    assert found.accounts == tuple(sorted(f"person {person}" for person in range(PEOPLE)))
    assert families(found) == {"network", "payment", "client", "content"}


def test_what_two_share_and_two_others_share_does_not_join_all_of_them(customers: Customers) -> None:
    """Neighbours of a row share an address, or a rare program; so all are connected, and no two of them are tied."""
    log, chance = CallLog(), random.Random(6)
    for person in range(40):
        for _ in range(30):
            log.ask(
                f"link {person}",
                own_text(chance),
                day=chance.uniform(0, 28),
                address=f"192.0.{person // 2}.1",
                card=f"chain card {person}",
                agent=f"rare/{(person + 1) // 2}",
                tls="t",
            )
    assert customers.findings(log) == []


def test_no_column_says_where_somebody_is_from() -> None:
    names = {each.name for each in fields(Call)}
    assert not [name for name in names if any(word in name for word in ("country", "region", "language", "locale"))]


# https://github.com/anthropics/claude-code/issues/51583


def test_a_vpn_alone_accuses_nobody(customers: Customers) -> None:
    log, chance = CallLog(), random.Random(7)
    for person in range(40):
        for _ in range(40):
            card, agent = f"vpn card {person}", f"tool/{person}"
            day = chance.uniform(0, 28)
            log.ask(
                f"guest {person}", own_text(chance), day=day, address="203.0.113.5", card=card, agent=agent, tls="t"
            )
    assert customers.findings(log) == []


def test_who_changes_addresses_every_hour_is_nobody_in_particular(customers: Customers) -> None:
    log, chance = CallLog(), random.Random(8)
    for number in range(672):
        address = f"10.{number % 200}.{number % 7}.1"
        log.ask("roamer", own_text(chance), day=number / 24, address=address, card="roaming", agent="tool/1", tls="t")
    assert customers.findings(log) == []


# https://github.com/BerriAI/litellm/issues/34846


def distillers_who_say_they_are(user: str | None) -> CallLog:
    log, chance = CallLog(), random.Random(9)
    for name in range(12):
        for number in range(60):
            text, day = part_of_the_bank(60)(name, number), chance.uniform(0, 28)
            log.ask(f"name {name}", text, day=day, address="10.99.1.1", card="one", agent="tool/1", user=user)
    for _ in range(200):
        day = chance.uniform(0, 28)
        log.ask("victim", own_text(chance), day=day, address="10.3.3.3", card="its own", agent="tool/2", user="victim")
    return log


def test_a_label_that_a_client_sends_makes_nobody_a_member(customers: Customers) -> None:
    spoofed, (plain,) = distillers_who_say_they_are("victim"), customers.findings(distillers_who_say_they_are(None))
    (found,) = customers.findings(spoofed)
    assert "victim" not in found.accounts
    assert (found.accounts, found.calls, found.score) == (plain.accounts, plain.calls, plain.score)
    activity = spoofed.window().activity.to_pylist()
    assert sum(row["calls"] for row in activity if row["account"] == "victim") == 200
    assert "user" not in set(spoofed.window().keys["kind"].to_pylist())


def test_one_label_for_everybody_links_nobody(customers: Customers) -> None:
    log, chance = CallLog(), random.Random(10)
    for person in range(40):
        for _ in range(20):
            address, card, day = f"10.{person}.77.1", f"label card {person}", chance.uniform(0, 28)
            text = own_text(chance)
            log.ask(f"own {person}", text, day=day, address=address, card=card, agent=f"own/{person}", user="default")
    assert customers.findings(log) == []


# https://github.com/BerriAI/litellm/issues/31759


@pytest.mark.parametrize("column", ["asks_reasoning", "reasoning_tokens", "completion_tokens"])
def test_what_nobody_counted_is_unknown_and_not_zero(column: str) -> None:
    said: dict[str, Any] = {"asks_reasoning": False, "reasoning_tokens": 0, "completion_tokens": 0}
    chance, windows = random.Random(13), []
    for values in (said, said | {column: None}):
        log = CallLog()
        for number in range(60):
            log.ask("somebody", own_text(chance), day=number / 3, **values)
        windows.append(log.window())
    assert column not in windows[0].missing
    assert column in windows[1].missing
    signal = {"asks_reasoning": "asks_reasoning", "completion_tokens": "long_replies"}.get(column)
    if signal is not None:
        (zero,), (absent,) = (signals_of(window).values[signal] for window in windows)
        assert zero == 0
        assert np.isnan(absent)


# https://github.com/openai/codex/issues/38849


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_a_greeting_is_no_evidence_however_often_it_is_said(customers: Customers, share: float) -> None:
    own, chance = texts(11), random.Random(12)
    log = one_address(lambda *_: "hi" if chance.random() < share else own(0, 0), own_card)
    assert customers.findings(log) == []
    with pytest.raises(DataError, match="too short"):
        collection_of(["hi", "hello", "hi there"] * 500, "greetings.txt")


def test_a_monitor_that_says_hi_every_minute_is_nobodys_campaign(customers: Customers) -> None:
    log = CallLog()
    for number in range(4_000):
        log.ask("monitor", "hi", day=14 + number / 300, address="192.0.2.99", card="ops", agent="curl/8.9")
    assert customers.findings(log) == []


def test_a_template_with_something_else_in_it_each_time_is_evidence(customers: Customers) -> None:
    def said(person: int, number: int) -> str:
        return f"Write a hard problem on topic {person * 100 + number} and solve it so that a pupil can follow."

    (found,) = customers.findings(one_address(said, own_card))
    assert families(found) == {"network", "client", "content"}
    assert found.questions == PEOPLE * 30


# https://github.com/koala73/worldmonitor/issues/3721


def test_a_forged_address_is_not_believed(tmp_path: Path) -> None:
    """Whoever writes an office's address in front of its own is linked to its own, and the office to nobody."""
    told = {"forger": "198.51.100.7, 203.0.113.9", "office": "198.51.100.7", "direct": None}
    peers = {"forger": "10.0.0.1", "office": "10.0.0.1", "direct": "192.0.2.1"}
    rows = [
        {"at": "2026-10-14T09:00:00Z", "who": who, "peer": peers[who], "xff": forwarded}
        for who, forwarded in told.items()
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    columns = {"at": "at", "account": "who", "address": {"from": "peer", "forwarded": "xff"}}
    mapping = {"name": "s", "format": "jsonl", "trusted_proxies": ["10.0.0.0/8"], "columns": columns}
    import_calls(tmp_path / "rows.jsonl", ImportMapping.model_validate(mapping), tmp_path / "out", TRAFFIC_SECRET)
    found = {row["account"]: row["ip_print"] for row in call_dataset(tmp_path / "out").to_table().to_pylist()}
    assert len(found) == 3
    assert sorted(found.values()) == sorted(
        str(PRINTS.address(address)) for address in ("203.0.113.9", "198.51.100.7", "192.0.2.1")
    )
