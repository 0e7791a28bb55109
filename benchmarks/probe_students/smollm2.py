"""Makes the students of `smollm2_recipes`, for `benchmarks.probe_power --students FOLDER/students`.

    python -m benchmarks.probe_students.smollm2 --gguf SmolLM2-135M-Instruct.Q4_1.gguf --out FOLDER [--processes 6]

Teacher and base are the same model: nothing but the draw of the served replies tells a student that learned from them.
Minutes on a GPU, on which several processes train at once; days on a CPU (`--scale 0.1 --only NAME` is for trying).
Whatever is there already is kept, so that a run that was stopped goes on.

    FOLDER/models/       the base, and the other checkpoint
    FOLDER/replies/      the teacher's draws, and what the base holds likely
    FOLDER/students/NAME/
        pairs.parquet, openings.parquet, thirds.parquet (four further draws), likelihoods.parquet
        answers_greedy.parquet (one answer to each question), answers_t07.parquet (as many as the recipe says)
        facts.json, training/
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Any

import torch
from benchmarks.probe_students.pair_files import FURTHER, pairs_of, tossed, write_pairs
from benchmarks.probe_students.smollm2_drawing import TOKENS, draw
from benchmarks.probe_students.smollm2_questions import other_questions, questions
from benchmarks.probe_students.smollm2_recipes import MOST, RECIPES, Recipe
from benchmarks.probe_students.speaking import question_of

from stillroom.base.progress import Silent
from stillroom.base.records import Message, Trace
from stillroom.generate.load import LocalModel, load_model
from stillroom.probe.likelihood import likelihoods
from stillroom.store.files import write_json
from stillroom.store.siblings import (
    Answer,
    Likelihood,
    Opening,
    Pair,
    read_rows,
    write_rows,
)
from stillroom.store.tables import write_traces
from stillroom.train.run import train
from stillroom.train.settings import TrainSettings

LEARNING_RATE = 1e-4
DRAWS = [("same", number) for number in (1, 2, *FURTHER, 7)] + [("other", 1)]
"""Of the teacher, for each seed: what was asked, and a number; 7 is somebody else's."""
REWORD = "Say the following text in other words.\n\n{}"
GUILTY = next(recipe for recipe in RECIPES if recipe.name == "served, 3 epochs")
"""Whose replies the students' students learn from."""
SEEDS = sorted({recipe.seed for recipe in RECIPES})


