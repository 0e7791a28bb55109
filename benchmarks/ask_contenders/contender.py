"""What every contender has in common: a process that is told on its standard input what to ask, and says when it has.

It needs nothing but the standard library, since each contender runs in an environment of its own.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MODEL = "teacher"
MAX_TOKENS = 256


@dataclass(frozen=True)
class Order:
    base_url: str
    concurrency: int
    folder: Path
    """Empty, and this order's own."""
    first: int
    count: int
    """Questions: those numbered first, first + 1, ..."""

    def questions(self) -> Iterator[str]:
        for number in range(self.first, self.first + self.count):
            yield f"What is {number} plus {7 * number % 1000}? Think step by step, then give the number alone."


def obey(prepare: Callable[[Order], Callable[[], int]], version: str) -> None:
    """Carry out orders until standard input ends, one line of JSON each.

    `prepare` makes ready and returns what asks; that is run at the next line, and returns how many good replies came.
    """
    # Frameworks print: only these lines may reach whoever gave the order.
    told = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def tell(**facts: Any) -> None:
        print(json.dumps(facts), file=told, flush=True)

    tell(version=version)
    for line in sys.stdin:
        order = json.loads(line)
        asks = prepare(Order(**order | {"folder": Path(order["folder"])}))
        tell(ready=True)
        sys.stdin.readline()
        tell(replies=asks())


def body_of(question: str) -> dict[str, Any]:
    """The request that every contender comes to send."""
    return {
        "model": MODEL,
        "max_tokens": MAX_TOKENS,
        "temperature": 0.7,
        "messages": [{"role": "user", "content": question}],
    }


def is_good(reply: Any) -> bool:
    return bool(reply["choices"][0]["message"]["content"]) and reply["choices"][0]["finish_reason"] == "stop"
