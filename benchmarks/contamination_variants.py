"""The planted questions of benchmarks/contamination.py: makes variants.jsonl and fresh.jsonl.

    python -m benchmarks.contamination_variants --gsm8k FOLDER

FOLDER holds gsm8k_test.jsonl and gsm8k_train_part.jsonl. What no program should make (rewordings, short questions that
are merely alike) was written by hand and is only put together here; all else follows from SEED. variants.jsonl in
the repository was written before the detector was, fresh.jsonl after its first figures: they
are not to be made again to suit it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

SEED = 20261126
FOLDER = Path(__file__).parent / "data" / "contamination"
COUNTS = {"verbatim": 180, "numbers_swapped": 200, "half_quoted": 200, "clean_quoting": 100}
FRESH_COUNTS = {"verbatim": 40, "numbers_swapped": 100, "half_quoted": 100, "clean_quoting": 50}
Row = dict[str, str]

NUMBER = re.compile(r"\d+/\d+|\d[\d,]*(?:\.\d+)?")
FRACTIONS = ("1/2", "1/3", "2/3", "1/4", "3/4", "2/5", "3/5", "4/5", "1/6", "5/8")
NUMBER_WORDS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
NAMES = (
    "Agnes", "Bruno", "Carmen", "Dmitri", "Elena", "Farid", "Greta", "Hugo", "Ines", "Jonas", "Katya", "Luca",
    "Marisol", "Nadia", "Oscar", "Priya", "Quentin", "Rahel", "Stefan", "Thea", "Ulrich", "Vera", "Wanda",
    "Xenia", "Yusuf", "Zora",
)  # fmt: skip
_NO_NAMES = """
I Monday Tuesday Wednesday Thursday Friday Saturday Sunday January February March April May June July August September
October November December Mr Mrs Ms Dr TV DVD AM PM English French Spanish Math American Christmas Halloween Easter How
What If After
"""
NO_NAMES = set(_NO_NAMES.split())

WRAPPED = (
    "Question: {}\nAnswer:",
    "{}\n\nPlease reason step by step, and put your final answer within \\boxed{{}}.",
    "You are a careful tutor. Solve the following problem and explain each step.\n\n{}",
    "### Instruction:\n{}\n\n### Response:",
)
HOSTS_OF_FIRST_HALF = (
    "Here is the beginning of a word problem. Write an ending for it that a ten-year-old could solve.\n\n{} ...",
    'My daughter\'s homework sheet is torn, and all that can be read is this: "{}" What might the question have been?',
    "Translate the following fragment into German, keeping the numbers as they are: {}",
    'Does this text contain any grammatical mistakes? If so, list them.\n"{}"',
    "A teacher dictated: {} Then the bell rang. Which quantities had she named so far?",
    "Continue the story in the style of a fairy tale. {}",
    "List every number in the text below with its unit.\n\n---\n{}\n---",
)
HOSTS_OF_SECOND_HALF = (
    "The first lines of this problem are lost. Say what they must have contained.\n\n... {}",
    "I copied only the end of an exercise from the blackboard: \"{}\" Can it be solved with that alone?",
    "Rewrite this for a reader who learns English, in short sentences: {}",
    "Which school subject does this passage come from, and for what age is it meant? \"{}\"",
    "Someone read out \"{}\" and everybody started to calculate. Which operations would they need?",
    "Turn the text into a dialogue between two friends.\n\n{}",
    "Count the words of this excerpt and name its verbs.\n\n---\n{}\n---",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gsm8k", type=Path, required=True, help="folder of gsm8k_test.jsonl, gsm8k_train_part.jsonl")
    folder = parser.parse_args().gsm8k
    test, train = questions(folder / "gsm8k_test.jsonl"), questions(folder / "gsm8k_train_part.jsonl")
    both = Plan(str(SEED), COUNTS, range(len(test)))
    short = {row["id"]: row["text"] for row in read(FOLDER / "short_examination.jsonl")}
    made = [*verbatim(test, short, both), *by_hand(), *numbers_swapped(test, both), *half_quoted(test, train, both)]
    made += clean_quoting(train, both)
    write("variants.jsonl", made, half)
    # Questions that no other variant was made from.
    used = {row["of"] for row in made}
    unused = [i for i in range(len(test)) if f"gsm8k_test:{i}" not in used]
    third = Plan(f"{SEED} fresh", FRESH_COUNTS, unused)
    short = {row["id"]: row["text"] for row in read(FOLDER / "fresh_short_examination.jsonl")}
    made = [*verbatim(test, short, third), *read(FOLDER / "fresh_by_hand.jsonl"), *numbers_swapped(test, third)]
    made += [*half_quoted(test, train, third), *clean_quoting(train, third)]
    write("fresh.jsonl", made, lambda _: "fresh")


@dataclass(frozen=True)
class Plan:
    seed: str
    counts: dict[str, int]
    pool: Sequence[int]
    """The rows of the test set that may be used."""


def write(name: str, made: Sequence[Row], part: Callable[[str], str]) -> None:
    counted: dict[str, int] = {}
    with (FOLDER / name).open("w", encoding="utf-8") as file:
        for row in made:
            number = counted[row["kind"]] = counted.get(row["kind"], 0) + 1
            of = row["of"] or f"none:{row['kind']}-{number}"
            whole = {"id": f"{row['kind']}-{number}", "half": part(of), **row}
            file.write(json.dumps(whole, ensure_ascii=False) + "\n")
    print(name, counted)


def half(identity: str) -> str:
    """`tune` or `judge`. A question's variants are all in the half of that question."""
    return "judge" if hashlib.sha256(identity.encode()).digest()[0] & 1 else "tune"


