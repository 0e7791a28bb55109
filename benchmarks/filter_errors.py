"""How often the rules of thumb of the check are wrong about texts that people and models wrote, and what they find.

    python benchmarks/filter_errors.py [--data ../shared/data]

Texts without a defect: questions and worked answers of GSM8K, problems and solutions of MATH, recorded replies of a
dozen providers, prompts that people wrote, Python files and notes of the packages that are installed here (as replies
with code). Each is taken for the reasoning and for the answer to an English question. Of the prompts, those in other
scripts are left out, and those in other languages with Latin letters are not: what is rejected is printed.

Planted: loops of several lengths at the end and in the middle; texts that change their language half way; a word of
Chinese; refusals. The texts that they are planted into are those above.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from stillroom.base.records import Message, Question
from stillroom.check.filters import Filters
from stillroom.check.language import scripts_in
from stillroom.check.rows import ROWS, Row
from stillroom.check.settings import CheckSettings
from stillroom.client.reply import parse_reply

MOST_CHARACTERS = 8000
QUESTION = Question(
    id="q",
    messages=(
        Message(role="user", content="How many are there in the box, and what would you do to find out about them?"),
    ),
    answer="29",
    kind="number",
    source="benchmark",
)
REFUSALS = [
    "I'm sorry, but I can't help with that.",
    "I cannot assist with this request.",
    "Sorry, I can't provide that.",
    "As an AI language model, I cannot answer questions about this.",
    "I apologize, but I'm unable to comply with this request.",
]
SPANISH = (
    "Primero miramos cuántos hay en la caja {n}, porque de ese número partimos, y después sumamos los que se han "
    "encontrado en el jardín, que no son pocos. "
)
UNITS = ["so ", "Wait, let me check that again. ", "Hmm, 12 + 17 = 29, but perhaps I should count them once more. " * 3]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    options = parser.parse_args()
    filters = Filters(CheckSettings(language="en"))
    filters.unfit(QUESTION, [reply(reasoning="Loads what has to be loaded. " + SPANISH)])
    clean = dict(corpora(options.data))
    print(f"{'texts without a defect':<26}{'texts':>8}{'rejected':>10}{'per 1,000':>11}{'us each':>9}")
    total = wrong = 0
    for name, texts in clean.items():
        rejected, seconds = judged(filters, texts)
        total, wrong = total + len(texts), wrong + len(rejected)
        each = f"{1000 * len(rejected) / len(texts):>11.2f}{1e6 * seconds / len(texts):>9.0f}"
        print(f"{name:<26}{len(texts):>8,}{len(rejected):>10}{each}")
        for text, (reason, detail) in rejected[:12]:
            print(f"    {reason}: {detail}; {' '.join(text.split())[:70]!r}")
    print(f"{'all':<26}{total:>8,}{wrong:>10}{1000 * wrong / total:>11.2f}")
    print(f"\n{'planted':<40}{'texts':>8}{'found':>8}")
    carriers = [text for name in ("gsm8k answers", "math solutions") for text in clean[name]][::10]
    for name, plant in PLANTS.items():
        random.seed(name)
        found = sum(reason_of(filters, **plant(text)) == name.partition(",")[0] for text in carriers)
        print(f"{name:<40}{len(carriers):>8,}{found:>8,}")


def corpora(data: Path) -> Iterator[tuple[str, list[str]]]:
    gsm8k = [*rows(data / "gsm8k_test.jsonl"), *rows(data / "gsm8k_train_part.jsonl")]
    yield "gsm8k answers", [row["answer"] for row in gsm8k]
    yield "gsm8k questions", [row["question"] for row in gsm8k]
    yield "math solutions", [row["solution"] for row in rows(data / "math_problems.jsonl")]
    yield "math problems", [row["problem"] for row in rows(data / "math_problems.jsonl")]
    replies = []
    for row in rows(data / "replies.jsonl"):
        body = row["body"] if isinstance(row["body"], str) else json.dumps(row["body"])
        parsed = parse_reply(body.encode(), row["status"])
        replies += [text for text in (parsed.answer, parsed.reasoning) if text and text.strip()]
    yield "recorded replies", replies
    prompts = [row["prompt"] for row in rows(data / "arena_hard.jsonl")]
    yield "prompts, Latin script", [text for text in prompts if not scripts_in(text)]
    packages = Path(sysconfig.get_paths()["purelib"])
    for name, pattern, most in (("python files", "*.py", 3000), ("notes of packages", "METADATA", 1000)):
        paths = sorted(packages.rglob(pattern))
        random.Random(0).shuffle(paths)
        texts = [path.read_text(encoding="utf-8", errors="ignore")[:MOST_CHARACTERS] for path in paths[:most]]
        yield name, [text for text in texts if text.strip() and not scripts_in(text)]


def rows(path: Path) -> Iterator[dict[str, Any]]:
    if not path.exists():
        sys.exit(f"{path} is missing: give the folder that holds it with --data.")
    with path.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def judged(filters: Filters, texts: list[str]) -> tuple[list[tuple[str, tuple[str, str]]], float]:
    started = time.perf_counter()
    findings = [filters.unfit(QUESTION, [reply(reasoning=text, answer=text)])[0] for text in texts]
    seconds = time.perf_counter() - started
    return [(text, found) for text, found in zip(texts, findings, strict=True) if found], seconds


def reason_of(filters: Filters, **columns: Any) -> str | None:
    (finding,) = filters.unfit(QUESTION, [reply(**columns)])
    return finding and finding[0]


def reply(**columns: Any) -> Row:
    row: Row = dict.fromkeys(ROWS.names)
    row |= {
        "status": "ok",
        "reasoning_form": "full",
        "block": "none",
        "answer": "There are 29.",
        "completion_tokens": 9,
    }
    return row | columns


def looped(text: str, unit: str, *, inside: bool) -> dict[str, str]:
    loop = unit * max(6, 400 // len(unit))
    middle = len(text) // 2
    return {"reasoning": text[:middle] + loop + text[middle:] if inside else f"{text} {loop}"}


def half_spanish(text: str) -> dict[str, str]:
    return {"reasoning": text + "\n\n" + "".join(SPANISH.format(n=n) for n in range(max(3, len(text) // len(SPANISH))))}


def one_chinese_word(text: str) -> dict[str, str]:
    words = text.split(" ")
    words.insert(random.randrange(len(words)), "因此")
    return {"reasoning": " ".join(words)}


PLANTS: dict[str, Callable[[str], dict[str, str]]] = {
    **{
        f"repetition, {len(unit)} characters, {place}": lambda text, unit=unit, place=place: looped(  # type: ignore[misc]
            text, unit, inside=place == "inside"
        )
        for unit in UNITS
        for place in ("end", "inside")
    },
    "wrong_language, the second half": half_spanish,
    "mixed_scripts, one word": one_chinese_word,
    "refused_in_words": lambda text: {"reasoning": text, "answer": random.choice(REFUSALS)},
}


if __name__ == "__main__":
    main()
