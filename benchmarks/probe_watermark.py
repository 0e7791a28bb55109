"""What a watermark costs, how much text it takes to find it, and whether students of marked replies carry it.

    python -m benchmarks.probe_watermark FOLDER [--asked 300] [--taught 300] [--epochs 2]     # a stopped run goes on

The classroom's teacher answers at temperature 1, unmarked and marked with rising strength. Its accuracy on questions of
the exam is compared with the unmarked one's on the same questions; then its own text is searched for the mark, and so
are the answers of students that were taught with it, wholly, in part and not at all: from the untaught base, and from
the teacher's own weights, where a student can write already. Prints Markdown tables. Questions are by seeds of 1000 and
more; nothing of the test was chosen on them.
"""

from __future__ import annotations

import argparse
import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from benchmarks.probe_students.teaching import AS_THE_DEMO, BASE, TEACHER, teach, traces

from stillroom.classroom.problem import Problem
from stillroom.classroom.questions import problems, questions
from stillroom.exam.statistics import compare, share
from stillroom.generate.generator import Generator
from stillroom.generate.load import LocalModel, load_model
from stillroom.generate.prompt import conversation_text, encode
from stillroom.generate.sampling import Sampling
from stillroom.probe.watermark.green_test import green_test
from stillroom.probe.watermark.token_pairs import TokenPairs, token_pairs
from stillroom.probe.watermark.weights import Weights, against_unmarked, each_once
from stillroom.store.files import write_json
from stillroom.text.green_list import Mark
from stillroom.text.think import split_think

STRENGTHS = (1.0, 2.0, 4.0)
SHARE = 0.25
KEY = np.random.default_rng(1000).bytes(16)
OTHER_KEYS = 400
SIZES = (10, 30, 100)
"""Answers of a piece of text that is searched."""


class Student(NamedTuple):
    name: str
    strength: float | None
    marked: float = 0.0
    """Share of its traces that are marked: those of the first questions."""
    draws: int = 0
    """Which set of the unmarked replies the others are of."""
    taught_before: bool = False
    """It starts from the teacher's own weights, which can write already, and not from the untaught base."""


STUDENTS = (
    Student("unmarked, one set of draws", None),
    Student("unmarked, another set of draws", None, draws=1),
    Student("strength 4, all replies marked", 4.0, 1.0),
    Student("strength 2, all replies marked", 2.0, 1.0),
    Student("strength 4, one reply in five marked", 4.0, 0.2),
)
FURTHER = (
    Student("the teacher taught further, unmarked", None, taught_before=True),
    Student("the teacher taught further, strength 4", 4.0, 1.0, taught_before=True),
)
FURTHER_EPOCHS, FURTHER_SETTINGS = 4, {"learning_rate": 5e-4, "step_tokens": 1024}


class Room:
    def __init__(self, folder: Path, asked: int, taught: int, epochs: int) -> None:
        self.folder, self.epochs = folder, epochs
        self.exam: list[Problem] = list(problems(asked, 1000, "exam"))
        self.lessons = [question.messages[0].content for question in questions(taught, 1001, "train")]
        tokenizer = load_model(TEACHER).tokenizer
        self.asked_tokens = [encode(tokenizer, problem.text) for problem in self.exam]
        self._tokenizer = tokenizer

    def say(self, model: Path, texts: Sequence[str], salt: str, strength: float | None = None) -> list[str]:
        """The model's replies, kept in a file."""
        kept = self.folder / f"{salt.replace(' ', '_').replace(',', '')}.json"
        if kept.exists():
            return [str(text) for text in json.loads(kept.read_text())]
        mark = None if strength is None else Mark(KEY, SHARE, strength)
        replies = say(load_model(model), texts, salt, mark)
        write_json(kept, replies)
        return replies

    def right(self, replies: Sequence[str]) -> list[bool]:
        return [
            split_think(reply).answer.strip() == problem.answer
            for reply, problem in zip(replies, self.exam, strict=True)
        ]

    def pairs(self, replies: Sequence[str], which: Sequence[int] | None = None) -> TokenPairs:
        places = range(len(replies)) if which is None else which
        return token_pairs((self.asked_tokens[place], encode(self._tokenizer, replies[place])) for place in places)

    def exam_replies(self, strength: float | None, draw: int = 0) -> list[str]:
        texts = [problem.text for problem in self.exam]
        return self.say(TEACHER, texts, f"exam {draw} strength {strength or 0:g}", strength)

    def student(self, student: Student) -> Path:
        """Taught with the teacher's replies."""
        out = self.folder / student.name.replace(" ", "_").replace(",", "")
        if not (out / "student" / "config.json").exists():
            replies = self.say(TEACHER, self.lessons, f"lessons {student.draws}")
            if student.strength:
                number = round(student.marked * len(self.lessons))
                marked = self.say(TEACHER, self.lessons, f"lessons strength {student.strength:g}", student.strength)
                replies = [*marked[:number], *replies[number:]]
            start, epochs, settings = BASE, self.epochs, AS_THE_DEMO
            if student.taught_before:
                start, epochs, settings = TEACHER, FURTHER_EPOCHS, FURTHER_SETTINGS
            settings = {**settings, "seed": zlib.crc32(student.name.encode())}
            teach(traces(self.lessons, replies), start, out, epochs=epochs, settings=settings)
        return out / "student"


