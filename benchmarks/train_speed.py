"""How fast a student is trained: stillroom, TRL's SFTTrainer, and the machine's own matrix products, in turn.

    python -m benchmarks.train_speed --gguf SmolLM2-135M-Instruct.Q4_1.gguf --data gsm8k_train_part.jsonl [--rounds 3]

`--data` are JSON lines with `question` and `answer` (GSM8K), `problem` and `solution` (MATH), or `instruction` and
`instances` (self-instruct); as many rows are drawn from each file. Without it a few worked solutions that lie beside
the tests are taken again and again, and without --gguf the classroom's base model. Rows have 20 to 600 tokens, with the
loss on the reply and its end token.

Each arm is a process of its own, in each round one after the other, and ratios are taken within a round, also of the
processor time, which other programs disturb least. All have the same rows, the same number of them for an optimiser
step (on average), AdamW and float32; on a GPU, bfloat16 autocast.
TRL is installed in `benchmarks/.peers` when it is first needed, over stillroom's own torch and transformers.

- `TRL, defaults`: SFTTrainer as it comes, but for bf16, which it would use on a CPU too.
- `TRL, packed` and `TRL, by length`: without gradient checkpointing, rows packed (bfd), or batches of similar length.
  On a GPU with FlashAttention and Liger where they are installed.
- `the ceiling`: `stillroom.train.flops` counts the matrix products and measures their rate.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import venv
from dataclasses import asdict, dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.train_contenders.job import Job, Outcome

from stillroom.base.records import Message, Trace
from stillroom.classroom.models import base_folder
from stillroom.generate.load import load_model
from stillroom.train.render import Renderer

ROOT = Path(__file__).parents[1]
TRL = "trl==1.16.0"
EXCERPT = ROOT / "tests" / "data" / "gsm8k" / "test_excerpt.jsonl"
SHORTEST, LONGEST = 20, 600
MOST_LINES = 1000
QUIET = {"OMP_WAIT_POLICY": "passive"}
"""Threads that wait for each other sleep: else a busy machine counts their waiting as work."""
LOSS_STEPS = 3
"""Steps of identical batches whose losses are compared, four rows each."""


@dataclass(frozen=True)
class Arm:
    name: str
    module: str
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def is_trl(self) -> bool:
        return self.module == "with_trl"


STILLROOM = Arm("stillroom", "with_stillroom")
CEILING = Arm("the ceiling", "with_nothing_else")
DEFAULTS = Arm("TRL, defaults", "with_trl")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gguf", type=Path)
    parser.add_argument("--data", type=Path, nargs="*", default=[EXCERPT])
    parser.add_argument("--rows", type=int, default=24, help="that are timed, in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    for option, path in [("--gguf", arguments.gguf), *(("--data", path) for path in arguments.data)]:
        if path is not None and not path.is_file():
            sys.exit(f"{path} is missing: name the file with {option}.")
    python = trl_python()
    with tempfile.TemporaryDirectory() as folder:
        job = prepare(arguments.gguf or base_folder(), arguments.data, arguments.rows, arguments.threads, Path(folder))
        lengths = sorted(len(ids) for ids, _ in job.rows)
        trained = sum(len(ids) - prompt for ids, prompt in job.rows) / sum(lengths)
        print(
            f"{len(lengths)} rows of {lengths[0]} to {lengths[-1]} tokens (median {statistics.median(lengths):.0f}), "
            f"{trained:.0%} of them trained; {job.threads} threads"
        )
        compare_losses(job, python)
        figures: dict[str, list[Outcome]] = {}
        for number in range(arguments.rounds):
            for arm in arms():
                outcome = run(arm, job, python)
                figures.setdefault(arm.name, []).append(outcome)
                print(
                    f"round {number + 1}  {arm.name:20}{speed(outcome):9,.1f} trained tokens/s"
                    f"{speed_by_cpu(outcome):9,.1f} a CPU second{outcome.memory_mb:9,.0f} MB",
                    flush=True,
                )
    print(table(figures))


def arms() -> list[Arm]:
    import torch

    without = {"gradient_checkpointing": False}
    if torch.cuda.is_available():
        fast = {"use_liger_kernel": find_spec("liger_kernel") is not None, **without}
        best = [Arm("TRL, packed", "with_trl", {"packing": True, "max_length": 8192, **fast})]
    else:
        # Rows of 1,024 tokens, two for a step: as many tokens as the others have.
        one_row = {"per_device_train_batch_size": 1, "gradient_accumulation_steps": 2}
        best = [
            Arm("TRL, packed", "with_trl", {**one_row, "packing": True, **without}),
            Arm("TRL, by length", "with_trl", {"train_sampling_strategy": "group_by_length", **without}),
        ]
    packed = Arm("stillroom, packed", "with_stillroom", {"packing": "on"})
    return [CEILING, STILLROOM, packed, DEFAULTS, *best]


def prepare(model: Path, data: list[Path], timed: int, threads: int, folder: Path) -> Job:
    """The job of all arms; the model becomes a Hugging Face folder that each of them can load."""
    local = load_model(model)
    local.model.save_pretrained(folder)
    local.tokenizer.save_pretrained(folder)
    renderer = Renderer(local.tokenizer, "sft", local.end_ids)
    job = Job(str(folder), [], threads)
    wanted = job.warm_up * job.row_batch + timed
    rows = []
    for path in data:
        # As many rows of each file, whatever its size.
        some = rows_of(path, renderer)
        share = -(-wanted // len(data))
        rows += (some * -(-share // len(some)))[:share]
    random.Random(0).shuffle(rows)
    return replace(job, rows=rows[:wanted])


def rows_of(path: Path, renderer: Renderer) -> list[tuple[list[int], int]]:
    """Those of a fit length, in an order of our own."""
    lines = path.read_text("utf-8").splitlines()
    random.Random(0).shuffle(lines)
    rendered = renderer.render_all(trace(line) for line in lines[:MOST_LINES])
    return [
        (row.ids.tolist(), int(row.trained.argmax()))
        for each in rendered
        for row in each.rows
        if SHORTEST <= len(row.ids) <= LONGEST
    ]


def trace(line: str) -> Trace:
    example = json.loads(line)
    if "instances" in example:
        (first, *_) = example["instances"]
        question, answer = f"{example['instruction']}\n\n{first['input']}".strip(), first["output"]
    else:
        question = example.get("question", example.get("problem"))
        answer = example.get("answer", example.get("solution"))
    messages = (Message(role="user", content=question), Message(role="assistant", content=answer))
    return Trace(question_id="", messages=messages, source="benchmark")


def run(arm: Arm, job: Job, trl: Path) -> Outcome:
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(asdict(replace(job, options=arm.options)), file)
        file.flush()
        done = subprocess.run(
            [str(trl if arm.is_trl else sys.executable), "-m", f"benchmarks.train_contenders.{arm.module}", file.name],
            cwd=ROOT,
            env=os.environ | {"OMP_NUM_THREADS": str(job.threads), "TOKENIZERS_PARALLELISM": "false"} | QUIET,
            capture_output=True,
            text=True,
        )
    if done.returncode:
        sys.exit(f"{arm.name} failed (exit status {done.returncode}):\n{done.stderr[-3000:]}")
    return Outcome(**json.loads(done.stdout.splitlines()[-1]))


def compare_losses(job: Job, trl: Path) -> None:
    """The same batches of four rows in the same order, the same optimiser: the same losses, up to rounding."""
    few = replace(job, rows=job.rows[: 4 * LOSS_STEPS], row_batch=4, in_order=True)
    ours = run(STILLROOM, few, trl).losses
    theirs = run(DEFAULTS, few, trl).losses
    pairs = list(zip(ours, theirs, strict=True))
    print("identical batches, losses:", "  ".join(f"{one:.5f} / {other:.5f}" for one, other in pairs))
    print(f"largest difference {max(abs(one - other) / other for one, other in pairs):.1e} of the loss\n", flush=True)


def speed(outcome: Outcome) -> float:
    return outcome.trained / outcome.seconds


def speed_by_cpu(outcome: Outcome) -> float:
    """What a busy machine slows least."""
    return outcome.trained / outcome.cpu_seconds


def table(figures: dict[str, list[Outcome]]) -> str:
    lines = []
    for title, of in (("trained tokens/s", speed), ("a CPU second", speed_by_cpu)):
        lines += ["", f"{title:22}{'median':>9}{'MB':>8}{'of the ceiling':>26}{'stillroom over it':>26}"]
        for name, outcomes in figures.items():
            speeds = [of(each) for each in outcomes]
            shares = [one / of(top) for one, top in zip(speeds, figures[CEILING.name], strict=True)]
            ratios = [of(ours) / one for ours, one in zip(figures[STILLROOM.name], speeds, strict=True)]
            memory = statistics.median(each.memory_mb for each in outcomes)
            lines.append(
                f"{name:22}{statistics.median(speeds):9,.1f}{memory:8,.0f}{spread(shares):>26}{spread(ratios):>26}"
                f"  {outcomes[0].version}"
            )
    return "\n".join(lines)


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def trl_python() -> Path:
    """The Python of an environment with TRL, in which stillroom's own libraries are found too: one torch for all."""
    folder = ROOT / "benchmarks" / ".peers" / "trl"
    installed = folder / "installed.txt"
    python = folder / "bin" / "python"
    if not installed.is_file() or installed.read_text() != TRL:
        print(f"Making an environment with {TRL}", flush=True)
        folder.parent.mkdir(exist_ok=True)
        (folder.parent / ".gitignore").write_text("*\n")
        venv.create(folder, clear=True, with_pip=True)
        (site,) = folder.glob("lib/python3*/site-packages")
        (site / "ours.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")))
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", TRL], check=True)
        installed.write_text(TRL)
    return python


if __name__ == "__main__":
    main()
