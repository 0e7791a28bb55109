"""Calls written one by one, printed as a gateway prints them, among the customers that a gateway has besides."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from stillroom.base.records import Finding
from stillroom.store.calls import CALLS, SKETCHES
from stillroom.testing.traffic import START_AT, TRAFFIC_SECRET, bank_texts, benign
from stillroom.text.prints import Prints, billing_print, epoch_at
from stillroom.watch.banks.prints import BankPrints, BankText
from stillroom.watch.detectors import (
    RECENT_DAYS,
    WHOLE_DAYS,
    Calibrated,
    Candidates,
    Windows,
    calibrate,
    candidates,
    findings_of,
)
from stillroom.watch.state import window_of
from stillroom.watch.window import Window

DATA = Path(__file__).parents[1] / "data"
DAY_US = 86_400_000_000
FIRST_DAY = START_AT // DAY_US
UNTIL_DAY = FIRST_DAY + WHOLE_DAYS
PRINTS = Prints(TRAFFIC_SECRET, epoch_at(START_AT))
PEOPLE = 60
Said = Callable[[int, int], str]
"""What a person asks in its call of a number."""
When = Callable[[int, random.Random], float]
"""When a person calls, in days after the window's first, which is a Monday."""
WORKDAYS = [day for day in range(WHOLE_DAYS) if day % 7 < 5]
_TEXTS = ("prompt", "skeleton", "system")


@dataclass
class CallLog:
    rows: list[dict[str, Any]] = field(default_factory=list)
    sketches: list[dict[str, Any]] = field(default_factory=list)

    def ask(self, account: str, text: str, *, day: float, **said: Any) -> None:
        """One call, `day` days after the window's first. `said`: columns, or `address`, `card`, `tls`, `user`,
        `system` in words."""
        words = {name: said.pop(name, None) for name in ("address", "card", "tls", "user", "system")}
        texts = PRINTS.texts(text, words["system"])
        call_id = f"{account}-{len(self.rows)}"
        self.rows.append(
            {
                "call_id": call_id,
                "at": START_AT + int(day * DAY_US),
                "account": account,
                "organisation": f"org {account}",
                "model": "large",
                "turns": 1,
                "ip_print": None if words["address"] is None else PRINTS.address(words["address"]),
                "billing_print": None if words["card"] is None else billing_print(TRAFFIC_SECRET, words["card"]),
                "tls_print": None if words["tls"] is None else PRINTS.label("tls", words["tls"]),
                "user_print": None if words["user"] is None else PRINTS.label("user", words["user"]),
                **{f"{name}_print": getattr(texts, name) for name in _TEXTS},
                "print_key_id": PRINTS.print_key_id,
                "prompt_tokens": len(text) // 4 + 1,
                "completion_tokens": 150,
                "asks_reasoning": False,
                "asks_logprobs": False,
                "asks_grading": False,
                "status": "ok",
                **said,
            }
        )
        self.sketches.append({"call_id": call_id, "minhash": texts.sketch})

    def calls(self) -> pa.Table:
        rows = [dict.fromkeys(CALLS.names) | row for row in self.rows]
        return pa.Table.from_pylist(rows, CALLS)

    def window(self, days: int = WHOLE_DAYS, until_day: int = UNTIL_DAY) -> Window:
        sketches = pa.Table.from_pylist(self.sketches, SKETCHES)
        return window_of(
            self.calls(), sketches, None, [bank()], until_day - days, until_day, splits={bank().bank: "train"}
        )


@cache
def bank() -> BankPrints:
    """A known collection of questions."""
    return BankPrints.of(BankText("problems", questions(), "train", ""), PRINTS)


@cache
def questions() -> tuple[str, ...]:
    return tuple(bank_texts("word_problems")[:2_000])


@dataclass(frozen=True)
class Customers:
    """Those that a gateway has besides, and what is usual among them."""

    windows: Windows
    calibrated: Calibrated

    def with_log(self, log: CallLog) -> Candidates:
        recent, whole = log.window(RECENT_DAYS), log.window()
        return candidates(Windows(self.windows.recent.beside(recent), self.windows.whole.beside(whole)))

    def findings(self, log: CallLog) -> list[Finding]:
        found = findings_of(self.with_log(log), self.calibrated, found_at=0, version="test")
        return [each.finding for each in found]


def ordinary_customers() -> Customers:
    traffic = benign(5, organisations=300, calls_per_organisation=40, twins=())

    def window(days: int) -> Window:
        since = UNTIL_DAY - days
        return window_of(
            traffic.calls, traffic.sketches, traffic.events, [bank()], since, UNTIL_DAY, splits={"problems": "train"}
        )

    windows = Windows(window(RECENT_DAYS), window(WHOLE_DAYS))
    return Customers(windows, calibrate({UNTIL_DAY: candidates(windows)}, 1.0))


def own_text(chance: random.Random, pieces: int = 3) -> str:
    """What a customer writes: pieces of real texts, another choice each time."""
    return " ".join(chance.sample(sentences(), pieces))


@cache
def sentences() -> list[str]:
    found: dict[str, None] = {}
    for name, columns in (("gsm8k", ("question", "answer")), ("math", ("problem", "solution"))):
        for line in (DATA / "references" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
            for column in columns:
                found.update(dict.fromkeys(re.split(r"(?<=[.?!])\s+", json.loads(line)[column])))
    return [sentence for sentence in found if len(sentence) > 40]


def in_working_hours(_: int, chance: random.Random) -> float:
    return chance.choice(WORKDAYS) + chance.uniform(8, 17) / 24


def one_address(said: Said, card: Callable[[int], str], when: When = in_working_hours) -> CallLog:
    """Customers behind one address, with one client program."""
    chance, log = random.Random(1), CallLog()
    who = {"address": "198.51.100.7", "agent": "OpenAI/Python 1.50.2", "tls": "the same library"}
    for person in range(PEOPLE):
        for number in range(30):
            day = when(person, chance)
            log.ask(f"person {person}", said(person, number), day=day, card=card(person), **who)
    return log


def own_card(person: int) -> str:
    return f"card {person}"


def texts(seed: int) -> Said:
    chance = random.Random(seed)
    return lambda *_: own_text(chance)


def part_of_the_bank(calls: int) -> Said:
    return lambda person, number: questions()[person * calls + number]


def families(found: Finding) -> set[str]:
    return {link.family for link in found.links}
