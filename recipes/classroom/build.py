"""Train the classroom's teacher or base student again, from scratch, with stillroom's own trainer.

    python recipes/classroom/build.py base
    python recipes/classroom/build.py teacher      # begins as the base, with more layers

Each reads the YAML of its name beside this file, writes its material and the model it starts from to
`runs/classroom/NAME`, trains there (interrupted, it goes on), and puts the model, in float16, into the package.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict

from stillroom.base.records import Trace
from stillroom.classroom.fresh import Size, write_fresh_model
from stillroom.classroom.grow import write_grown_model
from stillroom.classroom.lessons import lessons
from stillroom.classroom.textbook import textbook
from stillroom.display import live_progress
from stillroom.generate.load import load_model
from stillroom.store.tables import write_traces
from stillroom.train.run import train
from stillroom.train.settings import TrainSettings

HERE = Path(__file__).parent
PACKAGE = HERE.parent.parent / "src" / "stillroom" / "classroom" / "models"
MATERIAL: dict[str, Callable[[int, int], Iterator[Trace]]] = {"lessons": lessons, "textbook": textbook}


class Growth(BaseModel):
    """Instead of a size: another model of the classroom, with more layers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    grows_from: Literal["base"]
    layers: int


class Material(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["lessons", "textbook"]
    count: int
    seed: int


class BuildRecipe(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    model: Size | Growth
    material: Material
    train: TrainSettings


def build(name: str) -> None:
    recipe = BuildRecipe.model_validate(yaml.safe_load((HERE / f"{name}.yaml").read_text()))
    folder = Path("runs/classroom") / name
    folder.mkdir(parents=True, exist_ok=True)
    fresh, traces = folder / recipe.train.student, folder / "traces.parquet"
    if not fresh.exists():
        begin(recipe.model, fresh, recipe.train.seed)
    if not traces.exists():
        write_traces(traces, MATERIAL[recipe.material.kind](recipe.material.count, recipe.material.seed))
    with live_progress() as progress:
        report = train(traces, fresh, folder, recipe.train, progress)
    print(f"{name}: {report['parameters']:,} parameters, {report['steps']} steps, {report['seconds']:.0f} s")
    pack(folder / "student", PACKAGE / name)


def begin(model: Size | Growth, folder: Path, seed: int) -> None:
    """What training starts from."""
    if isinstance(model, Size):
        write_fresh_model(folder, model, seed)
    else:
        write_grown_model(folder.parent.parent / model.grows_from / "student", folder, model.layers, seed)


def pack(student: Path, target: Path) -> None:
    """Float16 weights into the package."""
    loaded = load_model(student)
    shutil.rmtree(target, ignore_errors=True)
    model: Any = loaded.model
    model.half().save_pretrained(target)
    loaded.tokenizer.save_pretrained(target)


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in ("base", "teacher"):
        sys.exit(__doc__)
    build(sys.argv[1])
