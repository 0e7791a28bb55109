"""`stillroom export` and `pipeline.export`: which run, which folder, what is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.export.conftest import CALLED, PLAIN, REASONED, rows, said, trace
from typer.testing import CliRunner, Result

from stillroom import pipeline
from stillroom.base.errors import StoreError, UsageError
from stillroom.cli import app
from stillroom.store.tables import write_traces

EMPTY = trace(said("user", "Well?"), said("assistant", ""))
RECIPE = """\
name: abacus
teacher: {model: some-model, base_url: "http://127.0.0.1:1/v1", price: none, terms: own}
questions: [{from: file, path: problems.jsonl}]
train: {student: classroom}
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a run that was checked; the current folder holds runs/."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "runs" / "abacus"
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text(RECIPE)
    write_traces(folder / "traces.parquet", [REASONED, CALLED, EMPTY])
    return folder


def student(run: Path) -> Path:
    folder = run / "train" / "sft" / "student"
    folder.mkdir(parents=True)
    for name in ("config.json", "model.safetensors", "README.md", "adapter/adapter_config.json"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(name)
    return folder


def stillroom(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize("named", ["abacus", "runs/abacus", "runs/abacus/recipe.yaml"])
def test_a_run_by_its_name_its_folder_or_its_recipe(run: Path, named: str) -> None:
    result = stillroom("export", named, "--to", "trl")
    assert result.exit_code == 0, result.stderr
    assert len(rows(run / "export" / "trl" / "train.jsonl")) == 3
    assert "train: 2 traces of 3, 3 lines.\n" in result.stdout
    assert "Left out: 1 (empty reply 1); left_out.jsonl names them.\n" in result.stdout


def test_json_says_what_export_json_says_and_where_it_lies(run: Path, tmp_path: Path) -> None:
    result = stillroom(
        "export", "abacus", "--to", "openai", "--reasoning", "drop", "--out", tmp_path / "mine", "--json"
    )
    facts = json.loads(result.stdout)
    assert facts.pop("folder") == str(tmp_path / "mine")
    assert facts == json.loads((tmp_path / "mine" / "export.json").read_text())
    assert facts["reasoning"] == "drop"
    assert (facts["teacher"], facts["terms"]) == ("some-model", "own")
    assert not (run / "export").exists()


def test_held_out_rows_are_the_validation_part(run: Path) -> None:
    write_traces(run / "held_out.parquet", [PLAIN, EMPTY])
    facts = pipeline.export(run, "axolotl")
    assert {split: counts["written"] for split, counts in facts["splits"].items()} == {"train": 2, "validation": 1}
    assert facts["splits"]["validation"]["left_out"] == {"empty_reply": 1}


def test_merged_is_the_student_folder_as_it_is(run: Path, tmp_path: Path) -> None:
    folder = student(run)
    for _ in range(2):  # the second takes the place of the first
        facts = pipeline.export(run, "merged", tmp_path / "model")
    copied = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for place, content in copied.items():
        assert (tmp_path / "model" / place).read_bytes() == content
    assert facts["files"] == {place.as_posix(): len(content) for place, content in sorted(copied.items())}


def test_a_run_without_a_student(run: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="has no student"):
        pipeline.export(run, "merged", tmp_path / "model")
    (run / "recipe.yaml").write_text(RECIPE.replace("train: {student: classroom}\n", ""))
    with pytest.raises(UsageError, match="has no train section"):
        pipeline.export(run, "merged", tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_no_such_run_and_no_such_tool(run: Path) -> None:
    result = stillroom("export", "abakus", "--to", "trl")
    assert result.exit_code == 2
    assert "There is no run at runs/abakus." in result.stderr
    assert stillroom("export", "abacus", "--to", "keras").exit_code == 2
    assert not (run / "export").exists()


def test_a_run_that_was_not_checked(run: Path) -> None:
    (run / "traces.parquet").unlink()
    result = stillroom("export", "abacus", "--to", "trl")
    assert result.exit_code == 1
    assert "Run stillroom check" in result.stderr
    assert not (run / "export").exists()


def test_a_damaged_table_leaves_the_earlier_export(run: Path) -> None:
    stillroom("export", "abacus", "--to", "trl")
    before = (run / "export" / "trl" / "train.jsonl").read_bytes()
    table = run / "traces.parquet"
    table.write_bytes(table.read_bytes()[:-40])
    result = stillroom("export", "abacus", "--to", "trl")
    assert result.exit_code == 1
    assert "traces.parquet" in result.stderr
    assert [path.name for path in (run / "export").iterdir()] == ["trl"]
    assert (run / "export" / "trl" / "train.jsonl").read_bytes() == before


@pytest.mark.parametrize("out", [".", "runs/abacus", "runs", "/"])
def test_a_folder_that_is_in_use_is_refused(run: Path, out: str) -> None:
    result = stillroom("export", "abacus", "--to", "trl", "--out", out)
    assert result.exit_code == 2
    assert "--out" in result.stderr
    assert (run / "traces.parquet").is_file()


def test_a_student_that_can_be_no_gguf_file_leaves_nothing(run: Path, tmp_path: Path) -> None:
    student(run)  # its config.json is no JSON
    result = stillroom("export", "abacus", "--to", "gguf", "--out", tmp_path / "model")
    assert result.exit_code == 1
    assert "config.json" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
