"""What is found of a bank's questions when they are reworded or framed, whom it wrongs, and what it costs.

    python -m benchmarks.watch_banks --data FOLDER [--calls 10_000_000] [--secrets 20]

FOLDER holds gsm8k_test.jsonl and gsm8k_train_part.jsonl (the bank), and arena_hard.jsonl and seed_tasks.jsonl (real
prompts of other people's). Further unrelated texts are what installed packages say of themselves. A sketch depends on
the secret, so each text is sketched with several. The reworded questions are those of benchmarks/data/contamination:
written by hand, before banks were.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from benchmarks.contamination_variants import FOLDER, read
from scipy.stats import beta

from stillroom.store.secrets import Secrets
from stillroom.text.normal import normalised
from stillroom.text.prints import Prints
from stillroom.text.sketch import GRAM, PLACES
from stillroom.watch.banks.match import CALLS, match
from stillroom.watch.banks.prints import BankPrints, BankText
from stillroom.watch.banks.reading import read_texts

LEAST = (16, 18, 20, 22, 24, 28)
LIKENESSES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
FRAMES = (0.25, 0.5, 1, 1.5, 2, 3, 5)
"""Lengths of an instruction around a question, in lengths of the question."""
EPOCH = "2026q4"
MOST_TEXTS = 20_000
MOST_AT_ONCE = 1_000_000
QUESTIONS = 7_473
"""As many as GSM8K's training set has."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the files named above")
    parser.add_argument("--calls", type=int, default=1_000_000, help="calls that are timed")
    parser.add_argument("--secrets", type=int, default=5, help="secrets that unrelated texts are sketched with")
    asked = parser.parse_args()
    test, train = (texts(asked.data, f"gsm8k_{name}.jsonl", "question") for name in ("test", "train_part"))
    prompts = [
        *texts(asked.data, "arena_hard.jsonl", "prompt"),
        *texts(asked.data, "seed_tasks.jsonl", "instruction"),
    ]
    bank = BankText("gsm8k", (*test, *train), None, "")
    prints = Prints(Secrets(bytes(32)), EPOCH)
    printed = BankPrints.of(bank, prints)
    print(f"A bank of {len(printed):,} questions.\n")
    show_planted(printed, prints, test)
    show_framed(printed, prints, bank.questions, prompts)
    other = BankText("gsm8k-train", tuple(train), "train", "")
    show_kin(other, prints, test)
    show_unrelated(bank, [*prompts, *installed_texts()], asked.secrets)
    show_cost(other, prints, {"prompts of all kinds": prompts, "questions like the bank's": test}, asked.calls)


def show_planted(bank: BankPrints, prints: Prints, tests: Sequence[str]) -> None:
    """Which share of planted questions hits the question it was made from, by the places required: of each kind, and
    by how much the two texts really have in common."""
    rows = [row for row in read(FOLDER / "variants.jsonl") if row["length"] == "long"]
    made = [row for row in rows if row["of"].startswith("gsm8k_test:")]
    of = np.array([int(row["of"].partition(":")[2]) for row in made])
    calls = calls_of([row["text"] for row in made], prints)
    found = {least: hits(calls, stricter(bank, least)) for least in LEAST}
    kinds = [f"{row['kind']}, {row['how']}" for row in made]
    real = np.array([likeness(row["text"], tests[each]) for row, each in zip(made, of, strict=True)])
    print("Planted questions that hit the one they were made from, by the places that must be shared:")
    print(f"{'':38}{'rows':>6}{'exact':>7}" + "".join(f"{least:>7}" for least in LEAST))
    groups = {kind: np.array(kinds) == kind for kind in sorted(set(kinds))}
    groups |= {f"likeness {low} to {low + 0.1:.1f}": (real >= low) & (real < low + 0.1) for low in LIKENESSES}
    for name, is_of in groups.items():
        at = np.flatnonzero(is_of)
        exact = share(found[LEAST[0]], at, of, only_exact=True)
        shares = "".join(f"{share(found[least], at, of):>7.0%}" for least in LEAST)
        print(f"{name:38}{len(at):>6}{exact:>7.0%}{shares}")
    print()


def show_framed(bank: BankPrints, prints: Prints, questions: Sequence[str], prompts: Sequence[str]) -> None:
    """The question inside an instruction: of real prompts, cut to a length."""
    chance = random.Random(11)
    picked = chance.sample(range(len(questions)), 500)
    frames = " ".join(prompt for prompt in prompts if prompt.isascii())
    print("Questions inside an instruction, by its length in lengths of the question:")
    print(f"{'':8}" + "".join(f"{least:>7}" for least in LEAST))
    for length in FRAMES:
        asked = []
        for question in picked:
            size = int(length * len(questions[question]))
            start = chance.randrange(len(frames) - size)
            asked.append(f"{frames[start : start + size]}\n\n{questions[question]}")
        calls, of, at = calls_of(asked, prints), np.array(picked), np.arange(len(picked))
        found = "".join(f"{share(hits(calls, stricter(bank, least)), at, of):>7.0%}" for least in LEAST)
        print(f"{length:<8}{found}")
    print()


