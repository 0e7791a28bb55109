"""Training with adapters, from the traces to the student's folder and the adapter beside it."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel

from stillroom.base.progress import Silent
from stillroom.base.records import Message, Trace
from stillroom.generate.load import load_model
from stillroom.store.files import read_json
from stillroom.store.tables import write_traces
from stillroom.train import checkpoint
from stillroom.train.run import train
from stillroom.train.settings import LoraSettings, TrainSettings

SETTINGS = TrainSettings(
    student="owner/tiny",
    lora=LoraSettings(rank=4),
    epochs=2,
    learning_rate=3e-3,
    step_tokens=512,
    batch_tokens=200,
    checkpoint_steps=2,
    seed=4,
    threads=1,
)


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("traces") / "traces.parquet"
    random_ = random.Random(0)
    rows = []
    for number in range(100):
        a, b = random_.randrange(100), random_.randrange(100)
        messages = (
            Message(role="user", content=f"{a} + {b} = ?"),
            Message(role="assistant", content=str(a + b), reasoning=f"{a}+{b}={a + b}"),
        )
        rows.append(Trace(question_id=f"q{number:03d}", messages=messages, source="test"))
    write_traces(path, rows)
    return path


@pytest.fixture(scope="module")
def uninterrupted(traces: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole")
    train(traces, tiny_model, out, SETTINGS, Silent())
    return out


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=torch.arange(20)[None]).logits
    return found


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")  # peft asks for it
def test_the_student_is_the_base_with_its_adapter(uninterrupted: Path, tiny_model: Path) -> None:
    base = load_model(tiny_model).model
    embeddings = base.get_input_embeddings().state_dict()["weight"].clone()
    untrained = logits(base)
    beside = logits(PeftModel.from_pretrained(base, str(uninterrupted / "adapter")))
    student = load_model(uninterrupted / "student").model
    torch.testing.assert_close(logits(student), beside, rtol=1e-4, atol=1e-5)
    assert (beside - untrained).abs().max() > 0.01
    assert torch.equal(student.get_input_embeddings().state_dict()["weight"], embeddings)
    config = json.loads((uninterrupted / "adapter/adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "owner/tiny"


def test_training_says_what_it_trained_and_learns(uninterrupted: Path, tiny_model: Path) -> None:
    facts = read_json(uninterrupted / "train.json")
    layer = (64 + 64) + 2 * (64 + 32) + (64 + 64) + 3 * (64 + 128)  # what a rank-1 adapter of each matrix has
    assert facts["lora"] == {"rank": 4, "alpha": 32.0, "trained_parameters": 2 * 4 * layer}
    assert facts["parameters"] == load_model(tiny_model).model.num_parameters()
    losses = [point[1] for point in facts["curve"]]
    assert losses[-1] < losses[0] - 0.3


class StopsAtTheFifthStep(Silent):
    def update(self, stage: str, done: int, total: int | None, **facts: object) -> None:  # noqa: ARG002
        if done == 5:
            raise KeyboardInterrupt


def test_interrupted_the_adapters_are_the_same_bit_for_bit(
    traces: Path, tiny_model: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(traces, tiny_model, tmp_path, SETTINGS, StopsAtTheFifthStep())
    newest = checkpoint.finished(tmp_path / "checkpoints")[-1]
    assert newest.name == "00000004"
    # A checkpoint holds what is trained, and not the base.
    assert (newest / "model.safetensors").stat().st_size < 0.5 * (tiny_model / "model.safetensors").stat().st_size
    train(traces, tiny_model, tmp_path, SETTINGS, Silent())
    for file in ("student/model.safetensors", "adapter/adapter_model.safetensors"):
        assert (tmp_path / file).read_bytes() == (uninterrupted / file).read_bytes()
    assert read_json(tmp_path / "train.json")["steps"] == read_json(uninterrupted / "train.json")["steps"] > 5


def test_another_training_without_adapters_leaves_none_of_an_earlier_one(
    traces: Path, tiny_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "adapter").mkdir()
    settings = SETTINGS.model_copy(update={"lora": None, "max_steps": 1})
    assert train(traces, tiny_model, tmp_path, settings, Silent())["lora"] is None
    assert not (tmp_path / "adapter").exists()
