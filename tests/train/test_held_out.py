"""The student is the checkpoint that answers most held-out questions rightly, and not the one with the lowest loss."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from stillroom.base.progress import Silent
from stillroom.base.records import Kind, Message, Question, Trace
from stillroom.generate.load import load_model
from stillroom.store.tables import write_questions, write_traces
from stillroom.train import run
from stillroom.train.held_out import HeldOutFiles, HeldOutMark, as_asked, count_right
from stillroom.train.render import Renderer
from stillroom.train.run import train
from stillroom.train.settings import HeldOutSettings, TrainSettings

SETTINGS = TrainSettings(
    student="tiny",
    epochs=6,
    learning_rate=1e-3,
    step_tokens=512,
    batch_tokens=256,
    checkpoint_steps=1000,
    seed=2,
    threads=1,
)
"""Twelve traces are a step, and an epoch."""


def files(folder: Path, questions: Sequence[tuple[str, Kind, str | None]]) -> HeldOutFiles:
    """Held-out questions: what is asked, its kind and its answer."""
    messages = [(Message(role="user", content=asked),) for asked, _, _ in questions]
    write_questions(
        folder / "questions.parquet",
        [
            Question(id=f"h{number}", messages=message, kind=kind, answer=answer, source="test")
            for number, (message, (_, kind, answer)) in enumerate(zip(messages, questions, strict=True))
        ],
    )
    reply = Message(role="assistant", content="It is 5.", reasoning="2 + 3 = 5")
    traces = [
        Trace(question_id=f"h{number}", messages=(*message, reply), source="test")
        for number, message in enumerate(messages)
    ]
    write_traces(folder / "held_out.parquet", traces)
    return HeldOutFiles(folder / "held_out.parquet", folder / "questions.parquet")


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("traces") / "traces.parquet"
    rows = [
        Trace(
            question_id=f"q{number:02d}",
            messages=(Message(role="user", content=f"say {number}"), Message(role="assistant", content=str(number))),
            source="test",
        )
        for number in range(12)
    ]
    write_traces(path, rows)
    return path


def test_answers_are_verified_and_cut_ones_are_not_right(taught_model: Path, tmp_path: Path) -> None:
    held_out = files(
        tmp_path,
        [
            ("sum", "number", "5"),
            ("plain", "number", "5"),
            ("count", "exact", "one, two, three, four"),
            ("x", "none", None),
        ],
    )
    local = load_model(taught_model)
    renderer = Renderer(local.tokenizer, "sft", local.end_ids)
    traces = held_out.read_traces(10)
    asked = as_asked(list(renderer.render_all(traces)), held_out.read_questions(traces), local)
    assert [each.question.id for each in asked] == ["h0", "h1", "h2"]  # what nobody can verify is not asked
    assert count_right(asked, local, max_tokens=100) == (2, 0)
    assert count_right(asked, local, max_tokens=40) == (1, 1)
    assert local.model.training


def test_files_that_are_not_there_hold_no_questions(tmp_path: Path) -> None:
    held_out = HeldOutFiles(tmp_path / "held_out.parquet", tmp_path / "questions.parquet")
    assert held_out.read_traces(5) == []
    assert held_out.read_questions([]) == {}


def test_rows_of_one_question_are_one_question(tmp_path: Path) -> None:
    held_out = files(tmp_path, [("sum", "number", "5"), ("plain", "number", "5"), ("count", "exact", "x")])
    many = [trace for trace in held_out.read_traces(9) for _ in range(3)]
    write_traces(held_out.traces, many)
    assert [trace.question_id for trace in held_out.read_traces(2)] == ["h0", "h1"]


@pytest.mark.parametrize(
    ("right", "losses", "best"),
    [
        ([1, 3, 3, 2, 1, 0], [5, 4, 4.5, 3, 2, 1], 2),  # most right answers, then the lower loss
        ([1, 3, 3, 2, 1, 0], [5, 4, 3.5, 3, 2, 1], 3),
        ([0, 0, 0, 0, 0, 1], [1, 2, 3, 4, 5, 6], 6),
        ([0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1], 1),  # nothing gained: the one that moved least
    ],
)
def test_the_student_is_the_checkpoint_with_the_most_right_answers(
    traces: Path,
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    right: list[int],
    losses: list[float],
    best: int,
) -> None:
    """The counts are given here; each checkpoint's weights are those of a training that ends there."""
    _examined(monkeypatch, right, losses)
    held_out = files(tmp_path, [("sum", "number", "5")])
    report = train(traces, tiny_model, tmp_path / "out", SETTINGS, Silent(), held_out=held_out)
    assert report["held_out"]["best_step"] == best
    assert [point[:3] for point in report["held_out"]["curve"]] == [[n + 1, r, 4] for n, r in enumerate(right)]
    seen: dict[int, Any] = {}
    _examined(monkeypatch, [0] * 6, [1.0] * 6, seen)
    train(traces, tiny_model, tmp_path / "again", SETTINGS, Silent(), held_out=held_out)
    student = load_file(tmp_path / "out" / "student" / "model.safetensors")
    assert all(bool((student[name] == weights).all()) for name, weights in seen[best].items() if name in student)
    assert not any(
        all(bool((student[name] == weights).all()) for name, weights in seen[step].items() if name in student)
        for step in seen
        if step != best
    )


