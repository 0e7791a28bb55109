"""Checkpoints: whole or not there at all.

A checkpoint is a folder `checkpoints/NNNNNNNN` (the number of finished steps) with the weights, the optimiser's
moments and the run's state. It is written under another name, flushed to the disk, and renamed.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from stillroom.base.errors import StoreError
from stillroom.generate.load import LOADING_ERRORS
from stillroom.store.files import sync

KEEP = 2


def save(folder: Path, step: int, model: Any, optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Write checkpoint `step` into `folder` and remove all but the newest two. `state` is JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    final = folder / f"{step:08d}"
    partial = folder / f"{step:08d}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    save_file(_weights(model), partial / "model.safetensors")
    save_file(_moments(model, optimizer), partial / "optimizer.safetensors")
    (partial / "state.json").write_text(json.dumps({"step": step, **state}))
    for path in partial.iterdir():
        sync(path)
    sync(partial)
    shutil.rmtree(final, ignore_errors=True)
    partial.rename(final)
    sync(folder)
    for old in finished(folder)[:-KEEP]:
        shutil.rmtree(old)


def finished(folder: Path) -> list[Path]:
    """Whole checkpoints, oldest first. What a kill left half written is not among them."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.name.isdigit())


@contextmanager
def named_if_damaged(path: Path) -> Iterator[None]:
    """Around reading a checkpoint. Raises StoreError where it is not what `save` wrote."""
    try:
        yield
    except LOADING_ERRORS as error:
        raise StoreError(
            f"The checkpoint {path} is damaged ({type(error).__name__}).",
            "Delete that folder and run again: training goes on from the checkpoint before it, or begins anew.",
        ) from error


def load(path: Path, model: Any, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Put a checkpoint's weights and moments back and return its state."""
    model.load_state_dict(load_file(path / "model.safetensors"), strict=False)
    model.tie_weights()
    moments = load_file(path / "optimizer.safetensors")
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            name = names[id(parameter)]
            optimizer.state[parameter] = {
                key: moments[f"{name}/{key}"] for key in ("step", "exp_avg", "exp_avg_sq") if f"{name}/{key}" in moments
            }
    state: dict[str, Any] = json.loads((path / "state.json").read_text())
    return state


def _weights(model: Any) -> dict[str, torch.Tensor]:
    # named_parameters lists a tied weight once, which is what safetensors wants.
    return {name: parameter.detach().contiguous() for name, parameter in model.named_parameters()}


def _moments(model: Any, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    return {
        f"{name}/{key}": value.contiguous()
        for name, parameter in model.named_parameters()
        for key, value in optimizer.state.get(parameter, {}).items()
    }
