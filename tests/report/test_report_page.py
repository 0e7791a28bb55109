"""docs/report.md: its figures are those of the code, its options are those of the command, its Python runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from stillroom.cli import app
from stillroom.report.page import EXAMPLES
from stillroom.report.rows_page import ROWS_SHOWN, TEXT_SHOWN
from stillroom.report.samples import TEXT_SHOWN as SAMPLE_SHOWN

PAGE = (Path(__file__).parents[2] / "docs" / "report.md").read_text(encoding="utf-8")


def test_its_figures_are_those_of_the_code() -> None:
    page = " ".join(PAGE.split())
    assert EXAMPLES == 2
    for words in (
        "what it means and two examples",
        f"up to {ROWS_SHOWN} replies of each reason",
        f"a text of more than {TEXT_SHOWN:,} characters is there without its middle",
        f"A text of more than {SAMPLE_SHOWN:,} characters is shown without its middle",
    ):
        assert words in page, words


def test_it_names_every_option_of_look() -> None:
    part = PAGE.split("## In the terminal")[1].split("\n## ")[0]
    (look,) = (command for name, command in get_command(app).commands.items() if name == "look")  # type: ignore[attr-defined]
    options = {option for each in look.params for option in (*each.opts, *each.secondary_opts) if option[:2] == "--"}
    assert options - {"--help"} == set(re.findall(r"`(--[a-z-]+)`", part))


def test_its_python_finds_replies(tables: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    tables.check()
    tables.folder.rename(tables.folder.parent / "demo")
    (tables.folder.parent / "runs").mkdir()
    (tables.folder.parent / "demo").rename(tables.folder.parent / "runs" / "demo")
    monkeypatch.chdir(tables.folder.parent)
    (code,) = (block for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "RowFilter" in block)
    found: dict[str, Any] = {}
    exec(compile(code.replace("spiders", "and 1"), "docs/report.md", "exec"), found)
    assert sorted(found["answers"]) == ["1", "2", "3", "4", "5"]