def test_training_stops_early_where_nothing_is_gained(
    traces: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _examined(monkeypatch, [1, 3, 2, 3, 4, 4], [1.0] * 6)
    settings = SETTINGS.model_copy(update={"held_out": HeldOutSettings(stop_after=2)})
    held_out = files(tmp_path, [("sum", "number", "5")])
    report = train(traces, tiny_model, tmp_path / "out", settings, Silent(), held_out=held_out)
    assert (report["steps"], report["planned_steps"]) == (4, 6)
    assert report["held_out"]["stopped_early"]
    assert report["held_out"]["best_step"] == 2


def test_without_questions_the_last_weights_are_the_students(traces: Path, tiny_model: Path, tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"max_steps": 2, "held_out": HeldOutSettings(questions=0)})
    held_out = files(tmp_path, [("sum", "number", "5")])
    report = train(traces, tiny_model, tmp_path / "asks none", settings, Silent(), held_out=held_out)
    assert report["held_out"] is None
    plain = settings.model_copy(update={"held_out": HeldOutSettings()})
    train(traces, tiny_model, tmp_path / "has none", plain, Silent())
    ours, theirs = (tmp_path / name / "student" / "model.safetensors" for name in ("asks none", "has none"))
    assert ours.read_bytes() == theirs.read_bytes()


def test_examinations_change_nothing_of_what_is_learned(traces: Path, tiny_model: Path, tmp_path: Path) -> None:
    """A real examination after every step, with questions that only the loss can tell apart."""
    held_out = files(tmp_path, [("say 40", "none", None), ("say 41", "none", None)])
    every = SETTINGS.model_copy(update={"held_out": HeldOutSettings(every_steps=1)})
    report = train(traces, tiny_model, tmp_path / "examined", every, Silent(), held_out=held_out)
    train(traces, tiny_model, tmp_path / "plain", SETTINGS, Silent())
    marks = report["held_out"]["curve"]
    assert [(step, right, asked) for step, right, asked, *_ in marks] == [(step, 0, 0) for step in range(1, 7)]
    assert report["held_out"]["best_step"] == min(marks, key=lambda mark: mark[3])[0] == 6
    ours, theirs = (tmp_path / name / "student" / "model.safetensors" for name in ("examined", "plain"))
    assert ours.read_bytes() == theirs.read_bytes()


def _examined(
    monkeypatch: pytest.MonkeyPatch,
    right: Sequence[int],
    losses: Sequence[float],
    seen: dict[int, Any] | None = None,
) -> None:
    """Have the examinations come out so. The weights at each are put in `seen`."""

    def examination(_files: Any, local: Any, *_others: Any) -> Any:
        def examine(step: int) -> HeldOutMark:
            if seen is not None:
                seen[step] = {name: weights.detach().clone() for name, weights in local.model.named_parameters()}
            return HeldOutMark(step, right[step - 1], 4, losses[step - 1])

        return examine

    monkeypatch.setattr(run, "_examination", examination)
