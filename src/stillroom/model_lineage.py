"""Where a student comes from, put together when it has been trained, from the recipe and what it was trained on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from stillroom.ask.source_settings import HuggingFaceSource
from stillroom.check.dataset import DATASET
from stillroom.check.manifest import MANIFEST
from stillroom.check.settings import OFF, SAME_AS_QUESTION
from stillroom.recipe import CLASSROOM, Recipe
from stillroom.report.lineage import (
    Base,
    Lineage,
    Source,
    Teacher,
    sources_in,
    teachers_in,
    with_reasoning,
)
from stillroom.store.files import read_object
from stillroom.store.stages import CARD, file_digest, model_digest
from stillroom.terms.grants import read_grant
from stillroom.train.settings import TrainSettings

EMBEDDED = "the base of stillroom's classroom"
"""What a card calls the model that is embedded in the package."""
EMBEDDED_LICENCE = "apache-2.0"
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_IN_THE_HUBS_CACHE = re.compile(r"models--([\w.-]+?)--([\w.-]+)", re.ASCII)


def lineage_of(recipe: Recipe, folder: Path, settings: TrainSettings, base: Base) -> Lineage:
    """Of the student that was trained from `base` with `settings`, on the traces of the run in `folder`."""
    traces = folder / "traces.parquet"
    digest = str(file_digest(traces))
    host = None
    if recipe.teacher is not None and recipe.teacher.base_url not in ("", CLASSROOM):
        host = urlsplit(recipe.teacher.base_url).hostname
    language = recipe.check.language
    return Lineage(
        run=recipe.name,
        recipe=recipe.digest,
        base=base,
        teachers=teachers_of(folder, recipe),
        host=host,
        grant=read_grant(folder),
        traces=digest,
        dataset=_manifest_of(folder, digest),
        sources=tuple(Source(**row) for row in sources_in(traces)),
        hub_datasets=tuple(dict.fromkeys(_hub_datasets(recipe))),
        with_reasoning=with_reasoning(traces) if settings.method != "answers_only" else 0,
        language=None if language in (SAME_AS_QUESTION, OFF) else language,
        settings=settings.model_dump(mode="json", exclude={"student"}),
    )


def teachers_of(folder: Path, recipe: Recipe) -> tuple[Teacher, ...]:
    """Whose replies the traces of the run in `folder` are, the most rows first."""
    rows = teachers_in(folder / "traces.parquet")
    if read_grant(folder) is not None:
        return tuple(Teacher(**row) for row in rows)
    return tuple(_teacher(row, recipe) for row in rows)  # of a time when no row said its terms


def base_of(student: str, folder: Path) -> Base:
    """What a card may say of `train.student`, whose files lie in `folder`: its name, and no place on this machine."""
    digest = model_digest(folder)
    if student == CLASSROOM:
        return Base(name=EMBEDDED, at_hub=False, digest=digest, licence=EMBEDDED_LICENCE)
    licence = _licence_in_card(folder / CARD) if folder.is_dir() else None
    cached = _IN_THE_HUBS_CACHE.search(student)
    if cached is not None:
        return Base(name=f"{cached[1]}/{cached[2]}", at_hub=True, digest=digest, licence=licence)
    at_hub = not Path(student).is_absolute() and not Path(student).exists() and bool(_HUB_NAME.fullmatch(student))
    return Base(name=student if at_hub else Path(student).name, at_hub=at_hub, digest=digest, licence=licence)


def _licence_in_card(card: Path) -> str | None:
    """The licence that the head of a model's card names, by its own name where it is `other`."""
    text = card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""
    _, *parts = re.split(r"^---\s*$", text, maxsplit=2, flags=re.MULTILINE)
    try:
        head = yaml.safe_load(parts[0]) if len(parts) == 2 else None
    except yaml.YAMLError:
        return None
    if not isinstance(head, dict):
        return None
    licence = head.get("license")
    if licence == "other":
        licence = head.get("license_name") or licence
    return licence if isinstance(licence, str) and licence not in ("", "unknown") else None


def _teacher(row: dict[str, Any], recipe: Recipe) -> Teacher:
    """With the recipe's terms, where the rows are those of its teacher: a served one is called NAME@DIGEST."""
    asked = recipe.teacher
    if row["terms"] is None and asked is not None and (row["model"] or "").partition("@")[0] == asked.model:
        row = {**row, "terms": asked.terms}
    return Teacher(**row)


def _manifest_of(folder: Path, traces: str) -> str | None:
    manifest = folder / DATASET / MANIFEST
    if not manifest.is_file():
        return None
    inputs = read_object(manifest).get("inputs")
    is_of_these = isinstance(inputs, dict) and inputs.get("traces.parquet") == traces
    return file_digest(manifest) if is_of_these else None


def _hub_datasets(recipe: Recipe) -> list[str]:
    return [
        source.name
        for source in recipe.questions
        if isinstance(source, HuggingFaceSource) and source.name is not None and _HUB_NAME.fullmatch(source.name)
    ]
