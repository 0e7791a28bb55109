"""What precision a student is trained in, and what is said of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from stillroom.base.progress import Silent
from stillroom.base.records import Message, Trace
from stillroom.store.tables import write_traces
from stillroom.train.run import train
from stillroom.train.settings import TrainSettings


class Heard(Silent):
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, sentence: str) -> None:
        self.said.append(sentence)


@pytest.mark.parametrize(
    ("precision", "has_it", "warned"), [("bfloat16", False, True), ("bfloat16", True, False), ("auto", False, False)]
)
def test_a_slow_precision_is_warned_of(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str, has_it: bool, warned: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: has_it)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    messages = (Message(role="user", content="2 + 2"), Message(role="assistant", content="4"))
    write_traces(tmp_path / "traces.parquet", [Trace(question_id="q", messages=messages, source="test")])
    settings = TrainSettings.model_validate({"student": "tiny", "max_steps": 1, "threads": 1, "precision": precision})
    heard = Heard()
    facts = train(tmp_path / "traces.parquet", tiny_model, tmp_path / "out", settings, heard)
    assert any("float32 is faster" in sentence for sentence in heard.said) == warned
    assert facts["steps"] == 1
