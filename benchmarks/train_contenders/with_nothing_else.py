"""The ceiling: the matrix products of the same tokens, forward and backward, and nothing else."""

from __future__ import annotations

import time
from pathlib import Path

import torch
from benchmarks.train_contenders.job import Job, Outcome, work

from stillroom.generate.load import load_model
from stillroom.train.flops import measured_matrix_rate, training_flops


def measure(job: Job) -> Outcome:
    torch.set_num_threads(job.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = load_model(Path(job.model)).model
    begin, cpu = time.perf_counter(), time.process_time()
    rate = measured_matrix_rate(model, device, torch.bfloat16 if device.type == "cuda" else torch.float32)
    cores = (time.process_time() - cpu) / (time.perf_counter() - begin)
    timed = job.rows[job.warm_up * job.row_batch :]
    trained = sum(len(ids) - prompt for ids, prompt in timed)
    flops = training_flops(model, sum(len(ids) for ids, _ in timed), trained)
    return Outcome(f"{rate / 1e9:.0f} GFLOP/s", flops / rate, cores * flops / rate, trained, [])


if __name__ == "__main__":
    work(measure)
