"""Questions drawn from reasoning-gym, one at a time."""

from __future__ import annotations

from functools import cache
from random import Random
from typing import Any

import reasoning_gym  # type: ignore[import-untyped]


@cache
def _task(name: str, **config: int) -> Any:
    return reasoning_gym.create_dataset(name, seed=0, size=2**31 - 1, **config)


def draw_entry(name: str, random: Random, **config: int) -> dict[str, Any]:
    """One entry of the task, as its scorer wants it back."""
    entry: dict[str, Any] = _task(name, **config)[random.randrange(2**31 - 1)]
    return entry
