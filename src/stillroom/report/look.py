"""What `stillroom look RUN` shows: some replies of a run with their questions and verdicts, as text or as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from stillroom.report.rows import Found, RowFilter, Shown, find_rows, in_turn
from stillroom.report.samples import excerpt
from stillroom.report.words import count, counted, reason, visible

INDENT = 10
SHORT_ID = len("sha256:") + 12
SHOWN = 1_500
"""Characters of a text in the terminal. A longer one keeps its beginning and its end."""


@dataclass(frozen=True, slots=True)
class Looked:
    rows: list[Shown]
    found: Found
    """All that the filters match."""
    there_is: Found
    """What the run has, whatever the filters."""


def look(folder: Path, wanted: RowFilter, most: int) -> Looked:
    """At most `most` rows: half of them rejected ones, as far as there are so many, of each reason in turn.

    Raises StoreError for a table that is missing or damaged.
    """
    found = find_rows(folder, wanted, most)
    rejected = in_turn(group for group in found.groups if group.part == "rejected")
    others = in_turn(group for group in found.groups if group.part != "rejected")
    halved = rejected[: max(most // 2, most - len(others))]
    rows = [*others[: most - len(halved)], *halved]
    return Looked(rows, found, found if rows else find_rows(folder, RowFilter(), 1))


def as_json(row: Shown) -> dict[str, Any]:
    values = asdict(row)
    return {"id": values.pop("question_id"), **values}


def print_rows(looked: Looked, console: Console, *, in_full: bool) -> None:
    """For a person: texts that nobody vouches for are shown without what would control the terminal."""
    found = looked.found
    if found.is_stale:
        console.print(Text("The replies have changed since they were checked: run stillroom check.", style="yellow"))
    elif not found.is_checked:
        console.print(Text("Not checked yet: run stillroom check.", style="yellow"))
    if looked.rows:
        console.print(Text(f"{_shown_of(looked)}: {_groups(found)}.", style="dim"), soft_wrap=True)
    else:
        console.print(Text(f"No reply is like that. The run has {_groups(looked.there_is) or 'none'}."), soft_wrap=True)
    for row in looked.rows:
        console.rule(_title(row), align="left")
        for title, text in _lines(row):
            said = excerpt(text, len(text) if in_full else SHOWN)
            gap = f" [… {count(said.left_out)} characters not shown: --full …] " if said.left_out else ""
            shown = visible(f"{said.head}{gap}{said.tail}").replace("\n", "\n" + " " * INDENT)
            console.print(Text.assemble((f"{title:<{INDENT}}", "bold"), shown), soft_wrap=True)


def _shown_of(looked: Looked) -> str:
    return f"{count(len(looked.rows))} of {counted(looked.found.rows, 'reply', 'replies')}"


def _groups(found: Found) -> str:
    said = (f"{visible(reason(group.reason or group.part))} {count(group.rows)}" for group in found.groups)
    return ", ".join(said)


def _title(row: Shown) -> Text:
    styles = {"kept": "green", "held_out": "green", "rejected": "red", "not_checked": "yellow"}
    state = visible(f"rejected: {row.reason}" if row.part == "rejected" else reason(row.part))
    name = row.question_id or "no id"
    if name.startswith("sha256:"):
        name = name[:SHORT_ID]  # more of a digest tells nobody anything, and --question takes it as it is
    return Text.assemble((state, styles[row.part]), ("  " + visible(_one_line(name)), "dim"))


def _lines(row: Shown) -> Iterator[tuple[str, str]]:
    yield "question", row.question or "-"
    yield "reasoning", row.reasoning or "-"
    yield "answer", row.answer or "-"
    if row.expected is not None:
        yield "expected", row.expected
    if row.extracted is not None and row.extracted != row.answer:
        yield "read as", row.extracted
    by = f" (by {row.judged_by})" if row.judged_by and row.judged_by != "verifier" else ""
    yield "verdict", f"{row.verdict or '-'}{by}"
    if row.detail:
        yield "detail", row.detail
    about = [row.source, row.family, f"{count(row.tokens)} tokens" if row.tokens is not None else None, row.teacher]
    yield "from", ", ".join(_one_line(each) for each in about if each)


def _one_line(text: str) -> str:
    return " ".join(text.split())
