"""Our checks of instructions against those that lm-evaluation-harness uses for IFEval, on the same made-up answers.

    python benchmarks/ifeval_agreement.py [--answers 6000]

Left out are the three checks that theirs decide with a statistical model (the language of a text, where a sentence
ends, which pieces are words): there ours are unsure where it is not clear. Of the two on capitals, the letters are
compared and the language is taken for English. lm-eval gets an environment of its own.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any
from unittest.mock import patch

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.ask_contenders.environments import environment

from stillroom.verify.instructions import checks

LM_EVAL = "lm-eval[api]==0.4.13"
PIECES = [
    "the river", "A boat", "so", "So", "SO", "***", "******", "* item", "- item", "**bold**", "*it*", "**", "<<Title>>",
    "<< >>", "[x]", "[ab c]", "P.S. bye", "P.P.S more", "p. s. x", "SECTION 1", "Section 2", "SECTION 3", "\n", "\n\n",
    "My answer is yes.", '"', '{"a": 1}', "```json", "```", " ", ",", ".", "!", "Any questions?", "any questions",
    "weekend", "Weekend,", "'weekend", "q", "Q", "snow", "snowman", "LOOK", "\n* a", "\n - b", "say it", "Say it.",
]  # fmt: skip
WHOLE = ['{"a": 1}', "[1, 2]", '```json\n{"b": 2}\n```', "```\n3\n```"]
CASES: list[tuple[str, dict[str, Any]]] = [
    ("keywords:existence", {"keywords": ["river", "boat"]}),
    ("keywords:forbidden_words", {"forbidden_words": ["snow", "so"]}),
    ("keywords:frequency", {"keyword": "so", "frequency": 2, "relation": "at least"}),
    ("keywords:frequency", {"keyword": "river", "frequency": 2, "relation": "less than"}),
    ("keywords:letter_frequency", {"letter": "q", "let_frequency": 2, "let_relation": "at least"}),
    ("length_constraints:number_words", {"num_words": 9, "relation": "less than"}),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}),
    ("length_constraints:nth_paragraph_first_word", {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "weekend"}),
    ("length_constraints:nth_paragraph_first_word", {"num_paragraphs": 3, "nth_paragraph": 1, "first_word": "so"}),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}),
    ("detectable_format:number_bullet_lists", {"num_bullets": 1}),
    ("detectable_format:constrained_response", {}),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2}),
    ("detectable_format:multiple_sections", {"section_spliter": "SECTION", "num_sections": 2}),
    ("detectable_format:json_format", {}),
    ("detectable_format:title", {}),
    ("combination:two_responses", {}),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Say it"}),
    ("startend:end_checker", {"end_phrase": "Any questions?"}),
    ("startend:quotation", {}),
    ("change_case:english_capital", {}),
    ("change_case:english_lowercase", {}),
    ("punctuation:no_comma", {}),
]
THEIRS = """
import json, sys, types
detection = types.ModuleType("langdetect")
detection.detect = lambda text: "en"
detection.LangDetectException = ValueError
sys.modules["langdetect"] = detection
sys.modules.setdefault("immutabledict", types.SimpleNamespace(immutabledict=dict))
import nltk
nltk.download = lambda *words, **settings: None
from lm_eval.tasks.ifeval.utils import test_instruction_following_strict as judge
for line in open(sys.argv[1]):
    row = json.loads(line)
    asked = types.SimpleNamespace(instruction_id_list=[row["name"]], kwargs=[row["kwargs"]], prompt="", key=0)
    print("VERDICT", int(judge(asked, row["answer"]).follow_all_instructions))
"""


def made_up(draw: random.Random) -> str:
    if draw.random() < 0.1:
        return draw.choice(WHOLE)
    text = " ".join(draw.choice(PIECES) for _ in range(draw.randint(1, 14)))
    change = draw.random()
    if change < 0.1:
        return f'"{text}"'
    return text.upper() if change < 0.15 else text.lower() if change < 0.2 else text


def rows(count: int) -> list[dict[str, Any]]:
    draw = random.Random(1)
    texts = [text for text in (made_up(draw) for _ in range(count)) if text.strip()]
    return [{"name": name, "kwargs": kwargs, "answer": text} for name, kwargs in CASES for text in texts]


def ask_theirs(made: list[dict[str, Any]]) -> list[bool]:
    peer = environment("lm_eval", (LM_EVAL,), counts_tokens=False)
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.writelines(json.dumps(row) + "\n" for row in made)
        file.flush()
        command = [str(peer.python), "-c", THEIRS, file.name]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [line.endswith("1") for line in done.stdout.splitlines() if line.startswith("VERDICT")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers", type=int, default=6000)
    made = rows(parser.parse_args().answers)
    theirs = ask_theirs(made)
    with patch.object(checks, "is_in_language", return_value=True):  # what theirs is told, too
        ours = [checks.CHECKS[row["name"]](row["answer"], row["kwargs"]) for row in made]
    followed: Counter[str] = Counter()
    differing = 0
    for row, verdict, our_verdict in zip(made, theirs, ours, strict=True):
        followed[row["name"]] += verdict
        if our_verdict != verdict:
            differing += 1
            print(f"{row['name']} {row['kwargs']} {row['answer']!r}: theirs {verdict}, ours {our_verdict}")
    for name, count in followed.items():
        print(f"{name:48} followed in {count:6,}")
    print(f"{LM_EVAL}: {len(made):,} answers, {differing} judged differently")
    sys.exit(differing > 0)


if __name__ == "__main__":
    main()
