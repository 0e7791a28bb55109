"""A million questions through exact and near-duplicate removal: time, memory, and what was found of what was planted.

    python -m benchmarks.overlap_million [--questions 1000000] [--beside 100000] [--rounds 3]

The questions are made up: sentences of a hundred patterns, filled with words of a vocabulary of 20,000, some of them
frequent and most of them rare, as in real text. Planted among them: 5 % with the same text in other case, white space
or quotation marks, 5 % nearly the same (a word exchanged, left out or put in), and 5 % with one other number, which are
other questions; no planted one repeats another planted one. Then `--beside` such questions go through stillroom and
through datasketch (MinHash and MinHashLSH of runs of three words, of as many values, with the same threshold) in turn;
datasketch is installed in an environment of its own below benchmarks/.peers. Every run is a process of its own; its
memory is the most that was resident.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

from benchmarks.ask_contenders.environments import environment

from stillroom.base.records import Message, Question
from stillroom.check.overlap.find import find_overlap
from stillroom.check.overlap.settings import OverlapSettings
from stillroom.store.tables import read_rows, write_questions

DATASKETCH = "datasketch==2.0.0"
PEER = Path(__file__).parent / "overlap_contenders" / "with_datasketch.py"
SHARES = {"same": 0.05, "near": 0.05, "other_number": 0.05}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--questions", type=int, default=1_000_000)
    parser.add_argument("--beside", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="kept afterwards; by default a temporary one")
    parser.add_argument("--only", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        measure(arguments.only)
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        whole = folder / "questions.parquet"
        write_questions(whole, made(arguments.questions))
        print(f"{arguments.questions:,} questions, {whole.stat().st_size / 1e6:.0f} MB as Parquet", flush=True)
        figures = ours(whole)
        print(
            f"stillroom: {figures['seconds']:.0f} s, {figures['cpu']:.0f} s of processor time,"
            f" {figures['mb']:,.0f} MB resident at the most, {figures['left_out']}"
        )
        print_found({row["question_id"] for row in read_rows(folder / "overlap.parquet")}, arguments.questions)
        if arguments.beside:
            beside_datasketch(folder, min(arguments.beside, arguments.questions), arguments.rounds)


def ours(questions: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.overlap_million", "--only", str(questions)]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    figures: dict[str, float] = json.loads(printed)
    return figures


def measure(questions: Path) -> None:
    began = time.perf_counter()
    found = find_overlap(questions, [], OverlapSettings(), questions.with_name("overlap.parquet"))
    seconds = time.perf_counter() - began
    used = resource.getrusage(resource.RUSAGE_SELF)
    figures = {"seconds": seconds, "cpu": used.ru_utime + used.ru_stime, "mb": used.ru_maxrss / 1024}
    print(json.dumps(figures | {"left_out": found.report()["left_out"]}))


def beside_datasketch(folder: Path, count: int, rounds: int) -> None:
    part, lines = folder / "part" / "questions.parquet", folder / "part" / "questions.jsonl"
    part.parent.mkdir(exist_ok=True)
    write_questions(part, made(count))
    with lines.open("w", encoding="utf-8") as file:
        for question in made(count):
            file.write(json.dumps([question.id, question.messages[0].content]) + "\n")
    peer = environment("datasketch", (DATASKETCH,), counts_tokens=False)
    print(f"\n{count:,} of them, {rounds} rounds, seconds (stillroom, datasketch, ratio):")
    ratios = []
    for _ in range(rounds):
        own = ours(part)
        printed = subprocess.run(
            [str(peer.python), str(PEER), str(lines)], check=True, stdout=subprocess.PIPE, text=True
        )
        other = json.loads(printed.stdout)
        ratios.append(other["seconds"] / own["seconds"])
        sides = [f"{side['seconds']:.1f} ({side['mb']:.0f} MB)" for side in (own, other)]
        print(*sides, f"{ratios[-1]:.1f}", flush=True)
    print(f"{DATASKETCH} takes {statistics.median(ratios):.1f} times as long ({min(ratios):.1f} to {max(ratios):.1f})")
    print("stillroom:")
    print_found({row["question_id"] for row in read_rows(part.with_name("overlap.parquet"))}, count)
    print("datasketch:")
    print_found(set(other["left_out"]), count)


def print_found(left_out: set[str], count: int) -> None:
    planted = plan(count)
    rows = {int(identity) for identity in left_out}
    for kind in SHARES:
        those = [row for row, (name, _) in planted.items() if name == kind]
        found = sum(row in rows for row in those)
        print(f"  {kind}: {found:,} of {len(those):,} left out ({found / len(those):.4f})")
    print(f"  not planted: {len(rows - planted.keys()):,} left out")


def plan(count: int) -> dict[int, tuple[str, int]]:
    """Which rows repeat an earlier one, and how."""
    chance = random.Random("plan")
    planted: dict[int, tuple[str, int]] = {}
    for row in range(1000, count):
        drawn = chance.random()
        for kind, share in SHARES.items():
            if drawn < share:
                planted[row] = kind, chance.randrange(row)
                break
            drawn -= share
    return {row: (kind, original) for row, (kind, original) in planted.items() if original not in planted}


def made(count: int) -> Iterator[Question]:
    planted = plan(count)
    for row in range(count):
        kind, original = planted.get(row, ("own", row))
        text = changed(text_of(original), kind, random.Random(f"change {row}"))
        message = Message(role="user", content=text)
        # Ids in the order of the rows: the original, which comes first, is the one that stays.
        yield Question(id=f"{row:08d}", messages=(message,), source="made", kind="none")


def text_of(row: int) -> str:
    chance = random.Random(row)
    pattern = PATTERNS[chance.randrange(len(PATTERNS))]
    words = iter(chance.choices(VOCABULARY, cum_weights=CUMULATED, k=len(pattern)))
    return " ".join(
        next(words) if slot == "W" else str(chance.randint(2, 999)) if slot == "N" else slot for slot in pattern
    )


def changed(text: str, kind: str, chance: random.Random) -> str:
    words = text.split(" ")
    if kind == "same":
        way = chance.randrange(4)
        return (text.upper(), "  ".join(words), f"“{text}”", f"\n{text} ")[way]
    if kind == "near":
        places = [at for at, word in enumerate(words) if not word.isdigit()]
        at, word = chance.choice(places), chance.choices(VOCABULARY, cum_weights=CUMULATED)[0]
        way = chance.randrange(3)
        return " ".join(words[:at] + ([word], [], [word, words[at]])[way] + words[at + 1 :])
    if kind == "other_number":
        at = chance.choice([at for at, word in enumerate(words) if word.isdigit()])
        return " ".join([*words[:at], str(int(words[at]) + chance.randint(1, 99)), *words[at + 1 :]])
    return text


def vocabulary(chance: random.Random) -> list[str]:
    syllables = [first + vowel for first in "bdfgklmnprstvz" for vowel in "aeiou"]
    words: dict[str, None] = {}
    while len(words) < 20_000:
        words["".join(chance.choices(syllables, k=chance.randint(2, 4))) + chance.choice(("", "n", "r", "t", "l"))] = (
            None
        )
    return list(words)


def patterns(chance: random.Random) -> list[list[str]]:
    """What stays the same in many questions: function words; W and N stand for a word and a number."""
    small = [
        "the",
        "a",
        "of",
        "to",
        "and",
        "in",
        "is",
        "that",
        "it",
        "for",
        "was",
        "on",
        "are",
        "as",
        "with",
        "his",
        "they",
        "at",
        "be",
        "this",
        "from",
        "have",
        "or",
        "by",
        "one",
        "had",
        "not",
        "but",
    ]
    small += [
        "what",
        "all",
        "were",
        "when",
        "we",
        "there",
        "can",
        "an",
        "your",
        "which",
        "their",
        "if",
        "will",
        "each",
        "about",
        "how",
        "up",
        "out",
        "them",
        "then",
        "she",
        "many",
        "some",
    ]
    made = []
    for _ in range(100):
        length = chance.randint(22, 60)
        slots = [chance.choice(small) if chance.random() < 0.45 else "W" for _ in range(length)]
        for at in chance.sample(range(length), chance.randint(2, 5)):
            slots[at] = "N"
        made.append(slots)
    return made


VOCABULARY = vocabulary(random.Random("vocabulary"))
CUMULATED = list(accumulate(1 / (rank + 20) for rank in range(len(VOCABULARY))))
PATTERNS = patterns(random.Random("patterns"))


if __name__ == "__main__":
    main()