def show_kin(bank: BankText, prints: Prints, tests: Sequence[str]) -> None:
    """Questions of the same kind, none of which is in the bank."""
    printed, calls = BankPrints.of(bank, prints), calls_of(tests, prints)
    found = "".join(f"{len(hits(calls, stricter(printed, least))) / len(tests):>7.1%}" for least in LEAST)
    print(f"GSM8K's {len(tests):,} test questions that hit one of its {len(printed):,} training questions:")
    print("".join(f"{least:>7}" for least in LEAST))
    print(f"{found}\n")


def show_unrelated(bank: BankText, unrelated: Sequence[str], secrets: int) -> None:
    """Of texts that have nothing to do with the bank, how many hit it."""
    counts = dict.fromkeys(LEAST, 0)
    for number in range(secrets):
        prints = Prints(Secrets(bytes([number]) * 32), EPOCH)
        printed, calls = BankPrints.of(bank, prints), calls_of(unrelated, prints)
        for least in LEAST:
            counts[least] += len(hits(calls, stricter(printed, least)))
    tried = len(unrelated) * secrets
    print(f"Of {len(unrelated):,} unrelated texts with {secrets} secrets each, by the places that must be shared:")
    for least, count in counts.items():
        highest = beta.ppf(0.95, count + 1, tried - count)
        print(f"{least:>4}  {count:>4} hits: {count / tried:.1e} of calls, at most {highest:.1e} (95 %, one-sided)")
    print()


def show_cost(bank: BankText, prints: Prints, kinds: dict[str, Sequence[str]], size: int) -> None:
    """Beside what the gateway spent on the prints and the sketch of the same calls."""
    questions = [bank.questions[number % len(bank.questions)] + f" {number}" for number in range(QUESTIONS)]
    printed = BankPrints.of(replace(bank, questions=tuple(questions)), prints)
    print(f"Of one core, for {size:,} calls against {len(printed):,} questions:")
    for name, asked in kinds.items():
        began = time.process_time()
        calls = calls_of(asked, prints)
        to_print = (time.process_time() - began) / len(asked)
        batch = pa.Table.from_batches([calls] * (size // len(asked) + 1)).slice(0, min(size, MOST_AT_ONCE))
        batches = batch.combine_chunks().to_batches()
        match(batches[0].slice(0, 100), [printed])
        began = time.process_time()
        for _ in range(0, size, batch.num_rows):
            match(batches[0], [printed])
        took = time.process_time() - began
        each = took / size
        print(f"  {name}: {took:.1f} s, {each * 1e6:.1f} us a call, 1/{to_print / each:.0f} of printing it")


def likeness(one: str, other: str) -> float:
    """The Jaccard similarity of the runs of five characters."""
    runs = [
        {text[at : at + GRAM] for at in range(len(text) - GRAM + 1)} for text in (normalised(one), normalised(other))
    ]
    return len(runs[0] & runs[1]) / len(runs[0] | runs[1])


def stricter(bank: BankPrints, least: int) -> BankPrints:
    """The same bank where `least` places must be shared, in long questions; short ones stay as they are."""
    usual = int(bank.least.min())
    return replace(bank, least=np.where(bank.least == usual, least, bank.least).astype(np.uint8))


def hits(calls: pa.RecordBatch, bank: BankPrints) -> dict[int, tuple[int, bool]]:
    """By the call's number: which question, and whether it is the same text."""
    rows = match(calls, [bank]).to_pylist()
    return {int(row["call_id"]): (row["question"], row["is_exact"]) for row in rows}


def share(found: dict[int, tuple[int, bool]], at: np.ndarray, of: np.ndarray, only_exact: bool = False) -> float:
    right = [each for each in at.tolist() if each in found and found[each][0] == of[each]]
    return sum(found[each][1] or not only_exact for each in right) / len(at)


def calls_of(asked: Sequence[str], prints: Prints) -> pa.RecordBatch:
    printed = [prints.texts(text, None) for text in asked]
    return pa.RecordBatch.from_arrays(
        [
            pa.array([str(number) for number in range(len(asked))]),
            pa.array(["acct"] * len(asked)),
            pa.array([0] * len(asked)),
            pa.array([prints.print_key_id] * len(asked)),
            pa.array([each.prompt for each in printed], pa.string()),
            pa.array([each.sketch for each in printed], pa.binary(PLACES)),
        ],
        schema=CALLS,
    )


def texts(folder: Path, name: str, column: str) -> list[str]:
    path = folder / name
    if not path.exists():
        sys.exit(f"{path} is missing: give the folder that holds it with --data.")
    return list(read_texts(path, column))


def installed_texts() -> list[str]:
    """Paragraphs of descriptions and docstrings of the packages that are installed here, each once."""
    found: dict[str, None] = {}
    for folder in map(Path, sys.path):
        if folder.name != "site-packages":
            continue
        for path in sorted(folder.glob("*.dist-info/METADATA")):
            found.update(dict.fromkeys(path.read_text(encoding="utf-8", errors="replace").split("\n\n")))
        for path in sorted(folder.glob("*/*.py")):
            code = path.read_text(encoding="utf-8", errors="replace")
            found.update(dict.fromkeys(re.findall(r'"""(.*?)"""', code, re.DOTALL)))
    long_enough = [text for text in found if len(text) > 40]
    return random.Random(1).sample(long_enough, min(MOST_TEXTS, len(long_enough)))


if __name__ == "__main__":
    main()
