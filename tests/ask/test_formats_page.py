"""docs/formats.md and the page of each format say what the code does."""

from __future__ import annotations

import json
import re
from pathlib import Path

from stillroom.ask.source_settings import FileSource
from stillroom.ask.sources import read_questions
from stillroom.store.schemas import ATTEMPTS, QUESTIONS, REJECTED, REPLIES, TRACES

DOCS = Path(__file__).parents[2] / "docs"


def _page(name: str) -> str:
    return (DOCS / "formats" / f"{name}.md").read_text(encoding="utf-8")


def test_every_column_is_named_in_its_section() -> None:
    tables = {"questions": QUESTIONS, "replies": REPLIES, "attempts": ATTEMPTS, "traces": TRACES, "rejected": REJECTED}
    for name, schema in tables.items():
        words = set(re.findall(r"\w+", _page(f"{name}-parquet")))
        assert set(schema.names) <= words, name


def test_the_index_links_every_page() -> None:
    linked = set(re.findall(r"formats/([\w-]+)\.md", (DOCS / "formats.md").read_text(encoding="utf-8")))
    assert linked == {page.stem for page in (DOCS / "formats").glob("*.md")}


def test_the_rows_that_it_shows_can_be_read(tmp_path: Path) -> None:
    example = _page("questions-jsonl").split("```json\n")[1].split("```")[0]
    assert all(json.loads(line) for line in example.splitlines())
    (tmp_path / "q.jsonl").write_text(example, encoding="utf-8")
    questions = list(read_questions(FileSource(path="q.jsonl"), base_folder=tmp_path))
    assert [(question.kind, question.answer) for question in questions] == [("number", "3"), ("none", None)]
    assert questions[1].id == "my-7"
