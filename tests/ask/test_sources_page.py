"""docs/sources.md: every file and every recipe that it shows is read, and gives the question that it shows."""

from __future__ import annotations

import re
from itertools import chain
from pathlib import Path

import pytest

from stillroom.ask.distinct import Distinct
from stillroom.ask.prompt import prompt_messages
from stillroom.ask.source_settings import DocumentSource, FileSource, HuggingFaceSource, RowSource
from stillroom.ask.sources import read_placed
from stillroom.base.records import Question
from stillroom.recipe import Recipe, load_recipe
from stillroom.text.plain_yaml import read_yaml

PAGE = (Path(__file__).parents[2] / "docs" / "sources.md").read_text(encoding="utf-8")
_BLOCK = re.compile(r"(?:`([\w./]+)`:\n\n)?```(\w+)\n(.*?)```\n", re.DOTALL)
BLOCKS = [(name, kind, text) for name, kind, text in _BLOCK.findall(PAGE)]
RECIPE = "name: page\nteacher: {model: m, base_url: 'http://127.0.0.1:1/v1', price: none}\n"


def recipe(folder: Path, text: str) -> Recipe:
    """A recipe of the page, made whole, beside the files that the page shows."""
    for name, _, content in BLOCKS:
        if name:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(content, encoding="utf-8")
    needed = "" if text.startswith("questions:") else "questions: [{from: file, path: problems.csv}]\n"
    (folder / "page.yaml").write_text(RECIPE + needed + text, encoding="utf-8")
    return load_recipe(folder / "page.yaml")


def read(folder: Path, text: str) -> list[Question]:
    sources = recipe(folder, text).questions
    return list(
        Distinct(
            chain.from_iterable(read_placed(each, base_folder=Path()) for each in sources if each.from_ != "classroom")
        )
    )


def examples() -> list[tuple[str, str | None]]:
    """Each recipe of the page, with the text of the question that it shows below it."""
    found: list[tuple[str, str | None]] = []
    for (_, kind, text), (_, next_kind, next_text) in zip(BLOCKS, [*BLOCKS[1:], ("", "", "")], strict=True):
        if kind == "yaml" and text.startswith("questions:") and "name: openai" not in text:
            found.append((text, next_text if next_kind == "text" else None))
    return found


def test_the_page_shows_each_source() -> None:
    shown = {source["from"] for text, _ in examples() for source in read_yaml(text).value["questions"]}
    assert shown == {"file", "huggingface", "documents", "reasoning-gym"}
    assert sum(asked is not None for _, asked in examples()) == 4


@pytest.mark.parametrize(("text", "asked"), examples(), ids=lambda value: str(value)[:50])
def test_what_it_shows_can_be_read(tmp_path: Path, text: str, asked: str | None) -> None:
    questions = read(tmp_path, text)
    assert questions
    assert all(question.id and question.source and question.messages[-1].role == "user" for question in questions)
    if asked is not None:
        assert questions[0].messages[-1].content == asked.rstrip("\n")


def test_columns_of_the_first_example(tmp_path: Path) -> None:
    first, second = read(tmp_path, examples()[0][0])
    assert (first.id, first.answer, first.kind, first.licence) == ("001", "4", "number", "CC0-1.0")
    assert (second.answer, second.messages[0].content) == ("0.50", "What is 1/2, as a decimal?")
    assert second.meta == {"source_place": "problems.csv line 3", "level": "easy"}


def test_the_prompt_that_it_shows(tmp_path: Path) -> None:
    (text,) = (text for _, kind, text in BLOCKS if kind == "yaml" and text.startswith("ask:"))
    messages = prompt_messages(recipe(tmp_path, text).ask, Path())
    assert [message.role for message in messages] == ["system", "user", "assistant"]
    assert messages[2].content == "Two and three are five.\n\n5"


def test_every_key_is_named() -> None:
    keys = {
        field.alias or name
        for model in (RowSource, FileSource, HuggingFaceSource, DocumentSource)
        for name, field in model.model_fields.items()
    }
    assert {key for key in keys if f"`{key}`" not in PAGE and f"`{key}: " not in PAGE} == set()
