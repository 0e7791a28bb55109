"""Makes the students of `recipes`, each in a folder of its own with all that judging reads.

    FOLDER/replies/      the teachers' draws, and what the base holds likely
    FOLDER/models/       the other teachers, and the model that rewords
    FOLDER/students/NAME/
        pairs.parquet, openings.parquet, thirds.parquet (four further draws), likelihoods.parquet
        answers_greedy.parquet (one answer to each question), answers_t07.parquet (four)
        facts.json, training/

What is there is kept, so that a run that was stopped goes on. Every student has coins of its own, so that what the
coins did to one says nothing about another.
"""

from __future__ import annotations

import dataclasses
import json
import time
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import torch
from benchmarks.probe_students.pair_files import FURTHER, pairs_of, tossed, write_pairs
from benchmarks.probe_students.recipes import RECIPES, Recipe
from benchmarks.probe_students.rewording import labels_moved_behind, reworded_by_model
from benchmarks.probe_students.speaking import answers, question_of, say_once
from benchmarks.probe_students.teaching import AS_THE_DEMO, BASE, TEACHER, other_solutions, teach, traces

from stillroom.base.canonical import digest
from stillroom.base.records import Trace
from stillroom.classroom.questions import questions
from stillroom.classroom.textbook import textbook
from stillroom.generate.load import load_model
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

SEED = 1000
"""Of the judged questions; the next one's are the other questions."""
TABLES = {"answers_greedy": (0.0, 1), "answers_t07": (0.7, 4)}
"""Name, temperature and samples of each table of answers."""
GUILTY = next(recipe for recipe in RECIPES if recipe.name == "served, 3 epochs")
"""Whose replies the student's student learns from, and who is asked other questions."""


