"""The memory that training a student takes on a CPU, beside what stillroom predicts: one step for each length.

    python benchmarks/train_memory.py --student SmolLM2-135M-Instruct.Q4_1.gguf --tokens 1024 8192 32768

`--config config.json` takes a student of that shape with random weights, so that nothing has to be fetched. Each length
has a process of its own, which makes a step of a short row, then one of a short row and one row of that length, and
reads the most memory that it has held (VmHWM) less what it held before there was a student, when the code of training
was loaded. Linux only.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig

from stillroom.generate.load import load_model
from stillroom.train.free_memory import give_back_freed_memory
from stillroom.train.loss import batch_loss
from stillroom.train.memory import Memory, footprint, predict
from stillroom.train.memory_plan import turn_on_checkpointing
from stillroom.train.render import Row

SHORT = 16
TINY = LlamaConfig(
    hidden_size=8, intermediate_size=8, num_attention_heads=1, num_key_value_heads=1, num_hidden_layers=1, vocab_size=64
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--student", type=Path, help="a model's folder or GGUF file")
    parser.add_argument("--config", type=Path, help="a config.json; the weights are random")
    parser.add_argument("--tokens", type=int, nargs="+", required=True, help="lengths of the long row")
    parser.add_argument("--rows", type=int, default=1, help="that go through the student at once")
    parser.add_argument("--checkpointing", action="store_true", help="gradient checkpointing on")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--here", action="store_true", help="measure one length in this process, and print JSON")
    arguments = parser.parse_args()
    if (arguments.student is None) == (arguments.config is None):
        parser.error("name --student or --config")
    if arguments.here:
        print(json.dumps(measured(arguments, arguments.tokens[0])))
        return
    print("   tokens  checkpointing  predicted GB  measured GB  predicted / measured  seconds")
    for tokens in arguments.tokens:
        row = in_own_process(tokens)
        predicted, peak = row["predicted"] / 1e9, row["measured"] / 1e9
        kind, share = "on" if arguments.checkpointing else "off", predicted / peak
        print(f"{tokens:>9,}  {kind:>13}  {predicted:12.2f}  {peak:11.2f}  {share:20.2f}  {row['seconds']:7.0f}")


def in_own_process(tokens: int) -> dict[str, Any]:
    """The arguments of this process again, for one length; the last `--tokens` counts."""
    command = [sys.executable, __file__, *sys.argv[1:], "--here", "--tokens", str(tokens)]
    ran = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    row: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return row


def measured(arguments: argparse.Namespace, tokens: int) -> dict[str, Any]:
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    give_back_freed_memory()
    tiny = random_student(TINY)
    two_steps(tiny, [row(tiny, SHORT)])  # loads the code that training needs
    before = status("VmRSS")
    model = student(arguments)
    predicted = prediction(model, arguments.rows, tokens, arguments.checkpointing)
    if arguments.checkpointing:
        turn_on_checkpointing(model)
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM begins anew: not what reading the student took
    seconds = two_steps(model, [row(model, tokens) for _ in range(arguments.rows)])
    return {"predicted": predicted.total, "measured": status("VmHWM") - before, "seconds": seconds}


def two_steps(model: Any, batch: list[Row]) -> float:
    """A step of a short row, then one of a short row and `batch`: moments and gradients are there before it. Returns
    the seconds of the second step."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)
    short = [row(model, SHORT)]
    seconds = 0.0
    for batches in ([short], [short, batch]):
        start = time.monotonic()
        for rows in batches:
            loss = batch_loss(model, rows, pad_id=0, device=torch.device("cpu"), packed=False)
            torch.autograd.backward(loss)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        seconds = time.monotonic() - start
    return seconds


def student(arguments: argparse.Namespace) -> Any:
    if arguments.config is None:
        return load_model(arguments.student).model.train()
    return random_student(AutoConfig.from_pretrained(arguments.config, local_files_only=True))


def random_student(config: Any) -> Any:
    made: Any = AutoModelForCausalLM  # untyped there
    return made.from_config(config, dtype=torch.float32).train()


def prediction(model: Any, rows: int, tokens: int, checkpointing: bool) -> Memory:
    return predict(
        footprint(model, bfloat16=False),
        tokens=rows * tokens,
        longest=tokens,
        trained=rows * (tokens - 1),
        checkpointing=checkpointing,
    )


def row(model: Any, tokens: int) -> Row:
    ids = np.arange(tokens, dtype=np.int32) % model.get_input_embeddings().num_embeddings
    weights = np.ones(tokens, np.float32)
    weights[0] = 0
    return Row("row", ids, weights, ())


def status(field: str) -> int:
    """A line of /proc/self/status, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(field))) * 1024


if __name__ == "__main__":
    main()
