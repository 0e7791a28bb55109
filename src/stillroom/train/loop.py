"""The training loop: traces in, a student's folder out, the same weights however often it was interrupted."""

from __future__ import annotations

import json
import math
import shutil
import time
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from stillroom.base.canonical import digest, digest_bytes
from stillroom.base.errors import DataError, ModelError
from stillroom.base.progress import Progress
from stillroom.generate.load import load_model, quiet
from stillroom.store.files import sync, write_json
from stillroom.store.lock import FolderLock
from stillroom.store.tables import read_traces
from stillroom.train import checkpoint
from stillroom.train.batches import Batch, epoch_steps
from stillroom.train.gate import Gate, admitted
from stillroom.train.loss import collate, collate_weights, head_is_plain, loss_sum
from stillroom.train.render import Rendered, Renderer, Row
from stillroom.train.schedule import default_learning_rate, learning_rate
from stillroom.train.settings import TrainSettings


def train(traces: Path, student: Path, out: Path, settings: TrainSettings, progress: Progress) -> dict[str, Any]:
    """Train `student` (a model folder or GGUF file) on the rows of `traces` (Parquet); what comes out lies in `out`.

    Writes `out/checkpoints/`, `out/student/` (a Hugging Face folder, float32 safetensors) and `out/train.json`, whose
    content is returned. Called again after a kill, it goes on from the newest checkpoint, and ends with the weights of
    a run that was never interrupted (bit for bit on a CPU with the same number of threads).

    Raises ModelError when the student cannot be loaded, DataError when no row is left to train on, StoreError while
    another process trains there.
    """
    out.mkdir(parents=True, exist_ok=True)
    lock = FolderLock(out / "train.lock", f"The training in {out}")
    try:
        return _train(traces, student, out, settings, progress)
    finally:
        lock.release()


def _train(traces: Path, student: Path, out: Path, settings: TrainSettings, progress: Progress) -> dict[str, Any]:
    _fix_arithmetic(settings)
    loaded = load_model(student)
    model: Any = loaded.model
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model.to(device).train()
    renderer = Renderer(loaded.tokenizer, settings.method, loaded.end_ids, settings.weights)
    gate = Gate(loaded.tokenizer, settings.method, renderer.end_ids, settings.weights)
    rendered = admitted(renderer.render_all(read_traces(traces)), gate, traces.name)
    rows, trained_traces, skipped = rows_that_fit(rendered, min(settings.max_tokens, loaded.context))
    _refuse_unknown_tokens(rows, model)
    run = _Run(model, rows, settings, device, pad_id=loaded.tokenizer.pad_token_id or 0)
    identity = digest([settings.model_dump(), digest_bytes(traces.read_bytes()), _weights_digest(model)])
    run.resume(out / "checkpoints", identity)
    run.steps_to_the_end(out / "checkpoints", identity, progress)
    _write_student(out, model, loaded.tokenizer, renderer.end_ids)
    report = {
        "method": settings.method,
        "student": settings.student,
        "parameters": model.num_parameters(),
        "traces": trained_traces,
        "rows": len(rows),
        "skipped": dict(skipped),
        "epochs": settings.epochs,
        **run.report(),
        "seed": settings.seed,
        "threads": torch.get_num_threads(),
    }
    write_json(out / "train.json", report)
    shutil.rmtree(out / "checkpoints", ignore_errors=True)
    return report


def rows_that_fit(rendered: Iterable[Rendered], max_tokens: int) -> tuple[list[Row], int, Counter[str]]:
    """All rows that fit, the number of traces that they are of, and how many rows were left out, by reason.

    A conversation may have several rows. Raises DataError where no row is left.
    """
    rows: list[Row] = []
    traces = 0
    skipped: Counter[str] = Counter()
    for each in rendered:
        fitting = [row for row in each.rows if len(row.ids) <= max_tokens]
        rows += fitting
        traces += bool(fitting)
        if len(fitting) < len(each.rows):
            skipped["too_long"] += len(each.rows) - len(fitting)
    if not rows and skipped:
        raise DataError(
            f"No trace is left to train on: all {skipped['too_long']} are longer than {max_tokens} tokens.",
            "Raise train.max_tokens.",
        )
    if not rows:
        raise DataError(
            "There is no trace to train on: check kept none of the replies.",
            "See why with `stillroom look`, or in check.json and rejected.parquet of the run.",
        )
    return rows, traces, skipped


def _refuse_unknown_tokens(rows: Sequence[Row], model: Any) -> None:
    known = model.get_input_embeddings().num_embeddings
    largest = max(int(row.ids.max()) for row in rows)
    if largest >= known:
        raise ModelError(
            f"The student's tokenizer has the token {largest}, and its model knows {known:,} tokens.",
            "Give the model an embedding for each token first (resize_token_embeddings), or take its own tokenizer.",
        )


