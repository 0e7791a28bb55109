"""Rows of one file, whatever its format: its name says which."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePath
from typing import Any, Protocol

from stillroom.ask.csv_file import csv_rows
from stillroom.ask.distinct import Place
from stillroom.ask.json_file import json_rows, jsonl_rows
from stillroom.ask.rows import Origin, questions_of
from stillroom.ask.source_settings import FileSource
from stillroom.ask.text_lines import COMPRESSIONS, unreadable
from stillroom.base.errors import DataError
from stillroom.base.records import Question
from stillroom.text.columns import nearest


class _Reader(Protocol):
    def __call__(self, path: Path, name: str) -> Iterator[tuple[Place, dict[str, Any]]]: ...


def _parquet(path: Path, name: str) -> Iterator[tuple[Place, dict[str, Any]]]:
    from stillroom.ask.arrow_files import parquet_rows  # loads pyarrow

    return parquet_rows(path, name)


_READERS: dict[str, _Reader] = {
    ".parquet": _parquet,
    ".jsonl": jsonl_rows,
    ".json": json_rows,
    ".csv": partial(csv_rows, delimiter=","),
    ".tsv": partial(csv_rows, delimiter="\t"),
}
FORMATS = tuple(_READERS)
"""The endings of files whose rows can be read."""


def read_file(source: FileSource, base_folder: Path) -> Iterator[tuple[Place, Question]]:
    """Each question of the file with its place, `name line N`.

    Raises DataError: no such file, no rows, not what its name says, a row without text or with a wrong value.
    """
    path = base_folder / source.path
    return questions_of(file_rows(path, path.name), source, Origin(path.name))


def file_rows(path: Path, name: str) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Each row of `path` with its place in what is called `name`. Raises DataError."""
    ending = format_of(name)
    if ending is None:
        suffix = PurePath(name).suffix
        with unreadable(path):
            is_folder = path.is_dir()
        if is_folder:
            raise DataError(
                f"{path} is a folder.", "Name a file in it; from: documents and from: huggingface read whole folders."
            )
        raise DataError(
            f"{name} ends in {suffix!r}, which says nothing of its format." if suffix else f"{name} has no ending.",
            nearest(suffix, FORMATS, "endings"),
        )
    return _READERS[ending](path=path, name=name)


def format_of(name: str) -> str | None:
    """`.jsonl` of `part.jsonl.gz`; None for what cannot be read."""
    path = PurePath(name.lower())
    if path.suffix in COMPRESSIONS:
        path = path.with_suffix("")
        return path.suffix if path.suffix in _READERS and path.suffix != ".parquet" else None
    return path.suffix if path.suffix in _READERS else None
