"""What the embedded models can do: the teacher by family, the base student by single step and without steps.

    python benchmarks/classroom.py [--models DIR] [--n 1000]

Prints a table with Wilson 95 % intervals. `--models` names a folder with `teacher` and `base`, to look at models before
they are packed.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random
from typing import Any

from stillroom.base.records import Question
from stillroom.classroom import lessons
from stillroom.classroom.families import FAMILIES
from stillroom.classroom.models import HERE
from stillroom.classroom.questions import questions
from stillroom.exam.statistics import share
from stillroom.generate.generator import Generator
from stillroom.generate.load import load_model
from stillroom.generate.sampling import Sampling
from stillroom.text.think import split_think
from stillroom.verify import verify_many

SINGLE_STEPS = {
    "one sum": lessons.one_sum,
    "one difference": lessons.one_difference,
    "one product": lessons.one_product,
    "one herd": lessons.one_herd,
    "one time": lessons.one_time,
}


def answers(generator: Generator, texts: Iterable[str], temperature: float) -> list[str]:
    """What the model says to each text, think block included."""
    tokenizer = generator.local.tokenizer
    generations = []
    for number, text in enumerate(texts):
        turns = [{"role": "user", "content": text}]
        prompt: Any = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=False)
        generations.append(generator.submit(prompt, Sampling(temperature=temperature, max_tokens=256, seed=number)))
    return [str(tokenizer.decode(generation.result(), skip_special_tokens=True)) for generation in generations]


def by_family(generator: Generator, n: int, temperature: float) -> None:
    for family in FAMILIES:
        asked: list[Question] = list(questions(n, 1000, "exam", [family]))
        said = answers(generator, (q.messages[0].content for q in asked), temperature)
        verdicts = verify_many([(q, split_think(text).answer) for q, text in zip(asked, said, strict=True)])
        line(family, [verdict.verdict == "right" for verdict in verdicts])


def single_steps(generator: Generator, n: int) -> None:
    """Each step is one line of a list of ten of all kinds that have nothing to do with each other, as the base learned
    them; at least `n` lines of each kind."""
    random = Random(1000)
    right: dict[str, list[bool]] = {name: [] for name in SINGLE_STEPS}
    while min(map(len, right.values())) < n:
        lists = [random.choices(list(SINGLE_STEPS), k=lessons.ITEMS) for _ in range(100)]
        steps = [[SINGLE_STEPS[name](random) for name in names] for names in lists]
        for names, asked, said in zip(lists, steps, answers(generator, map(lessons.ask_each, steps), 0), strict=True):
            written = said.split("\n")
            for place, (name, step) in enumerate(zip(names, asked, strict=True)):
                right[name].append(place < len(written) and written[place] == step)
    for name, verdicts in right.items():
        line(name, verdicts)


def line(name: str, right: Sequence[bool]) -> None:
    result = share(sum(right), len(right))
    print(
        f"  {name:<16} {result.accuracy:6.1%}   ({result.low:.1%} to {result.high:.1%}, n = {len(right)})", flush=True
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, default=HERE)
    parser.add_argument("--n", type=int, default=1000)
    arguments = parser.parse_args()
    base = Generator(load_model(arguments.models / "base"), max_batch=128)
    print("base, single steps, greedy")
    single_steps(base, arguments.n)
    print("base, whole questions, greedy")
    by_family(base, arguments.n, 0)
    base.close()
    teacher = Generator(load_model(arguments.models / "teacher"), max_batch=128)
    for temperature in (0.0, 0.7):
        print(f"teacher, whole questions, temperature {temperature}")
        by_family(teacher, arguments.n, temperature)
    teacher.close()


if __name__ == "__main__":
    main()