@dataclass
class _Run:
    """One run's model, optimiser and position. Rows are visited in an order that only the settings decide."""

    model: Any
    rows: Sequence[Row]
    settings: TrainSettings
    device: torch.device
    pad_id: int
    step: int = 0
    seconds: float = 0.0
    tokens: int = 0
    """Trained tokens so far, over all epochs."""
    curve: list[list[float]] = field(default_factory=list)
    """[step, mean loss in nats per trained token, learning rate] of every step."""

    def __post_init__(self) -> None:
        self.lengths = [len(row.ids) for row in self.rows]
        self.trained_per_row = [int(row.trained.sum()) for row in self.rows]
        self.weight_per_row = [float(row.weights.sum(dtype="float64")) for row in self.rows]
        self.steps = [
            batches
            for epoch in range(self.settings.epochs)
            for batches in epoch_steps(
                self.lengths, self.settings.step_tokens, self.settings.batch_tokens, self.settings.seed, epoch
            )
        ][: self.settings.max_steps]
        self.peak = self.settings.learning_rate or default_learning_rate(self.model.num_parameters())
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(),
            lr=self.peak,
            betas=(0.9, 0.95),
            weight_decay=self.settings.weight_decay,
            fused=True,
        )
        first_BT, _ = collate(self.rows[:1], self.pad_id, self.device)
        if not head_is_plain(self.model, first_BT):
            raise ModelError(
                "This student changes its logits after its output layer (it scales or caps them), which this trainer "
                "does not do.",
                "Use a student of another family (Llama, Qwen, Mistral and SmolLM are known to work).",
            )

    def resume(self, checkpoints: Path, identity: str) -> None:
        """Go on from the newest checkpoint of the same run, if there is one."""
        found = checkpoint.finished(checkpoints)
        if not found:
            return
        with checkpoint.named_if_damaged(found[-1]):
            if json.loads((found[-1] / "state.json").read_text())["identity"] != identity:
                shutil.rmtree(checkpoints)  # other settings, traces or student: not this run
                return
            state = checkpoint.load(found[-1], self.model, self.optimizer)
            self.step, self.seconds, self.curve = state["step"], state["seconds"], state["curve"]
        self.tokens = sum(map(self._trained, self.steps[: self.step]))

    def steps_to_the_end(self, checkpoints: Path, identity: str, progress: Progress) -> None:
        total = len(self.steps)
        before = time.monotonic() - self.seconds
        while self.step < total:
            loss = self._one_step()
            self.step += 1
            self.seconds = time.monotonic() - before
            progress.update(
                f"train {self.settings.method}",
                self.step,
                total,
                loss=round(loss, 3),
                tokens_per_second=round(self.tokens / self.seconds),
            )
            if self.step % self.settings.checkpoint_steps == 0 and self.step < total:
                state = {"identity": identity, "seconds": self.seconds, "curve": self.curve}
                checkpoint.save(checkpoints, self.step, self.model, self.optimizer, state)

    def _one_step(self) -> float:
        batches = self.steps[self.step]
        rate = learning_rate(
            self.step, len(self.steps), self.peak, self.settings.warmup, self.settings.final_learning_rate
        )
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        weight = math.fsum(self.weight_per_row[row] for batch in batches for row in batch)
        loss = 0.0
        for batch in batches:
            rows = [self.rows[row] for row in batch]
            ids_BT, targets_BT = collate(rows, self.pad_id, self.device)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self._bfloat16()):
                total = loss_sum(self.model, ids_BT, targets_BT, collate_weights(rows, self.device))
            torch.autograd.backward(total / weight)  # the step's own token mean, however it is split
            loss += total.item() / weight
        if not math.isfinite(loss):
            raise DataError(
                f"The loss of step {self.step} is {loss}: training has diverged.",
                "Lower train.learning_rate (the last checkpoint is kept).",
            )
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.max_grad_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.tokens += self._trained(batches)
        self.curve.append([self.step + 1, loss, rate])
        return loss

    def _bfloat16(self) -> bool:
        if self.settings.precision == "auto":
            return self.device.type == "cuda" and torch.cuda.is_bf16_supported()
        return self.settings.precision == "bfloat16"

    def _trained(self, batches: Sequence[Batch]) -> int:
        return sum(self.trained_per_row[row] for batch in batches for row in batch)

    def report(self) -> dict[str, Any]:
        return {
            "steps": self.step,
            "trained_tokens": self.tokens,
            "tokens_per_second": round(self.tokens / max(self.seconds, 1e-9), 1),
            "seconds": round(self.seconds, 1),
            "learning_rate": self.peak,
            "curve": [[int(step), round(loss, 5), rate] for step, loss, rate in self.curve],
        }


def _fix_arithmetic(settings: TrainSettings) -> None:
    """One thread count, one seed, and only kernels that add in a fixed order."""
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed)
    torch.use_deterministic_algorithms(not torch.cuda.is_available())


def _weights_digest(model: Any) -> str:
    return digest({name: digest_bytes(p.detach().cpu().numpy().tobytes()) for name, p in model.named_parameters()})


def _write_student(out: Path, model: Any, tokenizer: Any, end_ids: Collection[int]) -> None:
    """The student's folder, whole or not there at all. It stops at each of `end_ids`."""
    partial = out / "student.partial"
    shutil.rmtree(partial, ignore_errors=True)
    model.eval()
    model.generation_config.eos_token_id = sorted(end_ids) if len(end_ids) > 1 else min(end_ids)
    with quiet():
        model.save_pretrained(partial)
    tokenizer.save_pretrained(partial)
    shutil.rmtree(out / "student", ignore_errors=True)
    for file in partial.iterdir():
        file.chmod(0o644)  # safetensors writes files that only their owner can read
        sync(file)
    sync(partial)
    partial.replace(out / "student")
    sync(out)  # before the checkpoints go
