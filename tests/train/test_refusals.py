"""What goes wrong in training is told, and takes nothing with it that an earlier training made."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError
from safetensors import SafetensorError

from stillroom import pipeline
from stillroom.base.errors import DataError, DivergedError, StoreError, UsageError
from stillroom.base.progress import Silent
from stillroom.base.records import Message, Trace
from stillroom.generate.load import load_model
from stillroom.recipe import Recipe
from stillroom.store.stages import is_finished, run_stage
from stillroom.store.tables import write_traces
from stillroom.train import checkpoint
from stillroom.train.run import train
from stillroom.train.settings import TrainSettings

SETTINGS = TrainSettings(student="tiny", max_steps=1, warmup=0, threads=1)


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    path = tmp_path / "traces.parquet"
    messages = (Message(role="user", content="2 + 2"), Message(role="assistant", content="4"))
    write_traces(path, [Trace(question_id="q", messages=messages, source="test")])
    return path


def test_weights_that_are_no_numbers_are_no_student(traces: Path, tiny_model: Path, tmp_path: Path) -> None:
    """The loss is looked at before each step, so that the last one is not seen in it."""
    with pytest.raises(DivergedError, match="weights after the last step are no numbers"):
        train(traces, tiny_model, tmp_path / "out", SETTINGS.model_copy(update={"learning_rate": 1e38}), Silent())
    assert not (tmp_path / "out" / "student").exists()


def test_an_earlier_student_is_given_up_only_for_another(traces: Path, tiny_model: Path, tmp_path: Path) -> None:
    given_up: list[bool] = []

    def before_replacing() -> None:
        given_up.append((tmp_path / "out" / "student").exists())

    refused = SETTINGS.model_copy(update={"max_tokens": 8})
    with pytest.raises(DataError):
        train(traces, tiny_model, tmp_path / "out", refused, Silent(), before_replacing=before_replacing)
    assert given_up == []
    for _ in range(2):
        train(traces, tiny_model, tmp_path / "out", SETTINGS, Silent(), before_replacing=before_replacing)
    assert given_up == [False, True]


def test_a_stage_that_keeps_what_there_is_stays_finished_where_it_fails(tmp_path: Path) -> None:
    run_stage(tmp_path, "train", {"a": "1"}, lambda: True)

    def fails() -> bool:
        raise DataError("No.")

    with pytest.raises(DataError):
        run_stage(tmp_path, "train", {"a": "2"}, fails, forget_first=False)
    assert is_finished(tmp_path, "train", {"a": "1"}, [])
    with pytest.raises(DataError):
        run_stage(tmp_path, "train", {"a": "2"}, fails)
    assert not is_finished(tmp_path, "train", {"a": "1"}, [])


def test_a_disk_that_is_full_is_told_of(tmp_path: Path) -> None:
    for error in (SafetensorError("I/O error: No space left on device (os error 28)"), OSError(28, "No space left")):
        with (
            pytest.raises(StoreError, match=r"student could not be written: .*No space left"),
            checkpoint.told_if_not_written(tmp_path / "student"),
        ):
            raise error


def test_the_best_weights_are_gone(tiny_model: Path, tmp_path: Path) -> None:
    model = load_model(tiny_model).model
    with pytest.raises(StoreError, match=rf"best-00000003, are damaged or gone .* Delete {tmp_path} and run again"):
        checkpoint.load_best(tmp_path, 3, model)
    checkpoint.save_best(tmp_path, 3, model)
    checkpoint.load_best(tmp_path, 3, model)
    (tmp_path / "best-00000003" / "model.safetensors").write_text("junk")
    with pytest.raises(StoreError, match="training begins anew"):
        checkpoint.load_best(tmp_path, 3, model)


def test_a_run_does_not_train_the_student_that_it_writes(tiny_model: Path, tmp_path: Path) -> None:
    own = tmp_path / "mine" / "train" / "sft" / "student"
    own.parent.mkdir(parents=True)
    own.symlink_to(tiny_model)
    recipe = Recipe.model_validate(
        {
            "name": "mine",
            "teacher": {"model": "m", "base_url": "classroom"},
            "questions": [{"from": "classroom", "split": "train", "count": 1}],
            "train": {"student": str(tmp_path / "mine" / "train" / "sft")},
        }
    )
    for stage in (pipeline.train, pipeline.sweep):
        with pytest.raises(UsageError, match="lies where this run writes its own students"):
            stage(recipe, runs=tmp_path)
    assert not (tmp_path / "mine" / "recipe.yaml").exists()


@pytest.mark.parametrize(
    "values", [{"seed": 2**64}, {"threads": 10**10}, {"processes": 10**9}, {"lora": {"rank": 10**12}}]
)
def test_numbers_that_no_machine_takes(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TrainSettings.model_validate({"student": "tiny", **values})
