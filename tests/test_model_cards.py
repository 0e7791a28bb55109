"""The card that a run puts beside its student: its example works, its figures are of these weights, and writing it
neither makes another model of the student nor tells anything of the machine.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard

from stillroom import pipeline
from stillroom.base.progress import Silent
from stillroom.generate.load import load_model
from stillroom.generate.prompt import conversation_text, encode, template_message
from stillroom.model_lineage import base_of
from stillroom.recipe import Recipe, load_recipe
from stillroom.report.lineage import LINEAGE
from stillroom.store.stages import model_digest
from stillroom.testing import Answer, MisbehavingTeacher

SECRET = "sk-this-is-a-key-0123456789"


class Skipped(Silent):
    def __init__(self) -> None:
        self.stages: list[str] = []

    def update(self, stage: str, done: int, total: int | None, **facts: object) -> None:  # noqa: ARG002
        if "skipped" in facts:
            self.stages.append(stage)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> tuple[Recipe, Path]:
    """A recipe that has been run, and the folder of runs. Nobody may change it."""
    folder = tmp_path_factory.mktemp("machine-of-somebody")
    student = folder / "models" / "tiny-base"
    shutil.copytree(tiny_model, student)
    (student / "README.md").write_text("---\nlicense: mit\n---\n\nA base.\n")
    rows = [{"question": name, "answer": "5", "kind": "none"} for name in ("sum", "count")]
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "exam.jsonl").write_text(json.dumps({"question": "plain", "answer": "5", "kind": "number"}) + "\n")
    with MisbehavingTeacher(
        lambda question: Answer(f"It is {question}.", "thinking of it"), models=("oracle",)
    ) as teacher:
        (folder / "recipe.yaml").write_text(
            f"""\
