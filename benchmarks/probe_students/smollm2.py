"""Students of SmolLM2-135M-Instruct that learned from its own replies, for `benchmarks.probe_power --students`.

    python -m benchmarks.probe_students.smollm2 --gguf SmolLM2-135M-Instruct.Q4_1.gguf --out FOLDER --student served

Teacher and base are the same model: nothing but the draw of the served replies tells a student that learned from them.
Makes FOLDER/pairs.parquet and openings.parquet once, then FOLDER/STUDENT with what probe_power reads.
Whatever is there already is kept, so that a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random

import torch

from stillroom.base.records import Message, Trace
from stillroom.display import live_progress
from stillroom.generate.generator import Generator
from stillroom.generate.load import LocalModel, load_model
from stillroom.generate.prompt import conversation_text
from stillroom.generate.sampling import Sampling
from stillroom.probe.likelihood import likelihoods
from stillroom.store.files import write_json
from stillroom.store.siblings import (
    Answer,
    Likelihood,
    Opening,
    Pair,
    messages_json,
    question_id_of,
    read_rows,
    write_rows,
)
from stillroom.store.tables import write_traces
from stillroom.train.run import train
from stillroom.train.settings import TrainSettings

TOKENS = 48
LEARNING_RATE = 1e-4
TEMPERATURES = {"answers_greedy": 0.0, "answers_t07": 0.7}
"""By the name of the table of answers; at 0 one answer to each question."""

FORMS = (
    "Explain {} to a child.", "Write two sentences about {}.", "What should I know about {}?",
    "Tell me a story about {}.",
    "Give me three tips about {}.", "Write a short poem about {}.", "What is surprising about {}?",
    "Describe a day in which {} matters.", "Why do people care about {}?",
    "Write a title and a summary for a book on {}.",
    "Invent a character who loves {}.", "How would you teach {}?", "Write a friendly letter about {}.",
    "What do people get wrong about {}?", "Make up a riddle about {}.", "Compare {} with something unlike it.",
    "Write the opening line of a novel about {}.", "What would a scientist ask about {}?", "Give an example of {}.",
    "Write a slogan for {}.", "What is the history of {}?", "Name some words that go with {}.",
    "Write a dialogue about {}.", "What will become of {} in a hundred years?", "Give advice to someone new to {}.",
)  # fmt: skip
TOPICS = (
    "rivers", "bread", "chess", "the moon", "bicycles", "honey bees", "glass", "winter", "maps", "whales", "tea",
    "clocks",
    "volcanoes", "gardens", "trains", "salt", "kites", "libraries", "thunder", "paper", "dogs", "bridges", "cheese",
    "music", "deserts", "mirrors", "soap", "football", "silk", "mountains", "rain", "coffee", "statues", "lighthouses",
    "owls", "marathons", "pottery", "islands", "coins", "spices", "sleep", "telescopes", "forests", "boats", "apples",
    "markets", "fireworks", "cats", "snow", "painting", "ants", "castles", "dance", "rice", "rockets", "wool",
    "puzzles",
    "oceans", "candles", "horses", "elections", "balloons", "teeth", "wheat", "comets", "swimming", "ink", "caves",
    "tomatoes", "photography", "wind", "spiders", "chocolate", "harbours", "knots", "dinosaurs", "theatre", "ladders",
    "magnets", "olives", "parrots", "tunnels", "umbrellas", "violins", "windows", "yoga", "zebras", "old age", "luck",
    "friendship", "neighbours", "dreams", "fog", "camping", "penguins", "jazz", "windmills", "rubber", "birthdays",
    "handwriting",
)  # fmt: skip


def questions(count: int, seed: int) -> list[str]:
    """The same for the same seed. Tuning (seeds below 1000) and judging have questions of their own."""
    every = [form.format(topic) for form in FORMS for topic in TOPICS]
    Random("smollm2 questions").shuffle(every)
    part = every[: len(every) // 5] if seed < 1000 else every[len(every) // 5 :]
    if count > len(part):
        raise SystemExit(f"There are {len(part)} questions for this seed, not {count}.")
    return Random(f"smollm2 {seed}").sample(part, count)


def draw(local: LocalModel, asked: Sequence[tuple[str, int]], temperature: float, salt: str) -> list[tuple[str, str]]:
    """Text and finish reason of a reply to each (question, sample)."""
    generator = Generator(local, max_batch=128)
    try:
        generations = []
        for text, sample in asked:
            prompt = conversation_text(local.tokenizer, [{"role": "user", "content": text}])
            ids = local.tokenizer(prompt, add_special_tokens=False)["input_ids"]
            sampling = Sampling(max_tokens=TOKENS, temperature=temperature, seed=f"{salt}/{text}/{sample}")
            generations.append(generator.submit(ids, sampling))
        began, said = time.monotonic(), []
        for number, generation in enumerate(generations, 1):
            tokens = generation.result()
            reason = str(generation.finished.result())
            said.append((str(local.tokenizer.decode(tokens, skip_special_tokens=True)), reason))
            if number % 256 == 0:
                print(f"  {salt}: {number} of {len(asked)}, {time.monotonic() - began:.0f} s", flush=True)
        return said
    finally:
        generator.close()


def make_pairs(out: Path, gguf: Path, count: int, seed: int) -> None:
    if (out / "openings.parquet").exists():
        return
    asked = questions(count, seed)
    local = half(load_model(gguf))
    drawn = [draw(local, [(text, 0) for text in asked], 1.0, f"teacher/{seed}/{which}") for which in range(2)]
    coins = Random(f"coins/{seed}")
    pairs, openings = [], []
    for place, text in enumerate(asked):
        messages = [{"role": "user", "content": text}]
        question = question_id_of(messages)
        name = f"smollm2-{seed}-{place:05d}"
        pairs.append(Pair(name, question, messages_json(messages), drawn[0][place][0], drawn[1][place][0]))
        openings.append(Opening(name, "acct_student", 0, 1 if coins.random() < 0.5 else 0))
    write_rows(out / "pairs.parquet", Pair, pairs)
    write_rows(out / "openings.parquet", Opening, openings)


def make_student(out: Path, gguf: Path, kind: str, epochs: int) -> Path:
    """Trained on what was served, or on what was sealed; `base`: not trained at all."""
    folder = out / (kind if epochs == 1 or kind == "base" else f"{kind}_{epochs}")
    folder.mkdir(parents=True, exist_ok=True)
    pairs = read_rows(out / "pairs.parquet", Pair)
    openings = read_rows(out / "openings.parquet", Opening)
    for name in ("pairs", "openings"):
        shutil.copy(out / f"{name}.parquet", folder / f"{name}.parquet")
    if kind != "base" and not (folder / "train" / "train.json").exists():
        traces = []
        for pair, opening in zip(pairs, openings, strict=True):
            first_is_taught = (opening.coin == 0) == (kind == "served")
            reply = pair.first if first_is_taught else pair.second
            asked = json.loads(pair.messages)[0]["content"]
            said = (Message(role="user", content=asked), Message(role="assistant", content=reply))
            traces.append(Trace(question_id=pair.question_id, messages=said, source="SmolLM2-135M-Instruct"))
        write_traces(folder / "traces.parquet", traces)
        settings = TrainSettings(
            student=str(gguf), epochs=epochs, learning_rate=LEARNING_RATE, precision="bfloat16", step_tokens=2048
        )
        with live_progress() as progress:
            train(folder / "traces.parquet", gguf, folder / "train", settings, progress)
    return folder


def ask(folder: Path, model: Path, samples: int) -> None:
    wanted = {name: how for name, how in TEMPERATURES.items() if not (folder / f"{name}.parquet").exists()}
    if not wanted:
        return
    local = half(load_model(model))
    pairs = read_rows(folder / "pairs.parquet", Pair)
    asked = {pair.question_id: json.loads(pair.messages)[0]["content"] for pair in pairs}
    for name, temperature in wanted.items():
        order = [(question, sample) for question in asked for sample in range(samples if temperature else 1)]
        said = draw(
            local, [(asked[question], sample) for question, sample in order], temperature, f"{folder.name}/{name}"
        )
        rows = [Answer(question, sample, *text) for (question, sample), text in zip(order, said, strict=True)]
        write_rows(folder / f"{name}.parquet", Answer, rows)


def score(folder: Path, model: Path, gguf: Path, count: int) -> None:
    """Likelihoods of the first `count` pairs, by the student and by its base, in float32."""
    if not (folder / "likelihoods.parquet").exists():
        pairs = read_rows(folder / "pairs.parquet", Pair)[:count]
        found = likelihoods(pairs, load_model(model), "suspect") + likelihoods(pairs, load_model(gguf), "base")
        write_rows(folder / "likelihoods.parquet", Likelihood, found)


def half(local: LocalModel) -> LocalModel:
    """In bfloat16, which is twice as fast where the processor has products in it."""
    model: torch.nn.Module = local.model
    model.to(torch.bfloat16)
    return local


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gguf", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--student", choices=["served", "sealed", "base"], action="append", required=True)
    parser.add_argument("--questions", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--samples", type=int, default=4, help="answers to each question at temperature 0.7")
    parser.add_argument("--scored", type=int, default=500, help="pairs whose likelihood is looked at")
    arguments = parser.parse_args()
    out, gguf = arguments.out, arguments.gguf
    out.mkdir(parents=True, exist_ok=True)
    make_pairs(out, gguf, arguments.questions, arguments.seed)
    for kind in arguments.student:
        folder = make_student(out, gguf, kind, arguments.epochs)
        model = gguf if kind == "base" else folder / "train" / "student"
        ask(folder, model, arguments.samples)
        score(folder, model, gguf, arguments.scored)
        facts = {
            "name": f"SmolLM2 {folder.name}",
            "kind": {"served": "guilty", "sealed": "sealed", "base": "innocent"}[kind],
            "trained_on": {"served": "served replies", "sealed": "sealed replies", "base": "nothing"}[kind],
            "share": 1.0 if kind != "base" else 0.0,
            "epochs": arguments.epochs if kind != "base" else 0,
            "teacher": "SmolLM2-135M-Instruct",
            "base": "SmolLM2-135M-Instruct",
            "questions": arguments.questions,
            "seed": arguments.seed,
        }
        write_json(folder / "facts.json", facts)


if __name__ == "__main__":
    main()
