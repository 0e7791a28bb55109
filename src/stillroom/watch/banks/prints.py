"""A bank's questions as the gateway would have printed them, with the keys of one epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stillroom.text.normal import normalised
from stillroom.text.prints import Prints
from stillroom.text.sketch import GRAM, PLACES

NEVER = PLACES + 1
"""Places of a question that is found by its print alone."""


@dataclass(frozen=True, slots=True)
class BankText:
    """A bank as it was added: its questions in the file's order, each once."""

    name: str
    questions: tuple[str, ...]
    split: str | None
    """`train`, `test` or another; None where nobody said."""
    digest: str
    """Of the questions, as the audit log has it."""


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class BankPrints:
    """Of each question of a bank: how it is found among calls that were printed with the same keys."""

    bank: str
    print_key_id: str
    prompt_prints: pa.StringArray
    sketches: NDArray[np.uint8]
    """Shape (questions, 64)."""
    least: NDArray[np.uint8]
    """How many of its 64 places a sketch that is like it shares with it at least; `NEVER` for short questions."""

    def __len__(self) -> int:
        return len(self.least)

    @classmethod
    def of(cls, bank: BankText, prints: Prints) -> BankPrints:
        texts = [prints.texts(question, None) for question in bank.questions]
        sketches = b"".join(each.sketch or bytes(PLACES) for each in texts)
        return cls(
            bank=bank.name,
            print_key_id=prints.print_key_id,
            prompt_prints=pa.array([each.prompt for each in texts], pa.string()),
            sketches=np.frombuffer(sketches, np.uint8).reshape(-1, PLACES),
            least=least_shared(bank.questions),
        )


_LEAST = ((60, 20), (20, 32))
"""Of a question of so many runs of five characters or more: the places that are shared at least, which is a likeness of
0.31 and of a half. Stock phrases are too large a part of short questions; benchmarks/watch_banks.py shows what these
numbers find and whom they wrong."""


def least_shared(questions: Sequence[str]) -> NDArray[np.uint8]:
    """`BankPrints.least` of these questions."""
    runs = np.array([len(normalised(question)) - GRAM + 1 for question in questions])
    return np.select([runs >= shortest for shortest, _ in _LEAST], [least for _, least in _LEAST], NEVER).astype(
        np.uint8
    )
