"""How well planted questions of an examination are found: recall and precision by kind, beside plain n-gram rules.

    python -m benchmarks.contamination --gsm8k FOLDER [--half judge] [--show]

FOLDER holds gsm8k_test.jsonl (the examination, with the short questions of benchmarks/data/contamination) and
gsm8k_train_part.jsonl (the clean questions that the planted ones stand among). What is planted, and which half is for
what: benchmarks/data/contamination/README.md.

A planted question counts as found where the examined question that it was made from is listed for it, by whatever rule.
Precision is the share of planted questions among all that are listed; for one kind, among those of that kind and the
clean ones that are listed. A plain n-gram rule lists a question that has n words in a row in common with an examined
question (letters and digits only, lower case).
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.contamination_variants import FOLDER, half, questions, read
from scipy.stats import binomtest

from stillroom.base.records import Message, Question
from stillroom.check.overlap.find import find_overlap
from stillroom.check.overlap.settings import OverlapSettings
from stillroom.store.tables import read_rows, write_questions

KINDS = ("verbatim", "reworded", "numbers_swapped", "half_quoted")
EXAMINED_RULES = ("copy", "near_copy", "numbers_swapped", "quoted_part")


@dataclass(frozen=True)
class Planted:
    id: str
    kind: str
    length: str
    how: str
    of: str
    """`gsm8k_test.jsonl line 3`, as the hits name it; empty for a clean one."""
    text: str


@dataclass
class Listed:
    """Per rule set: which examined questions each question was listed with, and by which rule."""

    by_question: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gsm8k", type=Path, required=True, help="folder of gsm8k_test.jsonl, gsm8k_train_part.jsonl")
    parser.add_argument("--half", choices=("judge", "tune", "fresh"), default="judge")
    parser.add_argument("--show", action="store_true", help="print what was missed, and what was listed wrongly")
    arguments = parser.parse_args()
    planted, real = everything(arguments.gsm8k, arguments.half)
    short = "fresh_short_examination.jsonl" if arguments.half == "fresh" else "short_examination.jsonl"
    examined = [arguments.gsm8k / "gsm8k_test.jsonl", FOLDER / short]
    ours = by_stillroom([*planted, *real], examined)
    rules = {"stillroom": ours}
    for n in (8, 13):
        rules[f"{n}-gram"] = by_ngrams([*planted, *real], examined, n)
    print(
        f"Half {arguments.half}: {sum(bool(each.of) for each in planted)} planted, "
        f"{sum(not each.of for each in planted)} clean questions\n"
    )
    print_kinds(planted, rules)
    print_rules(planted, ours)
    print_real(real, rules)
    if arguments.show:
        show(planted, ours)


def everything(folder: Path, wanted: str) -> tuple[list[Planted], list[Planted]]:
    """Planted and clean questions of one half; and the pairs that were there before, of both halves."""
    real = {row["train"]: row for row in read(FOLDER / "real_pairs.jsonl")}
    planted = [
        Planted(row["id"], row["kind"], row["length"], row["how"], called(row["of"]), row["text"])
        for row in [*read(FOLDER / "variants.jsonl"), *read(FOLDER / "fresh.jsonl")]
        if row["half"] == wanted
    ]
    pairs = []
    for number, text in enumerate(questions(folder / "gsm8k_train_part.jsonl")):
        identity = f"gsm8k_train:{number}"
        if identity in real:
            row = real[identity]
            pairs.append(Planted(identity, row["label"], "long", "real", called(row["of"]), text))
        elif wanted in (half(identity), "fresh"):
            planted.append(Planted(identity, "clean", "long", "training question", "", text))
    return planted, pairs


def called(of: str) -> str:
    """What the hits call the examined question: its place where it has no id."""
    source, _, name = of.partition(":")
    return f"line {int(name) + 1}" if source == "gsm8k_test" else name


def by_stillroom(planted: Sequence[Planted], examined: Sequence[Path]) -> Listed:
    listed = Listed()
    settings = OverlapSettings(duplicates="keep", near_duplicates="keep")
    with tempfile.TemporaryDirectory() as name:
        asked, table = Path(name) / "questions.parquet", Path(name) / "overlap.parquet"
        write_questions(
            asked,
            [
                Question(id=each.id, messages=(Message(role="user", content=each.text),), source="made")
                for each in planted
            ],
        )
        find_overlap(asked, examined, settings, table)
        for row in read_rows(table):
            if row["rule"] in EXAMINED_RULES:
                listed.by_question[row["question_id"]].setdefault(row["other_id"], row["rule"])
    return listed


def by_ngrams(planted: Sequence[Planted], examined: Sequence[Path], n: int) -> Listed:
    held: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for path in examined:
        for number, row in enumerate(read(path), 1):
            for gram in ngrams(row.get("question") or row["text"], n):
                held[gram].add(row.get("id") or f"line {number}")
    listed = Listed()
    for each in planted:
        for gram in ngrams(each.text, n):
            for other in held.get(gram, ()):
                listed.by_question[each.id][other] = "shared"
    return listed


def ngrams(text: str, n: int) -> Iterator[tuple[str, ...]]:
    words = re.findall(r"[a-z0-9]+", text.lower())
    return (tuple(words[at : at + n]) for at in range(len(words) - n + 1))


def print_kinds(planted: Sequence[Planted], rules: dict[str, Listed]) -> None:
    clean = [each for each in planted if not each.of]
    wrong = {name: sum(bool(listed.by_question.get(each.id)) for each in clean) for name, listed in rules.items()}
    print("| kind | planted | " + " | ".join(f"{name}: recall | precision" for name in rules) + " |")
    print("|---" * (2 + 2 * len(rules)) + "|")
    groups = [
        (f"{kind}, {length}", [each for each in planted if each.of and (each.kind, each.length) == (kind, length)])
        for kind in KINDS
        for length in ("long", "short")
    ]
    for strength in ("light", "medium", "heavy"):
        groups.append(
            (
                f"reworded, long, {strength}",
                [each for each in planted if each.kind == "reworded" and each.how == strength],
            )
        )
    groups.append(("all long", [each for each in planted if each.of and each.length == "long"]))
    groups.append(("all", [each for each in planted if each.of]))
    for title, group in groups:
        if group:
            cells = []
            for name, listed in rules.items():
                found = sum(each.of in listed.by_question.get(each.id, ()) for each in group)
                precision = found / (found + wrong[name]) if found else float("nan")
                cells.append(f"{share(found, len(group))} | {precision:.3f}")
            print(f"| {title} | {len(group)} | " + " | ".join(cells) + " |")
    print(
        f"\nClean questions listed wrongly, of {len(clean)}: "
        + ", ".join(f"{name} {count}" for name, count in wrong.items())
    )
    short = [each for each in clean if each.length == "short"]
    print(
        f"of these among the {len(short)} short ones that are merely alike: "
        + ", ".join(
            f"{name} {sum(bool(listed.by_question.get(each.id)) for each in short)}" for name, listed in rules.items()
        )
    )


def share(found: int, of: int) -> str:
    interval = binomtest(found, of).proportion_ci(method="wilson")
    return f"{found / of:.3f} ({interval.low:.2f} to {interval.high:.2f})"


def print_rules(planted: Sequence[Planted], listed: Listed) -> None:
    print("\nBy which rule stillroom found them (questions):\n\n| kind | " + " | ".join(EXAMINED_RULES) + " | missed |")
    print("|---" * 6 + "|")
    for kind in KINDS:
        group = [each for each in planted if each.kind == kind and each.of]
        counted = Counter(listed.by_question.get(each.id, {}).get(each.of, "missed") for each in group)
        print(f"| {kind} | " + " | ".join(str(counted[rule]) for rule in (*EXAMINED_RULES, "missed")) + " |")


def print_real(real: Sequence[Planted], rules: dict[str, Listed]) -> None:
    print("\nPairs that GSM8K's own training questions form with its test questions:\n")
    for label in ("numbers_swapped", "kin"):
        group = [each for each in real if each.kind == label]
        for name, listed in rules.items():
            met = Counter(listed.by_question.get(each.id, {}).get(each.of, "not listed") for each in group)
            print(f"{label}, {name}: " + ", ".join(f"{rule} {count}" for rule, count in sorted(met.items())))


def show(planted: Sequence[Planted], listed: Listed) -> None:
    for each in planted:
        found = listed.by_question.get(each.id, {})
        if each.of and each.of not in found:
            print(
                json.dumps({"missed": each.id, "how": each.how, "text": each.text, "listed": found}, ensure_ascii=False)
            )
        elif not each.of and found:
            print(
                json.dumps({"wrong": each.id, "how": each.how, "text": each.text, "listed": found}, ensure_ascii=False)
            )


if __name__ == "__main__":
    main()
