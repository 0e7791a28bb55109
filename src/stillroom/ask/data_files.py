"""Which files of a data set belong to a config and a split, by the conventions of the Hugging Face hub.

The card (the YAML at the top of README.md) may say it under `configs`; else the names of files and folders do: a word
such as `train`, `validation` or `test` in them. https://huggingface.co/docs/hub/datasets-data-files-configuration
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from stillroom.ask.files import FORMATS, format_of
from stillroom.base.errors import DataError
from stillroom.text.columns import nearest

_FRONT_MATTER = re.compile(r"\A\ufeff?---\s*\n(.*?)\n---\s*(?:\n|\Z)", re.DOTALL)
_SHARD = re.compile(r"(?:^|/)(\w+)-\d{5}-of-\d{5}\b[^/]*$")
_WORDS = {
    "train": "train", "training": "train", "validation": "validation", "valid": "validation", "val": "validation",
    "dev": "validation", "test": "test", "testing": "test", "eval": "test", "evaluation": "test",
}  # fmt: skip
_NO_DATA = re.compile(r"(?:^|/)(?:\.[^/]*|dataset_infos?\.json|state\.json|dataset_dict\.json)(?:/|$)")
"""Hidden files, and what the `datasets` library writes about a data set."""


@dataclass(frozen=True, slots=True)
class Card:
    """What a data set says of itself."""

    licence: str | None = None
    configs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By name."""


def read_card(text: str, name: str) -> Card:
    """The card at the top of README.md. Raises DataError, calling the data set `name`, where that is no YAML."""
    front = _FRONT_MATTER.match(text)
    try:
        values = yaml.safe_load(front[1]) if front else None
    except yaml.YAMLError as error:
        raise DataError(f"{name}: the top of README.md is not YAML.", "Mend it, or leave it out.") from error
    if not isinstance(values, dict):
        return Card()
    configs = values.get("configs")
    entries = [entry for entry in configs if isinstance(entry, dict)] if isinstance(configs, list) else []
    return Card(_licence(values), {str(entry.get("config_name", "default")): entry for entry in entries})


def choose_files(
    paths: Iterable[str], card: Card, name: str, config: str | None, split: str | None
) -> tuple[str, list[str]]:
    """The split, and its files in order, of all `paths` of the data set that is called `name`.

    None stands for the default config and for the only split. Raises DataError: no such config or split (with the
    nearest), several to choose from, no files that can be read.
    """
    data = sorted(path for path in paths if format_of(path) and not _NO_DATA.search(path))
    splits = _splits_of_config(data, card, name, config)
    if not splits:
        raise DataError(
            f"{name} has no data files that can be read" + (f" in config {config}." if config else "."),
            f"Files ending in {', '.join(FORMATS)} are; a script that loads a data set is not run.",
        )
    chosen = only_split(list(splits), name, split)
    return chosen, splits[chosen]


def only_split(splits: Sequence[str], name: str, split: str | None) -> str:
    """`split`, which must be there, or the only one that there is. Raises DataError."""
    if split is None and len(splits) > 1:
        raise DataError(f"{name} has the splits {', '.join(splits)}.", f"Choose one: split: {splits[0]}.")
    if split is not None and split not in splits:
        raise DataError(f"{name} has no split {split!r}.", nearest(split, splits, "splits"))
    return split or splits[0]


def _splits_of_config(data: list[str], card: Card, name: str, config: str | None) -> dict[str, list[str]]:
    if not card.configs:
        if config not in (None, "default"):  # without a card, a config is a folder
            inside = [path for path in data if path.startswith(f"{config}/")]
            folders = sorted({path.split("/")[0] for path in data if "/" in path})
            if not inside:
                raise DataError(f"{name} has no config {config!r}.", nearest(str(config), folders, "folders"))
            data = inside
        return _by_name(data)
    entry = card.configs[_config_name(card, name, config)]
    folder = str(entry.get("data_dir") or "").strip("./")
    if entry.get("data_files") is None:
        return _by_name([path for path in data if not folder or path.startswith(f"{folder}/")])
    splits: dict[str, list[str]] = {}
    for split, pattern in _patterns(entry["data_files"]):
        matches = _glob(f"{folder}/{pattern}" if folder else pattern)
        found = splits.setdefault(split, [])
        found += [path for path in data if matches.fullmatch(path) and path not in found]
    return {split: found for split, found in splits.items() if found}


def _config_name(card: Card, name: str, config: str | None) -> str:
    if config is not None:
        if config not in card.configs:
            raise DataError(f"{name} has no config {config!r}.", nearest(config, card.configs, "configs"))
        return config
    defaults = [each for each, entry in card.configs.items() if entry.get("default") is True]
    for candidates in (defaults, [each for each in card.configs if each == "default"], list(card.configs)):
        if len(candidates) == 1:
            return candidates[0]
    names = list(card.configs)
    raise DataError(f"{name} has the configs {', '.join(names)}.", f"Choose one: config: {names[0]}.")


def _patterns(data_files: Any) -> list[tuple[str, str]]:
    """Split and pattern, of all the shapes that a card may hold: text, a list of texts, a list of split and path."""
    entries = data_files if isinstance(data_files, list) else [data_files]
    found = []
    for entry in entries:
        split, paths = (
            (str(entry.get("split", "train")), entry.get("path")) if isinstance(entry, dict) else ("train", entry)
        )
        for path in paths if isinstance(paths, list) else [paths]:
            found.append((split, str(path).removeprefix("./")))
    return found


def _by_name(paths: list[str]) -> dict[str, list[str]]:
    """Files by split, as their names say; those whose names say nothing are all `train`, if none says anything.

    Where the same data lies there in several formats, the first of FORMATS is taken.
    """
    endings = {format_of(path) for path in paths}
    ending = next((each for each in FORMATS if each in endings), None)
    paths = [path for path in paths if format_of(path) == ending]
    for split_of in (_shard, _word_of_folder, _word_of_file):
        splits: dict[str, list[str]] = {}
        for path in paths:
            split = split_of(path)
            if split is not None:
                splits.setdefault(split, []).append(path)
        if splits:
            return splits
    return {"train": paths} if paths else {}


def _shard(path: str) -> str | None:
    match = _SHARD.search(path)
    return match[1] if match else None


def _word_of_folder(path: str) -> str | None:
    return _word(path.rpartition("/")[0])


def _word_of_file(path: str) -> str | None:
    return _word(path.rpartition("/")[2])


def _word(text: str) -> str | None:
    words = re.split(r"[^a-z]+", text.lower())
    return next((_WORDS[word] for word in words if word in _WORDS), None)


def _glob(pattern: str) -> re.Pattern[str]:
    """`*` stands for anything within a name, `**` for folders too."""
    pieces = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]]+\])", pattern)
    meaning = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile(
        "".join(
            meaning.get(piece) or (piece if re.fullmatch(r"\[[^\]]+\]", piece) else re.escape(piece))
            for piece in pieces
        )
    )


def _licence(values: Mapping[str, Any]) -> str | None:
    licence = values.get("license")
    if licence == "other" and values.get("license_name"):
        licence = values["license_name"]
    names = [str(each) for each in (licence if isinstance(licence, list) else [licence]) if each]
    return ", ".join(names) if names and names != ["unknown"] else None
