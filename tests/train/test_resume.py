"""What an interrupted training goes on from, and what it refuses. For kills at random: `benchmarks/resume_kills.py`."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stillroom.base.errors import DataError, StoreError
from stillroom.base.progress import Silent
from stillroom.base.records import Message, Trace
from stillroom.store.files import read_json
from stillroom.store.tables import write_traces
from stillroom.train import checkpoint
from stillroom.train.run import train
from stillroom.train.settings import TrainSettings

SETTINGS = TrainSettings(
    student="tiny",
    epochs=3,
    learning_rate=1e-3,
    step_tokens=512,
    batch_tokens=200,
    checkpoint_steps=3,
    seed=4,
    threads=1,
)

RUN = """
import sys
from pathlib import Path
from stillroom.base.progress import Silent
from stillroom.train.run import train
from stillroom.train.settings import TrainSettings
traces, student, out, settings = sys.argv[1:]
print("begins", flush=True)
train(Path(traces), Path(student), Path(out), TrainSettings.model_validate_json(settings), Silent())
"""


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("traces") / "traces.parquet"
    random_ = random.Random(0)
    rows = []
    for number in range(150):
        a, b = random_.randrange(100), random_.randrange(100)
        rows.append(
            Trace(
                question_id=f"q{number:03d}",
                messages=(
                    Message(role="user", content=f"{a} + {b} = ?"),
                    Message(role="assistant", content=str(a + b), reasoning=f"{a}+{b}={a + b}"),
                ),
                source="test",
            )
        )
    write_traces(path, rows)
    return path


@pytest.fixture(scope="module")
def uninterrupted(traces: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole")
    train(traces, tiny_model, out, SETTINGS, Silent())
    return out


def test_training_teaches(uninterrupted: Path) -> None:
    facts = read_json(uninterrupted / "train.json")
    losses = [loss for _, loss, *_ in facts["curve"]]
    assert facts["steps"] == len(losses)
    assert losses[-1] < 0.7 * losses[0]
    assert facts["traces"] == 150
    assert facts["skipped"] == {}


def test_another_seed_does_not_go_on_from_this_ones_checkpoint(traces: Path, tiny_model: Path, tmp_path: Path) -> None:
    first = SETTINGS.model_copy(update={"max_steps": 4})
    other = first.model_copy(update={"seed": 9})
    train(traces, tiny_model, tmp_path / "other", other, Silent())
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, str(traces), str(tiny_model), str(tmp_path / "mixed"), SETTINGS.model_dump_json()]
    )
    deadline = time.monotonic() + 120
    while not checkpoint.finished(tmp_path / "mixed" / "checkpoints") and time.monotonic() < deadline:
        time.sleep(0.005)
    process.kill()
    process.wait()
    assert checkpoint.finished(tmp_path / "mixed" / "checkpoints")
    train(traces, tiny_model, tmp_path / "mixed", other, Silent())
    weights = "student/model.safetensors"
    assert (tmp_path / "mixed" / weights).read_bytes() == (tmp_path / "other" / weights).read_bytes()


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("state.json", "junk"),
        ("state.json", "[1]"),
        ("state.json", "{}"),
        ("model.safetensors", "junk"),
        ("optimizer.safetensors", "junk"),
        ("model.safetensors", None),
    ],
)
def test_a_damaged_checkpoint_is_named(
    traces: Path, tiny_model: Path, tmp_path: Path, file: str, damage: str | None
) -> None:
    class StopsAtTheSecondStep(Silent):
        def update(self, stage: str, done: int, total: int | None, **facts: object) -> None:  # noqa: ARG002
            if done == 2:
                raise KeyboardInterrupt

    settings = SETTINGS.model_copy(update={"checkpoint_steps": 1})
    with pytest.raises(KeyboardInterrupt):
        train(traces, tiny_model, tmp_path, settings, StopsAtTheSecondStep())
    (newest,) = checkpoint.finished(tmp_path / "checkpoints")
    (newest / file).unlink() if damage is None else (newest / file).write_text(damage)
    with pytest.raises(StoreError, match=rf"{newest.name} is damaged .* Delete that folder"):
        train(traces, tiny_model, tmp_path, settings, Silent())


def test_two_processes_do_not_train_one_student(traces: Path, tiny_model: Path, tmp_path: Path) -> None:
    arguments = [sys.executable, "-c", RUN, str(traces), str(tiny_model), str(tmp_path), SETTINGS.model_dump_json()]
    first = subprocess.Popen(arguments)
    deadline = time.monotonic() + 120
    while not checkpoint.finished(tmp_path / "checkpoints") and time.monotonic() < deadline:
        time.sleep(0.005)
    first.send_signal(signal.SIGSTOP)  # it holds its student until it is let go on
    try:
        with pytest.raises(StoreError, match=f"is in use by process {first.pid}. Wait until that process ends"):
            train(traces, tiny_model, tmp_path, SETTINGS, Silent())
    finally:
        first.send_signal(signal.SIGKILL)
        first.wait()
    facts = train(traces, tiny_model, tmp_path, SETTINGS, Silent())
    assert facts["steps"] == len(facts["curve"])


def test_rows_that_are_too_long_are_left_out_and_counted(traces: Path, tiny_model: Path, tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"max_tokens": 30, "max_steps": 1})
    facts = train(traces, tiny_model, tmp_path, settings, Silent())
    assert 0 < facts["skipped"]["too_long"] < 150
    assert facts["traces"] + facts["skipped"]["too_long"] == 150


def test_no_row_left_is_an_error_that_says_what_to_do(traces: Path, tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="max_tokens"):
        train(traces, tiny_model, tmp_path, SETTINGS.model_copy(update={"max_tokens": 8}), Silent())


def test_traces_of_which_none_was_kept_are_told_apart_from_long_ones(tiny_model: Path, tmp_path: Path) -> None:
    write_traces(tmp_path / "none.parquet", [])
    with pytest.raises(DataError, match="check kept none"):
        train(tmp_path / "none.parquet", tiny_model, tmp_path / "out", SETTINGS, Silent())


def test_the_students_files_can_be_read_by_others(uninterrupted: Path) -> None:
    assert all(file.stat().st_mode & 0o044 for file in (uninterrupted / "student").iterdir())
