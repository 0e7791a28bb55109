from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import pytest

from stillroom.ask.data_files import Card, choose_files, read_card
from stillroom.base.errors import DataError


def splits(*paths: str, card: str = "", config: str | None = None) -> dict[str, list[str]]:
    """Every split with its files."""
    known = read_card(f"---\n{card}\n---\n", "set") if card else Card()
    found = {}
    for split in ("train", "validation", "test", "train_sft"):
        with suppress(DataError):
            found[split] = choose_files(paths, known, "set", config, split)[1]
    return found


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["b.jsonl", "a.jsonl"], {"train": ["a.jsonl", "b.jsonl"]}),
        (["train.csv", "dev.csv"], {"train": ["train.csv"], "validation": ["dev.csv"]}),
        (["my-train-part.csv", "my_eval.csv"], {"train": ["my-train-part.csv"], "test": ["my_eval.csv"]}),
        (["training/x.jsonl", "val/y.jsonl.gz"], {"train": ["training/x.jsonl"], "validation": ["val/y.jsonl.gz"]}),
        (["latest.jsonl", "contest.jsonl"], {"train": ["contest.jsonl", "latest.jsonl"]}),
        (
            ["data/train_sft-00000-of-00002.parquet", "data/train_sft-00001-of-00002.parquet"],
            {"train_sft": ["data/train_sft-00000-of-00002.parquet", "data/train_sft-00001-of-00002.parquet"]},
        ),
        (["data/test-00000-of-00001-ab12.parquet"], {"test": ["data/test-00000-of-00001-ab12.parquet"]}),
        (["train.parquet", "train.csv", "README.md", ".cache/train.csv"], {"train": ["train.parquet"]}),
        (["train.json", "dataset_infos.json", "train/dataset_info.json"], {"train": ["train.json"]}),
    ],
)  # fmt: skip
def test_names_say_which_split(paths: Sequence[str], expected: dict[str, list[str]]) -> None:
    assert splits(*paths) == expected


def test_without_a_card_a_config_is_a_folder() -> None:
    paths = ["main/train.csv", "main/test.csv", "socratic/train.csv"]
    assert splits(*paths, config="main") == {"train": ["main/train.csv"], "test": ["main/test.csv"]}
    with pytest.raises(DataError, match=r"set has no config 'mian'\. Did you mean main\?"):
        choose_files(paths, Card(), "set", "mian", None)


@pytest.mark.parametrize(
    ("data_files", "expected"),
    [
        ("data/*.csv", {"train": ["data/a.csv", "data/test.csv"]}),
        ("'**/a.csv'", {"train": ["data/a.csv", "data/deep/a.csv"]}),
        ("['data/a.csv', ./data/test.csv]", {"train": ["data/a.csv", "data/test.csv"]}),
        ("[{split: test, path: 'data/t?st.csv'}]", {"test": ["data/test.csv"]}),
        ("[{split: train, path: ['data/[ab].csv', data/deep/a.csv]}]", {"train": ["data/a.csv", "data/deep/a.csv"]}),
        ("[{split: train, path: data/a.csv}, {split: validation, path: none.csv}]", {"train": ["data/a.csv"]}),
    ],
)
def test_a_card_says_which_files(data_files: str, expected: dict[str, list[str]]) -> None:
    paths = ["data/a.csv", "data/deep/a.csv", "data/test.csv"]
    card = f"configs:\n- config_name: default\n  data_files: {data_files}"
    assert splits(*paths, card=card) == expected


def test_a_folder_of_a_config() -> None:
    card = "configs: [{config_name: a, data_dir: ./en/}, {config_name: b, data_dir: de, data_files: 't*.csv'}]"
    paths = ["en/train.csv", "en/test.csv", "de/train.csv", "de/x.csv"]
    assert splits(*paths, card=card, config="a") == {"train": ["en/train.csv"], "test": ["en/test.csv"]}
    assert splits(*paths, card=card, config="b") == {"train": ["de/train.csv"]}


def test_which_config_when_none_is_named() -> None:
    one, other = "{config_name: a, data_files: a.csv}", "{config_name: default, data_files: b.csv}"
    assert splits("a.csv", "b.csv", card=f"configs: [{one}]") == {"train": ["a.csv"]}
    assert splits("a.csv", "b.csv", card=f"configs: [{one}, {other}]") == {"train": ["b.csv"]}
    preferred = "{config_name: c, data_files: a.csv, default: true}"
    assert splits("a.csv", "b.csv", card=f"configs: [{other}, {preferred}]") == {"train": ["a.csv"]}
    card = read_card("---\nconfigs: [{config_name: a}, {config_name: b}]\n---\n", "set")
    with pytest.raises(DataError, match=r"set has the configs a, b\. Choose one: config: a\."):
        choose_files(["a.csv"], card, "set", None, None)


@pytest.mark.parametrize("split", [None, "train"])
def test_nothing_that_can_be_read(split: str | None) -> None:
    with pytest.raises(DataError, match=r"set has no data files that can be read\. Files ending in \.parquet, \.jsonl"):
        choose_files(["README.md", "set.py", "image.png"], Card(), "set", None, split)


@pytest.mark.parametrize(
    ("front", "licence"),
    [
        ("license: mit", "mit"),
        ("license: [cc-by-4.0, mit]", "cc-by-4.0, mit"),
        ("license: other\nlicense_name: llama3", "llama3"),
        ("license: unknown", None),
        ("tags: [math]", None),
        ("- a list", None),
    ],
)
def test_the_licence_of_a_card(front: str, licence: str | None) -> None:
    assert read_card(f"---\n{front}\n---\n# Name\n", "set").licence == licence


def test_a_readme_without_a_card_and_one_that_is_broken() -> None:
    assert read_card("# A data set\n---\nlicense: mit\n---\n", "set") == Card()
    assert read_card("\ufeff---\r\nlicense: mit\r\n---\r\n", "set").licence == "mit"
    with pytest.raises(DataError, match=r"set: the top of README\.md is not YAML"):
        read_card("---\na: [\n---\n", "set")
