"""Real word problems, which neither the classroom's teacher nor SmolLM2-135M-Instruct can solve (docs/classroom.md).

    python benchmarks/smollm2.py --gguf SmolLM2-135M-Instruct.Q4_1.gguf --gsm8k gsm8k_test.jsonl [--n 40]

Asks the classroom's teacher and SmolLM2-135M-Instruct (weights dequantised from the GGUF file) the same word problems
of a JSONL file, each served the same way. Runs lie in `runs/`, and go on where they stopped.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from stillroom import pipeline
from stillroom.display import live_progress
from stillroom.recipe import load_recipe

RECIPES = Path(__file__).parent.parent / "recipes"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gguf", type=Path, required=True)
    parser.add_argument("--gsm8k", type=Path, required=True)
    parser.add_argument("--n", type=int, default=40)
    arguments = parser.parse_args()
    for name, place in (("classroom", "base_url: classroom"), ("smollm2", f"serve: {arguments.gguf.resolve()}")):
        word_problems(name, place, arguments.gsm8k, arguments.n)


def word_problems(name: str, place: str, gsm8k: Path, n: int) -> None:
    teacher = f"teacher={{model: {name}, {place}, terms: own, price: none}}"
    overrides = [f"name=gsm8k-{name}", teacher, "exam.max_tokens=256", "ask.max_tokens=256"]
    for source, count in (("questions", n), ("exam.questions", n)):
        overrides += [f"{source}.0.path={gsm8k}", f"{source}.0.count={count}"]
    recipe = load_recipe(RECIPES / "gsm8k-classroom.yaml", overrides)
    with live_progress() as progress:
        pipeline.ask(recipe, progress=progress)
        pipeline.check(recipe, progress=progress)
        pipeline.exam(recipe, progress=progress)
    show(f"{name}, {n} word problems, greedy", pipeline.report(recipe)["teacher"])


def show(what: str, taker: dict[str, float]) -> None:
    print(f"{what:<44} {taker['accuracy']:6.1%}   ({taker['low']:.1%} to {taker['high']:.1%}, n = {taker['n']})")


if __name__ == "__main__":
    main()
