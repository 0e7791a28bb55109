"""How `stillroom calls usage` shows what was used."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from stillroom.cli_output import print_result, visible
from stillroom.text.counted import counted

if TYPE_CHECKING:
    from stillroom.serve.usage import GatewayUsage
    from stillroom.store.call_usage import CallUsage

By = Literal["account", "organisation", "model", "permit", "day"]

_SUMS = ("calls", "prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens", "usd")
_WIDE = 400
"""A file or a pipe has no width of its own."""


def usage_as_json(used: GatewayUsage, by: By) -> dict[str, Any]:
    rows = []
    for row in used.rows:
        named = {"name": used.names.get(row.of or "")} if _has_names(by) else {}
        rows.append({by: row.of, **named, **_sums_as_json(row)})
    return {"rows": rows, "total": _sums_as_json(used.total), "running": used.running}


def show_usage(used: GatewayUsage, by: By) -> None:
    """A table; where the terminal is too narrow for it, some lines for each of its rows."""
    rows = [*used.rows, used.total] if len(used.rows) > 1 else used.rows
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE)
    table = _table(used, rows, by)
    if console.measure(table, options=console.options.update(max_width=10 * _WIDE)).maximum <= console.width:
        console.print(table)
    else:
        print_result(*(line for row in rows for line in _lines(used, row)))
    if used.without_names is not None:
        print_result(f"Names are not shown. {used.without_names}")
    if unknown := used.total.statuses.get("unknown"):
        print_result(f"How {counted(unknown, 'call')} ended is unknown: what they used is in no sum.")
    if used.total.estimated:
        print_result(f"The tokens of {counted(used.total.estimated, 'call')} are estimates: nobody counted them.")


def _table(used: GatewayUsage, rows: list[CallUsage], by: By) -> Table:
    table = Table(by, *(["name"] if _has_names(by) else []), box=None, padding=(0, 2, 0, 0))
    for column in _SUMS:
        table.add_column(column.replace("_tokens", "").replace("usd", "USD"), justify="right")
    table.add_column("of the calls")
    for row in rows:
        name = [used.names.get(row.of or "", "")] if _has_names(by) else []
        cells = [_what(used, row), *name, *(_in_digits(getattr(row, column)) for column in _SUMS), _endings(row)]
        table.add_row(*(Text(visible(cell), no_wrap=True) for cell in cells))
    return table


def _lines(used: GatewayUsage, row: CallUsage) -> Iterator[str]:
    yield "  ".join(filter(None, (used.names.get(row.of or ""), _what(used, row))))
    yield f"  {counted(row.calls, 'call')}: {_endings(row)}"
    yield f"  prompt tokens: {_in_digits(row.prompt_tokens)}; cached of them: {_in_digits(row.cached_tokens)}"
    yield f"  completion tokens: {_in_digits(row.completion_tokens)}; reasoning: {_in_digits(row.reasoning_tokens)}"
    yield f"  USD: {_in_digits(row.usd)}"


def _what(used: GatewayUsage, row: CallUsage) -> str:
    return "all" if row is used.total else row.of or "none"


def _has_names(by: By) -> bool:
    return by not in ("model", "day")


def _endings(row: CallUsage) -> str:
    said = [f"{count:,} {status.replace('_', ' ')}" for status, count in row.statuses.items()]
    return ", ".join([*said, *([f"{row.estimated:,} estimated"] if row.estimated else [])])


def _in_digits(amount: int | Decimal | None) -> str:
    if isinstance(amount, Decimal):
        return _usd(amount)
    return "unknown" if amount is None else f"{amount:,}"


def _usd(amount: Decimal) -> str:
    return format(amount.normalize(), "f")


def _sums_as_json(row: CallUsage) -> dict[str, Any]:
    sums = {name: value for name, value in asdict(row).items() if name != "of"}
    return {**sums, "usd": None if row.usd is None else _usd(row.usd)}
