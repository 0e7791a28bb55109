"""What SmolLM2-135M-Instruct learns of one family of the classroom, from the embedded teacher's replies.

    python benchmarks/smollm2_distilled.py --gguf SmolLM2-135M-Instruct.Q4_1.gguf [--runs FOLDER] [--set KEY=VALUE ...]

Runs recipes/smollm2-distilled.yaml from its questions to its report, and prints what the examination found of each
model, the minutes of each training, and those of the whole: on the clock, and of the processor, processes that were
started on the way included. A run that was stopped goes on where it was; its minutes are then those of the rest.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

from stillroom import pipeline
from stillroom.display import live_progress
from stillroom.recipe import load_recipe
from stillroom.store.files import read_object

RECIPE = Path(__file__).parent.parent / "recipes" / "smollm2-distilled.yaml"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gguf", type=Path, required=True)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change the recipe")
    arguments = parser.parse_args()
    recipe = load_recipe(RECIPE, [f"train.student={arguments.gguf.resolve()}", *arguments.set])
    began, used = time.monotonic(), processor_seconds()
    with live_progress() as progress:
        pipeline.run(recipe, runs=arguments.runs, progress=progress)
    wall, processor = time.monotonic() - began, processor_seconds() - used
    examination(arguments.runs / recipe.name)
    trainings(arguments.runs / recipe.name)
    print(f"in all: {wall / 60:.1f} minutes, {processor / 60:.1f} of the processor")


def examination(run: Path) -> None:
    for name, taker in read_object(run / "summary.json").items():
        if isinstance(taker, dict) and "accuracy" in taker:
            interval = f"{taker['low']:.1%} to {taker['high']:.1%}, n = {taker['n']}"
            print(f"{name:<14}{taker['accuracy']:6.1%}   ({interval})")


def trainings(run: Path) -> None:
    for file in sorted((run / "train").glob("*/train.json")):
        facts = read_object(file)
        losses = [loss for _, loss, *_ in facts["curve"]]
        print(
            f"train {facts['method']:<14}{facts['traces']:,} traces, {facts['trained_tokens']:,} trained tokens in "
            f"{facts['seconds'] / 60:.1f} minutes ({facts['tokens_per_second']:.0f} a second), {facts['steps']} steps, "
            f"loss {losses[0]:.2f} to {sum(losses[-10:]) / len(losses[-10:]):.3f}"
        )


def processor_seconds() -> float:
    """Of this process, and of those that it started and that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


if __name__ == "__main__":
    main()
