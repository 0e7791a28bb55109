"""Permits are issued whole or not at all, and every change of one is told in the feed of events."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import insert, select

from stillroom.base.permit import read_permit
from stillroom.serve.accounts.accounts import close_account
from stillroom.serve.accounts.admins import THE_MACHINE
from stillroom.serve.accounts.organisations import close_organisation, create_organisation
from stillroom.serve.accounts.problems import Conflict, NotFound
from stillroom.serve.accounts.tables import account_events
from stillroom.serve.database.engine import writing
from stillroom.serve.limits.bound import permit_subject
from stillroom.serve.limits.tables import limit_counters, limit_leases
from stillroom.serve.limits.used import used_by
from stillroom.serve.permits.issuing import permit_of
from stillroom.serve.permits.rows import SECOND, NewPermit, PermitRow
from stillroom.serve.pseudonyms import Pseudonyms

NOW = 1_800_000_000
NOBODY = "0" * 22
ELSEWHERE = THE_MACHINE.model_copy(update={"organisation": "org_elsewhere"})


def row_of(owner: Any, permit_id: str) -> PermitRow:
    with owner.engine.connect() as connection:
        now, subject = owner.clock.now_us(), permit_subject(permit_id)
        used = used_by(connection, [subject], now)
        return PermitRow.of(permit_of(connection, permit_id, THE_MACHINE), used[subject], now)


def test_what_is_signed_is_what_was_asked_for(owner: Any) -> None:
    permit_id = owner.issue(
        accounts=[owner.bob, owner.alice, owner.bob],
        models=["abacus", "abacus-mini"],
        calls=10,
        tokens=1000,
        begins_at=(NOW + 10) * SECOND,
        expires_at=(NOW + 20) * SECOND + 1,
        conditions=["The card names Abacus."],
    )
    permit = read_permit(owner.token(permit_id), owner.keyring.public_keys(), NOW)
    names = [Pseudonyms(owner.secrets).of(account, permit_id) for account in sorted((owner.alice, owner.bob))]
    assert permit.model_dump(mode="json") == {
        "v": 1,
        "jti": permit_id,
        "iss": "Abacus Models",
        "iat": NOW,
        "nbf": NOW + 10,
        "exp": NOW + 21,
        "organisation": "Somewhere University",
        "accounts": names,
        "models": ["abacus", "abacus-mini"],
        "purpose": "a tutor for fractions",
        "calls": 10,
        "tokens": 1000,
        "student": "fraction-tutor",
        "conditions": ["The card names Abacus."],
    }


def test_a_row_says_how_it_stands(owner: Any) -> None:
    permit_id = owner.issue(begins_at=(NOW + 10) * SECOND)
    assert row_of(owner, permit_id).state == "not_begun"
    owner.clock.seconds += 10
    row = row_of(owner, permit_id)
    assert (row.state, row.calls_used, row.tokens_used, row.accounts) == ("holds", None, None, [owner.alice])
    owner.clock.seconds += 3590
    assert row_of(owner, permit_id).state == "expired"
    owner.revoke(permit_id, "spent otherwise")
    row = row_of(owner, permit_id)
    assert (row.state, row.revoked_for) == ("revoked", "spent otherwise")


def test_what_workers_hold_and_have_not_used_is_not_used(owner: Any) -> None:
    permit_id, other, unlimited = owner.issue(calls=10, tokens=1000), owner.issue(calls=10), owner.issue()
    subject = f"permit:{permit_id}"
    with writing(owner.engine) as connection:
        for name, counted in (("permit_calls", 8), ("permit_tokens", 700)):
            values = {"subject": subject, "name": name, "counted": counted, "starts_at": 0, "wanted_until": 0}
            connection.execute(insert(limit_counters).values(values))
        for worker, used in (("w0", 1), ("w1", 2)):
            lease = {"instance": worker, "subject": subject, "name": "permit_calls", "held": 3, "used": used}
            connection.execute(insert(limit_leases).values(starts_at=0, ends_at=2**62, told_at=0, **lease))
    rows = {each: row_of(owner, each) for each in (permit_id, other, unlimited)}
    assert (rows[permit_id].calls_used, rows[permit_id].tokens_used) == (5, 700)
    assert (rows[other].calls_used, rows[other].tokens_used) == (0, None)
    assert (rows[unlimited].calls_used, rows[unlimited].tokens_used) == (None, None)


def test_without_accounts_it_is_for_all_that_are_open(owner: Any) -> None:
    owner.do(close_account, owner.bob, THE_MACHINE)
    assert row_of(owner, owner.issue(accounts=None)).accounts == [owner.alice]
    empty = owner.do(create_organisation, "Nobody")
    with pytest.raises(Conflict, match="has 0 accounts"):
        owner.issue(accounts=None, organisation=empty)


def test_every_change_is_an_event(owner: Any) -> None:
    permit_id = owner.issue()
    owner.revoke(permit_id, "for sale")
    owner.revoke(permit_id, "again")
    with owner.engine.connect() as connection:
        query = select(account_events).where(account_events.c.event.like("permit%")).order_by(account_events.c.id)
        events = connection.execute(query).all()
    assert [(event.event, event.actor, event.organisation) for event in events] == [
        ("permit issued", "the owner", owner.organisation),
        ("permit revoked", "the owner", owner.organisation),
    ]
    assert events[0].detail["permit"] == permit_id
    assert events[0].detail["student"] == "fraction-tutor"
    assert events[1].detail == {"permit": permit_id, "reason": "for sale"}


def test_what_cannot_be_issued_is_told_and_leaves_nothing(owner: Any) -> None:
    other = owner.do(create_organisation, "Elsewhere")
    stranger = owner.account("stranger", other)
    with pytest.raises(Conflict, match="belongs to another organisation"):
        owner.issue(accounts=[stranger])
    with pytest.raises(NotFound):
        owner.issue(accounts=[f"acct_{NOBODY}"])
    with pytest.raises(NotFound):
        owner.issue(organisation=f"org_{NOBODY}")
    with pytest.raises(Conflict, match="ended already"):
        owner.issue(expires_at=NOW * SECOND)
    with pytest.raises(Conflict, match="end before it begins"):
        owner.issue(begins_at=(NOW + 7200) * SECOND)
    with pytest.raises(Conflict, match="fit into a call's header"):
        owner.issue(conditions=["a" * 1000] * 8)
    owner.do(close_account, owner.alice, THE_MACHINE)
    with pytest.raises(Conflict, match="is closed"):
        owner.issue()
    owner.do(close_organisation, owner.organisation, THE_MACHINE)
    with pytest.raises(Conflict, match="is closed"):
        owner.issue(accounts=[owner.bob])
    with owner.engine.connect() as connection:
        events = select(account_events).where(account_events.c.event == "permit issued")
        assert connection.execute(events).all() == []


def test_an_administrator_of_elsewhere_sees_none_of_it(owner: Any) -> None:
    permit_id = owner.issue()
    with pytest.raises(NotFound):
        owner.issue(ELSEWHERE)
    with owner.engine.connect() as connection, pytest.raises(NotFound):
        permit_of(connection, permit_id, ELSEWHERE)
    with owner.engine.connect() as connection, pytest.raises(NotFound):
        permit_of(connection, "permit_nobody", THE_MACHINE)


@pytest.mark.parametrize(
    "change",
    [
        {"models": []},
        {"models": ["a\nb"]},
        {"accounts": []},
        {"accounts": [f"acct_{NOBODY}"] * 101},
        {"accounts": ["alice"]},
        {"purpose": ""},
        {"purpose": "a\x1bb"},
        {"student": "a" * 101},
        {"calls": 0},
        {"tokens": -1},
        {"tokens": True},
        {"calls": 10**16},
        {"expires_at": 10**18},
        {"expires_at": "tomorrow"},
        {"conditions": ["ok", ""]},
        {"conditions": ["ok"] * 21},
        {"sublicence": True},
    ],
)
def test_what_nobody_can_ask_for(change: dict[str, Any]) -> None:
    plain = {
        "organisation": f"org_{NOBODY}",
        "models": ["m"],
        "purpose": "p",
        "student": "s",
        "expires_at": NOW * SECOND,
    }
    assert NewPermit.model_validate(plain)
    with pytest.raises(ValidationError):
        NewPermit.model_validate({**plain, **change})