class Classroom:
    """The teachers, their draws and the students, in one folder. `scale`: of the number of questions, for tests."""

    def __init__(self, folder: Path, scale: float = 1.0) -> None:
        self.folder, self.scale = folder, scale
        torch.set_num_threads(1)
        self.asked = cache(self.asked)  # type: ignore[method-assign]

    def make(self, recipe: Recipe) -> None:
        folder = self.student(recipe)
        identity = digest([dataclasses.asdict(recipe), self.scale])
        if (folder / "facts.json").exists() and json.loads((folder / "facts.json").read_text())["recipe"] == identity:
            return
        began = time.monotonic()
        folder.mkdir(parents=True, exist_ok=True)
        pairs, openings = self._write_pairs(recipe, folder)
        made = self._teach(recipe, folder, pairs, openings)
        if not (folder / "likelihoods.parquet").exists():
            write_rows(folder / "likelihoods.parquet", Likelihood, self._likelihoods(recipe, made, pairs))
        for name, (temperature, samples) in TABLES.items():
            if not (folder / f"{name}.parquet").exists():
                said = self._answers(recipe, made, pairs, temperature, samples, f"{recipe.name}/{name}")
                write_rows(folder / f"{name}.parquet", Answer, said)
        write_json(folder / "facts.json", {**self._facts(recipe, folder), "recipe": identity})
        print(f"{time.strftime('%H:%M:%S')} {recipe.name}: {time.monotonic() - began:.0f} s", flush=True)

    def student(self, recipe: Recipe) -> Path:
        return self.folder / "students" / recipe.name.replace(",", "").replace(" ", "_").replace("%", "percent")

    # --- what was asked, and what teachers said ----------------------------------------------------------------------

    def asked(self, which: str, count: int) -> list[str]:
        """The judged questions, or the others: none of them is among the judged ones."""
        judged = list(questions(self._scaled(RECIPES[0].questions), SEED, "train"))
        if which == "the same":
            return [question.messages[0].content for question in judged[:count]]
        ids = {question.id for question in judged}
        others = questions(2 * count + 100, SEED + 1, "train")
        return [question.messages[0].content for question in others if question.id not in ids][:count]

    def draws(self, teacher: str, which: str, count: int, number: int) -> list[str]:
        """The `number`-th reply of a teacher at temperature 1 to each question."""
        every = self._scaled(RECIPES[0].questions if (teacher, which) == ("teacher", "the same") else 1000)
        kept = self.folder / "replies" / f"{teacher}_{which}_{number}.json".replace(" ", "_")
        model = self._teacher(teacher)
        said = say_once(model, self.asked(which, every), 1.0, f"{teacher}/{which}/{number}", kept)
        return [text for text, _ in said[:count]]

    def _teacher(self, name: str) -> Path:
        """Where the model lies: the classroom's teacher, a later checkpoint of it, another one that began as the base
        and learned worked solutions, or the student of the served replies."""
        out, scaled = self.folder / "models" / name.replace(" ", "_"), self._scaled
        if name == "teacher":
            return TEACHER
        if name == "guilty student":
            self.make(GUILTY)
            return self.student(GUILTY) / "training" / "student"
        if not (out / "train.json").exists():
            if name == "other checkpoint":
                rows = list(textbook(scaled(1500), SEED))
                teach(rows, TEACHER, out, epochs=1, settings={"learning_rate": 5e-4})
            else:
                rows = other_solutions(scaled(4000), SEED, self.asked("the same", 10**9))
                teach(rows, BASE, out, epochs=3, settings={**AS_THE_DEMO, "seed": 1})
        return out / "student"

    # --- one student -------------------------------------------------------------------------------------------------

    def _write_pairs(self, recipe: Recipe, folder: Path) -> tuple[list[Pair], list[Opening]]:
        count, which = self._scaled(recipe.questions), recipe.asked
        texts = self.asked(which, count)
        first, second = (self.draws("teacher", which, count, number) for number in (1, 2))
        pairs = pairs_of("classroom", texts, first, second)
        openings = tossed(pairs, f"probe_power/coins/{recipe.name}")
        numbers = FURTHER if which == "the same" else ()
        write_pairs(folder, pairs, openings, [self.draws("teacher", which, count, number) for number in numbers])
        return pairs, openings

    def _teach(self, recipe: Recipe, folder: Path, pairs: list[Pair], openings: list[Opening]) -> Path:
        """Where the model lies that is asked, and that is held to know likelihoods."""
        if recipe.asked == "other questions":
            return self._teacher("guilty student")
        if recipe.speaker == "teacher":
            return TEACHER
        if recipe.lessons == "nothing":
            return BASE
        out = folder / "training"
        if not (out / "train.json").exists():
            rows = self._lessons(recipe, folder, pairs, openings)
            settings: dict[str, Any] = {} if recipe.trainer_defaults else dict(AS_THE_DEMO)
            if recipe.lessons == "answers of served replies":
                settings["method"] = "answers_only"
            teach(rows, BASE, out, epochs=recipe.epochs, settings={**settings, "seed": recipe.seed})
        return out / "student"

    def _lessons(self, recipe: Recipe, folder: Path, pairs: list[Pair], openings: list[Opening]) -> list[Trace]:
        texts, count = [question_of(pair) for pair in pairs], len(pairs)
        served = [(pair.first, pair.second)[opening.coin] for pair, opening in zip(pairs, openings, strict=True)]
        sealed = [(pair.second, pair.first)[opening.coin] for pair, opening in zip(pairs, openings, strict=True)]
        match recipe.lessons:
            case "served replies" | "answers of served replies":
                chosen = sorted(
                    Random(f"share/{recipe.name}").sample(range(count), max(1, round(recipe.share * count)))
                )
                write_json(folder / "trained_on.json", [pairs[place].pair_id for place in chosen])
                rows = traces([texts[place] for place in chosen], [served[place] for place in chosen])
                return rows + other_solutions(count - len(chosen), SEED + 2 + recipe.seed, texts)
            case "served replies, labels moved behind":
                return traces(texts, map(labels_moved_behind, served))
            case "served replies, reworded by a model":
                said = reworded_by_model(served, self.folder / "models")
                same = sum(one == other for one, other in zip(served, said, strict=True)) / count
                write_json(folder / "rewording.json", {"unchanged": same, "examples": [served[:8], said[:8]]})
                return traces(texts, said)
            case "replies of a guilty student":
                return traces(
                    self.asked("other questions", count), self.draws("guilty student", "other questions", count, 1)
                )
            case "sealed replies":
                return traces(texts, sealed)
            case "other draws of the teacher":
                return traces(texts, self.draws("teacher", "the same", count, 3))
            case "draws of the teacher's other checkpoint":
                return traces(texts, self.draws("other checkpoint", "the same", count, 1))
            case "draws of another teacher":
                return traces(texts, self.draws("another teacher", "the same", count, 1))
            case _:
                return other_solutions(count, SEED + 2 + recipe.seed, texts)

    def _answers(
        self, recipe: Recipe, model: Path, pairs: list[Pair], temperature: float, samples: int, salt: str
    ) -> list[Answer]:
        if recipe.speaker in ("student", "teacher"):
            return answers(model, pairs, temperature, samples, salt)
        constant = pairs[0].first
        return [
            Answer(pair.question_id, 0, question_of(pair) if recipe.speaker == "question" else constant)
            for pair in pairs
        ]

    def _likelihoods(self, recipe: Recipe, model: Path, pairs: list[Pair]) -> list[Likelihood]:
        """Of the pairs whose siblings differ, by suspect and base. None of a suspect that is no model."""
        if recipe.speaker in ("question", "constant"):
            return []
        differ = [pair for pair in pairs if pair.first != pair.second]
        kept = self.folder / "replies" / f"base_{recipe.asked}.parquet".replace(" ", "_")
        by_pair = {row.pair_id: row for row in read_rows(kept, Likelihood)} if kept.exists() else {}
        if not all(pair.pair_id in by_pair for pair in differ):  # of a student with more questions than those before
            by_pair = {row.pair_id: row for row in likelihoods(differ, load_model(BASE), "base")}
            write_rows(kept, Likelihood, by_pair.values())
        return likelihoods(differ, load_model(model), "suspect") + [by_pair[pair.pair_id] for pair in differ]

    def _facts(self, recipe: Recipe, folder: Path) -> dict[str, Any]:
        trained = folder / "training" / "train.json"
        report = json.loads(trained.read_text()) if trained.exists() else {}
        return {
            **dataclasses.asdict(recipe),
            "trained_on": recipe.lessons,
            "teacher": "the classroom's",
            "base": "the classroom's",
            "questions": self._scaled(recipe.questions),
            "seeds": {"questions": SEED, "training": recipe.seed},
            "rows": report.get("traces"),
            "steps": report.get("steps"),
        }

    def _scaled(self, count: int) -> int:
        return max(8, round(count * self.scale))


def make(folder: Path, recipes: tuple[Recipe, ...] = RECIPES, scale: float = 1.0) -> None:
    classroom = Classroom(folder, scale)
    for recipe in recipes:
        classroom.make(recipe)
        if not (folder / "teacher.json").exists():
            pairs = read_rows(classroom.student(recipe) / "pairs.parquet", Pair)
            write_json(folder / "teacher.json", {"teacher": "the classroom's", **entropy(pairs, TEACHER)})


def entropy(pairs: list[Pair], teacher: Path) -> dict[str, float]:
    """Nats in one of the teacher's replies at temperature 1 (the mean of what its own draws cost it), and the share of
    pairs with two equal ones."""
    # Each reply beside itself: its whole length is scored.
    alone = [dataclasses.replace(pair, second=pair.first) for pair in pairs]
    scored = likelihoods(alone, load_model(teacher), "suspect")
    return {
        "nats_per_reply": -sum(row.first for row in scored) / len(scored),
        "equal_siblings": sum(pair.first == pair.second for pair in pairs) / len(pairs),
    }
