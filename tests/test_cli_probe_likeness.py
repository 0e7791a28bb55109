"""`stillroom probe likeness` from files to words, and what is wrong with its arguments."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from stillroom import cli_probe_likeness
from stillroom.store.siblings import Answer, Pair, messages_json, question_id_of, write_rows

PANEL = ["crow", "jay", "rook", "finch", "wren"]
WORDS = [f"{letter}{vowel}{end}" for letter in "bcdfg" for vowel in "aeiou" for end in ("ba", "ko")]


@pytest.fixture
def run() -> typer.Typer:
    app = typer.Typer()
    app.callback()(lambda: None)
    cli_probe_likeness.register(app)
    return app


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """60 questions; of the suspect's words every third is the teacher's."""
    draw = random.Random(1)
    pairs: list[Pair] = []
    answers: dict[str, list[Answer]] = {name: [] for name in ["suspect", *PANEL]}
    for number in range(60):
        messages = [{"role": "user", "content": f"Question {number}?"}]
        question = question_id_of(messages)
        first = draw.choices(WORDS, k=24)
        pairs.append(Pair(f"c{number}", question, messages_json(messages), " ".join(first), "another reply"))
        for name, rows in answers.items():
            words = draw.choices(WORDS, k=24)
            if name == "suspect":
                words[::3] = first[::3]
            rows.append(Answer(question, 0, " ".join(words)))
    write_rows(tmp_path / "pairs.parquet", Pair, pairs)
    for name, rows in answers.items():
        (tmp_path / name).mkdir()
        write_rows(tmp_path / name / "answers.parquet", Answer, rows)
    return tmp_path


def _arguments(folder: Path, panel: list[str]) -> list[str]:
    named = [part for name in panel for part in ("--panel", f"{name}={folder / name}")]
    return ["likeness", str(folder), "--suspect", str(folder / "suspect"), *named]


def test_a_ranking_in_words_and_as_json(run: typer.Typer, folder: Path) -> None:
    result = CliRunner().invoke(run, _arguments(folder, PANEL))
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[0] == "Of 6 models, suspect is the nearest to teacher, on 60 questions."
    assert "This is a ranking and no test" in result.output
    assert lines[lines.index("To the teacher:") + 1].endswith("suspect")
    assert lines[lines.index("To the suspect:") + 1].endswith("teacher")
    said = json.loads(CliRunner().invoke(run, [*_arguments(folder, PANEL), "--json"]).output)
    assert said["to_teacher"][0]["name"] == "suspect"
    assert said["abstained"] == []
    assert "no test" in said["note"]
    assert not [key for key in json.dumps(said).split('"') if key.startswith("p_")]


def test_a_thin_panel_gives_no_ranking(run: typer.Typer, folder: Path) -> None:
    result = CliRunner().invoke(run, _arguments(folder, PANEL[:4]))
    assert result.exit_code == 0
    assert result.output.splitlines()[0] == "No ranking."
    assert "To the teacher" not in result.output


@pytest.mark.parametrize(
    ("panel", "said"),
    [("crow", "is no NAME=ANSWERS"), ("=x", "is no NAME=ANSWERS"), ("suspect=x", "The name suspect is taken")],
)
def test_a_panel_written_wrongly(panel: str, said: str, run: typer.Typer, folder: Path) -> None:
    result = CliRunner().invoke(run, [*_arguments(folder, []), "--panel", panel])
    assert result.exit_code == 2
    assert said in result.output
