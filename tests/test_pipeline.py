"""The whole path with models of our own: served, asked, trained, examined, and not done twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stillroom import pipeline
from stillroom.base.errors import ModelError, StoreError
from stillroom.base.progress import Silent
from stillroom.base.records import Message, Question, Trace
from stillroom.local_models import served_name
from stillroom.recipe import load_recipe
from stillroom.results import swept_in_words
from stillroom.store.tables import write_questions, write_traces


class Watch(Silent):
    """Progress that remembers which stages worked and which were skipped."""

    def __init__(self) -> None:
        self.worked: list[str] = []
        self.skipped: list[str] = []

    def update(self, stage: str, done: int, total: int | None, **facts: object) -> None:  # noqa: ARG002
        stages = self.skipped if "skipped" in facts else self.worked
        if stage not in stages:
            stages.append(stage)


def write_recipe(folder: Path, teacher: Path, student: Path) -> Path:
    rows = [
        {"question": "sum", "answer": "5", "kind": "number"},
        {"question": "count", "answer": "4", "kind": "number"},
    ]
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "exam.jsonl").write_text(json.dumps({"question": "plain", "answer": "5", "kind": "number"}) + "\n")
    path = folder / "recipe.yaml"
    path.write_text(
        f"""\
name: small
teacher: {{model: taught, serve: "{teacher}", terms: own}}
questions: [{{from: file, path: train.jsonl}}]
ask: {{temperature: 0, max_tokens: 64}}
train: {{student: "{student}", epochs: 1, threads: 1}}
exam: {{questions: [{{from: file, path: exam.jsonl}}], max_tokens: 8}}
"""
    )
    return path


def test_the_whole_path_and_what_is_not_done_twice(tmp_path: Path, taught_model: Path, tiny_model: Path) -> None:
    path = write_recipe(tmp_path, taught_model, tiny_model)
    runs = tmp_path / "runs"
    first, second, third = Watch(), Watch(), Watch()

    summary = pipeline.run(path, runs=runs, progress=first)
    worked = [stage for stage in first.worked if not stage.startswith("overlap")]  # a part of the check
    assert worked == ["questions", "exam questions", "ask", "check", "train sft", "train answers_only", "exam"]
    assert first.skipped == []
    assert summary["asked"] == 2
    assert summary["kept"] + sum(summary["rejected"].values()) == 2
    assert {name for name in ("teacher", "base", "answers_only", "student") if summary[name]["n"] == 1} == {
        "teacher", "base", "answers_only", "student",
    }  # fmt: skip

    assert pipeline.run(path, runs=runs, progress=second) == summary
    assert second.skipped == ["ask", "check", "train sft", "train answers_only", "exam"]
    assert second.worked == []

    pipeline.run(load_recipe(path, ["train.seed=1", "train.epochs=2"]), runs=runs, progress=third)
    assert third.skipped == ["ask", "check"]
    assert third.worked == ["train sft", "train answers_only", "exam"]
    takers: dict[str, Any] = json.loads((runs / "small" / "exam.json").read_text())["takers"]
    assert takers["teacher"]["model"].startswith("taught@")
    assert takers["student"]["model"].startswith("student@")


def test_learning_rates_are_tried_on_what_was_checked(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stillroom.train.sweep.FACTORS", (1.0,))
    path, runs = write_recipe(tmp_path, tiny_model, tiny_model), tmp_path / "runs"
    (runs / "small").mkdir(parents=True)
    with pytest.raises(StoreError, match=r"has no traces\.parquet yet"):
        pipeline.sweep(path, runs=runs)
    asked = [Message(role="user", content=f"{number} and 1?") for number in range(20)]
    said = Message(role="assistant", content="Done.")
    questions = [Question(id=f"q{number}", messages=(each,), source="t") for number, each in enumerate(asked)]
    write_questions(runs / "small/questions.parquet", questions)
    traces = [Trace(question_id=f"q{number}", messages=(each, said), source="t") for number, each in enumerate(asked)]
    write_traces(runs / "small/traces.parquet", traces)
    report = pipeline.sweep(load_recipe(path, ["train.learning_rate=1e-3"]), runs=runs)
    assert report == json.loads((runs / "small/train/sweep/sweep.json").read_text())
    assert (report["best"], report["rates"][0]["asked"]) == (1e-3, 0)
    assert "No held-out answer can be verified" in swept_in_words(report)


def test_other_weights_have_another_name(tmp_path: Path) -> None:
    names = set()
    for weights in (b"one", b"two"):
        (tmp_path / "model.safetensors").write_bytes(weights)
        names.add(served_name("student", tmp_path))
    assert len(names) == 2
    with pytest.raises(ModelError, match="There is no model folder"):
        served_name("student", tmp_path / "none")


@pytest.mark.parametrize(
    ("student", "words"),
    [
        (
            "no-such-owner/no-such-model",
            "There is no model no-such-owner/no-such-model here, and the hub cannot be reached",
        ),
        ("not a name at all", "There is no model 'not a name at all' here. Name a model's folder"),
    ],
)
def test_a_student_that_nobody_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, student: str, words: str) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    path = write_recipe(tmp_path, tmp_path, tmp_path)
    with pytest.raises(ModelError, match=words):
        pipeline.run(load_recipe(path, [f"train.student={student}"]), runs=tmp_path / "runs")


def test_a_question_of_the_examination_is_asked_and_not_trained_on(
    tmp_path: Path, taught_model: Path, tiny_model: Path
) -> None:
    path = write_recipe(tmp_path, taught_model, tiny_model)
    (tmp_path / "exam.jsonl").write_text((tmp_path / "train.jsonl").read_text().splitlines()[1] + "\n")
    said: list[str] = []

    class Heard(Silent):
        def say(self, sentence: str) -> None:
            said.append(sentence)

    summary = pipeline.run(path, runs=tmp_path / "runs", progress=Heard())
    assert any("exam: 1 of 1 questions are also among the teacher's" in sentence for sentence in said), said
    assert summary["rejected"] == {"contaminated": 1}
    assert summary["kept"] == 1
    assert summary["student"]["n"] == 1
