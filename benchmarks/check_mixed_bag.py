"""100,000 replies with every defect, through the real check: does each get its reason, and does the sum come out?

    python benchmarks/check_mixed_bag.py [--replies 100000] [--sentences 12] [--profile]

The questions are word problems of one template; two replies of four are good, the others have a planted defect each.
Some questions are planted as a whole: twice, in almost the same words, in the examination, without an answer, too easy,
too hard. A file from elsewhere is mixed in. Printed are the counts by reason beside what was planted, the time, and the
memory at its most. Exits with 1 where a reply is missing, or has a reason that was not planted.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import random
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

from stillroom.ask.files import file_rows
from stillroom.base.records import Message, Question
from stillroom.check.reasons import REASONS
from stillroom.check.run import check
from stillroom.check.settings import CheckSettings, MixSettings
from stillroom.store.schemas import REPLIES
from stillroom.store.tables import read_rows, write_questions, write_table

Row = dict[str, Any]
KEPT = "kept"
SAMPLES = 4
"""Replies to each question."""
ELSEWHERE = 0.02
"""Rows of the file that is mixed in, for each reply."""
SPECIAL = 20
"""One question in so many of each kind that is planted as a whole."""

NAMES = ["Ann", "Ben", "Cleo", "Dan", "Eve", "Finn", "Gil", "Hana", "Ida", "Jon"]
THINGS = ["pears", "plums", "stamps", "marbles", "pencils", "shells", "buttons", "cards", "coins", "stones"]
THOUGHTS = [
    "There are {a} of them in the box to begin with, and that is the number that we start from.",
    "Then {b} more are found, which means that they have to be added to what was there before.",
    "Let me look at the tens first: {a} is a bit more than {c}, and {b} is not far from {d}.",
    "If we took {d} away again, we would be back where we were, so this seems to be right.",
    "Nothing is said about any of them getting lost, so that all {a} of them are still in the box.",
    "The garden has nothing to do with the number in the box, except that {b} come from there.",
    "Another way to see it is to count on from {a}, and to stop after {b} steps.",
    "The question is how many there are now, and not how many ({b}) were found on that day.",
]
SPANISH = [
    "Al principio hay {a} en la caja, y ese es el número del que partimos para hacer la cuenta.",
    "Después encuentra {b} más en el jardín, así que hay que sumarlos a los que ya estaban antes.",
    "Primero miramos las decenas, porque {a} es un poco más que {c}, y después las unidades.",
    "La pregunta es cuántos hay ahora en total, y no cuántos ({b}) ha encontrado en ese día.",
]


class Bag:
    """What is planted: questions, replies, and which outcomes each reply may have."""

    def __init__(self, replies: int, sentences: int) -> None:
        self.count = replies // SAMPLES
        self.sentences = sentences
        self.may_be: dict[str, set[str]] = {}
        self.planted: Counter[str] = Counter()
        self._defects = cycle(DEFECTS)

    def questions(self) -> Iterator[Question]:
        for number in range(self.count):
            text, first, second = asked(number)
            special = self.special(number)
            yield Question(
                id=f"q{number:07}",
                messages=(Message(role="user", content=text),),
                answer=None if special == "unverifiable" else str(first + second),
                kind="math" if number % 10 == 3 else "number",
                source="crowd" if number % 10 == 7 else f"source {number % 23}",
                family=THINGS[number // 10 % 10],
            )

    @staticmethod
    def special(number: int) -> str | None:
        kinds = {
            4: "too_easy",
            1: "duplicate_question",
            2: "near_duplicate_question",
            5: "contaminated",
            6: "unverifiable",
            8: "too_hard",
            9: "not_selected",
        }
        return kinds.get(number % (10 * SPECIAL))

    def replies(self) -> Iterator[Row]:
        for number in range(self.count):
            for sample, (row, outcome) in enumerate(self._replies_to(number)):
                key = f"sha256:{number:07}-{sample}"
                lots = {"source_share"} if number % 10 == 7 else set()
                self.may_be[key] = {KEPT, "long_share", *lots} if outcome == KEPT else {outcome}
                self.planted[outcome] += 1
                yield (
                    dict.fromkeys(REPLIES.names)
                    | row
                    | {
                        "key": key,
                        "question_id": f"q{number:07}",
                        "sample": sample,
                        "teacher": "planted",
                    }
                )

    def _replies_to(self, number: int) -> list[tuple[Row, str]]:
        special = self.special(number)
        rows = [good(number, sample, self.sentences) for sample in range(SAMPLES)]
        if special == "not_selected":
            return [(rows[0], KEPT), (rows[1], KEPT), (rows[1], "duplicate"), (rows[3], "not_selected")]
        if special is not None:
            return [(row, special) for row in rows]
        first, second = next(self._defects), next(self._defects)
        return [
            (rows[0], KEPT),
            (rows[1], KEPT),
            (defect(first, rows[2], number), first.partition(" ")[0]),
            (defect(second, rows[3], number), second.partition(" ")[0]),
        ]

    def elsewhere(self) -> Iterator[Row]:
        """Rows of a file: most are good, some wrong, some no conversation."""
        for number in range(self.count, self.count + int(self.count * SAMPLES * ELSEWHERE)):
            text, first, second = asked(number)
            row = good(number, 0, self.sentences)
            said = {"role": "assistant", "content": row["answer"], "reasoning_content": row["reasoning"]}
            if number % 11 == 0:
                said["content"] = f"There are {first + second + 1} now."
                self.planted["wrong"] += 1
            elif number % 11 == 1:
                said = {"role": "user", "content": "Well?"}
                self.planted["not_a_conversation"] += 1
            else:
                self.planted[KEPT] += 1
            yield {"messages": [{"role": "user", "content": text}, said], "solution": str(first + second)}


def asked(number: int) -> tuple[str, int, int]:
    """The text of a question, and the two numbers in it."""
    special = Bag.special(number)
    if special in ("duplicate_question", "near_duplicate_question"):
        number -= 1 if special == "duplicate_question" else 2  # both copy the one whose number ends in 00
    name, thing = NAMES[number % 10], THINGS[number // 10 % 10]
    first, second = 12 + number * 7 % 9973, 3 + number * 13 % 7919
    where = "in the big garden" if special == "near_duplicate_question" else "in the garden"
    text = (
        f"{name} has {first} {thing} in a wooden box and finds {second} more of them {where} on day {number} of a very "
        f"long summer with her friends. How many {thing} does {name} have now, if none of them got lost on the way?"
    )
    return text, first, second


def good(number: int, sample: int, sentences: int) -> Row:
    _, first, second = asked(number)
    is_long = number % 4 == 0 and sample == 0
    return {
        "status": "ok",
        "reasoning_form": "full",
        "reasoning": f"{thought(THOUGHTS, number, sample, sentences)} {first} + {second} = {first + second}.",
        "answer": f"There are {first + second} now.",
        "block": "none",
        "completion_tokens": (1500 if is_long else 20 * sentences) + sample,
        "counted_by": "provider",
    }


def thought(sentences: list[str], number: int, sample: int, count: int) -> str:
    draw = random.Random(number * SAMPLES + sample)
    said = []
    for _ in range(count):
        a, b = draw.randrange(10, 9999), draw.randrange(10, 9999)
        said.append(draw.choice(sentences).format(a=a, b=b, c=a // 10 * 10, d=b // 10 * 10))
    return " ".join(said)


DEFECTS = [
    "failed", "refused", "empty", "truncated", "no_reasoning", "no_reasoning hidden", "summary_reasoning",
    "broken_think_block", "broken_think_block inside", "answer_in_reasoning", "answer_in_reasoning other",
    "empty_answer", "refused_in_words", "too_long", "repetition", "repetition inside", "mixed_scripts",
    "wrong_language", "wrong", "unsure",
]  # fmt: skip


def defect(name: str, row: Row, number: int) -> Row:
    """The reply with one defect."""
    _, first, second = asked(number)
    total, reasoning = first + second, row["reasoning"]
    loop = "Wait, let me check that once more, because I am not sure about it. " * 8
    spanish = thought(SPANISH, number, 0, 10)
    changes: dict[str, Row] = {
        "failed": {"status": "failed", "error_kind": "http_500", "answer": "", "reasoning": None},
        "refused": {"status": "refused", "error_kind": "content_filter", "answer": "", "reasoning": None},
        "empty": {"status": "empty", "error_kind": "no_text", "answer": "", "reasoning": None},
        "truncated": {"status": "truncated", "finish_reason": "length", "max_tokens": 512, "answer": ""},
        "no_reasoning": {"reasoning": None, "reasoning_form": "none"},
        "no_reasoning hidden": {"reasoning": None, "reasoning_form": "hidden", "reasoning_tokens": 50},
        "summary_reasoning": {"reasoning_form": "summary"},
        "broken_think_block": {"block": "unclosed", "answer": ""},
        "broken_think_block inside": {"answer": f"</think> There are {total}."},
        "answer_in_reasoning": {"reasoning": f"{reasoning} So it is \\boxed{{{total}}}.", "answer": ""},
        "answer_in_reasoning other": {"reasoning": f"{reasoning} So it is \\boxed{{{total}}}.", "answer": "See above."},
        "empty_answer": {"answer": " \n"},
        "refused_in_words": {"answer": "I'm sorry, but I can't help with that."},
        "too_long": {"completion_tokens": 5000},
        "repetition": {"reasoning": f"{reasoning} {loop}"},
        "repetition inside": {"reasoning": f"{loop} {reasoning}"},
        "mixed_scripts": {"reasoning": f"{reasoning} 所以一共是 {total}."},
        "wrong_language": {"reasoning": spanish},
        "wrong": {"answer": f"There are {total + 1} now."},
        "unsure": {"answer": f"There are {total} or {total + 1} now."},
    }
    return row | changes[name]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replies", type=int, default=100_000)
    parser.add_argument("--sentences", type=int, default=12, help="of each reasoning, some 17 words each")
    parser.add_argument("--profile", action="store_true", help="print where the time goes")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bag = Bag(options.replies, options.sentences)
        rows = write_inputs(folder, bag)
        memory_before = peak_mb()
        profile = cProfile.Profile() if options.profile else None
        started = time.monotonic()
        if profile:
            profile.enable()
        report = check(folder, settings_for(folder, bag), examinations=[folder / "exam.parquet"], read_rows=file_rows)
        if profile:
            profile.disable()
        seconds = time.monotonic() - started
        is_right = print_outcome(folder, bag, rows, report)
        print(
            f"\n{rows:,} rows in {seconds:.1f} s: {rows / seconds:,.0f} a second; "
            f"memory at its most {peak_mb():.0f} MB ({memory_before:.0f} MB before the check)"
        )
        if profile:
            pstats.Stats(profile).sort_stats("tottime").print_stats(25)
    sys.exit(0 if is_right else 1)


def write_inputs(folder: Path, bag: Bag) -> int:
    write_questions(folder / "questions.parquet", bag.questions())
    rows = write_table(folder / "replies.parquet", REPLIES, bag.replies())
    examined = (question for question in bag.questions() if bag.special(int(question.id[1:])) == "contaminated")
    write_questions(folder / "exam.parquet", examined)
    rates = {"too_easy": 1.0, "too_hard": 0.0}
    with (folder / "base.jsonl").open("w", encoding="utf-8") as file:
        for number in range(bag.count):
            file.write(
                json.dumps({"question_id": f"q{number:07}", "pass_rate": rates.get(bag.special(number) or "", 0.5)})
            )
            file.write("\n")
    with (folder / "elsewhere.jsonl").open("w", encoding="utf-8") as file:
        for row in bag.elsewhere():
            file.write(json.dumps(row) + "\n")
            rows += 1
    return rows


def settings_for(folder: Path, bag: Bag) -> CheckSettings:
    return CheckSettings(
        require_reasoning=True,
        per_question=2,
        max_tokens=4000,
        pass_rate=(0.1, 0.9),
        pass_rates=str(folder / "base.jsonl"),
        most_per_source=bag.count // 8,
        long_share=0.05,
        held_out=0.02,
        mix=(
            MixSettings(
                path=str(folder / "elsewhere.jsonl"), weight=0.02, answer="solution", kind="number", licence="cc0-1.0"
            ),
        ),
    )


def print_outcome(folder: Path, bag: Bag, rows: int, report: Row) -> bool:
    """The counts by reason, and each reply that has an outcome that was not planted. Returns whether there is none."""
    outcomes: dict[str, str] = {}
    found: Counter[str] = Counter()
    for table in ("traces.parquet", "held_out.parquet"):
        for row in read_rows(folder / table, ["reply_key"]):
            outcomes[row["reply_key"]] = KEPT
            found[KEPT] += 1
    for row in read_rows(folder / "rejected.parquet", ["reply_key", "reason"]):
        outcomes[row["reply_key"]] = row["reason"]
        found[row["reason"]] += 1
    print(f"{'reason':<26}{'planted':>10}{'found':>10}")
    for reason in (KEPT, *REASONS):
        print(f"{reason:<26}{bag.planted[reason]:>10,}{found[reason]:>10,}")
    print(f"{'sum':<26}{bag.planted.total():>10,}{found.total():>10,}")
    print("(kept ones are planted without regard to long_share, source_share and mix_weight, which draw among them)")
    odd = [(key, wanted, outcomes.get(key)) for key, wanted in bag.may_be.items() if outcomes.get(key) not in wanted]
    for key, wanted, outcome in odd[:20]:
        print(f"{key}: {outcome}, planted {' or '.join(sorted(wanted))}")
    is_whole = found.total() == rows == bag.planted.total() == report["rows"]
    is_whole = is_whole and report["rows"] == report["kept"] + sum(report["rejected"].values())
    never = [reason for reason in REASONS if not found[reason]]
    print(f"\n{len(odd)} replies with an outcome that was not planted; rows in = kept + rejected: {is_whole}")
    print(f"reasons that no row has: {', '.join(never) or 'none'}")
    return not odd and is_whole and not never


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
