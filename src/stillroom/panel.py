"""What the panels of the stages have in common: their place on a terminal, a bar, a time."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

WIDEST, NARROWEST = 100, 24
"""Columns: longer lines are hard to read, whatever the terminal has."""
ECHO = 2
"""Columns that stay free: a terminal writes `^C` there, and would begin another line if there were no place."""
NARROW = 60
"""Columns below which the bar is short."""
LABEL = len("question")
"""Columns of the longest label, kept from the beginning: nothing moves when that row comes."""


def panel_width(terminal: int) -> int:
    return max(NARROWEST, min(terminal - ECHO, WIDEST))


def bar_width(panel: int) -> int:
    return 12 if panel < NARROW else 24


def panel_of(rows: Iterable[tuple[str, Text]], width: int) -> Table:
    """Labels and what they stand for, in so many columns."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.width = width
    grid.add_column(style="dim", no_wrap=True, min_width=LABEL)
    grid.add_column(ratio=1, overflow="fold")
    for label, value in rows:
        grid.add_row(Text(label), value)
    return grid


def bar_of(done: int, total: int | None, width: int) -> Text:
    """A bar that can be read without colours too."""
    filled = width * min(done, total) // total if total else 0
    return Text.assemble(("━" * filled, "green"), ("─" * (width - filled), "dim"))


def clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
