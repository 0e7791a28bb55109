"""What an organisation is told: its own figures, nobody else's, and where to answer."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from stillroom.base.errors import UsageError
from stillroom.base.records import Finding, FindingSignal
from stillroom.watch.review.accused import export_for, in_words
from stillroom.watch.review.found import Found, Member
from stillroom.watch.review.rendering import told_page
from stillroom.watch.review.store import FindingStore

FindingMaker = Callable[..., Finding]


def put_campaign(store: FindingStore, finding: Finding) -> tuple[Member, ...]:
    """41 accounts; the first two are of one organisation, and links hold for the first ten of them only."""
    owners = [finding.organisations[max(1, number)] for number in range(len(finding.accounts))]
    people = tuple(
        Member(
            account,
            owner,
            171 + number,
            7 if number == 1 else 0,
            finding.since_at + number,
            finding.until_at - number,
            {"gsm8k_train": 149 + number},
            frozenset({"billing"} if number < 10 else ()),
        )
        for number, (account, owner) in enumerate(zip(finding.accounts, owners, strict=True))
    )
    store.put_all([Found(finding, members=people)])
    return people


def test_it_holds_nothing_of_others(store: FindingStore, make_finding: FindingMaker) -> None:
    finding = make_finding()
    people = put_campaign(store, finding)
    told = export_for(store.get("f_1"), finding.organisations[1], "appeals@example.com")
    assert [account["account"] for account in told["accounts"]] == list(finding.accounts[:2])
    for form in (json.dumps(told), in_words(told), told_page(told)):
        for member in people[2:]:
            assert member.account not in form
            assert member.organisation not in form
        # Neither how many they are, nor what they asked, nor the score, its place, or what is expected a month.
        shown = re.sub(
            r"acct_\w+|org_\w+|f_1|<style>.*?</style>|2026-\d\d-\d\d|\d\d:\d\d UTC", "", form, flags=re.DOTALL
        )
        for number in (
            "41",
            "6,102",
            "6102",
            "7,004",
            "7004",
            "14.2",
            "0.02",
            "99.95",
            "-31.4",
            "23",
            "gsm8k_train once",
        ):
            assert number not in shown, number
    assert told["accounts"][1]["calls_with_a_permit"] == 7
    assert told["reasons"] == [
        f"{finding.accounts[0]} asked 149 different questions of the known collection gsm8k_train.",
        f"{finding.accounts[1]} asked 150 different questions of the known collection gsm8k_train.",
        "A means of payment is also that of accounts of other organisations.",
    ]
    assert "The 343 calls of your 2 accounts" in told["summary"]
    assert "write to appeals@example.com and name f_1" in told["appeal"]


def test_a_link_is_told_to_those_it_holds_for(store: FindingStore, make_finding: FindingMaker) -> None:
    finding = make_finding()
    people = put_campaign(store, finding)
    told = export_for(store.get("f_1"), people[30].organisation, "a@example.com")
    assert len(told["reasons"]) == 1
    store.put_all([Found(finding, members=tuple(replace(each, links=None) for each in people))])
    assert len(export_for(store.get("f_1"), people[5].organisation, "a@example.com")["reasons"]) == 1


def test_one_organisation_alone_is_told_the_sentences(store: FindingStore, make_finding: FindingMaker) -> None:
    finding = make_finding(kind="account", accounts=range(2), organisations=("org_1",), links=())
    people = tuple(Member(each, "org_1", 5, 0, 0, 1, {}, None) for each in finding.accounts)
    store.put_all([Found(finding, members=people)])
    store.decide("f_1", "ask", by="ada", reason="They look like org_9's people.")
    told = export_for(store.get("f_1"), "org_1", "a@example.com")
    assert told["reasons"] == [signal.sentence for signal in finding.signals]
    assert told["status"] == "asked"
    assert "other accounts" not in told["summary"]
    words = json.dumps(told)
    assert "org_9" not in words
    assert "0.9995" not in words


def test_another_customer_s_name_never_leaves(store: FindingStore, make_finding: FindingMaker) -> None:
    """Not in the name of a bank, and not in a sentence; a name that is only a part of a word stands."""
    finding = make_finding(accounts=range(2), organisations=("globex", "a"))
    banks = {"questions of globex": 3, "data": 4}
    store.put_all([Found(finding, members=(Member(finding.accounts[0], "a", 9, 0, 0, 1, banks, None),))])
    told = export_for(store.get("f_1"), "a", "x@example.com")
    assert told["accounts"][0]["questions_of_known_collections"] == {"(not named)": 3, "data": 4}
    assert len(told["reasons"]) == 2
    assert "globex" not in json.dumps(told)
    assert finding.accounts[1] not in json.dumps(told)


def test_an_account_without_a_name_takes_no_reasons_away(store: FindingStore, make_finding: FindingMaker) -> None:
    finding = replace(make_finding(accounts=range(2)), accounts=("", "acct_1"), organisations=("", "org_1"))
    people = put_campaign(store, finding)
    told = export_for(store.get("f_1"), "org_1", "x@example.com")
    assert f"{people[1].account} asked 150 different questions of the known collection gsm8k_train." in told["reasons"]


def test_what_cannot_be_told(store: FindingStore, make_finding: FindingMaker) -> None:
    store.put(make_finding(signals=(FindingSignal("a", "time", 1.0, None, "a"),)))
    kept = store.get("f_1")
    for organisation, contact, why in (
        ("org_nobody", "a@example.com", "no organisation of f_1"),
        (kept.finding.organisations[0], " ", "nowhere to answer"),
        (kept.finding.organisations[0], "a@example.com", "no figures"),
    ):
        with pytest.raises(UsageError, match=why):
            export_for(kept, organisation, contact)