def read(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def questions(path: Path) -> list[str]:
    if not path.exists():
        sys.exit(f"{path} is missing: give the folder that holds it with --gsm8k.")
    return [row["question"] for row in read(path)]


def verbatim(test: list[str], short: dict[str, str], plan: Plan) -> Iterator[Row]:
    chance = random.Random(f"{plan.seed} verbatim")
    ways = ("exact", "lower", "upper", "white space", "typography", "punctuation", "invisible", "wrapped")
    picked = [(f"gsm8k_test:{i}", test[i]) for i in chance.sample(plan.pool, plan.counts["verbatim"])]
    for number, (of, text) in enumerate([*picked, *((f"short:{name}", text) for name, text in short.items())]):
        how = ways[number % len(ways)]
        length = "short" if of.startswith("short") else "long"
        yield {"kind": "verbatim", "length": length, "how": how, "of": of, "text": trivially_changed(text, how, chance)}


def trivially_changed(text: str, how: str, chance: random.Random) -> str:
    if how == "lower":
        return text.lower()
    if how == "upper":
        return text.upper()
    if how == "white space":
        return "  " + "".join(chance.choice((" ", "  ", "\n", "\t")) if char == " " else char for char in text) + "\n"
    if how == "typography":
        curly = text.replace("'", "’").replace(' "', " “").replace('"', "”").replace("-", "‑")
        return curly if curly != text else text.replace("’", "'").replace(" ", "\u00a0")
    if how == "punctuation":
        return text.replace(",", " ,").replace(".  ", ". ").rstrip("?.") + " ?"
    if how == "invisible":
        return "".join(char + "\u200b" if char == "e" and chance.random() < 0.3 else char for char in text)
    if how == "wrapped":
        return chance.choice(WRAPPED).format(text)
    return text


def by_hand() -> Iterator[Row]:
    for row in read(FOLDER / "reworded_by_hand.jsonl"):
        yield {"kind": "reworded", "length": "long", **row}
    for row in read(FOLDER / "short_by_hand.jsonl"):
        of = "" if row["kind"] == "clean" else f"short:{row['of']}"
        how = f"like {row['of']}" if row["kind"] == "clean" else "by hand"
        yield {"kind": row["kind"], "length": "short", "how": how, "of": of, "text": row["text"]}


def numbers_swapped(test: list[str], plan: Plan) -> Iterator[Row]:
    """Other numbers; in every second question other names too, and number words in about half."""
    chance = random.Random(f"{plan.seed} numbers")
    names = proper_nouns(test)
    fit = [i for i in plan.pool if len(NUMBER.findall(test[i])) >= 2]
    for number, i in enumerate(chance.sample(fit, plan.counts["numbers_swapped"])):
        text = NUMBER.sub(lambda match: other_number(match[0], chance), test[i])
        if chance.random() < 0.5:
            words = "|".join(NUMBER_WORDS)
            text = re.sub(rf"\b({words})\b", lambda match: other_word(match[0], chance), text)
        how = "numbers"
        if number % 2:
            found = sorted(set(re.findall(r"\b[A-Z][a-z]+\b", text)) & names)
            for old, new in zip(found, chance.sample(NAMES, len(found)), strict=True):
                text = re.sub(rf"\b{old}\b", new, text)
            how = "numbers and names" if found else "numbers"
        yield {"kind": "numbers_swapped", "length": "long", "how": how, "of": f"gsm8k_test:{i}", "text": text}


def proper_nouns(texts: list[str]) -> set[str]:
    """Words with a capital inside a sentence that never stand without one."""
    inside = {word for text in texts for word in re.findall(r"(?<=[a-z,] )[A-Z][a-z]+\b", text)}
    plain = {word for text in texts for word in re.findall(r"\b[a-z]+\b", text)}
    return {word for word in inside if word.lower() not in plain} - NO_NAMES


def other_number(number: str, chance: random.Random) -> str:
    if "/" in number:
        return chance.choice([fraction for fraction in FRACTIONS if fraction != number])
    decimals = len(number.partition(".")[2])
    value = float(number.rstrip(",").replace(",", ""))
    other = value
    while other == value:
        other = round(max(value, 4) * chance.uniform(0.5, 2), decimals)
    tail = "," if number.endswith(",") else ""
    comma = "," if "," in number.rstrip(",") else ""
    return f"{other:{comma}.{decimals}f}{tail}"


def other_word(word: str, chance: random.Random) -> str:
    return chance.choice([other for other in NUMBER_WORDS if other != word])


def half_quoted(test: list[str], train: list[str], plan: Plan) -> Iterator[Row]:
    """The first or the second half of a question inside another text; in every third, joined to half of another one."""
    chance = random.Random(f"{plan.seed} halves")
    fit = [i for i in plan.pool if len(test[i].split()) >= 24]
    for number, i in enumerate(chance.sample(fit, plan.counts["half_quoted"])):
        first = number % 2 == 0
        text = half_of(test[i], first)
        if number % 3 == 2:
            other = half_of(chance.choice(train), not first)
            how, whole = "joined", f"{text} {other}" if first else f"{other} {text}"
        else:
            how, whole = "quoted", chance.choice(HOSTS_OF_FIRST_HALF if first else HOSTS_OF_SECOND_HALF).format(text)
        how += ", first half" if first else ", second half"
        yield {"kind": "half_quoted", "length": "long", "how": how, "of": f"gsm8k_test:{i}", "text": whole}


def clean_quoting(train: list[str], plan: Plan) -> Iterator[Row]:
    """Halves of training questions in the same surroundings: a rule that sees the surroundings sees these too."""
    chance = random.Random(f"{plan.seed} clean")
    for number in range(plan.counts["clean_quoting"]):
        first = number % 2 == 0
        text = half_of(chance.choice(train), first)
        whole = chance.choice(HOSTS_OF_FIRST_HALF if first else HOSTS_OF_SECOND_HALF).format(text)
        yield {"kind": "clean", "length": "long", "how": "quotes a training question", "of": "", "text": whole}


def half_of(text: str, first: bool) -> str:
    words = text.split(" ")
    middle = len(words) // 2
    return " ".join(words[:middle] if first else words[middle:])


if __name__ == "__main__":
    main()
