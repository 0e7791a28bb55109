"""What traffic is made from: real texts and client models of a folder, or the bundled ones where none is given."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from stillroom.base.errors import DataError
from stillroom.store.secrets import Secrets
from stillroom.testing.traffic.bundled import tasks, word_problems
from stillroom.testing.traffic.keys import Bytes
from stillroom.text.prints import PRINT_BYTES, Prints
from stillroom.text.sketch import PLACES

TRAFFIC_SECRET = Secrets(bytes(32))
"""What all made traffic is printed with; whoever wants to recognise its texts prints them with it too."""

_FILES = {
    "gsm8k_train": ("gsm8k_train_part.jsonl", "question"),
    "gsm8k_test": ("gsm8k_test.jsonl", "question"),
    "math": ("math_problems.jsonl", "problem"),
    "arena_hard": ("arena_hard.jsonl", "prompt"),
    "seed_tasks": ("seed_tasks.jsonl", "instruction"),
}
BANKS = ("gsm8k_train", "gsm8k_test", "math", "word_problems")
"""Names of question banks. `word_problems` is bundled; the others are files of the folder of real texts."""
_WORD_PROBLEMS = 7_473


@dataclass(frozen=True)
class Printed:
    """A list of texts as the gateway prints them in one epoch. All zero where a text has no such print."""

    prompts: Bytes
    """(texts, 16)"""
    skeletons: Bytes
    """(texts, 16)"""
    sketches: Bytes
    """(texts, 64)"""

    def __len__(self) -> int:
        return len(self.prompts)


def bank_texts(name: str, data: Path | None = None) -> list[str]:
    """The questions of one of BANKS, in their order. Raises DataError where `data` has no such file.

    `data`: the folder of the real texts.
    """
    return list(_texts(name, data))


def prose_texts(data: Path | None) -> list[str]:
    """What benign calls are written from: no question of a bank is among them."""
    if data is None:
        return tasks()
    return [
        text
        for name in ("arena_hard", "seed_tasks")
        if (data / _FILES[name][0]).exists()
        for text in _texts(name, data)
    ]


def test_split(data: Path | None) -> str:
    """The name of the bank that people evaluate models on."""
    return "word_problems" if data is None else "gsm8k_test"


def test_splits(data: Path | None) -> tuple[str, ...]:
    return (test_split(data),) if data is None else (test_split(data), "math")


def train_split(data: Path | None) -> str:
    return "word_problems" if data is None else "gsm8k_train"


@lru_cache(16)
def printed_bank(name: str, data: Path | None, epoch: str) -> Printed:
    return _printed(_texts(name, data), epoch)


@lru_cache(8)
def printed_prose(data: Path | None, epoch: str) -> Printed:
    return _printed(tuple(prose_texts(data)), epoch)


@lru_cache(8)
def _texts(name: str, data: Path | None) -> tuple[str, ...]:
    if name == "word_problems":
        return tuple(word_problems(_WORD_PROBLEMS))
    if name not in _FILES:
        raise ValueError(f"no bank is called {name!r}: {', '.join(BANKS)}")
    if data is None:
        raise DataError(
            f"The bank {name} is not bundled.", "Give the folder that it lies in as data=, or take word_problems."
        )
    file, column = _FILES[name]
    try:
        rows = [json.loads(line) for line in (data / file).read_bytes().split(b"\n") if line]
    except (OSError, ValueError) as error:
        raise DataError(
            f"{data / file} cannot be read: {error}.", "Give the folder of the real texts as data=."
        ) from error
    return tuple(dict.fromkeys(row[column] for row in rows))


def _printed(texts: tuple[str, ...], epoch: str) -> Printed:
    prints = Prints(TRAFFIC_SECRET, epoch)
    made = [prints.texts(text, None) for text in texts]
    return Printed(
        prompts=_rows([bytes.fromhex(of.prompt or "") for of in made], PRINT_BYTES),
        skeletons=_rows([bytes.fromhex(of.skeleton or "") for of in made], PRINT_BYTES),
        sketches=_rows([of.sketch or b"" for of in made], PLACES),
    )


def _rows(values: list[bytes], width: int) -> Bytes:
    joined = b"".join(value.ljust(width, b"\0") for value in values)
    return np.frombuffer(joined, np.uint8).reshape(len(values), width)
