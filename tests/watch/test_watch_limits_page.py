"""docs/watch-limits.md: what it says escapes does, and whom it says may be wronged is."""

from __future__ import annotations

import random

import pytest
from tests.watch.call_log import CallLog, Customers, ordinary_customers, own_text, questions

from stillroom.watch.explanations import MOST_OF_ONE_CUSTOMER

TEMPLATE = "Write a short description of the product named {} in the tone of a careful shop for {} customers."


@pytest.fixture(scope="module")
def customers() -> Customers:
    return ordinary_customers()


def ask(log: CallLog, group: str, members: int, calls: int, kind: str, **shared: str) -> CallLog:
    """Organisations that ask a part of the bank each, draw from it, fill a template, or write their own texts.

    What `shared` does not say is each one's own.
    """
    chance = random.Random(11)
    for member in range(members):
        name = f"{group} {member}"
        own = {"address": f"10.{len(group)}.{member}.1", "card": name, "agent": f"tool/{name}", "tls": name}
        for number in range(calls):
            text = {
                "part": questions()[(member * calls + number) % len(questions())],
                "drawn": chance.choice(questions()),
                "template": TEMPLATE.format(chance.randrange(10**6), chance.randrange(10**6)),
                "own": own_text(chance),
            }[kind]
            log.ask(name, text, day=chance.uniform(14, 28), **(own | shared))
    return log


CLIENT = {"agent": "OpenAI/Python 1.50.2", "tls": "a library of its own"}


def three_kinds() -> CallLog:
    log = ask(CallLog(), "fresh questions", 12, 60, "own")
    ask(log, "one family", 12, 60, "own", card="one")
    return ask(log, "template and client", 12, 60, "template", **CLIENT)


@pytest.mark.parametrize(
    "log",
    [
        three_kinds(),
        ask(CallLog(), "a bank without links", 12, 60, "part"),
        ask(CallLog(), "two", 2, 400, "part", card="one", address="192.0.2.1"),
        ask(CallLog(), "ninety questions", 6, 15, "part", card="one", address="192.0.2.1"),
    ],
    ids=["three kinds", "a bank without links", "two organisations", "ninety questions"],
)
def test_what_escapes(customers: Customers, log: CallLog) -> None:
    assert [one for one in customers.findings(log) if one.kind == "campaign"] == []


def test_who_may_be_wronged(customers: Customers) -> None:
    departments = MOST_OF_ONE_CUSTOMER + 1
    log = ask(CallLog(), "department", departments, 3_100 // departments, "own", card="one", address="192.0.2.1")
    ask(log, "tenant", 8, 100, "template", address="198.51.100.1", **CLIENT)
    ask(log, "pupil", 30, 20, "drawn", address="203.0.113.1")
    found = customers.findings(log)
    members = [{account.split()[0] for account in finding.accounts} for finding in found]
    assert sorted(members, key=min) == [{"department"}, {"pupil"}, {"tenant"}]
    assert all(finding.against for finding in found)


def test_up_to_five_are_taken_for_one_customer(customers: Customers) -> None:
    log = ask(CallLog(), "department", MOST_OF_ONE_CUSTOMER, 700, "own", card="one", address="192.0.2.1")
    assert customers.findings(log) == []
