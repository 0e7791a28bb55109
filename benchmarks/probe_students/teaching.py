"""From replies to a student's folder, through stillroom's own trainer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from stillroom.base.progress import Silent
from stillroom.base.records import Message, Trace
from stillroom.classroom.models import HERE
from stillroom.classroom.textbook import worked_solutions
from stillroom.store.tables import write_traces
from stillroom.text.think import split_think
from stillroom.train.run import train
from stillroom.train.settings import TrainSettings

BASE, TEACHER = HERE / "base", HERE / "teacher"
AS_THE_DEMO: Mapping[str, Any] = {"learning_rate": 2e-3, "step_tokens": 1024}
"""How the demo's recipe teaches this base. By the trainer's defaults it takes more epochs than are asked about here."""


def teach(rows: Sequence[Trace], start: Path, out: Path, *, epochs: int, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What train.json says. The student lies in `out/student`."""
    out.mkdir(parents=True, exist_ok=True)
    traces = out / "traces.parquet"
    if not traces.exists():
        write_traces(traces, rows)
    chosen = TrainSettings(student=start.name, epochs=epochs, threads=1, **settings)
    return train(traces, start, out, chosen, Silent())


def trace(question: str, reply: str) -> Trace | None:
    """None for a reply whose think block is broken: nobody would train on it."""
    split = split_think(reply)
    if split.block != "well_formed" or not split.answer:
        return None
    said = Message(role="assistant", content=split.answer, reasoning=split.reasoning)
    return Trace(question_id=question, messages=(Message(role="user", content=question), said), source="a model")


def traces(questions: Iterable[str], replies: Iterable[str]) -> list[Trace]:
    every = (trace(question, reply) for question, reply in zip(questions, replies, strict=True))
    return [row for row in every if row is not None]


def other_solutions(count: int, seed: int, without: Iterable[str]) -> list[Trace]:
    """`count` worked solutions of problems whose questions are none of `without`."""
    taken, chosen = set(without), list[Trace]()
    for row in worked_solutions(2 * count + 100, seed):
        if row.messages[0].content not in taken and len(chosen) < count:
            chosen.append(row)
    return chosen