@dataclass(frozen=True, slots=True)
class Room:
    """The models, the draws and the students in one folder. `scale`: of the number of questions."""

    folder: Path
    gguf: Path
    scale: float = 1.0

    # --- models and what they say ------------------------------------------------------------------------------------

    @property
    def base(self) -> Path:
        return self.folder / "models" / "base"

    def make_base(self) -> None:
        """As a folder, which is read faster than the GGUF file."""
        if not (self.base / "tokenizer_config.json").exists():
            local = load_model(self.gguf)
            local.model.save_pretrained(self.base)
            local.tokenizer.save_pretrained(self.base)

    @property
    def checkpoint(self) -> Path:
        return self.folder / "models" / "other_checkpoint" / "student"

    def make_checkpoint(self) -> None:
        """Of the teacher: a little later, after an epoch of its own replies to other questions."""
        said = self.draws(self.base, "teacher", 1000, "other", 1)
        self._train(self.checkpoint.parent, self.asked("other", 1000), said, epochs=1, seed=0)

    def asked(self, which: str, seed: int, count: int = MOST) -> list[str]:
        return (questions if which == "same" else other_questions)(self.scaled(count), seed)

    def draws(self, model: Path, name: str, seed: int, which: str, number: int) -> list[str]:
        """A reply at temperature 1 to each question, kept in a file."""
        kept = self.folder / "replies" / f"{name}_{which}_{seed}_{number}.json"
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            said = draw(half(loaded(model)), self.asked(which, seed), 1.0, kept.stem)
            write_json(kept, [text for text, _ in said])
        return [str(text) for text in json.loads(kept.read_text())]

    def teacher(self, seed: int, number: int, count: int = MOST, which: str = "same") -> list[str]:
        return self.draws(self.base, "teacher", seed, which, number)[: self.scaled(count)]

    def base_likelihoods(self, seed: int) -> list[Likelihood]:
        kept = self.folder / "replies" / f"base_{seed}.parquet"
        if not kept.exists():
            write_rows(kept, Likelihood, likelihoods(self.pairs(seed, MOST), loaded(self.base), "base"))
        return read_rows(kept, Likelihood)

    def pairs(self, seed: int, count: int) -> list[Pair]:
        first, second = (self.teacher(seed, number, count) for number in (1, 2))
        return pairs_of(f"smollm2-{seed}", self.asked("same", seed)[: self.scaled(count)], first, second)

    # --- one student -------------------------------------------------------------------------------------------------

    def student(self, recipe: Recipe) -> Path:
        return self.folder / "students" / recipe.name.replace(",", "").replace(" ", "_").replace("%", "percent")

    def make(self, recipe: Recipe) -> None:
        folder, began = self.student(recipe), time.monotonic()
        if (folder / "facts.json").exists():
            return
        folder.mkdir(parents=True, exist_ok=True)
        pairs, openings = self._write_pairs(recipe, folder)
        model = self._taught(recipe, folder, pairs, openings)
        taught = time.monotonic() - began
        local = loaded(model)
        known = {row.pair_id: row for row in self.base_likelihoods(recipe.seed)}
        found = likelihoods(pairs, local, "suspect") + [known[pair.pair_id] for pair in pairs]
        write_rows(folder / "likelihoods.parquet", Likelihood, found)
        half(local)
        for name, temperature, samples in (("answers_greedy", 0.0, 1), ("answers_t07", 0.7, recipe.samples)):
            write_rows(
                folder / f"{name}.parquet", Answer, answers(local, pairs, temperature, samples, f"{recipe.name}/{name}")
            )
        write_json(folder / "facts.json", self._facts(recipe, folder))
        seconds = time.monotonic() - began
        print(f"{time.strftime('%H:%M:%S')} {recipe.name}: {taught:.0f} s taught, {seconds:.0f} s in all", flush=True)

    def _write_pairs(self, recipe: Recipe, folder: Path) -> tuple[list[Pair], list[Opening]]:
        pairs = self.pairs(recipe.seed, recipe.questions)
        openings = tossed(pairs, f"smollm2/coins/{recipe.name}")
        write_pairs(folder, pairs, openings, [self.teacher(recipe.seed, each, recipe.questions) for each in FURTHER])
        return pairs, openings

    def _taught(self, recipe: Recipe, folder: Path, pairs: list[Pair], openings: list[Opening]) -> Path:
        """Where the model lies that learned what the recipe says."""
        if recipe.lessons == "nothing":
            return self.base
        asked, replies = self._lessons(recipe, folder, pairs, openings)
        return self._train(folder / "training", asked, replies, epochs=recipe.epochs, seed=recipe.seed)

    def _lessons(
        self, recipe: Recipe, folder: Path, pairs: list[Pair], openings: list[Opening]
    ) -> tuple[list[str], list[str]]:
        asked, seed, count = [question_of(pair) for pair in pairs], recipe.seed, len(pairs)
        served = [(pair.first, pair.second)[opening.coin] for pair, opening in zip(pairs, openings, strict=True)]
        sealed = [(pair.second, pair.first)[opening.coin] for pair, opening in zip(pairs, openings, strict=True)]
        guilty = self.student(GUILTY) / "training" / "student"
        match recipe.lessons:
            case "served replies":
                chosen = sorted(Random(f"share/{recipe.name}").sample(range(count), round(recipe.share * count)))
                write_json(folder / "trained_on.json", [pairs[place].pair_id for place in chosen])
                fill = count - len(chosen)
                return (
                    [asked[place] for place in chosen] + self.asked("other", seed)[:fill],
                    [served[place] for place in chosen] + self.teacher(seed, 1, which="other")[:fill],
                )
            case "served replies, reworded by a model":
                texts = [REWORD.format(reply) for reply in served]
                said = [text for text, _ in draw(half(loaded(self.base)), texts, 0.7, recipe.name, TOKENS + 16)]
                same = sum(one == other for one, other in zip(served, said, strict=True)) / count
                write_json(folder / "rewording.json", {"unchanged": same, "examples": [served[:8], said[:8]]})
                return asked, said
            case "replies of a guilty student to the same questions":
                return asked, self.draws(guilty, "guilty", seed, "same", 1)[:count]
            case "replies of a guilty student to other questions":
                return self.asked("other", seed), self.draws(guilty, "guilty", seed, "other", 1)
            case "sealed replies":
                return asked, sealed
            case "other draws of the teacher":
                return asked, self.teacher(seed, 7, recipe.questions)
            case "draws of the teacher's other checkpoint":
                return asked, self.draws(self.checkpoint, "checkpoint", seed, "same", 1)[:count]
            case _:
                return self.asked("other", seed), self.teacher(seed, 1, which="other")

    def _train(self, out: Path, asked: Sequence[str], replies: Sequence[str], *, epochs: int, seed: int) -> Path:
        if not (out / "train.json").exists():
            out.mkdir(parents=True, exist_ok=True)
            rows = [
                Trace(
                    question_id=question,
                    messages=(Message(role="user", content=question), Message(role="assistant", content=reply)),
                    source="SmolLM2-135M-Instruct",
                )
                for question, reply in zip(asked, replies, strict=True)
                if reply.strip()
            ]
            write_traces(out / "traces.parquet", rows)
            settings = TrainSettings(
                student=self.base.name, epochs=epochs, learning_rate=LEARNING_RATE, precision="bfloat16",
                step_tokens=2048, batch_tokens=2048, checkpoint_steps=10**6, seed=seed,
            )  # fmt: skip
            train(out / "traces.parquet", self.base, out, settings, Silent())
        return out / "student"

    def _facts(self, recipe: Recipe, folder: Path) -> dict[str, Any]:
        report = folder / "training" / "train.json"
        return {
            **dataclasses.asdict(recipe),
            "trained_on": recipe.lessons,
            "teacher": "SmolLM2-135M-Instruct",
            "base": "SmolLM2-135M-Instruct",
            "questions": self.scaled(recipe.questions),
            "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU",
            "training": json.loads(report.read_text()) if report.exists() else {},
        }

    def scaled(self, count: int) -> int:
        return max(8, round(count * self.scale))


