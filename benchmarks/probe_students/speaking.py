"""What a model of the classroom says to questions, many at a time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from stillroom.generate.generator import Generator
from stillroom.generate.load import load_model
from stillroom.generate.prompt import conversation_text, encode
from stillroom.generate.sampling import Sampling
from stillroom.store.files import write_json
from stillroom.store.siblings import Answer, Pair

MAX_TOKENS = 256
"""The classroom's longest replies have some 120."""
ROWS_AT_ONCE = 512


def say(model: Path, asked: Sequence[tuple[str, int]], temperature: float, salt: str) -> list[tuple[str, str]]:
    """Text and finish reason of the model's reply to each (question, sample). The same for the same salt."""
    local = load_model(model)
    generator = Generator(local, max_batch=ROWS_AT_ONCE, threads=1)
    try:
        generations = generator.submit_all(
            [
                (
                    encode(local.tokenizer, conversation_text(local.tokenizer, [{"role": "user", "content": text}])),
                    Sampling(max_tokens=MAX_TOKENS, temperature=temperature, seed=f"{salt}/{text}/{sample}"),
                )
                for text, sample in asked
            ]
        )
        return [
            (
                str(local.tokenizer.decode(generation.result(), skip_special_tokens=True)),
                str(generation.finished.result()),
            )
            for generation in generations
        ]
    finally:
        generator.close()


def say_once(model: Path, texts: Sequence[str], temperature: float, salt: str, kept: Path) -> list[tuple[str, str]]:
    """One reply to each text, kept in a file: said again from it."""
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_json(kept, say(model, [(text, 0) for text in texts], temperature, salt))
    return [(text, reason) for text, reason in json.loads(kept.read_text())]


def answers(model: Path, pairs: Iterable[Pair], temperature: float, samples: int, salt: str) -> list[Answer]:
    """Of every question whose siblings differ: the others say nothing, whatever is answered."""
    asked = {pair.question_id: question_of(pair) for pair in pairs if pair.first != pair.second}
    order = [(question_id, sample) for question_id in asked for sample in range(samples)]
    said = say(model, [(asked[question_id], sample) for question_id, sample in order], temperature, salt)
    return [Answer(*place, *text) for place, text in zip(order, said, strict=True)]


def question_of(pair: Pair) -> str:
    return str(json.loads(pair.messages)[0]["content"])
