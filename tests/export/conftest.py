"""A run of a few traces of every kind."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from stillroom.base.records import Message, Trace
from stillroom.export.dataset import export_dataset
from stillroom.export.form import About
from stillroom.export.settings import DatasetTarget, Reasoning
from stillroom.run_folder import SILENT
from stillroom.store.tables import write_traces

ABOUT = About(name="abacus", teacher="some-model", terms="some-terms", student="path/to/a/student")
TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {"a": {}}}}}
Export = Callable[..., tuple[dict[str, Any], Path]]


def trace(*messages: Message, question_id: str = "q", **more: Any) -> Trace:
    return Trace(question_id=question_id, messages=messages, source="here", teacher="some-model", **more)


def said(role: Any, content: str, **more: Any) -> Message:
    return Message(role=role, content=content, **more)


def call(name: str, arguments: Any, identity: str | None = "c1") -> dict[str, Any]:
    known = {} if identity is None else {"id": identity}
    return {**known, "type": "function", "function": {"name": name, "arguments": arguments}}


REASONED = trace(said("user", "9 + 9?"), said("assistant", "18", reasoning="nine and nine", train=True), tokens=7)
PLAIN = trace(said("system", "Be brief."), said("user", "Hello"), said("assistant", "Hi.", train=True))
SEVERAL = trace(
    said("user", "One?"),
    said("assistant", "1", reasoning="first", train=True),
    said("user", "Two?"),
    said("assistant", "2", reasoning="second"),
    said("user", "Thanks"),
    said("assistant", "Bye.", train=False),
)
CALLED = trace(
    said("user", "2 + 3?"),
    said("assistant", "", reasoning="I call.", tool_calls=(call("add", '{"a": 2, "b": 3}'),)),
    said("tool", "5"),
    said("assistant", "It is 5.", reasoning="Five came back."),
    tools=(TOOL,),
)
OFFERED = trace(said("user", "Hello"), said("assistant", "Hi."), tools=(TOOL,))


@pytest.fixture
def export(tmp_path: Path) -> Export:
    """Exports these traces, and returns export.json's content and the folder."""

    def exported(
        to: DatasetTarget, traces: Sequence[Trace], held_out: Sequence[Trace] = (), reasoning: Reasoning = "keep"
    ) -> tuple[dict[str, Any], Path]:
        run = tmp_path / "runs" / "abacus"
        run.mkdir(parents=True, exist_ok=True)
        write_traces(run / "traces.parquet", traces)
        (run / "held_out.parquet").unlink(missing_ok=True)
        if held_out:
            write_traces(run / "held_out.parquet", held_out)
        out = tmp_path / "out" / to
        return export_dataset(run, to, out, ABOUT, reasoning, SILENT), out

    return exported


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]
