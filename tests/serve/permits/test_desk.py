"""The desk: a permit holds for its accounts, models and time, and a revoked one stops on every worker."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, delete

from stillroom.base.permit import PERMIT_TYP, Permit
from stillroom.base.signatures import SigningKey, unverified_claims
from stillroom.serve.accounts.caller import Caller
from stillroom.serve.database.engine import open_database, writing
from stillroom.serve.database.following import FRESH_S
from stillroom.serve.keyring import Keyring
from stillroom.serve.permits.desk import PermitDesk, PermitRefused
from stillroom.serve.permits.rows import SECOND
from stillroom.serve.permits.tables import permits

NOW = 1_800_000_000


def refusal(desk: PermitDesk, wire: str, caller: Caller, model: str = "abacus", now: int = NOW) -> PermitRefused:
    with pytest.raises(PermitRefused) as caught:
        desk.check(wire, caller, model, now)
    return caught.value


def test_a_permit_holds_for_what_it_names(owner: Any, alice: Caller, bob: Caller) -> None:
    wire = owner.token(owner.issue(calls=10, tokens=1000, begins_at=(NOW + 5) * SECOND))
    desk = owner.desk()
    permit = desk.check(wire, alice, "abacus", NOW + 5)
    assert isinstance(permit, Permit)
    assert (permit.calls, permit.tokens, permit.student) == (10, 1000, "fraction-tutor")
    assert desk.check(wire, alice, "abacus", NOW + 3599) is permit  # verified once
    assert refusal(desk, wire, bob, now=NOW + 5).code == "permit_not_yours"
    assert refusal(desk, wire, alice, "other", NOW + 5).code == "permit_model"
    assert refusal(desk, wire, alice, now=NOW + 4).code == "permit_not_begun"
    assert refusal(desk, wire, alice, now=NOW + 3600).code == "permit_expired"
    for code in (refusal(desk, wire, bob, now=NOW + 5), refusal(desk, wire, alice, "other", NOW + 5)):
        assert code.status == 403


def test_a_revoked_permit_is_refused_at_the_next_reading(owner: Any, alice: Caller) -> None:
    permit_id, other = owner.issue(), owner.issue()
    wire = owner.token(permit_id)
    desk = owner.desk()
    desk.check(wire, alice, "abacus", NOW)
    owner.revoke(permit_id, "the student is for sale")
    desk.read_changes()
    error = refusal(desk, wire, alice)
    assert (error.status, error.code) == (403, "permit_revoked")
    assert desk.revoked() == [{"jti": permit_id, "revoked_at": NOW}]
    desk.check(owner.token(other), alice, "abacus", NOW)


def test_a_desk_that_starts_later_knows_what_was_revoked(owner: Any, alice: Caller) -> None:
    permit_id = owner.issue()
    owner.revoke(permit_id)
    assert refusal(owner.desk(), owner.token(permit_id), alice).code == "permit_revoked"


def test_a_permit_issued_meanwhile_is_known_at_the_next_reading(owner: Any, alice: Caller) -> None:
    desk = owner.desk()
    wire = owner.token(owner.issue())
    assert refusal(desk, wire, alice).code == "permit_refused"
    desk.read_changes()
    desk.check(wire, alice, "abacus", NOW)


def test_a_desk_that_was_not_read_lately_lets_nobody_in(owner: Any, alice: Caller) -> None:
    wire = owner.token(owner.issue())
    desk = owner.desk()
    owner.clock.seconds += FRESH_S
    desk.check(wire, alice, "abacus", NOW)
    owner.clock.seconds += 0.1
    error = refusal(desk, wire, alice)
    assert (error.status, error.code, error.retry_after_s) == (503, "permits_unavailable", 1)
    desk.read_changes()
    desk.check(wire, alice, "abacus", NOW)


def test_a_backup_that_was_put_back_is_read_anew(owner: Any, alice: Caller) -> None:
    permit_id = owner.issue()
    wire = owner.token(permit_id)
    desk = owner.desk()
    desk._seen = 10_000  # as after events that the backup does not have
    with writing(owner.engine) as connection:
        connection.execute(delete(permits).where(permits.c.id == permit_id))
    desk.read_changes()
    assert refusal(desk, wire, alice).code == "permit_refused"


def test_what_is_no_permit_of_this_gateway_is_refused_in_words(owner: Any, alice: Caller) -> None:
    wire = owner.token(owner.issue())
    desk = owner.desk()
    claims = unverified_claims(wire, PERMIT_TYP)
    other = SigningKey.generate()
    unknown = owner.keyring.active.sign(PERMIT_TYP, {**claims, "jti": "permit_of_another_database"})
    for told, words in (
        ("", "no compact JWS"),
        ("é" * 10, "no compact JWS"),
        ("a" * 8000, "8000 characters"),
        (wire + "A", "no compact JWS|does not fit"),
        (other.sign(PERMIT_TYP, claims), "not among the owner's"),
        (owner.keyring.active.sign("stillroom-receipt+jws", claims), "Its type is"),
        (unknown, "not known here"),
        (owner.keyring.active.sign(PERMIT_TYP, {**claims, "iat": NOW + 1000}), "in the future"),
    ):
        with pytest.raises(PermitRefused, match=words) as caught:
            desk.check(told, alice, "abacus", NOW)
        assert (caught.value.status, caught.value.code) == (403, "permit_refused")


def test_a_key_that_was_taken_away_takes_its_permits_along(owner: Any, alice: Caller) -> None:
    wire = owner.token(owner.issue())
    desk = owner.desk()
    desk.check(wire, alice, "abacus", NOW)
    stolen = owner.keyring.active.kid
    owner.clock.seconds += 1
    owner.keyring.rotate()
    desk.read_changes()
    desk.check(wire, alice, "abacus", NOW)
    (owner.keyring._folder / f"{stolen}.json").unlink()
    owner.clock.seconds += 1
    desk.read_changes()
    assert "not among the owner's" in refusal(desk, wire, alice).message


def test_what_is_kept_as_verified_is_bounded(owner: Any, alice: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stillroom.serve.permits.desk._MOST_READ", 2)
    wires = [owner.token(owner.issue()) for _ in range(5)]
    desk = owner.desk()
    for wire in (*wires, *wires):
        desk.check(wire, alice, "abacus", NOW)
        assert len(desk._read) <= 2


def test_desks_in_threads_of_their_own_follow(owner: Any, alice: Caller, database_url: str, tmp_path: Path) -> None:
    """Two workers with connections of their own, by the real clock."""
    permit_id = owner.issue()
    wire = owner.token(permit_id)
    keyring = Keyring.open(tmp_path / "state")
    engines = [open_database(database_url) for _ in range(2)]

    async def follow() -> None:
        desks = [PermitDesk(engine, owner.secrets, keyring) for engine in engines]
        for desk in desks:
            await desk.start()
        for desk in desks:
            desk.check(wire, alice, "abacus", NOW)
        owner.revoke(permit_id)
        for desk in desks:
            await _until(functools.partial(is_revoked, desk))
            assert desk.fresh
        for desk in desks:
            await desk.close()

    def is_revoked(desk: PermitDesk) -> bool:
        try:
            desk.check(wire, alice, "abacus", NOW)
        except PermitRefused as error:
            return error.code == "permit_revoked"
        return False

    asyncio.run(follow())
    for engine in engines:
        engine.dispose()


def test_a_desk_whose_database_is_gone_says_so_and_ends(owner: Any, engine: Engine) -> None:
    async def follow() -> None:
        desk = PermitDesk(engine, owner.secrets, owner.keyring)
        await desk.start()
        with writing(engine) as connection:
            permits.drop(connection)
            connection.exec_driver_sql("alter table account_events rename to gone")
        await _until(lambda: not desk.fresh)
        await desk.close()

    asyncio.run(follow())


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.02)
