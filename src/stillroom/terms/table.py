"""The ledger as a table of Markdown: what docs/terms.md holds."""

from __future__ import annotations

from collections.abc import Iterable

from stillroom.terms.ledger import Entry

_HEAD = "| entry | what | outputs may train | on what conditions | document | read on |"


def markdown_table(entries: Iterable[Entry]) -> str:
    """A row for each entry, in the order of the ledger."""
    return "\n".join([_HEAD, "|---|---|---|---|---|---|", *map(_row, entries)]) + "\n"


def _row(entry: Entry) -> str:
    conditions = list(entry.conditions.in_words())
    if entry.model_terms_apply:
        conditions.append("the terms of the model that is asked hold too")
    dated = entry.document_date or "undated"
    document = f"[{dated}]({entry.source})" if entry.source else "not found"
    cells = (
        f"`{entry.id}`",
        f"{entry.name}{'; ' if entry.covers else ''}{', '.join(entry.covers)}",
        entry.outputs_may_train,
        "; ".join(conditions),
        document,
        entry.read_on.isoformat() if entry.read_on else "not read",
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
