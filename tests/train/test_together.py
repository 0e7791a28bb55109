"""Two processes that train one student: what one alone would have made, and an end with the one that started them."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file

from stillroom.base.errors import DataError, ModelError
from stillroom.base.progress import Silent
from stillroom.base.records import Message, Trace
from stillroom.store.tables import write_traces
from stillroom.train import checkpoint, launch
from stillroom.train.run import train
from stillroom.train.settings import PartWeights, TrainSettings

ALONE = TrainSettings(
    student="tiny",
    epochs=1,
    max_steps=6,
    learning_rate=1e-3,
    step_tokens=400,
    batch_tokens=150,
    weights=PartWeights(reasoning=0.5),
    seed=3,
    threads=1,
)
TOGETHER = ALONE.model_copy(update={"processes": 2})


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("traces") / "traces.parquet"
    numbers = random.Random(0)
    rows = []
    for row in range(60):
        words = " ".join(str(numbers.randrange(1000)) for _ in range(numbers.randrange(1, 12)))
        messages = (
            Message(role="user", content=f"Say {words}"),
            Message(role="assistant", content=words, reasoning=f"They say {words}."),
        )
        rows.append(Trace(question_id=f"q{row:03d}", messages=messages, source="test"))
    write_traces(path, rows)
    return path


def test_two_processes_make_the_student_that_one_makes(traces: Path, tiny_model: Path, tmp_path: Path) -> None:
    class Heard(Silent):
        steps: list[int] = []  # noqa: RUF012

        def update(self, stage: str, done: int, total: int | None, **facts: object) -> None:  # noqa: ARG002
            assert facts["tokens_per_second"]
            self.steps.append(done)

    alone = train(traces, tiny_model, tmp_path / "alone", ALONE, Silent())
    together = train(traces, tiny_model, tmp_path / "together", TOGETHER, Heard())
    assert (alone["processes"], together["processes"]) == (1, 2)
    assert Heard.steps == [1, 2, 3, 4, 5, 6]
    assert together["trained_tokens"] == alone["trained_tokens"]
    for (_, loss, rate, _), (_, other_loss, other_rate, _) in zip(alone["curve"], together["curve"], strict=True):
        assert other_rate == rate
        assert other_loss == pytest.approx(loss, rel=1e-5)
    ours = load_file(tmp_path / "alone" / "student" / "model.safetensors")
    theirs = load_file(tmp_path / "together" / "student" / "model.safetensors")
    start = load_file(tiny_model / "model.safetensors")
    for name, weights in ours.items():
        moved = (weights - start[name].float()).abs().max()
        assert (weights - theirs[name]).abs().max() < 0.02 * moved + 1e-6, name


def test_an_error_of_the_workers_is_the_same_error(traces: Path, tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="longer than 8 tokens"):
        train(traces, tiny_model, tmp_path, TOGETHER.model_copy(update={"max_tokens": 8}), Silent())


def test_a_process_that_dies_is_told_of(
    traces: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "WORKER", "stillroom.no_such_module")
    with pytest.raises(ModelError, match=r"One of 2 processes .* died: .*no_such_module.* goes on from the last"):
        train(traces, tiny_model, tmp_path, TOGETHER, Silent())


def test_the_processes_end_with_the_one_that_started_them(traces: Path, tiny_model: Path, tmp_path: Path) -> None:
    settings = TOGETHER.model_copy(update={"epochs": 500, "max_steps": None, "checkpoint_steps": 1})
    script = (
        "import sys\nfrom pathlib import Path\nfrom stillroom.base.progress import Silent\n"
        "from stillroom.train.run import train\nfrom stillroom.train.settings import TrainSettings\n"
        "traces, student, out, settings = sys.argv[1:]\n"
        "train(Path(traces), Path(student), Path(out), TrainSettings.model_validate_json(settings), Silent())\n"
    )
    arguments = [sys.executable, "-c", script, str(traces), str(tiny_model), str(tmp_path), settings.model_dump_json()]
    parent = subprocess.Popen(arguments)
    deadline = time.monotonic() + 180
    while not checkpoint.finished(tmp_path / "checkpoints") and time.monotonic() < deadline:
        time.sleep(0.05)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert checkpoint.finished(tmp_path / "checkpoints")
    while _workers(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _workers(tmp_path)


def _workers(out: Path) -> list[str]:
    """The processes that were told of this folder."""
    listed = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if "stillroom.train.worker" in line and str(out) in line]
