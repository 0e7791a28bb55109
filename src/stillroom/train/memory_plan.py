"""Whether a training run fits into the memory there is, and what to change where it does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch

from stillroom.base.errors import ModelError
from stillroom.train.free_memory import available_bytes, give_back_freed_memory
from stillroom.train.memory import Footprint, Memory, footprint, gigabytes, predict
from stillroom.train.packing import plain_model
from stillroom.train.render import Row
from stillroom.train.settings import LoraSettings, TrainSettings

ROOM = 0.9
"""Share of the free memory up to which a prediction is relied on, before checkpointing is turned on."""
TIGHT = 0.5
"""Share of a CPU's free memory from which freed tensors are given back to the system, which takes time."""
TOO_MUCH = 0.75
"""Where memory ran out all the same, what to aim at, as a share of what was predicted."""
SHORTEST = 256
"""No shorter batches and rows are proposed."""


@dataclass(frozen=True, slots=True)
class Change:
    """Something that a recipe may change to need less memory."""

    setting: str
    value: str
    saves: int
    """Bytes."""

    def __str__(self) -> str:
        return f"{self.setting}: {self.value} (saves {gigabytes(self.saves)})"


@dataclass(frozen=True, slots=True)
class Plan:
    """A run's prediction, and what of it may still be changed."""

    footprint: Footprint
    lengths: tuple[int, ...]
    """Of all rows, in tokens, the shortest first."""
    trained_share: float
    """The highest of any row."""
    batch_tokens: int
    checkpointing: bool
    can_checkpoint: bool
    """Whether the student has gradient checkpointing."""
    lora: bool

    @property
    def longest(self) -> int:
        return self.lengths[-1]

    @property
    def tokens(self) -> int:
        """The most that one batch has: rows that fit together, or the longest alone."""
        return max(self.longest, min(self.batch_tokens, sum(self.lengths)))

    @property
    def memory(self) -> Memory:
        return predict(
            self.footprint,
            tokens=self.tokens,
            longest=self.longest,
            trained=max(1, round(self.tokens * self.trained_share)),
            checkpointing=self.checkpointing,
        )

    @property
    def needed(self) -> int:
        """Bytes beside the weights, which are there before training begins."""
        return self.memory.total - self.memory.weights

    def report(self) -> dict[str, object]:
        """For train.json."""
        return {"predicted_bytes": self.memory.total, "gradient_checkpointing": self.checkpointing}

    @contextmanager
    def explaining_out_of_memory(self) -> Iterator[None]:
        """Around the steps. Raises ModelError, which says what to change, where memory runs out in them."""
        try:
            yield
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise self.after_out_of_memory() from error

    def after_out_of_memory(self) -> ModelError:
        """What to say when memory has run out although the prediction fitted: it was too low, or others took it."""
        what = f"Memory ran out in training, for which {self.memory} were predicted."
        return ModelError(what, _advice(self, round(TOO_MUCH * self.needed)))


def plan(
    model: Any,
    rows: Sequence[Row],
    settings: TrainSettings,
    *,
    bfloat16: bool,
    packed: bool = False,
    sharing: int = 1,
    available: Callable[[torch.device], int] = available_bytes,
) -> Plan:
    """Predict what training `model`, as it is frozen and on its device, on `rows` takes; call it before the optimiser.

    Turns gradient checkpointing on where the settings ask for it, or where they leave it open and memory would not do
    without. `sharing` processes on one CPU have an equal part of the memory each.

    Raises ModelError where it does not fit, with what to change, and where the student has no gradient checkpointing
    and the settings ask for it.
    """
    plain: Any = plain_model(model)
    supported = bool(plain.supports_gradient_checkpointing)
    wanted = settings.gradient_checkpointing
    if wanted == "on" and not supported:
        what = f"This student ({plain.config.model_type}) has no gradient checkpointing."
        raise ModelError(what, "Set train.gradient_checkpointing to auto.")
    device = next(plain.parameters()).device
    found = Plan(
        footprint(model, bfloat16=bfloat16, packed=packed),
        lengths=tuple(sorted(len(row.ids) for row in rows)),
        trained_share=max(float(row.trained.mean()) for row in rows),
        batch_tokens=settings.batch_tokens,
        checkpointing=wanted == "on",
        can_checkpoint=supported,
        lora=settings.lora is not None,
    )
    free = available(device) // (sharing if device.type == "cpu" else 1)
    if wanted == "auto" and supported and found.needed > ROOM * free:
        found = replace(found, checkpointing=True)
    if found.needed > free:
        what = f"Training needs {gigabytes(found.needed)} beside the weights, and {gigabytes(free)} are free"
        raise ModelError(f"{what} ({found.memory}).", _advice(found, free))
    if found.checkpointing:
        turn_on_checkpointing(plain)
    if device.type == "cpu" and found.needed > TIGHT * free:
        give_back_freed_memory()
    return found


