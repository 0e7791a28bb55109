"""`stillroom watch`: from the gateway's calls to findings that a careful person can act on."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stillroom import cli_watch_banks, cli_watch_import, cli_watch_review
from stillroom.admin_api import AdminApi
from stillroom.base.errors import UsageError
from stillroom.base.interrupts import ends_at_once
from stillroom.cli_arguments import FLAG, Json
from stillroom.cli_guard import command as command_of
from stillroom.cli_output import print_json, print_result
from stillroom.cli_rows import group_of_commands
from stillroom.text.counted import counted, listed

if TYPE_CHECKING:
    import pyarrow as pa

    from stillroom.store.secrets import Secrets
    from stillroom.watch.engine import Engine
    from stillroom.watch.run import Looked

watch_commands = group_of_commands("See distillation campaigns in a gateway's calls. Nothing is throttled or closed.")
command = functools.partial(command_of, watch_commands)
cli_watch_banks.register(watch_commands)
cli_watch_import.register(watch_commands)
cli_watch_review.register(watch_commands)

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
OfEngine = Annotated[EngineName, typer.Option("--engine", help="What adds up the calls: `spark` needs pyspark.")]
Events = Annotated[
    bool,
    typer.Option("--events", metavar=FLAG, help="Ask the gateway's admin API what happened to accounts, too."),
]


@command("run", "stillroom watch run --state state")
def run(
    state: State = None,
    calls: Calls = None,
    watch: Watch = None,
    until: Until = None,
    events: Events = False,
    engine: OfEngine = EngineName.duckdb,
    as_json: Json = False,
) -> None:
    """Take in the calls that are new, and look for campaigns in the four weeks before."""
    with ends_at_once():
        from stillroom.watch.run import look

    kept = _watch(state, watch)
    with _engine(kept, engine) as opened:
        looked = look(
            _calls(state, calls),
            kept,
            _secrets(state),
            engine=opened,
            until_day=_day_after(until),
            events=_events() if events else None,
        )
    _send(kept)
    if as_json:
        print_json(_as_json(looked))
    else:
        print_result(*_in_words(looked))


@command("calibrate", "stillroom watch calibrate --state state --until 2026-10-31 --weeks 4 --alarms-per-week 1")
def calibrate(
    until: Annotated[str, typer.Option("--until", metavar="DAY", help="The last day that is fitted on, in UTC.")],
    weeks: Annotated[int, typer.Option("--weeks", min=1, help="How many weeks before that day.")] = 4,
    alarms_per_week: Annotated[
        float, typer.Option("--alarms-per-week", help="How many new findings a week you can look at.")
    ] = 1.0,
    leave_out: Annotated[
        list[str] | None,
        typer.Option("--leave-out", metavar="ORGANISATION", help="No part of ordinary traffic: may be repeated."),
    ] = None,
    state: State = None,
    calls: Calls = None,
    watch: Watch = None,
    engine: OfEngine = EngineName.duckdb,
    as_json: Json = False,
) -> None:
    """Learn from earlier weeks what is usual, and set the thresholds. Who is in a confirmed finding is left out."""
    with ends_at_once():
        from stillroom.watch.run import calibrate_on, take

    kept = _watch(state, watch)
    day = _day_after(until)
    assert day is not None
    with _engine(kept, engine) as opened:
        take(opened, _calls(state, calls), kept, _secrets(state), None)
        left_out = frozenset(leave_out or [])
        made = calibrate_on(opened, kept, day, weeks, alarms_per_week, left_out=left_out)
    if as_json:
        print_json({"account": asdict(made.account), "campaign": asdict(made.campaign)})
        return
    for kind, threshold in (("an organisation alone", made.account), ("a campaign", made.campaign)):
        rate = threshold.expected_per_week
        print_result(f"Of {kind}: from a score of {threshold.score:.2f} on, {rate:.2g} a week are expected.")
        print_result(*(f"  {caveat}" for caveat in threshold.caveats))


def _send(watch: Path) -> None:
    """Word of what is new to the operator's own systems, where the environment names them."""
    from stillroom.watch.review.store import FindingStore
    from stillroom.watch.review.webhook import deliver, webhook_of_environment

    if webhook := webhook_of_environment():
        deliver(FindingStore(watch), webhook)


def _as_json(looked: Looked) -> dict[str, Any]:
    return {
        "until": _day_before(looked.until_day),
        "taken": asdict(looked.taken),
        "findings": [asdict(finding) for finding in looked.findings],
        "is_calibrated": looked.is_calibrated,
        "missing": sorted(looked.missing),
    }


def _in_words(looked: Looked) -> Iterator[str]:
    taken = looked.taken
    yield f"{counted(taken.counted, 'new call')} taken in, {taken.duplicates:,} of them known before."
    if looked.missing:
        yield f"No call says {listed(sorted(looked.missing))}: what needs that was not looked at."
    if not looked.is_calibrated:
        yield "Not calibrated yet: organisations alone are not looked at. stillroom watch calibrate does it."
    yield f"The four weeks to {_day_before(looked.until_day)}: {counted(len(looked.findings), 'finding')}."
    for finding in looked.findings:
        yield ""
        yield f"{finding.id}: {counted(len(finding.accounts), 'account')}, score {finding.score:.2f}"
        yield from (f"  {signal.sentence}" for signal in finding.signals[:2])
        yield from (f"  {link.sentence}" for link in finding.links)
    if looked.findings:
        yield ""
        yield "stillroom watch review shows them, and takes what you decide."


def _calls(state: Path | None, calls: Path | None) -> Path:
    if calls is not None:
        return calls
    if state is None:
        raise UsageError("Neither --state nor --calls is given.", "Name the gateway's state folder with --state.")
    return state / "calls"


def _watch(state: Path | None, watch: Path | None) -> Path:
    if watch is not None:
        return watch
    if state is None:
        raise UsageError("Neither --state nor --watch is given.", "Name the gateway's state folder with --state.")
    return state / "watch"


def _secrets(state: Path | None) -> Secrets | None:
    """Without a gateway's secret, no bank's questions can be known in the calls."""
    if state is None:
        return None
    from stillroom.store.secrets import Secrets

    return Secrets.of(state)


@contextmanager
def _engine(watch: Path, name: EngineName) -> Iterator[Engine]:
    from stillroom.watch.run import engine_of

    with engine_of(watch, name.value) as opened:
        yield opened


def _events() -> pa.Table:
    """All that happened to accounts, as the gateway tells it."""
    import orjson
    import pyarrow as pa

    from stillroom.watch.tables import EVENTS

    rows = AdminApi.from_environment().rows("/v1/events", limit=500)
    told = [{**row, "prints": orjson.dumps(row["prints"]).decode()} for row in rows]
    return pa.Table.from_pylist([{name: row[name] for name in EVENTS.names} for row in told], schema=EVENTS)


def _day_after(day: str | None) -> int | None:
    """The number of the day after, from 1970-01-01 in UTC."""
    if day is None:
        return None
    try:
        return date.fromisoformat(day).toordinal() - date(1970, 1, 1).toordinal() + 1
    except ValueError:
        raise UsageError(f"{day!r} is no day.", "Write it as 2026-10-31.") from None


def _day_before(until_day: int) -> str:
    return datetime.fromtimestamp((until_day - 1) * _DAY_S, UTC).date().isoformat()
