"""Small windows written by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from stillroom.watch import window as window_tables
from stillroom.watch.tables import ACTIVITY, HOURS
from stillroom.watch.window import Bank, Window

SINCE, UNTIL = 20_000, 20_028
DAYS = UNTIL - SINCE
BANK = Bank("gsm8k", 1000, "train")
TEST_BANK = Bank("gsm8k test", 500, "test")
ORDINARY_HOURS = {f"hour_{hour:02}": 1 for hour in range(9, 17)}


def day(account: str, at: int, calls: int = 8, organisation: str | None = None, **columns: Any) -> dict[str, Any]:
    """One account's row of one day, of an ordinary client: in conversations, at eight hours of the day."""
    hours = dict.fromkeys(HOURS, 0) | dict.fromkeys(ORDINARY_HOURS, calls // 8)
    hours["hour_09"] += calls - sum(hours.values())
    row = {
        "account": account,
        "day": SINCE + at,
        "organisation": organisation or f"org {account}",
        "calls": calls,
        "permitted_calls": 0,
        "failed": 0,
        "turns_known": calls,
        "single_turn": calls // 2,
        "lengths_known": calls,
        "prompt_tokens": 300 * calls,
        "completion_tokens": 200 * calls,
        "long_replies": 0,
        "asks_known": calls,
        "n_known": calls,
        "asks_reasoning": 0,
        "asks_logprobs": 0,
        "asks_grading": 0,
        "many_samples": 0,
        "gaps": calls,
        "gaps_s": 60.0 * calls,
        "gaps_square_s": 2 * 60.0**2 * calls,  # exponential
    }
    return row | hours | columns


def days(account: str, calls: int = 8, organisation: str | None = None, **columns: Any) -> list[dict[str, Any]]:
    """The same on every day of the window."""
    return [day(account, at, calls, organisation, **columns) for at in range(DAYS)]


def hits(account: str, questions: Sequence[int], bank: str = BANK.name, calls: int = 1) -> list[dict[str, Any]]:
    """Asked one after another, in the order in which they are given."""
    return [
        {
            "account": account,
            "bank": bank,
            "question": question,
            "calls": calls,
            "exact_calls": calls,
            "first_at": place,
        }
        for place, question in enumerate(questions)
    ]


def repeats(account: str, sampled: int = 30, once: int = 30) -> dict[str, Any]:
    return {"account": account, "sampled": sampled, "different": (sampled + once) // 2, "once": once}


def template(account: str, prompts: int, calls: int | None = None, skeleton: str = "t") -> dict[str, Any]:
    return {
        "account": account,
        "skeleton_print": skeleton,
        "calls": prompts if calls is None else calls,
        "prompts": prompts,
        "first_day": SINCE,
        "last_day": UNTIL - 1,
    }


def model(account: str, name: str, calls: int, first: int = 0) -> dict[str, Any]:
    return {"account": account, "model": name, "calls": calls, "first_day": SINCE + first}


def window(
    activity: Sequence[Mapping[str, Any]],
    *,
    templates: Sequence[Mapping[str, Any]] = (),
    users: Sequence[Mapping[str, Any]] = (),
    models: Sequence[Mapping[str, Any]] = (),
    bank_hits: Sequence[Mapping[str, Any]] = (),
    repeats: Sequence[Mapping[str, Any]] = (),
    banks: tuple[Bank, ...] = (BANK, TEST_BANK),
    missing: frozenset[str] = frozenset(),
    until_day: int = UNTIL,
) -> Window:
    def table(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
        return pa.Table.from_pylist([dict(row) for row in rows], schema=schema)

    return Window(
        since_day=SINCE,
        until_day=until_day,
        activity=table(activity, ACTIVITY),
        templates=table(templates, window_tables.TEMPLATES),
        keys=window_tables.KEYS.empty_table(),
        users=table(users, window_tables.USERS),
        models=table(models, window_tables.MODELS),
        bank_hits=table(bank_hits, window_tables.BANK_HITS),
        repeats=table(repeats, window_tables.REPEATS),
        banks=banks,
        missing=missing,
    )


def ordinary(count: int, seed: int = 0) -> dict[str, Any]:
    """Rows of ordinary clients, no two alike: the parts of a window."""
    random = np.random.default_rng(seed)
    activity: list[dict[str, Any]] = []
    sampled = []
    for place in range(count):
        name = f"client {place:04}"
        calls = int(random.lognormal(2, 0.7)) + 4
        single = int(calls * random.uniform(0.1, 0.9))
        long = random.binomial(calls, 0.05)
        activity += days(name, calls, single_turn=single, long_replies=long)
        sampled.append(repeats(name, 40, int(random.integers(20, 40))))
    return {"activity": activity, "repeats": sampled}
