"""The training loop: step after step, the same weights however often it was interrupted."""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from stillroom.base.errors import DivergedError
from stillroom.base.progress import Progress
from stillroom.train import checkpoint
from stillroom.train.batches import Batch, epoch_steps
from stillroom.train.flops import measured_matrix_rate, training_flops
from stillroom.train.held_out import HeldOutMark
from stillroom.train.loss import batch_loss
from stillroom.train.peak_memory import peak_bytes
from stillroom.train.render import Row
from stillroom.train.schedule import learning_rate
from stillroom.train.settings import TrainSettings
from stillroom.train.tensorboard import Scalars
from stillroom.train.together import Together

WORTH_MEASURING = 3e12
"""Floating-point operations of a run."""

Examination = Callable[[int], HeldOutMark]
"""How the student does on the held-out questions after so many steps."""


@dataclass
class Loop:
    """One run's model, optimiser and position. Rows are visited in an order that only the settings decide."""

    model: Any
    rows: Sequence[Row]
    settings: TrainSettings
    together: Together
    pad_id: int
    peak: float
    """The highest learning rate."""
    packed: bool = False
    examine: Examination | None = None
    """The first process calls it; None where nothing is held out."""
    scalars: Scalars | None = None
    """Curves for TensorBoard; the first process writes them."""
    matrix_rate: float | None = None
    """Of this machine, in FLOP a second, at the shapes of this model; None where it was not measured."""

    step: int = 0
    seconds: float = 0.0
    """Of steps alone: without examinations and checkpoints."""
    tokens: int = 0
    """Trained tokens so far, over all epochs."""
    flops: float = 0.0
    curve: list[list[float]] = field(default_factory=list)
    """[step, mean loss in nats per trained token, learning rate, trained tokens a second] of every step."""
    marks: list[HeldOutMark] = field(default_factory=list)
    stopped_early: bool = False

    def __post_init__(self) -> None:
        self.trained_per_row = [int(row.trained.sum()) for row in self.rows]
        self.weight_per_row = [float(row.weights.sum(dtype="float64")) for row in self.rows]
        settings = self.settings
        self.lengths = [len(row.ids) for row in self.rows]
        epochs = [
            epoch_steps(self.lengths, settings.step_tokens, settings.batch_tokens, settings.seed, epoch)
            for epoch in range(settings.epochs)
        ]
        self.steps = [batches for epoch in epochs for batches in epoch][: settings.max_steps]
        self.examined_after = self._examined_after([len(epoch) for epoch in epochs])
        self.parameters = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=self.peak, betas=(0.9, 0.95), weight_decay=settings.weight_decay, fused=True
        )

    def _examined_after(self, epochs: Sequence[int]) -> frozenset[int]:
        """The numbers of steps after which the student is examined."""
        if self.examine is None:
            return frozenset()
        every = self.settings.held_out.every_steps
        total = len(self.steps)
        ends = range(every, total, every) if every else [sum(epochs[: n + 1]) for n in range(len(epochs))]
        return frozenset({*(end for end in ends if end < total), total})

    def measure_matrix_rate(self, dtype: torch.dtype) -> None:
        """What the panel's share is of. It takes a second or two, which a run of some seconds is not worth."""
        if sum(map(self._flops, self.steps)) > WORTH_MEASURING:
            rate = measured_matrix_rate(self.model, self.together.device, dtype)
            self.matrix_rate = float(self.together.sum(torch.tensor(rate, device=self.together.device)))

    @property
    def best(self) -> HeldOutMark | None:
        """The examination that went best, if there was one."""
        return max(self.marks, key=lambda mark: mark.order, default=None)

    def resume(self, checkpoints: Path, identity: str) -> None:
        """Go on from the newest checkpoint of the same run, if there is one.

        Raises StoreError for a damaged one.
        """
        newest = self.together.from_first(self._newest(checkpoints, identity) if self.together.is_first else None)
        if newest is None:
            return
        with checkpoint.named_if_damaged(newest):
            state = checkpoint.load(newest, self.model, self.optimizer)
            self.step, self.seconds, self.curve = state["step"], state["seconds"], state["curve"]
            self.marks = [HeldOutMark(**mark) for mark in state["held_out"]]
        for batches in self.steps[: self.step]:
            self._count(batches)
        self.stopped_early = self._is_time_to_stop()

    def _newest(self, checkpoints: Path, identity: str) -> Path | None:
        """The checkpoint to go on from; those of another run are removed."""
        found = checkpoint.finished(checkpoints)
        if not found:
            return None
        with checkpoint.named_if_damaged(found[-1]):
            if json.loads((found[-1] / "state.json").read_text())["identity"] == identity:
                return found[-1]
        shutil.rmtree(checkpoints)  # other settings, traces or student
        return None

    def to_the_end(self, checkpoints: Path, identity: str, progress: Progress) -> None:
        """All steps that are left; then the weights of the best examination are the model's.

        Raises DivergedError where the loss is no number any more.
        """
        try:
            self._steps_that_are_left(checkpoints, identity, progress)
        finally:
            if self.scalars is not None:
                self.scalars.close()
        if not all(bool(parameter.isfinite().all()) for parameter in self.parameters):
            raise _diverged("The weights after the last step are no numbers")
        if self.best is not None and self.best.step != self.step:
            self.together.wait()  # the first process has written it
            checkpoint.load_best(checkpoints, self.best.step, self.model)

    def _steps_that_are_left(self, checkpoints: Path, identity: str, progress: Progress) -> None:
        total = len(self.steps)
        while self.step < total and not self.stopped_early:
            self._one_step()
            is_examined = self.step in self.examined_after
            progress.update(f"train {self.settings.method}", self.step, total, **self._facts())
            if is_examined:
                self._examine(checkpoints)
                progress.update(f"train {self.settings.method}", self.step, total, **self._facts())
            if self.scalars is not None:
                self.scalars.write(self.step, self._scalars(is_examined))
            if is_examined or (self.step % self.settings.checkpoint_steps == 0 and self.step < total):
                self._save(checkpoints, identity)

    def _one_step(self) -> None:
        batches = self.steps[self.step]
        before = time.monotonic()
        rate = learning_rate(
            self.step, len(self.steps), self.peak, self.settings.warmup, self.settings.final_learning_rate
        )
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        loss = self._backward(batches)
        if not math.isfinite(loss):
            raise _diverged(f"The loss of step {self.step + 1} is {loss}")
        torch.nn.utils.clip_grad_norm_(self.parameters, self.settings.max_grad_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        trained = self._count(batches)
        took = time.monotonic() - before
        self.seconds += took
        self.curve.append([self.step, loss, rate, trained / max(took, 1e-9)])

    def _backward(self, batches: Sequence[Batch]) -> float:
        """The step's gradients, and its loss: the mean over all its trained tokens, however they are split."""
        weight = math.fsum(self.weight_per_row[row] for batch in batches for row in batch)
        device = self.together.device
        loss = torch.zeros((), dtype=torch.float64)
        for batch in self.together.own(batches):
            with torch.autocast(device.type, torch.bfloat16, enabled=uses_bfloat16(self.settings, device)):
                rows = [self.rows[row] for row in batch]
                total = batch_loss(self.model, rows, pad_id=self.pad_id, device=device, packed=self.packed)
            torch.autograd.backward(total / weight)
            loss += total.detach().double().cpu() / weight
        self.together.add_up_gradients(self.parameters)
        return float(self.together.sum(loss.to(device)))

    def _examine(self, checkpoints: Path) -> None:
        assert self.examine is not None
        mark = self.together.from_first(self.examine(self.step) if self.together.is_first else None)
        assert mark is not None
        if not math.isfinite(mark.loss):  # the last step was too much
            raise _diverged(f"The held-out loss after step {self.step} is {mark.loss}")
        self.marks.append(mark)
        if self.best is mark and self.together.is_first:
            checkpoint.save_best(checkpoints, self.step, self.model)
        self.stopped_early = self._is_time_to_stop()

    def _is_time_to_stop(self) -> bool:
        patience = self.settings.held_out.stop_after
        if patience is None or self.best is None or self.step == len(self.steps):
            return False
        return len(self.marks) - 1 - self.marks.index(self.best) >= patience

    def _save(self, checkpoints: Path, identity: str) -> None:
        if self.together.is_first:
            marks = [asdict(mark) for mark in self.marks]
            state = {"identity": identity, "seconds": self.seconds, "curve": self.curve, "held_out": marks}
            checkpoint.save(checkpoints, self.step, self.model, self.optimizer, state)
            if self.best is not None:
                checkpoint.forget_best(checkpoints, but=self.best.step)
        self.together.wait()

    def _count(self, batches: Sequence[Batch]) -> int:
        """The trained tokens of a step that is done."""
        trained = sum(self.trained_per_row[row] for batch in batches for row in batch)
        self.tokens += trained
        self.flops += self._flops(batches)
        return trained

    def _flops(self, batches: Sequence[Batch]) -> float:
        tokens = sum(self.lengths[row] for batch in batches for row in batch)
        return training_flops(self.model, tokens, sum(self.trained_per_row[row] for batch in batches for row in batch))

    @property
    def tokens_per_second(self) -> float:
        return self.tokens / max(self.seconds, 1e-9)

    @property
    def matrix_share(self) -> float | None:
        """Of the rate at which this machine multiplies matrices of this model, how much the steps have come to."""
        if not self.flops or not self.matrix_rate or not self.seconds:
            return None
        return self.flops / self.seconds / self.matrix_rate

    def _facts(self) -> dict[str, object]:
        _, loss, rate, _ = self.curve[-1]
        facts: dict[str, object] = {
            "loss": round(loss, 3),
            "learning_rate": rate,
            "tokens_per_second": round(self.tokens_per_second),
            "peak_bytes": peak_bytes(self.together.device),
        }
        if (share := self.matrix_share) is not None:
            facts["matrix_share"] = round(share, 2)
        if self.marks and self.marks[-1].asked:
            latest, best = self.marks[-1], self.best or self.marks[-1]
            facts["held_out"] = f"{latest.right} of {latest.asked} at step {latest.step}"
            facts["held_out_best"] = f"{best.right} of {best.asked} at step {best.step}"
        return facts

    def _scalars(self, is_examined: bool) -> dict[str, float | None]:
        _, loss, rate, speed = self.curve[-1]
        scalars = {"loss": loss, "learning rate": rate, "trained tokens a second": speed}
        if not is_examined:
            return dict(scalars)
        mark = self.marks[-1]
        right = mark.right / mark.asked if mark.asked else None
        return {**scalars, "held-out loss": mark.loss, "held-out right answers": right}

    def report(self) -> dict[str, Any]:
        """What train.json says of the steps."""
        share = self.matrix_share
        best = self.best
        return {
            "steps": self.step,
            "planned_steps": len(self.steps),
            "trained_tokens": self.tokens,
            "tokens_per_second": round(self.tokens_per_second, 1),
            "seconds": round(self.seconds, 1),
            "learning_rate": self.peak,
            "matrix_rate_gflops": round(self.matrix_rate / 1e9, 1) if self.matrix_rate else None,
            "matrix_share": round(share, 3) if share is not None else None,
            "curve": [[int(step), round(loss, 5), rate, round(speed, 1)] for step, loss, rate, speed in self.curve],
            "held_out": None
            if best is None
            else {
                "questions": best.asked,
                "curve": [[mark.step, mark.right, mark.asked, round(mark.loss, 5), mark.cut] for mark in self.marks],
                "best_step": best.step,
                "stopped_early": self.stopped_early,
            },
        }


def _diverged(what: str) -> DivergedError:
    return DivergedError(f"{what}: training has diverged.", "Lower train.learning_rate; training then begins anew.")


def uses_bfloat16(settings: TrainSettings, device: torch.device) -> bool:
    if settings.precision == "auto":
        return device.type == "cuda" and torch.cuda.is_bf16_supported()
    return settings.precision == "bfloat16"