def loaded(model: Path) -> LocalModel:
    local = load_model(model)
    module: torch.nn.Module = local.model
    module.to("cuda" if torch.cuda.is_available() else "cpu")
    return local


def half(local: LocalModel) -> LocalModel:
    """In bfloat16, which is faster wherever there are products in it."""
    module: torch.nn.Module = local.model
    module.to(torch.bfloat16)
    return local


def answers(local: LocalModel, pairs: Iterable[Pair], temperature: float, samples: int, salt: str) -> list[Answer]:
    """Of each question, which a pair has, in the pairs' order."""
    asked = {pair.question_id: question_of(pair) for pair in pairs}
    order = [(question, sample) for question in asked for sample in range(samples)]
    said = draw(local, [asked[question] for question, _ in order], temperature, salt)
    return [Answer(*place, *text) for place, text in zip(order, said, strict=True)]


def make(room: Room, recipes: Sequence[Recipe], processes: int) -> None:
    """What several recipes share comes first, so that no two processes make the same; then those that need nobody."""
    room.make_base()
    seeds = {recipe.seed for recipe in recipes}
    learns_from_a_model = [
        recipe for recipe in recipes if "student" in recipe.lessons or "checkpoint" in recipe.lessons
    ]
    others = [recipe for recipe in recipes if recipe not in learns_from_a_model]
    draws = {(seed, which, number) for seed in seeds | {1000} for which, number in DRAWS}
    needed: list[Callable[[], object]] = []
    if any("checkpoint" in recipe.lessons for recipe in recipes):
        needed.append(room.make_checkpoint)
    if any("student" in recipe.lessons for recipe in recipes) and GUILTY not in others:
        others.append(GUILTY)
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        every = [pool.submit(room.draws, room.base, "teacher", *each) for each in sorted(draws)]
        _wait(every)
        _wait([pool.submit(room.base_likelihoods, seed) for seed in sorted(seeds)])
        _wait([pool.submit(each) for each in needed] + [pool.submit(room.make, recipe) for recipe in others])
        _wait([pool.submit(room.make, recipe) for recipe in learns_from_a_model])


def _wait(futures: Iterable[Future[Any]]) -> None:
    """For all of them, though one should fail: what the others made is kept."""
    for future in wait(list(futures)).done:
        future.result()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gguf", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", action="append", help="the name of a student; may be given again")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of questions")
    arguments = parser.parse_args()
    named = [recipe for recipe in RECIPES if recipe.name in (arguments.only or [recipe.name])]
    make(Room(arguments.out, arguments.gguf, arguments.scale), named, arguments.processes)


if __name__ == "__main__":
    main()
