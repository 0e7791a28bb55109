"""The watermark in text of many choices: SmolLM2-135M-Instruct's.

    python -m benchmarks.probe_watermark_smollm2 FOLDER --gguf SmolLM2-135M-Instruct.Q4_1.gguf

The model answers open questions at temperature 1, in 48 tokens. What a mark costs is how unlikely the unmarked model
holds what is said: nats per token. A stopped run goes on.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from benchmarks.probe_students.smollm2 import half
from benchmarks.probe_students.smollm2_drawing import TOKENS
from benchmarks.probe_students.smollm2_questions import questions
from benchmarks.probe_watermark import KEY, SHARE, say

from stillroom.generate.load import LocalModel, load_model, load_tokenizer
from stillroom.generate.prompt import conversation_text, encode
from stillroom.generate.scoring import score_tokens
from stillroom.probe.watermark.green_test import GreenTest, green_test
from stillroom.probe.watermark.token_pairs import TokenPairs, token_pairs
from stillroom.probe.watermark.weights import Weights, each_once
from stillroom.store.files import write_json
from stillroom.text.green_list import Mark

STRENGTHS = (1.0, 2.0)
SIZES = (4, 16)


class Room:
    def __init__(self, folder: Path, gguf: Path, asked: int) -> None:
        self.folder, self.gguf = folder, gguf
        self.asked = questions(asked, 1003)
        self.tokenizer = load_tokenizer(gguf)[0]
        self.asked_tokens = [encode(self.tokenizer, text) for text in self.asked]

    def replies(self, local: LocalModel, strength: float) -> list[str]:
        """Kept in a file."""
        kept = self.folder / f"own_{strength:g}.json"
        if not kept.exists():
            mark = Mark(KEY, SHARE, strength) if strength else None
            write_json(kept, say(local, self.asked, f"own {strength:g}", mark, TOKENS))
        return [str(text) for text in json.loads(kept.read_text())]

    def pairs(self, replies: Sequence[str], which: Sequence[int] | None = None) -> TokenPairs:
        places = range(len(replies)) if which is None else which
        return token_pairs((self.asked_tokens[place], encode(self.tokenizer, replies[place])) for place in places)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--gguf", type=Path, required=True)
    parser.add_argument("--asked", type=int, default=32)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    detection(Room(arguments.folder, arguments.gguf, arguments.asked))


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
        replies = room.replies(local, strength)
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
