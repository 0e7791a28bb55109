"""Arguments that `stillroom watch` has in several commands, and what they stand for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stillroom.base.errors import StoreError, UsageError

if TYPE_CHECKING:
    from stillroom.store.secrets import Secrets
    from stillroom.watch.engine import Engine

_DAY_S = 86_400


class EngineName(StrEnum):
    duckdb = "duckdb"
    spark = "spark"


State = Annotated[Path | None, typer.Option("--state", metavar="DIR", help="The gateway's state folder.")]
Calls = Annotated[
    Path | None,
    typer.Option(
        "--calls", metavar="DIR", help="A folder of calls, such as an imported one; STATE/calls if not given."
    ),
]
Watch = Annotated[
    Path | None,
    typer.Option("--watch", metavar="DIR", help="Where watch keeps what it knows; STATE/watch if not given."),
]
Until = Annotated[
    str | None,
    typer.Option("--until", metavar="DAY", help="The last day that is looked at, in UTC; that of the last call."),
]
By = Annotated[str, typer.Option("--by", metavar="PERSON", help="Who does it: a person's name, for the record.")]
Person = Annotated[
    str | None, typer.Option("--by", metavar="PERSON", help="Who does it, for the record; the system's name for you.")
]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for the record.")]
OfEngine = Annotated[EngineName, typer.Option("--engine", help="What adds up the calls: `spark` needs pyspark.")]


def calls_of(state: Path | None, calls: Path | None) -> Path:
    if calls is not None:
        return calls
    if state is None:
        raise UsageError("Neither --state nor --calls is given.", "Name the gateway's state folder with --state.")
    return state / "calls"


def watch_of(state: Path | None, watch: Path | None) -> Path:
    if watch is not None:
        return watch
    if state is None:
        raise UsageError("Neither --state nor --watch is given.", "Name the gateway's state folder with --state.")
    return state / "watch"


def existing_watch(state: Path | None, watch: Path | None) -> Path:
    """Raises UsageError where nothing was kept there."""
    kept = watch_of(state, watch)
    if not kept.is_dir():
        raise UsageError(f"{kept} is no folder of stillroom watch.", "Name the one that it keeps what it knows in.")
    return kept


def findings_folder(state: Path | None, watch: Path | None) -> Path:
    """Where watch keeps what it knows. Raises UsageError where neither says so, or it is a place that is not there."""
    given = watch if watch is not None else state
    if given is None:
        raise UsageError("It is not said where the findings are kept.", "Give --state or --watch.")
    if not given.is_dir():
        raise UsageError(f"{given} is no folder.", "Name the one that the gateway, or stillroom watch, has made.")
    return given if watch is not None else given / "watch"


def secrets_of(state: Path | None) -> Secrets | None:
    """Without a gateway's secret, no bank's questions can be known in the calls."""
    if state is None:
        return None
    from stillroom.store.secrets import Secrets

    return Secrets.of(state)


def role_of(state: Path | None) -> str:
    """`owner` of whoever can read the gateway's secret, `reviewer` of anybody else."""
    from stillroom.watch.banks.audit import ROLE
    from stillroom.watch.review.looks import REVIEWER

    try:
        return REVIEWER if secrets_of(state) is None else ROLE
    except StoreError:
        return REVIEWER


@contextmanager
def engine_of(watch: Path, name: EngineName) -> Iterator[Engine]:
    from stillroom.watch import run

    with run.engine_of(watch, name.value) as opened:
        yield opened


def day_after(day: str | None) -> int | None:
    """The number of the day after, from 1970-01-01 in UTC."""
    if day is None:
        return None
    try:
        return date.fromisoformat(day).toordinal() - date(1970, 1, 1).toordinal() + 1
    except ValueError:
        raise UsageError(f"{day!r} is no day.", "Write it as 2026-10-31.") from None


def day_before(until_day: int) -> str:
    return datetime.fromtimestamp((until_day - 1) * _DAY_S, UTC).date().isoformat()
