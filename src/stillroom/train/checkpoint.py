"""Checkpoints: whole or not there at all.

A checkpoint is a folder `checkpoints/NNNNNNNN` (the number of finished steps) with the weights, the optimiser's
moments, the random state and the run's own state. It is written under another name, flushed to the disk, and renamed.
`best-NNNNNNNN` holds the weights alone, of the step that did best so far.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from stillroom.base.errors import StoreError
from stillroom.generate.load import LOADING_ERRORS
from stillroom.store.files import sync

KEEP = 2
RANDOM_STATE = "random_state"


def save(folder: Path, step: int, model: Any, optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Write checkpoint `step` into `folder` and remove all but the newest two. `state` is JSON."""
    with _whole(folder / f"{step:08d}") as partial:
        save_file(_weights(model), partial / "model.safetensors")
        save_file(_moments(model, optimizer) | _random_state(), partial / "optimizer.safetensors")
        (partial / "state.json").write_text(json.dumps({"step": step, **state}))
    for old in finished(folder)[:-KEEP]:
        shutil.rmtree(old)


def save_best(folder: Path, step: int, model: Any) -> None:
    """Write the weights of `step` beside the checkpoints. Those of another step stay, until `forget_best`."""
    with _whole(folder / f"best-{step:08d}") as partial:
        save_file(_weights(model), partial / "model.safetensors")


def forget_best(folder: Path, but: int) -> None:
    """Remove the weights of every step that is not `but`: once no checkpoint needs them any more."""
    for path in folder.glob("best-*"):
        if path.name != f"best-{but:08d}":
            shutil.rmtree(path)


def load_best(folder: Path, step: int, model: Any) -> None:
    """Raises StoreError where they are damaged or gone: nothing brings them back but to train again."""
    path = folder / f"best-{step:08d}"
    try:
        _put_weights(path, model)
    except LOADING_ERRORS as error:
        what = f"The weights of the best step, {path}, are damaged or gone ({type(error).__name__})."
        raise StoreError(what, f"Delete {folder} and run again: training begins anew.") from error


@contextmanager
def _whole(final: Path) -> Iterator[Path]:
    """A folder to write in, which gets its name when all that was written is on the disk."""
    final.parent.mkdir(parents=True, exist_ok=True)
    partial = final.with_name(f"{final.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    with told_if_not_written(final):
        yield partial
        for path in partial.iterdir():
            sync(path)
        sync(partial)
        shutil.rmtree(final, ignore_errors=True)
        partial.rename(final)
        sync(final.parent)


@contextmanager
def told_if_not_written(path: Path) -> Iterator[None]:
    """Around writing a model. Raises StoreError where the disk is full or does not let us, which safetensors says in
    an error of its own."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        what = getattr(error, "strerror", None) or str(error)
        remedy = "Free space or mend the folder's rights, and run again: training goes on from the last checkpoint."
        raise StoreError(f"{path} could not be written: {what}.", remedy) from error


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
    _put_weights(path, model)
    moments = load_file(path / "optimizer.safetensors")
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            name = names[id(parameter)]
            optimizer.state[parameter] = {
                key: moments[f"{name}/{key}"].to(parameter.device)
                for key in ("step", "exp_avg", "exp_avg_sq")
                if f"{name}/{key}" in moments
            }
    torch.set_rng_state(moments[f"{RANDOM_STATE}/cpu"])
    if torch.cuda.is_available():
        torch.cuda.set_rng_state(moments[f"{RANDOM_STATE}/cuda"])
    state: dict[str, Any] = json.loads((path / "state.json").read_text())
    return state


def _weights(model: Any) -> dict[str, torch.Tensor]:
    """Those that are trained."""
    # named_parameters lists a tied weight once, which is what safetensors wants.
    return {
        name: parameter.detach().contiguous() for name, parameter in model.named_parameters() if parameter.requires_grad
    }


def _put_weights(path: Path, model: Any) -> None:
    saved = load_file(path / "model.safetensors")
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    with torch.no_grad():
        for name, parameter in trained.items():
            parameter.copy_(saved[name])


def _random_state() -> dict[str, torch.Tensor]:
    state = {f"{RANDOM_STATE}/cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state[f"{RANDOM_STATE}/cuda"] = torch.cuda.get_rng_state()
    return state


def _moments(model: Any, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    return {
        f"{name}/{key}": value.contiguous()
        for name, parameter in model.named_parameters()
        for key, value in optimizer.state.get(parameter, {}).items()
    }
