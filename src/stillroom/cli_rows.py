"""How the commands that administer a gateway show its rows, and read limits and times."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from stillroom.admin_api import AdminApi
from stillroom.base.errors import UsageError
from stillroom.cli_output import print_json, print_result, visible
from stillroom.text.moments import to_the_second

_ID = re.compile(r"[a-z]+_[0-9a-f]{22}", re.ASCII)
NOTHING = "none"
"""Takes a limit, or another value, away."""
_WIDE = 400
_GAP = 2
"""Spaces between two columns."""
BEGINS_WITH_A_DAY = re.compile(r"\d{4}-\d\d-\d\d([T ]|$)", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_US = 1_000_000
_CHANGES = ("changed", "accepted terms", "organisation renamed")
"""Events whose detail holds the old value and the new one of what was changed."""


def group_of_commands(words: str) -> typer.Typer:
    """`stillroom account` and its like: a command whose first argument is another command."""
    return typer.Typer(
        no_args_is_help=True,
        rich_markup_mode="markdown",
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
        help=words,
    )


def show_rows(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], as_json: bool, nothing: str) -> None:
    """A table, of which each column is a field of the rows; `nothing` is said where there are none."""
    shown = list(rows)
    if as_json:
        print_json(shown)
    elif not shown:
        print_result(nothing)
    else:
        # A file or a pipe has no width of its own.
        console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE)
        names = [column.replace("_", " ") for column in columns]
        cells = [[visible(_in_words(column, row[column])) for column in columns] for row in shown]
        if _narrowest(names, cells) <= console.width:
            console.print(_table(names, cells))
        else:
            print_result("\n\n".join("\n".join(_field_lines(dict(zip(names, row, strict=True)))) for row in cells))


def _narrowest(names: Sequence[str], cells: Sequence[Sequence[str]]) -> int:
    """The width of a table whose cells go on in the next line between words: a word is whole, or is no id any more."""
    columns = zip(names, *cells, strict=True)
    return sum(max(cell_len(word) for text in column for word in text.split() or [""]) + _GAP for column in columns)


def _table(names: Sequence[str], cells: Sequence[Sequence[str]]) -> Table:
    table = Table(box=None, padding=(0, _GAP, 0, 0))
    for name, *column in zip(names, *cells, strict=True):
        table.add_column(name, no_wrap=not any(" " in text for text in (name, *column)), overflow="fold")
    for row in cells:
        table.add_row(*map(Text, row))
    return table


def _field_lines(told: Mapping[str, str]) -> Iterator[str]:
    """A name and what it has on each line."""
    widest = max(map(len, told))
    return (f"{name:{widest}}  {text}" for name, text in told.items())


def show_events(rows: Iterable[Mapping[str, Any]], as_json: bool) -> None:
    """Unknown and unlimited values of an event are left out; of a change, the old value and the new one are told."""
    in_words = rows if as_json else [{**row, "detail": _detail(row["event"], row["detail"])} for row in rows]
    show_rows(in_words, ("at", "actor", "event", "account", "detail"), as_json, "Nothing has happened yet.")


def show_row(row: Mapping[str, Any], as_json: bool) -> None:
    """One field on each line, unknown ones left out."""
    if as_json:
        print_json(row)
        return
    fields = {name: value for name, value in row.items() if name != "limits"} | row.get("limits", {})
    told = {name: value for name, value in fields.items() if value is not None}
    print_result(*_field_lines({name.replace("_", " "): _in_words(name, value) for name, value in told.items()}))


def show_new_key(made: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(made)
    else:
        print_result(f"{made['row']['id']}  This is the key. It is shown once: keep it now.", "", made["key"])


def id_of(given: str, kind: str, rows: Iterable[Mapping[str, Any]]) -> str:
    """An id as it is, and for a name the id of the row that has it and is not closed. Asks for rows only then.

    Raises UsageError where no row has that name, or several have, and for a key in place of an id.
    """
    _refuse_key(given)
    if _ID.fullmatch(given):
        return given
    found = [row["id"] for row in rows if row["name"] == given and row["closed_at"] is None]
    if len(found) == 1:
        return str(found[0])
    if found:
        raise UsageError(f"There is more than one {kind} called {given!r}: {', '.join(found)}.", "Give its id.")
    raise UsageError(f"There is no {kind} {given!r}.", f"stillroom {kind} list shows those that there are.")


def id_itself(given: str, kind: str, listing: str) -> str:
    """An id as it is, of what is named by nothing else. Raises UsageError for a name, and for a key in its place."""
    _refuse_key(given)
    if not _ID.fullmatch(given):
        raise UsageError(f"{given!r} is no {kind}'s id.", f"{listing} shows the ids.")
    return given


def _refuse_key(given: str) -> None:
    if given.startswith(("sr-", "sra-")):
        raise UsageError("This is a key itself, and not its id.", "stillroom key list ACCOUNT shows the ids of keys.")


def account_id_itself(given: str) -> str:
    """For what is done without the admin API: a name there would be an account of which nothing is known.

    Raises UsageError for a name.
    """
    if not given.startswith("acct_"):
        raise UsageError(f"{given!r} is no account's id.", "stillroom account list shows the ids: acct_...")
    return given


def account_id(api: AdminApi, given: str) -> str:
    return id_of(given, "account", api.rows("/v1/accounts"))


def organisation_id(api: AdminApi, given: str) -> str:
    return id_of(given, "organisation", api.rows("/v1/organisations"))


def count_or_nothing(text: str | None, option: str) -> int | None:
    """60, 100k, 2m, or `none`."""
    if text is None or text == NOTHING:
        return None
    found = re.fullmatch(r"([0-9]{1,15})([km]?)", text.lower(), re.ASCII)
    if found is None:
        raise UsageError(f"{option}: {text!r} is not a whole number.", f"Write 60, 100k, 2m or {NOTHING}.")
    return int(found[1]) * {"": 1, "k": 1000, "m": 1_000_000}[found[2]]


def text_or_nothing(text: str | None) -> str | None:
    return None if text == NOTHING else text


def seconds(text: str, option: str) -> int:
    """90d, 12h, 30m, 45s."""
    found = re.fullmatch(r"([0-9]{1,9})([smhd])", text.lower(), re.ASCII)
    if found is None:
        raise UsageError(f"{option}: {text!r} is not a length of time.", "Write 90d, 12h, 30m or 45s.")
    return int(found[1]) * _SECONDS[found[2]]


def moment(text: str | None, option: str) -> int | None:
    """A length of time from now, or a date with or without a time (UTC unless it says otherwise); in microseconds."""
    if text is None:
        return None
    if re.fullmatch(r"[0-9]+[smhdSMHD]", text, re.ASCII):
        return int(datetime.now(UTC).timestamp() * _US) + seconds(text, option) * _US
    try:
        # Not every way of writing a day: what is meant to its end is told by its form.
        read = datetime.fromisoformat(text) if BEGINS_WITH_A_DAY.match(text) else None
    except ValueError:
        read = None
    if read is None:
        raise UsageError(f"{option}: {text!r} is no time.", "Write 90d, 2027-01-31 or 2027-01-31T18:00.")
    return int((read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp() * _US)


def _in_words(column: str, value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and (column == "at" or column.endswith("_at")):
        return to_the_second(value)
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)


def _detail(event: str, detail: Mapping[str, Any]) -> str:
    told = {name: value for name, value in detail.items() if value is not None}
    if event in _CHANGES:
        told = {name: " -> ".join(_or_nothing(name, each) for each in value) for name, value in told.items()}
    return ", ".join(f"{name.replace('_', ' ')}: {_in_words(name, value)}" for name, value in told.items())


def _or_nothing(name: str, value: Any) -> str:
    return NOTHING if value is None else _in_words(name, value)
