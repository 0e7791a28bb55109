"""The directory: who a key belongs to, and that a revoked one stops on every worker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from threading import Thread

import pytest
from sqlalchemy import Engine, delete, event, insert, text
from tests.serve.accounts.conftest import Office

from stillroom.serve.accounts.accounts import (
    accept_terms,
    change_account,
    change_payment,
    close_account,
    lift_restriction,
    restrict_account,
)
from stillroom.serve.accounts.admins import THE_MACHINE
from stillroom.serve.accounts.caller import AccountLimits, Caller
from stillroom.serve.accounts.directory import Directory
from stillroom.serve.accounts.events import changing, events_after
from stillroom.serve.accounts.organisations import close_organisation
from stillroom.serve.accounts.tables import account_events
from stillroom.serve.database.engine import open_database, writing


@pytest.fixture
def directory(office: Office) -> Directory:
    """One that is brought up to date by hand."""
    directory = Directory(office.engine, office.secrets, office.clock)
    directory.load()
    return directory


def test_a_caller_is_what_the_account_is(office: Office) -> None:
    organisation = office.organisation()
    account = office.account(
        organisation,
        requests_per_minute=60,
        tokens_per_minute=9_000_000_000,
        concurrent=4,
        usd_per_day="0.000000001",
        usd_per_month="999999999.999999999",
        models=["a", "b"],
        retention=True,
        terms_version="2026-11",
        billing="ab" * 16,
    )
    key_id, key = office.key(account)
    directory = Directory(office.engine, office.secrets)
    directory.load()
    assert directory.find(key) == Caller(
        account=account,
        organisation=organisation,
        key_id=key_id,
        limits=AccountLimits(60, 9_000_000_000, 4, Decimal("0.000000001"), Decimal("999999999.999999999")),
        models=frozenset({"a", "b"}),
        retention=True,
        terms_version="2026-11",
        billing_print="ab" * 16,
    )


def test_nothing_is_allowed_or_kept_that_nobody_asked_for(office: Office, directory: Directory) -> None:
    _, key = office.key(office.account())
    directory.read_changes()
    caller = directory.find(key)
    assert caller is not None
    assert caller.limits == AccountLimits()
    assert (caller.models, caller.retention, caller.terms_version, caller.billing_print) == (None, False, None, None)


def test_changes_come_with_the_feed(office: Office, directory: Directory) -> None:
    account = office.account(models=["a"])
    _, key = office.key(account)
    office.do(change_account, account, THE_MACHINE, {"models": None, "concurrent": 2, "usd_per_day": "1.50"})
    office.do(accept_terms, account, THE_MACHINE, "v2")
    office.do(change_payment, account, THE_MACHINE, "cd" * 16)
    assert directory.find(key) is None
    directory.read_changes()
    caller = directory.find(key)
    assert caller is not None
    assert caller.models is None
    assert caller.limits == AccountLimits(concurrent=2, usd_per_day=Decimal("1.50"))
    assert (caller.terms_version, caller.billing_print) == ("v2", "cd" * 16)


def _close(office: Office, organisation: str, account: str, key_id: str) -> None:  # noqa: ARG001
    office.do(close_account, account, THE_MACHINE)


def _close_organisation(office: Office, organisation: str, account: str, key_id: str) -> None:  # noqa: ARG001
    office.do(close_organisation, organisation, THE_MACHINE)


def _restrict(office: Office, organisation: str, account: str, key_id: str) -> None:  # noqa: ARG001
    office.do(restrict_account, account, THE_MACHINE, "Your bill is unpaid.")


def _revoke(office: Office, organisation: str, account: str, key_id: str) -> None:  # noqa: ARG001
    office.revoke(key_id)


@pytest.mark.parametrize(
    ("stop", "status", "code", "words"),
    [
        (_revoke, 401, "key_revoked", "revoked"),
        (_close, 403, "account_closed", "closed"),
        (_close_organisation, 403, "account_closed", "closed"),
        (_restrict, 403, "account_restricted", "Your bill is unpaid."),
    ],
)
def test_each_way_of_stopping(
    office: Office,
    directory: Directory,
    stop: Callable[[Office, str, str, str], None],
    status: int,
    code: str,
    words: str,
) -> None:
    organisation = office.organisation()
    account = office.account(organisation)
    other = office.account(office.organisation("Other"))
    key_id, key = office.key(account)
    _, others_key = office.key(other)
    directory.read_changes()
    assert directory.find(key) is not None
    stop(office, organisation, account, key_id)
    directory.read_changes()
    assert directory.find(key) is None
    refusal = directory.refusal(key)
    assert (refusal.status, refusal.code) == (status, code)
    assert words in refusal.message
    assert directory.find(others_key) is not None
    started_later = Directory(office.engine, office.secrets)
    started_later.load()
    assert started_later.find(key) is None
    assert started_later.refusal(key) == refusal


def test_a_restriction_is_lifted(office: Office, directory: Directory) -> None:
    account = office.account()
    _, key = office.key(account)
    office.do(restrict_account, account, THE_MACHINE, "Wait.")
    directory.read_changes()
    assert directory.find(key) is None
    office.do(lift_restriction, account, THE_MACHINE)
    directory.read_changes()
    assert directory.find(key) is not None


def test_a_key_expires_without_an_event(office: Office, directory: Directory) -> None:
    _, key = office.key(office.account(), expires_at=office.clock.now_us() + 5_000_000)
    directory.read_changes()
    office.clock.seconds += 4.9
    assert directory.find(key) is not None
    office.clock.seconds += 0.1
    assert directory.find(key) is None
    assert directory.refusal(key).code == "key_expired"


def test_a_rotated_key_lives_on_for_its_grace(office: Office, directory: Directory) -> None:
    account = office.account()
    old_id, old = office.key(account, expires_at=office.clock.now_us() + 100_000_000)
    office.clock.seconds += 10
    new_id, new = office.rotate(old_id, grace_s=30)
    directory.read_changes()
    for key, key_id in ((old, old_id), (new, new_id)):
        caller = directory.find(key)
        assert caller is not None
        assert (caller.account, caller.key_id) == (account, key_id)
    office.clock.seconds += 30
    assert directory.find(old) is None
    office.clock.seconds += 69  # as long as the old one was to live, from the rotation on
    assert directory.find(new) is not None
    office.clock.seconds += 1
    assert directory.find(new) is None


def test_a_grace_does_not_make_an_old_key_live_longer(office: Office, directory: Directory) -> None:
    old_id, old = office.key(office.account(), expires_at=office.clock.now_us() + 5_000_000)
    office.rotate(old_id, grace_s=3600)
    directory.read_changes()
    office.clock.seconds += 5
    assert directory.find(old) is None


@pytest.mark.parametrize("presented", ["", "sr-", "\ud800", "sr-aaaaaaaa-" + "a" * 43, "x" * 1_000_000])
def test_what_is_no_key(directory: Directory, presented: str) -> None:
    assert directory.find(presented) is None
    assert directory.refusal(presented).code == "invalid_api_key"


def test_fresh_for_a_second_and_a_half(office: Office) -> None:
    directory = Directory(office.engine, office.secrets, office.clock)
    fresh = [directory.fresh]
    directory.load()
    for seconds in (1.5, 0.01):
        office.clock.seconds += seconds
        fresh.append(directory.fresh)
    directory.read_changes()
    fresh.append(directory.fresh)
    assert fresh == [False, True, False, True]


def test_what_is_known_is_as_old_as_the_beginning_of_the_reading(office: Office, directory: Directory) -> None:
    def take_long(*_: object) -> None:
        office.clock.seconds += 1

    event.listen(office.engine, "before_cursor_execute", take_long)
    directory.read_changes()
    event.remove(office.engine, "before_cursor_execute", take_long)
    assert not directory.fresh


def test_a_reading_that_fails_does_not_count(office: Office, directory: Directory) -> None:
    _, key = office.key(office.account())
    directory.read_changes()
    with writing(office.engine) as connection:
        connection.execute(text("alter table account_events rename to elsewhere"))
    office.clock.seconds += 2
    with pytest.raises(Exception, match="account_events"):
        directory.read_changes()
    fresh = [directory.fresh]
    assert directory.find(key) is not None  # it is the gateway that refuses, with 503
    with writing(office.engine) as connection:
        connection.execute(text("alter table elsewhere rename to account_events"))
    directory.read_changes()
    fresh.append(directory.fresh)
    assert fresh == [False, True]


def test_a_backup_that_was_put_back(office: Office, directory: Directory) -> None:
    account = office.account()
    key_id, key = office.key(account)
    directory.read_changes()
    with writing(office.engine) as connection:
        connection.execute(delete(account_events))
        connection.execute(text("delete from keys"))
    directory.read_changes()
    assert directory.find(key) is None
    assert directory.refusal(key).code == "invalid_api_key"
    assert key_id


def test_more_changes_than_are_read_at_once(office: Office, directory: Directory) -> None:
    organisation = office.organisation()
    rows = [
        {"at": 1, "event": "x", "actor": "x", "organisation": organisation, "account": f"acct_{number}", "detail": {}}
        for number in range(4_500)
    ]
    with changing(office.engine, "x") as change:
        change.connection.execute(insert(account_events).values(prints={}), rows)
    _, key = office.key(office.account(organisation))
    directory.read_changes()
    assert directory.find(key) is not None


def test_two_workers_see_a_revocation(office: Office, database_url: str) -> None:
    """Each with its own connection, followed by its own thread. Times are not measured here: `fresh` is what tells."""
    key_id, key = office.key(office.account())
    engines = [open_database(database_url) for _ in range(2)]

    async def follow() -> None:
        directories = [Directory(engine, office.secrets) for engine in engines]
        for directory in directories:
            await directory.start()
        assert all(directory.find(key) is not None and directory.fresh for directory in directories)
        await asyncio.to_thread(office.revoke, key_id)
        async with asyncio.timeout(60):
            while any(directory.find(key) is not None for directory in directories):
                await asyncio.sleep(0.02)
        assert {directory.refusal(key).code for directory in directories} == {"key_revoked"}
        for directory in directories:
            await directory.close()

    asyncio.run(follow())
    for engine in engines:
        engine.dispose()


def test_a_feed_that_stops_and_comes_back(office: Office) -> None:
    async def follow() -> None:
        directory = Directory(office.engine, office.secrets)
        await directory.start()
        await asyncio.to_thread(_rename, office.engine, "keys", "elsewhere")
        with writing(office.engine) as connection:  # an event, so that keys are read
            connection.execute(
                insert(account_events).values(
                    at=1, event="x", actor="x", organisation=None, account="acct_1", detail={}, prints={}
                )
            )
        await _until(directory, fresh=False)
        await asyncio.to_thread(_rename, office.engine, "elsewhere", "keys")
        await _until(directory, fresh=True)
        await directory.close()

    asyncio.run(follow())


async def _until(directory: Directory, *, fresh: bool) -> None:
    async with asyncio.timeout(60):
        while directory.fresh is not fresh:
            await asyncio.sleep(0.05)


def _rename(engine: Engine, name: str, new_name: str) -> None:
    with writing(engine) as connection:
        connection.execute(text(f"alter table {name} rename to {new_name}"))


def test_no_event_appears_behind_one_that_was_seen(office: Office, database_url: str) -> None:
    """A change that began later ends later: nobody sees its event, and asks for those behind it, too early."""
    other = open_database(database_url)

    def record() -> None:
        with changing(other, "second") as change:
            change.record("x", organisation=None)

    second = Thread(target=record)
    with changing(office.engine, "first") as change:
        change.record("x", organisation=None)
        second.start()
        second.join(0.5)  # without the lock it would have ended long before
        assert second.is_alive()
        with other.connect() as connection:
            assert events_after(connection, 0, 10) == []
    second.join()
    with other.connect() as connection:
        assert [event.actor for event in events_after(connection, 0, 10)] == ["first", "second"]
    other.dispose()
