"""Learning rates tried on a share of the traces: what is scored, what is said, and what is not done twice."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from stillroom.base.errors import DataError, StoreError
from stillroom.base.progress import Silent
from stillroom.base.records import Message, Question, Trace
from stillroom.store.tables import read_traces, write_questions, write_traces
from stillroom.train import sweep as module
from stillroom.train.held_out import HeldOutFiles
from stillroom.train.settings import HeldOutSettings, TrainSettings
from stillroom.train.sweep import sweep, verdict

SETTINGS = TrainSettings(
    student="tiny",
    epochs=1,
    max_steps=3,
    learning_rate=2e-3,
    step_tokens=256,
    batch_tokens=256,
    seed=4,
    threads=1,
    held_out=HeldOutSettings(max_tokens=8),
)


class Said(Silent):
    def __init__(self) -> None:
        self.sentences: list[str] = []

    def say(self, sentence: str) -> None:
        self.sentences.append(sentence)


def sums(folder: Path, count: int) -> tuple[Path, HeldOutFiles]:
    random_ = random.Random(0)
    questions, traces = [], []
    for number in range(count):
        a, b = random_.randrange(10), random_.randrange(10)
        asked = Message(role="user", content=f"{number}: {a} + {b} = ?")
        said = Message(role="assistant", content=str(a + b))
        questions.append(Question(id=f"q{number:03d}", messages=(asked,), answer=str(a + b), kind="number", source="t"))
        traces.append(Trace(question_id=f"q{number:03d}", messages=(asked, said), source="t"))
    write_traces(folder / "traces.parquet", traces)
    write_questions(folder / "questions.parquet", questions)
    return folder / "traces.parquet", HeldOutFiles(folder / "held_out.parquet", folder / "questions.parquet")


def ids(table: Path) -> set[str]:
    return {trace.question_id for trace in read_traces(table)}


def test_every_rate_is_tried_on_the_same_share_and_no_rate_twice(tiny_model: Path, tmp_path: Path) -> None:
    traces, held_out = sums(tmp_path, 60)
    out, first = tmp_path / "sweep", Said()
    report = sweep(traces, tiny_model, out, SETTINGS, first, held_out=held_out)
    assert [row["learning_rate"] for row in report["rates"]] == [0.0005, 0.001, 0.002, 0.004, 0.008]
    assert [row["factor"] for row in report["rates"]] == [0.25, 0.5, 1, 2, 4]
    assert len(first.sentences) == 5
    # Nothing was held out by the check: a tenth is, and is not trained on.
    tried, scored = ids(out / "traces.parquet"), ids(out / "held_out.parquet")
    assert (len(tried), len(scored), tried & scored) == (54, 6, set())
    assert (report["traces"], report["held_out_by"]) == (54, "sweep")
    assert [(row["steps"], row["asked"], row["problem"]) for row in report["rates"]] == [(3, 6, None)] * 5
    assert all(0 <= row["low"] <= row["right"] / 6 <= row["high"] <= 1 for row in report["rates"])
    losses = [row["held_out_loss"] for row in report["rates"]]
    assert len(set(losses)) == 5
    assert report["best"] in [row["learning_rate"] for row in report["rates"]]
    assert not list(out.glob("*/student"))
    again = Said()
    assert sweep(traces, tiny_model, out, SETTINGS, again, held_out=held_out) == report
    assert again.sentences == []
    # What is missing is tried again, and nothing else.
    (out / "x1/row.json").unlink()
    third = Said()
    assert sweep(traces, tiny_model, out, SETTINGS, third, held_out=held_out)["best"] == report["best"]
    assert [sentence for sentence in third.sentences if "(3 of 5)" in sentence] == third.sentences != []


def test_a_row_that_is_none_is_named(tiny_model: Path, tmp_path: Path) -> None:
    traces, held_out = sums(tmp_path, 20)
    settings = SETTINGS.model_copy(update={"max_steps": 1})
    sweep(traces, tiny_model, tmp_path / "sweep", settings, Said(), held_out=held_out)
    row = tmp_path / "sweep" / "x0.5" / "row.json"
    row.write_text("{}")
    with pytest.raises(StoreError, match=r"row\.json is not what a sweep writes\. Delete it and run again"):
        sweep(traces, tiny_model, tmp_path / "sweep", settings, Said(), held_out=held_out)
    row.unlink()
    report = sweep(traces, tiny_model, tmp_path / "sweep", settings, Said(), held_out=held_out)
    assert [each["problem"] for each in report["rates"]] == [None] * 5


def test_what_the_check_holds_out_scores(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FACTORS", (1.0,))
    monkeypatch.setattr(module, "LEAST_QUESTIONS", 1)
    traces, held_out = sums(tmp_path, 40)
    every = list(read_traces(traces))
    write_traces(held_out.traces, every[:4])
    write_traces(traces, every[4:])
    report = sweep(traces, tiny_model, tmp_path / "sweep", SETTINGS, Silent(), held_out=held_out)
    assert (report["held_out_by"], report["traces"], report["share"]) == ("check", 8, 8 / 36)
    assert report["rates"][0]["asked"] == 4
    assert not (tmp_path / "sweep/held_out.parquet").exists()


def test_a_rate_at_which_training_diverges_is_a_row(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FACTORS", (1.0, 1e30))
    traces, held_out = sums(tmp_path, 40)
    report = sweep(traces, tiny_model, tmp_path / "sweep", SETTINGS, Silent(), held_out=held_out)
    fine, wild = report["rates"]
    assert fine["problem"] is None
    assert "has diverged" in wild["problem"]
    assert wild["loss"] is None
    assert report["best"] == fine["learning_rate"]


def test_too_few_traces_are_an_error_that_says_so(tiny_model: Path, tmp_path: Path) -> None:
    traces, held_out = sums(tmp_path, 1)
    with pytest.raises(DataError, match="traces of 1 questions: too few"):
        sweep(traces, tiny_model, tmp_path / "sweep", SETTINGS, Silent(), held_out=held_out)


def rows(*figures: tuple[int, float, float, float] | None) -> list[dict[str, Any]]:
    made = []
    for number, figure in enumerate(figures):
        right, low, high, loss = figure or (0, 0.0, 0.0, 0.0)
        row = {"right": right, "asked": 100, "low": low, "high": high, "held_out_loss": loss}
        made.append({**row, "learning_rate": float(number), "problem": None if figure else "diverged"})
    return made


def test_right_answers_decide_and_then_the_loss() -> None:
    best_right = rows((50, 0.40, 0.60, 1.0), (80, 0.71, 0.87, 1.9), (75, 0.66, 0.83, 1.2), None)
    assert verdict(best_right) == {"best": 1.0, "at_the_end": None, "as_good": [2.0]}
    tie = rows((80, 0.71, 0.87, 1.9), (80, 0.71, 0.87, 1.2), (10, 0.05, 0.18, 0.1))
    assert verdict(tie) == {"best": 1.0, "at_the_end": None, "as_good": [0.0]}
    assert verdict(rows((1, 0.0, 0.05, 2.0), (9, 0.05, 0.16, 1.0)))["at_the_end"] == "highest"
    assert verdict(rows((9, 0.05, 0.16, 1.0), (1, 0.0, 0.05, 2.0)))["at_the_end"] == "lowest"
    assert verdict(rows(None, None)) == {"best": None, "at_the_end": None, "as_good": []}


def test_where_no_answer_can_be_verified_the_loss_decides_and_nothing_is_called_as_good() -> None:
    unverified = [
        row | {"asked": 0, "right": 0, "low": None, "high": None} for row in rows((0, 0, 0, 2.0), (0, 0, 0, 1.0))
    ]
    assert verdict(unverified) == {"best": 1.0, "at_the_end": "highest", "as_good": []}
