"""docs/exam.md: its recipe is one, and the page of its table names the columns that there are."""

from __future__ import annotations

import re
from pathlib import Path

from stillroom.recipe import load_recipe
from stillroom.store.schemas import EXAM_ANSWERS

DOCS = Path(__file__).parents[2] / "docs"


def test_the_recipe_that_only_examines_is_one(tmp_path: Path) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", (DOCS / "exam.md").read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "recipe.yaml").write_text(next(block for block in blocks if block.startswith("name:")))
    recipe = load_recipe(tmp_path / "recipe.yaml")
    assert recipe.exam is not None
    assert [(paper.name, paper.samples) for paper in recipe.exam.papers()] == [("gsm8k", 1), ("aime", 16)]
    assert recipe.exam.groups == {"mine-1": "mine", "mine-2": "mine"}


def test_the_page_of_answers_parquet_names_its_columns() -> None:
    page = (DOCS / "formats" / "answers-parquet.md").read_text(encoding="utf-8")
    named = [name for row in re.findall(r"^\| (`.*?) \|", page, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)]
    assert named == EXAM_ANSWERS.names
