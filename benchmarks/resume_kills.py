"""Interrupted equals uninterrupted: kill -9 at random moments, over many short runs, and the same weights bit for bit.

    python -m benchmarks.resume_kills [--runs 100]

Trains a tiny student of its own once without interruption, with an examination on held-out questions after every few
steps, so that the best checkpoint is chosen too. Then it trains the same student again and again; each of these runs
is killed one to three times, at moments drawn over the whole of it (in steps, saves, renames and examinations, and
while the student is written), goes on, and has to end with the same files.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from stillroom.base.progress import Silent
from stillroom.base.records import Question
from stillroom.classroom.fresh import Size, write_fresh_model
from stillroom.classroom.textbook import worked_solutions
from stillroom.store.files import read_object
from stillroom.store.tables import write_questions, write_traces
from stillroom.train import checkpoint
from stillroom.train.held_out import HeldOutFiles
from stillroom.train.run import train
from stillroom.train.settings import HeldOutSettings, TrainSettings

SETTINGS = TrainSettings(
    student="tiny",
    epochs=2,
    learning_rate=3e-3,
    step_tokens=2048,
    batch_tokens=512,
    checkpoint_steps=2,
    held_out=HeldOutSettings(questions=4, every_steps=3, max_tokens=40),
    seed=1,
    threads=1,
)
COMPARED = ("student/model.safetensors", "student/config.json", "student/generation_config.json")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    # Processes are forked from one that has loaded torch: a run takes a second, and not ten.
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["stillroom.train.run"])
    moments = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        prepare(home)
        _finish(processes.Process, home, home / "whole")
        began = time.monotonic()
        _finish(processes.Process, home, home / "again")  # its time is the time of a run without the first start
        takes = time.monotonic() - began
        kills = resumed = equal = 0
        for run in range(arguments.runs):
            out = home / f"run-{run}"
            for _ in range(moments.randint(1, 3)):
                process = processes.Process(target=train_in, args=(home, out))
                process.start()
                process.join(moments.uniform(0, takes))
                is_over = process.exitcode is not None
                process.kill()
                process.join()
                kills += not is_over
                resumed += bool(checkpoint.finished(out / "checkpoints"))
            _finish(processes.Process, home, out)
            differing = differences(home / "whole", out)
            equal += not differing
            if differing:
                print(f"run {run} (seed {arguments.seed}) differs: {', '.join(differing)}")
            shutil.rmtree(out)
    print(f"{equal} of {arguments.runs} runs equal the uninterrupted one; {kills} kills, {resumed} left a checkpoint")
    return 0 if equal == arguments.runs and kills else 1


def prepare(home: Path) -> None:
    """A student, traces, and held-out questions."""
    write_fresh_model(home / "tiny", Size(hidden=64, inner=128, layers=2), seed=0)
    traces = list(islice(worked_solutions(120, 0), 120))
    write_traces(home / "traces.parquet", traces[:100])
    write_traces(home / "held_out.parquet", traces[100:])
    questions = [
        Question(id=trace.question_id, messages=trace.messages[:1], answer="7", kind="number", source="benchmark")
        for trace in traces
    ]
    write_questions(home / "questions.parquet", questions)


def train_in(home: Path, out: Path) -> None:
    held_out = HeldOutFiles(home / "held_out.parquet", home / "questions.parquet")
    train(home / "traces.parquet", home / "tiny", out, SETTINGS, Silent(), held_out=held_out)


def differences(whole: Path, other: Path) -> list[str]:
    """The files, and the parts of train.json, that are not the same."""
    found = [name for name in COMPARED if (whole / name).read_bytes() != (other / name).read_bytes()]
    ours, theirs = _timeless(whole), _timeless(other)
    return found + [key for key in ours if ours[key] != theirs[key]]


def _timeless(out: Path) -> dict[str, Any]:
    report = read_object(out / "train.json")
    curve: Sequence[Sequence[float]] = report["curve"]
    return {
        "curve": [point[:3] for point in curve],
        "held_out": report["held_out"],
        "trained_tokens": report["trained_tokens"],
    }


def _finish(start: Callable[..., Any], home: Path, out: Path) -> None:
    process = start(target=train_in, args=(home, out))
    process.start()
    process.join()
    if process.exitcode:
        sys.exit(f"Training in {out} ended with {process.exitcode}.")


if __name__ == "__main__":
    sys.exit(main())