def say(local: LocalModel, texts: Sequence[str], salt: str, mark: Mark | None, most: int = 200) -> list[str]:
    """The model's reply to each text at temperature 1, of at most `most` tokens. The same for the same salt."""
    generator = Generator(local, max_batch=256, threads=1)
    try:
        generations = generator.submit_all(
            [
                (
                    encode(local.tokenizer, conversation_text(local.tokenizer, [{"role": "user", "content": text}])),
                    Sampling(max_tokens=most, seed=f"{salt}/{text}", mark=mark),
                )
                for text in texts
            ]
        )
        return [
            str(local.tokenizer.decode(generation.result(), skip_special_tokens=True)) for generation in generations
        ]
    finally:
        generator.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--asked", type=int, default=300)
    parser.add_argument("--taught", type=int, default=300)
    parser.add_argument("--epochs", type=int, default=2)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    room = Room(arguments.folder, arguments.asked, arguments.taught, arguments.epochs)
    cost(room)
    detection(room)
    radioactivity(room)


def cost(room: Room) -> None:
    print(f"What it costs the teacher, on {len(room.exam)} questions of the exam, one answer to each:\n")
    print("| strength | right | 95 % interval | less than unmarked | its 95 % interval | p |")
    print("|---|---|---|---|---|---|")
    plain = room.right(room.exam_replies(None))
    for strength in (None, *STRENGTHS):
        right = room.right(room.exam_replies(strength))
        own, paired = share(sum(right), len(right)), compare(plain, right)
        less = "-" if strength is None else f"{paired.difference:.1%}"
        interval = "-" if strength is None else f"{paired.low:.1%} to {paired.high:.1%}"
        p_value = "-" if strength is None else f"{paired.p_value:.2g}"
        print(
            f"| {strength or 'unmarked'} | {own.accuracy:.1%} | {own.low:.1%} to {own.high:.1%} "
            f"| {less} | {interval} | {p_value} |",
            flush=True,
        )


def detection(room: Room) -> None:
    print("\nThe mark in the teacher's own text: pieces in which it is found at p <= 0.01:\n")
    sizes = [size for size in SIZES if size <= len(room.exam)]
    print("| strength | weights | " + " | ".join(f"{size} answers" for size in sizes) + " | all: z | p |")
    print("|---|---|" + "---|" * (len(sizes) + 2))
    reference = room.pairs(room.exam_replies(None, draw=1))
    for strength in (None, *STRENGTHS):
        replies = room.exam_replies(strength)
        for name in ("each once", "against unmarked"):
            cells = [_found(room, replies, size, name, reference) for size in sizes]
            z, p_value = _score(_weights(room.pairs(replies), name, reference))
            print(f"| {strength or 'unmarked'} | {name} | {' | '.join(cells)} | {z:.2f} | {p_value:.4f} |", flush=True)


def _found(room: Room, replies: Sequence[str], size: int, name: str, reference: TokenPairs) -> str:
    pieces = [range(first, first + size) for first in range(0, len(replies) - size + 1, size)][:10]
    p_values = [_score(_weights(room.pairs(replies, piece), name, reference))[1] for piece in pieces]
    tokens = np.mean([room.pairs(replies, piece).tokens for piece in pieces])
    return f"{sum(p <= 0.01 for p in p_values)} of {len(pieces)} ({tokens:,.0f} tokens)"


def radioactivity(room: Room) -> None:
    innocent: list[tuple[str, Weights]] = []
    for start, epochs, students in (("the base", room.epochs, STUDENTS), ("the teacher", FURTHER_EPOCHS, FURTHER)):
        print(
            f"\nStudents that start from {start}, taught {len(room.lessons)} replies for {epochs} epochs, "
            f"asked {len(room.exam)} other questions:\n"
        )
        innocent += _students(room, students)
    print(f"\nThe unmarked students, under {OTHER_KEYS} other keys: accused at 0.05 and at 0.01:\n")
    for name, weights in innocent:
        random = np.random.default_rng(1)
        marks: dict[str | None, Mark] = {str(n): Mark(random.bytes(16), SHARE, 1.0) for n in range(OTHER_KEYS)}
        p_values = np.array([score.p_value for score in green_test(weights, marks, 1, accounts=1).scores])
        print(f"- {name}: {(p_values <= 0.05).mean():.1%}, {(p_values <= 0.01).mean():.1%}")


def _students(room: Room, students: Sequence[Student]) -> list[tuple[str, Weights]]:
    """Prints their table. Returns what the unmarked ones are judged by."""
    against = ("each once", "against the unmarked teacher", "against an unmarked twin")
    print("| student | right | " + " | ".join(f"{name}: z | p" for name in against) + " |")
    print("|---|---|---|---|---|---|---|---|")
    texts = [problem.text for problem in room.exam]
    teacher = room.pairs(room.exam_replies(None, draw=1))
    twin: TokenPairs | None = None
    innocent: list[tuple[str, Weights]] = []
    for student in students:
        replies = room.say(room.student(student), texts, f"answers of {student.name}")
        pairs = room.pairs(replies)
        every = [each_once(pairs), against_unmarked(pairs, teacher)]
        if twin is not None:
            every.append(against_unmarked(pairs, twin))
        if student.strength is None:
            named = zip(against, every, strict=False)
            innocent += [(f"{student.name}, {name}", weights) for name, weights in named]
        cells = [f"{z:.2f} | {p_value:.4f}" for z, p_value in map(_score, every)] + ["- | -"] * (3 - len(every))
        print(f"| {student.name} | {np.mean(room.right(replies)):.0%} | {' | '.join(cells)} |", flush=True)
        twin = twin or pairs
    return innocent


def _weights(pairs: TokenPairs, name: str, reference: TokenPairs) -> Weights:
    return each_once(pairs) if name == "each once" else against_unmarked(pairs, reference)


def _score(weights: Weights) -> tuple[float, float]:
    found = green_test(weights, {None: Mark(KEY, SHARE, 1.0)}, 0)
    return found.scores[0].z, found.p_value


if __name__ == "__main__":
    main()
