"""What the teacher's terms ask of a student that is given away, and of a data set: refused, or said beside it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.export.conftest import PLAIN
from typer.testing import CliRunner, Result

from stillroom import pipeline
from stillroom.base.errors import TermsError, UsageError
from stillroom.cli import app
from stillroom.report.lineage import Base, Lineage, Teacher, write_lineage
from stillroom.store.tables import write_traces
from stillroom.terms.granting import grant_of
from stillroom.terms.grants import keep_grant
from stillroom.terms.permissions import record_permission

TRAIN_JSON = {"method": "sft", "traces": 10, "seconds": 1.0, "final_loss": 0.5}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run whose teacher is a Llama, with a student that learned from it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STILLROOM_PERMISSIONS", str(tmp_path / "permissions.toml"))
    return made(tmp_path / "runs" / "abacus", "llama-3.1", ["llama-3.1"])


def made(folder: Path, terms: str, of_rows: list[str | None], *, is_granted: bool = True) -> Path:
    student = folder / "train" / "sft" / "student"
    student.mkdir(parents=True, exist_ok=True)
    for name in ("config.json", "model.safetensors", "README.md"):
        (student / name).write_text("{}")
    (folder / "recipe.yaml").write_text(
        f'name: abacus\nteacher: {{model: some-model, base_url: "http://127.0.0.1:1/v1", terms: {terms}}}\n'
        "questions: [{from: file, path: problems.jsonl}]\ntrain: {student: classroom}\n"
    )
    write_traces(folder / "traces.parquet", [PLAIN.model_copy(update={"terms_id": each}) for each in of_rows])
    grant = grant_of(terms, model="some-model", hosts=(), permissions=(), permit=None) if is_granted else None
    if grant is not None:
        keep_grant(folder, grant)
    teachers = tuple(Teacher(model=f"model-{place}", terms=each, rows=5) for place, each in enumerate(of_rows))
    base = Base(name="base", at_hub=False, digest=None, licence="mit")
    lineage = Lineage(
        run="abacus",
        recipe="sha256:1",
        base=base,
        teachers=teachers,
        host=None,
        grant=grant,
        traces="sha256:2",
        dataset=None,
        sources=(),
        language=None,
    )
    write_lineage(student.parent / "lineage.json", lineage)
    (student.parent / "train.json").write_text(json.dumps(TRAIN_JSON))
    return folder


def stillroom(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_a_student_of_llama_that_is_not_called_llama_is_refused_with_the_command_to_use(run: Path) -> None:
    refused = stillroom("export", "abacus", "--to", "merged")
    assert refused.exit_code == 1
    said = " ".join(refused.stderr.split())
    assert "The name abacus has to begin with Llama: that is what llama-3.1 asks" in said
    assert "Run: stillroom export abacus --to merged --name Llama-abacus" in said
    assert not (run / "export").exists()

    done = stillroom("export", "abacus", "--to", "merged", "--name", "Llama-abacus", "--json")
    assert done.exit_code == 0, done.stderr
    out = run / "export" / "merged"
    facts = json.loads(done.stdout)
    assert (facts["run"], facts["name"], facts["terms"]) == ("abacus", "Llama-abacus", "llama-3.1")
    assert facts["conditions"][0]["name_must_begin_with"] == "Llama"
    assert (out / "grant.json").read_bytes() == (run / "grant.json").read_bytes()
    terms = (out / "TERMS.md").read_text(encoding="utf-8")
    assert "- Under llama-3.1: its name begins with Llama." in terms
    assert "entry llama-3.1 of the ledger, read on" in terms
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "# `Llama-abacus`" in card
    assert "This name does not do" not in card
    assert (run / "train" / "sft" / "student" / "README.md").read_text() == "{}"


def test_the_strictest_of_several_stands(tmp_path: Path, run: Path) -> None:
    made(run, "llama-3.1 + glm-4", ["own", "llama-3.1 + glm-4"])
    with pytest.raises(TermsError, match="has to begin with glm-4") as caught:
        pipeline.export(run, "merged", name="Llama-abacus")
    assert caught.value.remedy == "No name does what all of the terms ask: train on rows of fewer teachers."
    made(run, "gemma", ["own", "gemma", None], is_granted=False)
    facts = pipeline.export(run, "merged", tmp_path / "model")
    assert [each["terms"] for each in facts["conditions"]] == ["gemma"]
    assert facts["has_unstated_terms"]
    text = (tmp_path / "model" / "TERMS.md").read_text(encoding="utf-8")
    assert "the licence gemma goes along with it" in text
    assert "Nobody said under which terms some of the rows came" in text


@pytest.mark.parametrize("target", ["merged", "trl"])
def test_rows_under_terms_that_forbid_are_refused_until_somebody_has_allowed_it(
    tmp_path: Path, run: Path, target: str
) -> None:
    made(run, "own", ["own", "openai-api"])
    refused = stillroom("export", "abacus", "--to", target)
    assert refused.exit_code == 1
    assert "Some of the rows are under openai-api." in " ".join(refused.stderr.split())
    assert "stillroom terms allow openai-api" in " ".join(refused.stderr.split())
    made(run, "own", ["own", "their-api"])
    assert "The ledger of terms has no entry their-api." in stillroom("export", "abacus", "--to", target).stderr
    (tmp_path / "letter.pdf").write_text("You may.")
    at = datetime(2026, 11, 26, tzinfo=UTC)
    record_permission(tmp_path / "permissions.toml", "their-api", tmp_path / "letter.pdf", "Jane Doe", None, at)
    done = stillroom("export", "abacus", "--to", target, "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["conditions"][0]["terms"] == "their-api"


def test_a_data_set_says_what_its_rows_rest_on(run: Path) -> None:
    facts = pipeline.export(run, "trl")
    assert facts["conditions"][0]["terms"] == "llama-3.1"
    text = (run / "export" / "trl" / "README.md").read_text(encoding="utf-8")
    assert "- Under llama-3.1: its name begins with Llama." in text
    with pytest.raises(UsageError, match="--name is for a student"):
        pipeline.export(run, "trl", name="Llama-abacus")


@pytest.mark.parametrize("name", ["", "../Llama", "Llama/abacus", "-Llama", "Llama\n", "L" * 97])
def test_what_is_no_name(run: Path, name: str) -> None:
    with pytest.raises(UsageError, match="is no name for a student"):
        pipeline.export(run, "merged", name=name)
    assert not (run / "export").exists()
