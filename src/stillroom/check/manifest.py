"""The manifest of a data set: what each file was when it was written, and whether it still is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from stillroom import __version__
from stillroom.base.errors import StoreError
from stillroom.store.files import read_object, write_json
from stillroom.store.stages import file_digest
from stillroom.store.tables import count_rows

MANIFEST = "manifest.json"
VERSION = 1


def write_manifest(
    folder: Path,
    *,
    name: str,
    recipe: str,
    inputs: Mapping[str, str | None],
    created_at: int,
    permits: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Describe every file in `folder` in its manifest.json. Returns what it says.

    `recipe` is the recipe's digest, `inputs` are digests of the run's tables by name, `created_at` is in microseconds.
    `permits`: `{"jws", "claims"}` of those that the teacher was asked under.
    """
    manifest = {
        "manifest_version": VERSION,
        "name": name,
        "stillroom": __version__,
        "created_at": created_at,
        "recipe": recipe,
        "inputs": {table: digest for table, digest in inputs.items() if digest is not None},
        **({"permits": list(permits)} if permits else {}),
        "files": {place: _described(folder / place) for place in sorted(_places(folder))},
    }
    write_json(folder / MANIFEST, manifest)
    return manifest


def verify_manifest(folder: Path) -> list[str]:
    """What differs from the manifest, a sentence for each file; empty where the folder is what was written.

    A file that the manifest does not name differs too, except hidden ones, which the hub and git add. Raises
    StoreError where there is no manifest, or it is not one.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise StoreError(
            f"There is no data set at {folder}: it has no {MANIFEST}.",
            "stillroom check RECIPE writes one; the data set of a run lies in its folder dataset.",
        )
    manifest = read_object(path)
    version, files = manifest.get("manifest_version"), manifest.get("files")
    if version != VERSION or not isinstance(files, dict):
        raise StoreError(f"{path} is not a manifest that this stillroom reads (version {VERSION}).")
    differences = [said for place, known in sorted(files.items()) if (said := _difference(folder, place, known))]
    return differences + [f"{place} is not in the manifest." for place in sorted(_places(folder) - files.keys())]


def looks_whole(folder: Path) -> bool:
    """Whether every file that the manifest names is there with as many bytes; what is in them is not looked at."""
    try:
        files = read_object(folder / MANIFEST)["files"]
        return all((folder / place).stat().st_size == known["bytes"] for place, known in files.items())
    except (StoreError, OSError, KeyError, TypeError, AttributeError):
        return False


def _places(folder: Path) -> set[str]:
    """The files below `folder`, by their path from there; neither hidden ones nor the manifest."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {place.as_posix() for place in found if not any(part.startswith(".") for part in place.parts)} - {MANIFEST}


def _described(path: Path) -> dict[str, Any]:
    rows = _rows(path)
    return {"digest": file_digest(path), "bytes": path.stat().st_size, **({} if rows is None else {"rows": rows})}


def _rows(path: Path) -> int | None:
    """Rows of a table; None for a file that is none. Raises StoreError for a table that cannot be read."""
    if path.suffix == ".parquet":
        return count_rows(path)
    if path.suffix == ".jsonl":
        return sum(block.count(b"\n") for block in _blocks(path))
    return None


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            yield block


def _difference(folder: Path, place: str, known: Any) -> str | None:
    if PurePosixPath(place).is_absolute() or ".." in PurePosixPath(place).parts:
        return f"{place} lies outside the folder."
    path = folder / place
    if not path.is_file():
        return f"{place} is missing."
    if not isinstance(known, dict) or file_digest(path) != known.get("digest"):
        return f"{place} is not the file that was written: its digest differs."
    if known.get("rows") != _rows(path):
        return f"{place} has {_rows(path)} rows, and the manifest says {known.get('rows')}."
    return None
