"""What a campaign may ask for beyond its questions, and how. Each changes the calls that ask them, in place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stillroom.testing.traffic.calls import Draft
from stillroom.testing.traffic.world import DAY_US, NEW_MODEL, World

Integers = npt.NDArray[np.int64]
_SAMPLES = 8
_BURST_DAYS = 2


@dataclass(frozen=True)
class Asked:
    generator: np.random.Generator
    world: World
    draft: Draft
    rows: Integers
    """Of the calls that ask the campaign's questions."""

    def by_account(self) -> list[Integers]:
        """The rows of each account, by time."""
        caller, at = self.draft.calls.caller[self.rows], self.draft.calls.at[self.rows]
        order = self.rows[np.lexsort((at, caller))]
        return np.split(order, np.flatnonzero(np.diff(self.draft.calls.caller[order])) + 1)


def asks_reasoning(asked: Asked) -> None:
    calls, rows = asked.draft.calls, asked.rows
    calls.asks_reasoning[rows] = True
    share = asked.generator.uniform(0.3, 0.8, len(rows))
    calls.reasoning_tokens[rows] = (calls.completion_tokens[rows] * share).astype(np.int64)


def many_samples(asked: Asked) -> None:
    asked.draft.calls.n[asked.rows] = _SAMPLES


def long_replies(asked: Asked) -> None:
    """Of about 1,300 tokens, to questions of about 100."""
    calls, rows, generator = asked.draft.calls, asked.rows, asked.generator
    calls.prompt_tokens[rows] = generator.integers(40, 150, len(rows))
    calls.cached_tokens[rows] = 0
    calls.completion_tokens[rows] = generator.lognormal(np.log(1_100), 0.5, len(rows)).astype(np.int64) + 200
    calls.latency_us[rows] = calls.completion_tokens[rows] * generator.integers(8_000, 18_000, len(rows))
    reasons = calls.reasoning_tokens[rows] > 0
    calls.reasoning_tokens[rows[reasons]] = calls.completion_tokens[rows[reasons]] // 2


def logprobs(asked: Asked) -> None:
    asked.draft.calls.asks_logprobs[asked.rows] = True


def grading(asked: Asked) -> None:
    asked.draft.calls.asks_grading[asked.rows] = True


def single_turn(asked: Asked) -> None:
    asked.draft.calls.turns[asked.rows] = 1


def regular(asked: Asked) -> None:
    """Each account asks at even intervals, give or take a fifth."""
    at = asked.draft.calls.at
    for own in asked.by_account():
        first, last = at[own].min(), at[own].max()
        step = (last - first) / len(own)
        jitter = asked.generator.normal(0, 0.2 * step, len(own))
        at[own] = np.clip(first + (np.arange(len(own)) + 0.5) * step + jitter, first, last).astype(np.int64)


def volume(asked: Asked) -> None:
    """All of an account's questions on two of the days that it is active on."""
    at, start_at = asked.draft.calls.at, asked.world.start_at
    for own in asked.by_account():
        days = (at[own] - start_at) // DAY_US
        start = asked.generator.choice(days)
        day = np.minimum(start + asked.generator.integers(0, _BURST_DAYS, len(own)), days.max())
        at[own] = start_at + day * DAY_US + (at[own] - start_at) % DAY_US


def new_model(asked: Asked) -> None:
    """Within hours of its launch, all questions go to the new model."""
    calls, rows, world = asked.draft.calls, asked.rows, asked.world
    hours = asked.generator.uniform(0.5, 6, len(asked.draft.accounts))[calls.caller[rows]]
    since = world.start_at + world.launch_day * DAY_US + hours * DAY_US / 24
    calls.model[rows[calls.at[rows] >= since]] = NEW_MODEL


EXTRAS: dict[str, Callable[[Asked], None]] = {
    function.__name__: function
    for function in (
        asks_reasoning, many_samples, long_replies, logprobs, grading, single_turn, regular, volume, new_model,
    )
}  # fmt: skip
"""In the order in which they are applied."""
