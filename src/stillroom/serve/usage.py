"""What has been used of a gateway: its whole call log, what its workers have not sealed yet included, and by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, select
from sqlalchemy.exc import SQLAlchemyError

from stillroom.base.errors import StillroomError, StoreError
from stillroom.base.permit import read_unverified_permit
from stillroom.serve.accounts.tables import accounts, organisations
from stillroom.serve.database.address import database_url
from stillroom.serve.database.engine import open_database
from stillroom.serve.keyring import Keyring
from stillroom.serve.meter.chain import RECORD_TYPE
from stillroom.serve.meter.seal_request import have_sealed
from stillroom.serve.permits.tables import permits
from stillroom.serve.settings import GatewaySettings
from stillroom.store.call_usage import CallUsage, UsageBy, sealed_usage
from stillroom.store.calls import worker_folders

_SEAL_S = 120
_AT_ONCE = 500
"""Names asked for in one query."""


@dataclass(frozen=True, slots=True)
class GatewayUsage:
    rows: list[CallUsage]
    total: CallUsage
    running: int
    """Calls that have not ended: they are in no sum."""
    names: Mapping[str, str]
    """Of accounts, organisations or permits, by id: those that the gateway's database knows."""
    without_names: str | None
    """Why none could be looked up."""


def gateway_usage(
    settings: GatewaySettings, by: UsageBy, since_us: int | None = None, until_us: int | None = None
) -> GatewayUsage:
    """See `sealed_usage`. Whether or not the gateway runs. Raises StoreError."""
    calls = settings.state / "calls"
    if not calls.is_dir():
        raise StoreError(f"{calls} is not there: this gateway has not passed on a call yet.", "Is it the right file?")
    running = _have_all_sealed(calls, settings.state)
    rows, total = sealed_usage(calls, by, since_us, until_us)
    names, problem = _names(settings, by, [row.of for row in rows if row.of is not None])
    return GatewayUsage(rows, total, running, names, problem)


def _have_all_sealed(calls: Path, state: Path) -> int:
    keyring = Keyring.open(state)
    return sum(
        have_sealed(folder, lambda record: keyring.active.sign(RECORD_TYPE, record), _SEAL_S)
        for folder in worker_folders(calls)
    )


def _names(settings: GatewaySettings, by: UsageBy, ids: list[str]) -> tuple[dict[str, str], str | None]:
    """And why there are none: the log can be added up without the database."""
    if by in ("model", "day") or not ids:
        return {}, None
    try:
        if settings.database is None and not (settings.state / "gateway.db").is_file():
            raise StoreError("The gateway's database is not there.")  # to open it would make one
        engine = open_database(database_url(settings))
    except StillroomError as error:
        return {}, error.what
    try:
        with engine.connect() as connection:
            batches = (ids[start : start + _AT_ONCE] for start in range(0, len(ids), _AT_ONCE))
            return {row_id: name for batch in batches for row_id, name in _names_of(connection, by, batch)}, None
    except SQLAlchemyError:
        return {}, "The gateway's database cannot be read."
    finally:
        engine.dispose()


def _names_of(connection: Connection, by: UsageBy, ids: list[str]) -> Iterable[tuple[str, str]]:
    if by == "organisation":
        for row in connection.execute(select(organisations).where(organisations.c.id.in_(ids))):
            yield row.id, row.name
    elif by == "permit":
        for row in connection.execute(select(permits.c.id, permits.c.token).where(permits.c.id.in_(ids))):
            says = read_unverified_permit(row.token)
            yield row.id, f"{says.student} ({says.organisation})"
    else:
        named = select(accounts.c.id, accounts.c.name, organisations.c.name.label("organisation"))
        for row in connection.execute(named.join(organisations).where(accounts.c.id.in_(ids))):
            yield row.id, f"{row.name} ({row.organisation})"