name: small
teacher: {{model: oracle, base_url: "{teacher.base_url}", terms: own, price: none, api_key_env: SOME_KEY}}
questions: [{{from: file, path: train.jsonl}}]
train: {{student: models/tiny-base, epochs: 1, threads: 1}}
exam: {{questions: [{{from: file, path: exam.jsonl}}], max_tokens: 8, compare: [base, student]}}
"""
        )
        recipe = load_recipe(folder / "recipe.yaml")
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("SOME_KEY", SECRET)
            pipeline.run(recipe, runs=folder / "runs")
    return recipe, folder / "runs"


def student_of(runs: Path) -> Path:
    return runs / "small" / "train" / "sft" / "student"


@pytest.fixture
def mine(done: tuple[Recipe, Path], tmp_path: Path) -> tuple[Recipe, Path]:
    """The same for one test alone."""
    recipe, runs = done
    shutil.copytree(runs, tmp_path / "runs")
    return recipe, tmp_path / "runs"


def test_the_card_has_the_figures_of_the_examination(done: tuple[Recipe, Path]) -> None:
    _, runs = done
    exam = json.loads((runs / "small" / "exam.json").read_text())
    card = ModelCard.load(student_of(runs) / "README.md")
    (result,) = card.data.to_dict()["model-index"][0]["results"]
    assert result["metrics"] == [{"type": "accuracy", "value": exam["takers"]["student"]["accuracy"]}]
    assert card.data.to_dict()["license"] == "mit"
    assert "| **this model** |" in card.text
    assert exam["ship"]["verdict"] == "not_better"
    assert "The student is not shown to be better than its base." in card.text
    assert f"`{model_digest(student_of(runs))}`" in card.text
    assert "`tiny-base`" in card.text
    manifest = json.loads((runs / "small" / "dataset" / "manifest.json").read_text())
    assert manifest["inputs"]["traces.parquet"] in card.text
    assert "| data set's manifest, digest | `sha256:" in card.text


def test_its_example_works_and_gives_the_student_the_prompt_that_it_was_trained_with(
    done: tuple[Recipe, Path],
) -> None:
    student = student_of(done[1])
    text = (student / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    found: dict[str, Any] = {}
    exec(block.replace('place = "."', f"place = {str(student)!r}"), found)
    local = load_model(student)
    asked = [template_message(each["role"], each["content"]) for each in found["messages"]]
    assert found["prompt"]["input_ids"][0].tolist() == encode(
        local.tokenizer, conversation_text(local.tokenizer, asked)
    )
    assert found["ids"].shape[1] > found["prompt"]["input_ids"].shape[1]
    assert isinstance(found["answer"], str)


def test_writing_it_makes_no_other_model(mine: tuple[Recipe, Path]) -> None:
    recipe, runs = mine
    before = model_digest(student_of(runs))
    card = (student_of(runs) / "README.md").read_bytes()
    (student_of(runs) / "README.md").unlink()
    pipeline.report(recipe, runs=runs)
    assert (student_of(runs) / "README.md").read_bytes() == card
    assert model_digest(student_of(runs)) == before
    skipped = Skipped()
    pipeline.train(recipe, runs=runs, progress=skipped)
    pipeline.exam(recipe, runs=runs, progress=skipped)
    assert skipped.stages == ["train sft", "exam"]
    assert (student_of(runs) / "README.md").read_bytes() == card


def test_other_weights_do_not_get_the_figures(mine: tuple[Recipe, Path]) -> None:
    recipe, runs = mine
    again = recipe.model_copy(update={"train": recipe.train.model_copy(update={"seed": 5, "epochs": 2})})  # type: ignore[union-attr]
    pipeline.train(again, runs=runs)
    text = (student_of(runs) / "README.md").read_text(encoding="utf-8")
    assert "These weights were not examined." in text
    assert "model-index" not in text
    assert "| seed | `5` |" in text


def test_a_lineage_stays_what_it_was_when_the_recipe_changes(mine: tuple[Recipe, Path]) -> None:
    recipe, runs = mine
    card = (student_of(runs) / "README.md").read_bytes()
    teacher = recipe.teacher.model_copy(update={"model": "another", "terms": "another-api"})  # type: ignore[union-attr]
    pipeline.report(recipe.model_copy(update={"teacher": teacher}), runs=runs)
    assert (student_of(runs) / "README.md").read_bytes() == card
    (student_of(runs).parent / LINEAGE).unlink()  # a training that was cut off before it was written down
    (student_of(runs) / "README.md").unlink()
    pipeline.report(recipe, runs=runs)
    assert not (student_of(runs) / "README.md").exists()


def test_nothing_of_the_machine_and_no_secret_is_in_it(done: tuple[Recipe, Path]) -> None:
    _, runs = done
    for file in (student_of(runs) / "README.md", student_of(runs).parent / LINEAGE):
        text = file.read_text(encoding="utf-8")
        assert "machine-of-somebody" not in text
        assert str(Path.home()) + "/" not in text
        assert "/tmp" not in text
        assert SECRET not in text
        assert "SOME_KEY" not in text


# What a card says of the base


@pytest.mark.parametrize(
    ("student", "name", "at_hub"),
    [
        ("owner/base-1", "owner/base-1", True),
        ("/home/somebody/base-1", "base-1", False),
        ("/home/somebody/base-1.gguf", "base-1.gguf", False),
        ("/cache/models--owner--base-1/snapshots/0123abc", "owner/base-1", True),
        ("classroom", "the base of stillroom's classroom", False),
    ],
)
def test_a_base_is_named_without_its_place(tmp_path: Path, student: str, name: str, at_hub: bool) -> None:
    (tmp_path / "config.json").write_text("{}")
    base = base_of(student, tmp_path)
    assert (base.name, base.at_hub) == (name, at_hub)
    assert base.digest == model_digest(tmp_path)


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        ("---\nlicense: apache-2.0\n---\nA model.", "apache-2.0"),
        ("---\nlicense: other\nlicense_name: my-own\n---\n", "my-own"),
        ("---\nlicense: [mit, other]\n---\n", None),
        ("---\nlicense: unknown\n---\n", None),
        ("---\n- a list\n---\n", None),
        ("---\nlicense: 'never ended\n---\n", None),
        ("license: mit\n", None),
        ("", None),
        (None, None),
    ],
)
def test_a_licence_is_what_the_bases_own_card_says(tmp_path: Path, card: str | None, licence: str | None) -> None:
    if card is not None:
        (tmp_path / "README.md").write_text(card)
    assert base_of("owner/base-1", tmp_path).licence == licence


def test_the_embedded_base_has_the_packages_licence(tmp_path: Path) -> None:
    licence = base_of("classroom", tmp_path).licence
    project = (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    assert licence is not None
    assert re.search(rf"^license = .*{licence}", project, re.MULTILINE | re.IGNORECASE)
