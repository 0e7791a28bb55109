"""docs/probe.md: its first run as it stands there, but for the teacher's dice, and its commands against the code."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer
from tests.probe.fixed_dice import FixedDice
from typer.testing import CliRunner

from stillroom.cli import app
from stillroom.cli_probe import probe_commands

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "probe.md").read_text(encoding="utf-8")
README = (DOCS.parent / "README.md").read_text(encoding="utf-8")
FENCED = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
(RECIPE,) = [block for language, block in FENCED if language == "yaml"]
(PYTHON,) = [block for language, block in FENCED if language == "python"]
DRAW, TEST, SAID, GATEWAY, ACCUSED = [block for language, block in FENCED if not language][:5]
TYPED = [line for block in (TEST, GATEWAY, ACCUSED) for line in block.replace("\\\n", "").splitlines()]


@dataclass(frozen=True)
class FirstRun:
    folder: Path
    said: list[str]
    """By each command of the test."""

    def statement(self, name: str) -> dict[str, dict[str, float]]:
        told: dict[str, dict[str, float]] = json.loads((self.folder / f"probe/plans/{name}/statement.json").read_text())
        return told


def said(command: str) -> str:
    result = CliRunner().invoke(app, shlex.split(command, comments=True)[1:], env={"COLUMNS": "200", "NO_COLOR": "1"})
    assert result.exit_code == 0, (command, result.output)
    return result.stdout


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FirstRun]:
    folder = tmp_path_factory.mktemp("first_run")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        # The teacher's replies are the same each time: by other dice the student's p is at times above 0.001.
        patch.setattr("stillroom.serve.spawn.serving", FixedDice("a").serving)
        Path("taken.yaml").write_text(RECIPE)
        for command in DRAW.splitlines():
            said(command)
        exec(compile(PYTHON, "docs/probe.md", "exec"), {})
        yield FirstRun(folder, [said(command) for command in TEST.splitlines()])


def test_the_first_run_finds_the_student(first_run: FirstRun) -> None:
    assert first_run.statement("student")["result"]["p_value"] < 0.001
    assert first_run.said[3].splitlines()[0] == SAID.strip()
    assert "(p " in first_run.said[3]


def test_the_base_is_as_coins_have_it(first_run: FirstRun) -> None:
    result = first_run.statement("base")["result"]
    assert result["p_value"] > 0.05  # with these dice: one innocent in twenty is below it, and the page says so
    assert abs(result["statistic"]) < 5 * result["spread"]


def test_the_log_has_both_and_the_bundle_verifies(first_run: FirstRun) -> None:
    assert all(name in first_run.said[7] for name in ("student", "base"))
    assert first_run.said[8].startswith("All of it holds")


def test_the_readmes_commands_are_those_of_the_page() -> None:
    path = README.partition("\n## Test a suspect\n")[2].partition("\n## ")[0]
    (block,) = re.findall(r"```\n(.*?)```", path, re.DOTALL)
    assert block.splitlines() == GATEWAY.splitlines()


@pytest.mark.parametrize("line", TYPED)
def test_every_command_is_one(line: str) -> None:
    _, _, name, *arguments = shlex.split(line)
    command = typer.main.get_command(probe_commands).commands[name]  # type: ignore[attr-defined]
    command.make_context(name, arguments)  # raises where an argument is missing, or none of its own


@pytest.mark.parametrize("page", sorted(path.name for path in DOCS.glob("probe*.md")))
def test_links_lead_somewhere(page: str) -> None:
    for target, _, place in re.findall(r"\]\(([\w./-]*)(#([\w-]+))?\)", (DOCS / page).read_text(encoding="utf-8")):
        text = (DOCS / (target or page)).read_text(encoding="utf-8")
        headings = {
            re.sub(r"[^\w -]", "", line).lower().replace(" ", "-") for line in re.findall(r"^#+ (.*)$", text, re.M)
        }
        assert not place or place in headings, (target, place)
