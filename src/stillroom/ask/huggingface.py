"""Questions from data sets of the Hugging Face hub, and from folders that are laid out like one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stillroom.ask.data_files import Card, choose_files, only_split, read_card
from stillroom.ask.distinct import Place
from stillroom.ask.files import file_rows
from stillroom.ask.rows import Origin, questions_of
from stillroom.ask.source_settings import HuggingFaceSource
from stillroom.ask.text_lines import text_lines, unreadable
from stillroom.base.errors import DataError, UsageError
from stillroom.base.records import Question

_CARD = "README.md"


@dataclass(frozen=True, slots=True)
class _DataSet:
    name: str
    source: str
    """What a question says of where it is from."""
    files: tuple[str, ...]
    fetch: Callable[[str], Path]
    """The path of one of the files on this machine."""


def read_data_set(source: HuggingFaceSource, base_folder: Path) -> Iterator[tuple[Place, Question]]:
    """Each row as a question, with its place, `owner/name/file row N`. A file of the hub is fetched at its turn.

    Raises DataError: no such data set, config, split or file, one that the hub does not give, or a wrong row;
    UsageError where huggingface_hub is not installed.
    """
    if source.path is not None:
        folder = base_folder / source.path
        if (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file():
            yield from _saved(folder, source)
            return
        data_set = _in_folder(folder)
    else:
        data_set = _at_the_hub(str(source.name), source.revision)
    card = Card()
    if _CARD in data_set.files:
        card = read_card("".join(line for _, line in text_lines(data_set.fetch(_CARD), _CARD)), data_set.name)
    split, files = choose_files(data_set.files, card, data_set.name, source.config, source.split)
    rows = (row for file in files for row in file_rows(data_set.fetch(file), f"{data_set.name}/{file}"))
    yield from questions_of(rows, source, Origin(data_set.source, card.licence, split))


def _in_folder(folder: Path) -> _DataSet:
    with unreadable(folder):
        next(folder.iterdir(), None)  # the system's words for what is not there, or no folder
    files = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
    return _DataSet(folder.name, folder.name, tuple(files), folder.joinpath)


def _saved(folder: Path, source: HuggingFaceSource) -> Iterator[tuple[Place, Question]]:
    """What `save_to_disk` of the `datasets` library left: Arrow files, and JSON that lists them."""
    from stillroom.ask.arrow_files import arrow_rows  # loads pyarrow

    if source.config is not None:
        raise DataError(f"{folder} is a saved data set, which has no configs.", "Leave out config.")
    name, split = folder.name, source.split
    if (folder / "dataset_dict.json").is_file():
        split = only_split(_object(folder / "dataset_dict.json").get("splits") or [], folder.name, split)
        folder = folder / split
        name = f"{name}/{split}"
    files = [str(file["filename"]) for file in _object(folder / "state.json").get("_data_files") or []]
    rows = (row for file in files for row in arrow_rows(folder / file, f"{name}/{file}"))
    about = folder / "dataset_info.json"
    licence = (_object(about).get("license") or None) if about.is_file() else None
    yield from questions_of(rows, source, Origin(name.split("/")[0], licence, split))


def _object(path: Path) -> dict[str, Any]:
    try:
        with unreadable(path):
            value = json.loads(path.read_bytes())
    except ValueError as error:
        raise DataError(f"{path} is not JSON.", "Is the data set whole?") from error
    if not isinstance(value, dict):
        raise DataError(f"{path} is not a JSON object.", "Is the data set whole?")
    return value


def _at_the_hub(name: str, revision: str | None) -> _DataSet:
    try:
        from huggingface_hub import HfApi, hf_hub_download
    except ModuleNotFoundError as error:
        raise UsageError("huggingface_hub is not installed.", "Run: pip install huggingface_hub") from error
    with _hub_errors(name, revision):
        about = HfApi().dataset_info(name, revision=revision, timeout=60)
    commit = str(about.sha)

    def fetch(file: str) -> Path:
        with _hub_errors(name, revision):
            return Path(hf_hub_download(name, file, repo_type="dataset", revision=commit))

    files = tuple(file.rfilename for file in about.siblings or ())
    return _DataSet(name, f"{name}@{commit[:12]}", files, fetch)


@contextmanager
def _hub_errors(name: str, revision: str | None) -> Iterator[None]:
    from huggingface_hub import errors

    try:
        yield
    except errors.HFValidationError as error:
        raise DataError(f"{name!r} is no name of a data set.", "A name looks like owner/name.") from error
    except errors.GatedRepoError as error:
        raise DataError(
            f"The hub gives the data set {name} only to those who accepted its conditions.",
            "Accept them at its page, and put a token of yours into HF_TOKEN.",
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise DataError(
            f"The hub has no data set {name}, or it is a private one.",
            "Check the name; for a private one put a token of yours into HF_TOKEN.",
        ) from error
    except errors.RevisionNotFoundError as error:
        raise DataError(
            f"The data set {name} has no revision {revision!r}.", "Name a commit, branch or tag."
        ) from error
    except (errors.HTTPError, OSError) as error:  # type: ignore[attr-defined]
        raise DataError(
            f"The hub did not give the data set {name}: {str(error).splitlines()[0] if str(error) else 'no answer'}.",
            "Try again when it can be reached, or give the data set's folder: path.",
        ) from error
