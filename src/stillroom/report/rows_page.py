"""The page beside the report on which a run's replies can be looked through: by outcome, verdict, source and length.

It holds its rows, a bounded number of each outcome, as data. Its script puts their texts on the page as text, and as
nothing else; `rendering` says what more is done about what comes from a model or a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from markupsafe import Markup

from stillroom.report import words
from stillroom.report.rendering import environment, script, text_of
from stillroom.report.rows import CHECKED, Found, Group, RowFilter, Shown, find_rows
from stillroom.report.samples import excerpt

ROWS = "rows.html"
ROWS_SHOWN = 50
"""Rows of each outcome. Of more, those whose keys' digests come first."""
TEXT_SHOWN = 3_000
"""Characters of one text. A longer one keeps its beginning and its end."""

WORDS = {
    "kept": "What training reads.",
    "held_out": "Kept, and held out of training: all rows of some questions.",
    "not_checked": "The check does not know it: it is older than these replies.",
}
"""What an outcome is that is no reason of the check."""


def read_checked_rows(folder: Path) -> Found | None:
    """Some rows of each outcome; None where the run is not checked, or was by a stillroom that wrote other columns."""
    tables = [folder / CHECKED[part] for part in ("kept", "rejected")]
    if not all(table.exists() and "judged_by" in pq.read_schema(table).names for table in tables):
        return None
    return find_rows(folder, RowFilter(), ROWS_SHOWN)


def render_rows(name: str, found: Found, why: Mapping[str, str]) -> str:
    """`why`: a sentence for each reason. The same tables give the same page."""
    its_script = script("rows.js")
    return (
        environment()
        .get_template("rows.html.j2")
        .render(
            name=name,
            found=found,
            shown=sum(len(group.shown) for group in found.groups),
            most=ROWS_SHOWN,
            data={
                "outcomes": [_outcome(group, why) for group in found.groups],
                "rows": [_row(row) for group in found.groups for row in group.shown],
            },
            style=Markup(text_of("page.css") + text_of("rows.css")),
            script=its_script,
        )
    )


def outcome_of(row: Group | Shown) -> str:
    return row.reason or row.part


def _outcome(group: Group, why: Mapping[str, str]) -> dict[str, Any]:
    key = outcome_of(group)
    return {
        "key": key,
        "name": words.visible(words.reason(key)),
        "kept": group.part in ("kept", "held_out"),
        "rows": group.rows,
        "shown": len(group.shown),
        "why": why.get(key) or WORDS.get(key, ""),
    }


def _row(row: Shown) -> dict[str, Any]:
    return {
        "outcome": outcome_of(row),
        "verdict": row.verdict,
        "source": _text(row.source),
        "length": row.length,
        "tokens": row.tokens,
        "id": _text(row.question_id),
        "about": [_text(each) for each in (row.family, row.kind, row.teacher) if each],
        "question": _text(row.question),
        "reasoning": _text(row.reasoning),
        "answer": _text(row.answer),
        "expected": _text(row.expected),
        "extracted": _text(row.extracted if row.extracted != row.answer else None),
        "detail": _text(row.detail),
        "judged_by": row.judged_by,
    }


def _text(text: str | None) -> str | None:
    """Controls and turns of direction made visible, and what is too long for the page taken out of its middle."""
    if text is None:
        return None
    part = excerpt(text, TEXT_SHOWN)
    gap = f" … {words.count(part.left_out)} characters not shown … " if part.left_out else ""
    return words.visible(f"{part.head}{gap}{part.tail}")
