"""Findings to keep and to show, and a clock that is moved by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stillroom.base.records import Explanation, Finding, FindingLink, FindingSignal
from stillroom.watch.review.store import FindingStore

DAY_US = 86_400_000_000
START = 20_600 * DAY_US
FindingMaker = Callable[..., Finding]


class HandClock:
    def __init__(self) -> None:
        self.now = START
        self.slept: list[float] = []

    def now_us(self) -> int:
        return self.now

    def monotonic(self) -> float:
        return self.now / 1e6

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += round(seconds * 1e6)

    def pass_days(self, days: float) -> None:
        self.now += round(days * DAY_US)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def store(tmp_path: Path, clock: HandClock) -> FindingStore:
    return FindingStore(tmp_path / "watch", clock)


@pytest.fixture
def make_finding() -> FindingMaker:
    return finding


def finding(name: str = "f_1", accounts: range = range(41), **changes: Any) -> Finding:
    members = tuple(f"acct_{number:022x}" for number in accounts)
    facts: dict[str, Any] = {
        "id": name,
        "kind": "campaign",
        "accounts": members,
        "organisations": tuple(each.replace("acct", "org") for each in members),
        "since_at": START - 28 * DAY_US,
        "until_at": START,
        "found_at": START,
        "score": 14.25,
        "alarm_rate": 0.02,
        "signals": (
            FindingSignal(
                "bank coverage",
                "content",
                0.8166,
                0.9995,
                "These 41 accounts asked 6,102 of the 7,473 questions of gsm8k_train once each, no two the same.",
            ),
            FindingSignal("hours in step", "time", 9.1, None, "They were active in the same 3 hours on 19 of 28 days."),
        ),
        "links": (
            FindingLink("payment", "billing", 23, 0, "23 of them pay with 4 cards that nobody else uses."),
            FindingLink("content", "shards", 41, None, "Their questions overlap less than chance (z = -31.4)."),
        ),
        "explanations": (
            Explanation("benchmark run", True, "No member asked the bank whole, and it is the train split."),
            Explanation("office", False, "They share no address."),
        ),
        "against": ("If one customer opened all of these accounts under a contract, it is one customer.",),
        "calls": 7_004,
        "questions": 6_102,
        "permits": (),
        "permitted_calls": 0,
        "calls_root": "sha256:" + "ab" * 32,
        "detector_version": "1",
    }
    return Finding(**{**facts, **changes})
