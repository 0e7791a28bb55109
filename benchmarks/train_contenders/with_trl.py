"""TRL's SFTTrainer on rows that are tokenized already; the job's options are keywords of its SFTConfig."""

from __future__ import annotations

import tempfile
import time
from typing import Any

import torch
import trl  # type: ignore[import-not-found]
from benchmarks.train_contenders.job import Job, Outcome, work
from datasets import Dataset  # type: ignore[import-untyped]
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback


class _Clock(TrainerCallback):
    """Times from the end of the warm-up to the end of the last step, and the losses that are logged."""

    def __init__(self, warm_up: int) -> None:
        self.warm_up = warm_up
        self.begin = self.end = self.cpu_begin = self.cpu_end = 0.0
        self.losses: list[float] = []

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        if state.global_step == self.warm_up:
            self.begin, self.cpu_begin = time.perf_counter(), time.process_time()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        self.end, self.cpu_end = time.perf_counter(), time.process_time()

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        logged = kwargs.get("logs") or {}
        if "loss" in logged:
            self.losses.append(logged["loss"])


def train(job: Job) -> Outcome:
    torch.set_num_threads(job.threads)
    cuda = torch.cuda.is_available()
    model = AutoModelForCausalLM.from_pretrained(
        job.model, dtype=torch.float32, attn_implementation="flash_attention_2" if _has_flash() else "sdpa"
    )
    clock = _Clock(job.warm_up)
    with tempfile.TemporaryDirectory() as folder:
        config = trl.SFTConfig(
            output_dir=folder, bf16=cuda, use_cpu=not cuda, report_to="none", save_strategy="no", disable_tqdm=True,
            num_train_epochs=1, logging_steps=1, seed=0, **_in_order(job), **job.options,
        )  # fmt: skip
        data = Dataset.from_list(
            [{"input_ids": ids, "labels": [-100] * prompt + ids[prompt:]} for ids, prompt in job.rows]
        )
        trainer = trl.SFTTrainer(
            model, config, train_dataset=data, processing_class=AutoTokenizer.from_pretrained(job.model),
            callbacks=[clock],
        )  # fmt: skip
        trained: list[int] = []
        collate = trainer.data_collator

        def counted(examples: Any) -> Any:
            batch = collate(examples)
            trained.append(int((batch["labels"][:, 1:] != -100).sum()))
            return batch

        trainer.data_collator = counted
        trainer.train()
    memory = torch.cuda.max_memory_allocated() / 2**20 if cuda else 0.0
    timed = sum(trained[job.warm_up * config.gradient_accumulation_steps :])
    seconds, cpu_seconds = clock.end - clock.begin, clock.cpu_end - clock.cpu_begin
    return Outcome(f"{trl.__version__}, torch {torch.__version__}", seconds, cpu_seconds, timed, clock.losses, memory)


def _in_order(job: Job) -> dict[str, Any]:
    if not job.in_order:
        return {}
    return {
        "per_device_train_batch_size": job.row_batch, "train_sampling_strategy": "sequential", "learning_rate": 1e-4,
        "lr_scheduler_type": "constant", "gradient_checkpointing": False,
    }  # fmt: skip


def _has_flash() -> bool:
    from importlib.util import find_spec

    return torch.cuda.is_available() and find_spec("flash_attn") is not None


if __name__ == "__main__":
    work(train)
