"""Curves for TensorBoard, read back as TensorBoard reads them."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # type: ignore[import-untyped]

from stillroom.base.progress import Silent
from stillroom.train.tensorboard import Scalars


class Heard(Silent):
    def __init__(self) -> None:
        self.sentences: list[str] = []

    def say(self, sentence: str) -> None:
        self.sentences.append(sentence)


def points(folder: Path) -> dict[str, list[tuple[int, float]]]:
    read = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    return {tag: [(point.step, point.value) for point in read.Scalars(tag)] for tag in read.Tags()["scalars"]}


def write(folder: Path, steps: range, loss: float) -> Heard:
    heard = Heard()
    scalars = Scalars(folder, heard)
    for step in steps:
        scalars.write(step, {"loss": loss, "held_out/right": 0.5 if step % 4 == 0 else None})
    scalars.close()
    return heard


def test_what_is_written_is_what_tensorboard_reads(tmp_path: Path) -> None:
    folder = tmp_path / "train" / "sft" / "tensorboard"
    assert write(folder, range(1, 9), 0.25).sentences == []
    assert points(folder) == {
        "loss": [(step, 0.25) for step in range(1, 9)],
        "held_out/right": [(4, 0.5), (8, 0.5)],
    }


def test_it_can_be_watched_while_training_goes_on(tmp_path: Path) -> None:
    scalars = Scalars(tmp_path, Silent())
    scalars.write(1, {"loss": 2.0})
    assert points(tmp_path) == {"loss": [(1, 2.0)]}
    scalars.close()


def test_going_on_from_a_checkpoint_leaves_no_step_twice(tmp_path: Path) -> None:
    write(tmp_path, range(1, 8), 1.0)
    torn = max(tmp_path.iterdir())
    torn.write_bytes(torn.read_bytes()[:-5])  # killed while it wrote
    write(tmp_path, range(5, 7), 2.0)
    write(tmp_path, range(5, 10), 3.0)
    read = points(tmp_path)
    assert read["loss"] == [*((step, 1.0) for step in range(1, 5)), *((step, 3.0) for step in range(5, 10))]
    assert read["held_out/right"] == [(4, 0.5), (8, 0.5)]


def test_a_training_that_begins_anew_is_all_there_is(tmp_path: Path) -> None:
    write(tmp_path, range(1, 8), 1.0)
    write(tmp_path, range(1, 3), 2.0)
    assert points(tmp_path)["loss"] == [(1, 2.0), (2, 2.0)]


def test_without_tensorboard_nothing_is_written_and_nothing_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "tensorboard"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    assert write(tmp_path / "tensorboard", range(1, 9), 1.0).sentences == []
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "tensorboard").write_text("a file")
    heard = write(tmp_path / "tensorboard", range(1, 9), 1.0)
    assert heard.sentences == [
        f"{tmp_path / 'tensorboard'} cannot be written (File exists): training goes on, and its TensorBoard curves end "
        "here."
    ]


def test_a_disk_that_fills_up_is_said_once(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, before[1]))
    try:
        heard = write(tmp_path, range(1, 99), 1.0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    (sentence,) = heard.sentences
    assert "File too large" in sentence
    read = points(tmp_path)["loss"]
    assert 1 < len(read) < 50
    write(tmp_path, range(len(read) + 1, 99), 1.0)
    assert points(tmp_path)["loss"] == [(step, 1.0) for step in range(1, 99)]


def test_nothing_is_written_after_the_end(tmp_path: Path) -> None:
    scalars = Scalars(tmp_path, Silent())
    scalars.write(1, {"loss": 1.0})
    scalars.close()
    scalars.write(2, {"loss": 1.0})
    scalars.close()
    assert points(tmp_path) == {"loss": [(1, 1.0)]}
