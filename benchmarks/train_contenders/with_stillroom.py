"""The steps of stillroom's loop: its batches, its loss, its optimiser. Without checkpoints and examinations."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarks.train_contenders.job import Job, Outcome, work

from stillroom import __version__
from stillroom.generate.load import load_model
from stillroom.train.batches import epoch_steps
from stillroom.train.loss import batch_loss
from stillroom.train.packing import prepare
from stillroom.train.render import Row
from stillroom.train.settings import TrainSettings


def train(job: Job) -> Outcome:
    torch.set_num_threads(job.threads)
    torch.manual_seed(0)
    settings = TrainSettings(student=job.model)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")
    model: Any = load_model(Path(job.model)).model
    model.to(device).train()
    with autocast:
        packed = prepare(model, job.options.get("packing", "auto"), device)
    rows = [_row(ids, prompt) for ids, prompt in job.rows]
    steps = _steps(job, [len(row.ids) for row in rows], int(job.options.get("batch_tokens", settings.batch_tokens)))
    rate, betas, decay = (1e-4, (0.9, 0.999), 0.0) if job.in_order else (1e-4, (0.9, 0.95), settings.weight_decay)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, betas=betas, weight_decay=decay, fused=True)
    losses: list[float] = []
    trained, begin, cpu = 0, time.perf_counter(), time.process_time()
    for number, batches in enumerate(steps):
        if number == job.warm_up:
            trained, begin, cpu = 0, time.perf_counter(), time.process_time()
        weight = sum(int(rows[row].trained.sum()) for batch in batches for row in batch)
        loss = 0.0
        for batch in batches:
            with autocast:
                total = batch_loss(model, [rows[row] for row in batch], pad_id=0, device=device, packed=packed)
            torch.autograd.backward(total / weight)
            loss += total.item() / weight
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss)
        trained += weight
    seconds, cpu_seconds = time.perf_counter() - begin, time.process_time() - cpu
    memory = torch.cuda.max_memory_allocated() / 2**20 if device.type == "cuda" else 0.0
    return Outcome(f"{__version__}, torch {torch.__version__}", seconds, cpu_seconds, trained, losses, memory)


def _steps(job: Job, lengths: list[int], batch_tokens: int) -> list[list[list[int]]]:
    places = list(range(len(lengths)))
    if job.in_order:
        return [[places[start : start + job.row_batch]] for start in range(0, len(places), job.row_batch)]
    warm = job.warm_up * job.row_batch
    random.Random(0).shuffle(places)
    # The rows of the warm-up are the same for every contender; what is timed are all the others.
    return [[places_of] for places_of in _cut(list(range(warm)), job.row_batch)] + [
        [[row + warm for row in batch] for batch in batches]
        for batches in epoch_steps(lengths[warm:], job.row_batch * sum(lengths) // len(lengths), batch_tokens, 0, 0)
    ]


def _cut(rows: list[int], size: int) -> list[list[int]]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _row(ids: list[int], prompt: int) -> Row:
    return Row("", np.array(ids, np.int32), (np.arange(len(ids)) >= prompt).astype(np.float32))


if __name__ == "__main__":
    work(train)
