"""The watermark in text of many choices: SmolLM2-135M-Instruct's, and that of students taught with it.

    python -m benchmarks.probe_watermark_smollm2 FOLDER --gguf SmolLM2-135M-Instruct.Q4_1.gguf

The model answers open questions at temperature 1, in 48 tokens. What a mark costs is how unlikely the unmarked model
holds what is said: nats per token. Students are taught for one epoch with replies that are marked, or not, and asked
other questions. A stopped run goes on.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from benchmarks.probe_students.smollm2 import LEARNING_RATE, TOKENS, half, questions
from benchmarks.probe_watermark import KEY, SHARE, say

from stillroom.base.progress import Silent
from stillroom.base.records import Message, Trace
from stillroom.generate.load import LocalModel, load_model, load_tokenizer
from stillroom.generate.prompt import conversation_text, encode
from stillroom.generate.scoring import score_tokens
from stillroom.probe.watermark.green_test import GreenTest, green_test
from stillroom.probe.watermark.token_pairs import TokenPairs, token_pairs
from stillroom.probe.watermark.weights import Weights, against_unmarked, each_once
from stillroom.store.files import write_json
from stillroom.store.tables import write_traces
from stillroom.text.green_list import Mark
from stillroom.train.run import train
from stillroom.train.settings import TrainSettings

STRENGTHS = (1.0, 2.0, 4.0)
SIZES = (1, 4, 16)
STUDENTS = (
    ("unmarked", 0.0, 0.0),
    ("strength 2, all marked", 2.0, 1.0),
    ("strength 2, one in five marked", 2.0, 0.2),
    ("strength 4, all marked", 4.0, 1.0),
)
"""Name, strength, share of its traces that are marked."""


class Room:
    def __init__(self, folder: Path, gguf: Path, asked: int, taught: int) -> None:
        self.folder, self.gguf = folder, gguf
        every = questions(asked + taught, 1003)
        self.asked, self.lessons = every[:asked], every[asked:]
        self.tokenizer = load_tokenizer(gguf)[0]
        self.asked_tokens = [encode(self.tokenizer, text) for text in self.asked]

    def say(self, name: str, model: Path, texts: Sequence[str], strength: float = 0.0) -> list[str]:
        """Replies, kept in a file."""
        kept = self.folder / f"{name.replace(' ', '_').replace(',', '')}.json"
        if not kept.exists():
            mark = Mark(KEY, SHARE, strength) if strength else None
            write_json(kept, say(half(load_model(model)), texts, name, mark, TOKENS))
        return [str(text) for text in json.loads(kept.read_text())]

    def pairs(self, replies: Sequence[str], which: Sequence[int] | None = None) -> TokenPairs:
        places = range(len(replies)) if which is None else which
        return token_pairs((self.asked_tokens[place], encode(self.tokenizer, replies[place])) for place in places)

    def student(self, name: str, strength: float, marked: float) -> Path:
        out = self.folder / name.replace(" ", "_").replace(",", "")
        if not (out / "train.json").exists():
            number = round(marked * len(self.lessons))
            replies = self.say("lessons", self.gguf, self.lessons)
            if number:
                replies = (
                    self.say(f"lessons {strength:g}", self.gguf, self.lessons, strength)[:number] + replies[number:]
                )
            out.mkdir(exist_ok=True)
            rows = [
                Trace(
                    question_id=text,
                    messages=(Message(role="user", content=text), Message(role="assistant", content=reply)),
                    source="SmolLM2-135M-Instruct",
                )
                for text, reply in zip(self.lessons, replies, strict=True)
            ]
            write_traces(out / "traces.parquet", rows)
            settings = TrainSettings(
                student=str(self.gguf), epochs=1, learning_rate=LEARNING_RATE, precision="bfloat16", step_tokens=2048
            )
            train(out / "traces.parquet", self.gguf, out, settings, Silent())
        return out / "student"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--gguf", type=Path, required=True)
    parser.add_argument("--asked", type=int, default=128)
    parser.add_argument("--taught", type=int, default=2000, help="replies; 0: there are no students")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    room = Room(arguments.folder, arguments.gguf, arguments.asked, arguments.taught)
    detection(room)
    if arguments.taught:
        radioactivity(room)


def detection(room: Room) -> None:
    print(
        f"SmolLM2-135M-Instruct's own text, {len(room.asked)} replies of {TOKENS} tokens at most; found at p <= 0.01:\n"
    )
    print(
        "| strength | nats per token | " + " | ".join(f"{size} replies" for size in SIZES) + " | all: green | z | p |"
    )
    print("|---|---|" + "---|" * (len(SIZES) + 3))
    local = half(load_model(room.gguf))
    for strength in (0.0, *STRENGTHS):
        replies = room.say(f"own {strength:g}", room.gguf, room.asked, strength)
        cells = []
        for size in SIZES:
            pieces = [range(first, first + size) for first in range(0, len(replies) - size + 1, size)][:20]
            scored = [each_once(room.pairs(replies, piece)) for piece in pieces]
            enough = [weights for weights in scored if len(weights[0]) >= 50]
            found = sum(_test(weights).p_value <= 0.01 for weights in enough)
            cells.append(f"{found} of {len(enough)}" if enough else "too short")
        whole = _test(each_once(room.pairs(replies)))
        cells += [f"{whole.scores[0].green:.1%}", f"{whole.scores[0].z:.2f}", f"{whole.p_value:.4f}"]
        nats = _nats(local, room.asked, replies)
        print(f"| {strength or 'unmarked'} | {nats:.2f} | {' | '.join(cells)} |", flush=True)


def radioactivity(room: Room) -> None:
    print(
        f"\nStudents of it, taught {len(room.lessons)} replies for one epoch, "
        f"asked {len(room.asked)} other questions:\n"
    )
    print("| student | pairs | each once: green | z | p | at most | against its unmarked text: z | p | at most |")
    print("|---|---|---|---|---|---|---|---|---|")
    unmarked = room.pairs(room.say("own 0", room.gguf, room.asked))
    for name, strength, marked in STUDENTS:
        pairs = room.pairs(room.say(f"answers of {name}", room.student(name, strength, marked), room.asked))
        once, against = _test(each_once(pairs)), _test(against_unmarked(pairs, unmarked))
        cells = [f"{once.scores[0].green:.1%}", *_figures(once), *_figures(against)]
        print(f"| {name} | {once.pairs:,} | {' | '.join(cells)} |", flush=True)


def _figures(found: GreenTest) -> list[str]:
    return [f"{found.scores[0].z:.2f}", f"{found.p_value:.4f}", f"{found.at_most:.1g}"]


def _test(weights: Weights) -> GreenTest:
    return green_test(weights, {None: Mark(KEY, SHARE, 1.0)}, 0)


def _nats(local: LocalModel, texts: Sequence[str], replies: Sequence[str]) -> float:
    """How unlikely the unmarked model holds a token of these replies, on average."""
    total, count = 0.0, 0
    for text, reply in zip(texts, replies, strict=True):
        asked = encode(local.tokenizer, conversation_text(local.tokenizer, [{"role": "user", "content": text}]))
        tokens = [*asked, *encode(local.tokenizer, reply)]
        if len(tokens) > len(asked):
            given = score_tokens(local.model, torch.tensor([tokens]), len(asked) - 1).given_BK
            total, count = total - float(np.sum(given.float().numpy())), count + given.numel()
    return total / count


if __name__ == "__main__":
    main()
