"""The data set of a run: a folder that can be published as it is, written from what the check has left.

    dataset/README.md             the card
            data/train-*.parquet  what training reads, in the form that other tools read
            data/held_out-*.parquet
            train.jsonl           the same rows, their messages alone
            held_out.jsonl
            rejected.parquet      what was not kept, with the reason of each
            grant.json            why the teacher's replies may train a model
            manifest.json         the digest of every file

A split without rows has no files. The folder is whole or not there, and a new one takes the place of the old.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from stillroom.check.card import write_card
from stillroom.check.card_facts import SPLITS, gather_facts
from stillroom.check.manifest import write_manifest
from stillroom.check.origin import Origin
from stillroom.check.published import Row, has_tools, messages_form, write_rejected, write_split
from stillroom.store.files import replacing_folder
from stillroom.store.permits import kept_permits
from stillroom.store.schemas import REJECTED, TRACES
from stillroom.store.stages import file_digest
from stillroom.store.tables import count_rows, read_rows
from stillroom.terms.grants import GRANT

DATASET = "dataset"
TABLES = ("questions.parquet", "replies.parquet", "traces.parquet", "held_out.parquet", "rejected.parquet")
NOT_SPREAD = frozenset({"contaminated"})
"""Reasons of rows that are published without their texts: a data set should not spread an examination."""
_TEXTS = ("expected", "extracted", "detail")


def write_dataset(folder: Path, origin: Origin, created_at: int) -> dict[str, Any]:
    """Write `dataset/` of the run in `folder` from the tables that its check has left. Returns the manifest.

    `created_at` is in microseconds, UTC. Raises StoreError for a table that is missing or cannot be read.
    """
    rows: dict[str, int] = {}
    with replacing_folder(folder / DATASET) as target:
        for split, name in SPLITS.items():
            table = folder / name
            if (split == "train" or table.exists()) and count_rows(table):
                kept = map(_kept, read_rows(table, TRACES.names))
                rows[split] = write_split(target, split, kept, with_tools=has_tools(table))
        table = folder / "rejected.parquet"
        rejected = map(_rejected, read_rows(table, REJECTED.names))
        rows["rejected"] = write_rejected(target, rejected, with_tools=has_tools(table))
        if (folder / GRANT).is_file():
            shutil.copyfile(folder / GRANT, target / GRANT)
        write_card(target / "README.md", gather_facts(folder, origin, rows))
        return write_manifest(
            target,
            name=origin.name,
            recipe=origin.recipe_digest,
            inputs={table: file_digest(folder / table) for table in TABLES},
            created_at=created_at,
            permits=kept_permits(folder),
        )


def _kept(trace: Row) -> Row:
    return {**trace, "messages": messages_form(trace["messages"]), "terms": trace["terms_id"]}


def _rejected(row: Row) -> Row:
    if row["reason"] in NOT_SPREAD:
        return {**row, "messages": None, **dict.fromkeys(_TEXTS)}
    reply = {"role": "assistant", "reasoning": row["reasoning"], "content": row["answer"] or ""}
    replied = [reply] if row["reasoning"] or row["answer"] else []
    return {**row, "messages": messages_form([*row["messages"], *replied])}