def turn_on_checkpointing(plain: Any) -> None:
    """Have each layer of a model of transformers keep its input alone, and compute the rest again in backward."""
    how = {"use_reentrant": False}
    if hasattr(plain, "activation_checkpointing_enable"):  # transformers 5.20 or so has renamed it
        plain.activation_checkpointing_enable(how)
    else:
        plain.gradient_checkpointing_enable(how)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether PyTorch, on a GPU or a CPU, or Python has found no memory."""
    text = str(error)
    said = "can't allocate memory" in text or "not enough memory" in text  # the CPU's allocator has no type of its own
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (isinstance(error, RuntimeError) and said)


def _advice(found: Plan, goal: int) -> str:
    """Changes of which each alone brings what is needed down to `goal` bytes; else those that do so together."""
    alone = [change for kind in KINDS for change, left in kind(found) if left.needed <= goal]
    if alone:
        first = {change.setting: change for change in reversed(alone)}
        return f"Set {'; or '.join(str(change) for change in reversed(first.values()))}."
    together: list[str] = []
    for kind in KINDS:
        steps = list(kind(found))
        if not steps:
            continue
        change, found = next((step for step in steps if step[1].needed <= goal), steps[-1])
        together.append(str(change))
        if found.needed <= goal:
            return f"Set all of these: {', '.join(together)}."
    return f"Take a smaller student or more memory: whatever the recipe says, it needs {gigabytes(found.needed)}."


Kind = Callable[[Plan], Iterator[tuple[Change, Plan]]]
"""Changes of one setting that save more and more, each with the plan that it leads to."""


def _with_checkpointing(found: Plan) -> Iterator[tuple[Change, Plan]]:
    if found.can_checkpoint and not found.checkpointing:
        changed = replace(found, checkpointing=True)
        yield Change("train.gradient_checkpointing", "on", found.needed - changed.needed), changed


def _with_smaller_batches(found: Plan) -> Iterator[tuple[Change, Plan]]:
    least = max(SHORTEST, found.longest)  # a longer row is a batch of its own, whatever the setting
    tokens = found.tokens
    while tokens > least:
        tokens = max(least, tokens // 2)
        changed = replace(found, batch_tokens=tokens)
        words = f"{found.batch_tokens:,} -> {tokens:,}"
        yield Change("train.batch_tokens", words, found.needed - changed.needed), changed


def _with_lora(found: Plan) -> Iterator[tuple[Change, Plan]]:
    if not found.lora:
        changed = replace(found, lora=True, footprint=found.footprint.with_lora())
        yield Change("train.lora", f"{{rank: {LoraSettings().rank}}}", found.needed - changed.needed), changed


def _with_shorter_rows(found: Plan) -> Iterator[tuple[Change, Plan]]:
    rows, longest = len(found.lengths), found.longest
    while longest > SHORTEST:
        longest = max(SHORTEST, longest // 2)
        left = tuple(length for length in found.lengths if length <= longest)
        if not left:
            return
        changed = replace(found, lengths=left, batch_tokens=min(found.batch_tokens, longest))
        words = f"{found.longest:,} -> {longest:,}"
        if found.batch_tokens > longest:
            words += f" and train.batch_tokens: {longest:,}"
        words += f", which leaves out {rows - len(left):,} of {rows:,} rows"
        yield Change("train.max_tokens", words, found.needed - changed.needed), changed


KINDS: tuple[Kind, ...] = (_with_checkpointing, _with_smaller_batches, _with_lora, _with_shorter_rows)
