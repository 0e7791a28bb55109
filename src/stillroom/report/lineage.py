"""Where a trained student comes from: `train/METHOD/lineage.json`, written when it has been trained.

The recipe, the tables and the teacher of a run may change afterwards; this does not, until the student is trained anew.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field

from stillroom.report.stage_file import StageFile
from stillroom.store.files import write_json
from stillroom.store.tables import query
from stillroom.terms.grants import Grant

LINEAGE = "lineage.json"
VERSION = 1


class Base(StageFile):
    """The model that training began from."""

    name: str
    """At the hub, or a folder's or file's name without its place."""
    at_hub: bool
    digest: str | None
    licence: str | None
    """As its own card or file states it; None: it does not."""


class Teacher(StageFile):
    """Who replied to some of the rows. None: not recorded."""

    model: str | None
    terms: str | None
    rows: int


class Source(StageFile):
    """Where some of the rows' questions come from, and under which licence. None: not recorded."""

    name: str | None
    licence: str | None
    rows: int


class Lineage(StageFile):
    lineage_version: int = VERSION
    run: str
    recipe: str
    """The recipe's digest."""
    base: Base
    teachers: tuple[Teacher, ...]
    host: str | None
    """Where the run's teacher was asked; None: the run served it itself."""
    grant: Grant | None = None
    """Why the teacher's replies might train it; None: it is older than grants are."""
    traces: str
    """Digest of traces.parquet."""
    dataset: str | None
    """Digest of the data set's manifest, where the data set was made of these very traces."""
    sources: tuple[Source, ...]
    hub_datasets: tuple[str, ...] = ()
    """Names of the hub's data sets that questions come from."""
    with_reasoning: int = 0
    """Rows whose reply has reasoning."""
    language: str | None
    settings: dict[str, Any] = Field(default_factory=dict)
    """Of the training, but for the student's place."""


def write_lineage(path: Path, lineage: Lineage) -> None:
    write_json(path, lineage.model_dump(mode="json"))


def teachers_in(traces: Path) -> list[dict[str, Any]]:
    """`model, terms, rows` of a table of traces, the most rows first."""
    return _rows(
        "select teacher as model, terms_id as terms, count(*) as rows from traces group by all "
        "order by rows desc, model, terms",
        traces,
    )


def sources_in(traces: Path) -> list[dict[str, Any]]:
    """`name, licence, rows` of a table of traces, the most rows first."""
    return _rows(
        "select source as name, licence, count(*) as rows from traces group by all order by rows desc, name, licence",
        traces,
    )


def with_reasoning(traces: Path) -> int:
    """Rows with a message that has reasoning."""
    told = "select 1 from unnest(messages) as each(message) where message.reasoning is not null"
    rows: int = _rows(f"select count(*) as rows from traces where exists ({told})", traces)[0]["rows"]
    return rows


def _rows(sql: str, traces: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = query(sql, traces=traces).to_pylist()
    return rows
