"""Whatever order replies, failures, deaths and new starts come in: paid once, within the budget, nothing lost.

The network is a script here, so that hundreds of histories are tried: a transport that answers as it is told, keeps its
own books, and at a chosen call dies: the journal's files are copied as they lie, and the next start has the copy.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from collections import Counter
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillroom.base.errors import BudgetReached, TeacherError
from stillroom.base.records import Message
from stillroom.client import lane
from stillroom.client.budget import BudgetLimits
from stillroom.client.engine import ask_all
from stillroom.client.pacing import PaceLimits
from stillroom.client.request import ChatRequest, RequestSettings, sent_messages
from stillroom.client.secret import Secret
from stillroom.client.settings import Endpoint, Price, Sampling
from stillroom.client.transport import Answered, NotAnswered
from stillroom.store.journal import Journal

PRICE = Price(input_per_million=Decimal(1000), output_per_million=Decimal(10000))
ENDPOINT = Endpoint(model="t", base_url="http://127.0.0.1:1/v1", price=PRICE)
SETTINGS = RequestSettings(ENDPOINT, Sampling(max_tokens=20))
OUTCOMES = st.sampled_from(
    [
        "ok",
        "ok",
        "ok",
        "no usage",
        "cut",
        "500",
        "429",
        "504",
        "reset",
        "reset, charged",
        "no choices",
        "one choice",
        "400",
    ]
)


class Clock:
    """Sleeps take no time."""

    def __init__(self) -> None:
        self._now = 1_000_000.0

    def now_us(self) -> int:
        return round(self._now * 1e6)

    def monotonic(self) -> float:
        self._now += 1e-6
        return self._now

    async def sleep(self, seconds: float) -> None:
        self._now += seconds
        await asyncio.sleep(0)


class ScriptedTeacher:
    """Its books outlive the client's deaths."""

    def __init__(self, outcomes: list[str]) -> None:
        self._outcomes = outcomes
        self.charged = Decimal(0)
        self.calls = 0
        self.sent: Counter[str] = Counter()
        """Calls for each key."""
        self.good: Counter[str] = Counter()
        """Replies given for each key that nothing was wrong with."""
        self.folder = Path()
        self.journal: Journal | None = None
        self.dies_at: int | None = None
        self.dead: asyncio.Event | None = None

    def next_outcome(self) -> str:
        return self._outcomes[self.calls % len(self._outcomes)] if self.calls < 24 else "ok"

    def answer(self, body: dict[str, Any]) -> Answered | NotAnswered:
        outcome = self.next_outcome()
        self.calls += 1
        samples = body.get("n", 1)
        prompt, completion = 30, 10 * (1 if outcome == "one choice" else samples)
        cost = (prompt * PRICE.input_per_million + completion * PRICE.output_per_million) / 1_000_000
        if outcome in ("500", "429", "400"):
            return Answered(int(outcome), b'{"error": {"message": "no"}}', {})
        if outcome == "reset":
            return NotAnswered("connection", "reset")
        self.charged += cost
        if outcome == "reset, charged":
            return NotAnswered("connection", "reset")
        if outcome == "504":
            return Answered(504, b"", {})
        choices = [
            {"index": index, "message": {"content": "four"}, "finish_reason": "length" if outcome == "cut" else "stop"}
            for index in range({"no choices": 0, "one choice": 1}.get(outcome, samples))
        ]
        usage = None if outcome == "no usage" else {"prompt_tokens": prompt, "completion_tokens": completion}
        return Answered(200, json.dumps({"choices": choices, "usage": usage}).encode(), {})


def transport_to(teacher: ScriptedTeacher) -> type:
    class Transport:
        secret = Secret(None)

        def __init__(self, *_: object) -> None:
            pass

        async def __aenter__(self) -> Self:
            return self

        async def __aexit__(self, *_: object) -> None:
            pass

        async def send(self, body: bytes, request_id: str, **_: object) -> Answered | NotAnswered:
            assert teacher.dead is not None
            assert teacher.journal is not None
            assert request_id.startswith(teacher.journal.id)
            if not teacher.dead.is_set() and teacher.dies_at == teacher.calls:
                shutil.copytree(teacher.folder, teacher.folder.with_name(teacher.folder.name + "+"))
                teacher.dead.set()
            if teacher.dead.is_set():
                await asyncio.Event().wait()  # nothing that a dead process sends arrives
            decoded = json.loads(body)
            key = str(decoded["messages"][-1]["content"])
            teacher.sent[key] += 1
            answer = teacher.answer(decoded)
            await asyncio.sleep(0)
            return answer

    return Transport


def requests(samples: int) -> list[ChatRequest]:
    texts = ["a", "b", "c", "d", "e", "a"]  # two questions share their words
    return [
        ChatRequest(f"q{n}", sent_messages([Message(role="user", content=text)]), SETTINGS, tuple(range(samples)))
        for n, text in enumerate(texts)
    ]


async def start(teacher: ScriptedTeacher, journal: Journal, samples: int, budget: Decimal | None) -> None:
    teacher.dead = asyncio.Event()
    asking = asyncio.create_task(
        ask_all(
            requests(samples),
            ENDPOINT,
            journal,
            pace=PaceLimits(4),
            limits=BudgetLimits(budget_usd=budget),
            retries=40,
            clock=Clock(),
        )
    )
    dying = asyncio.create_task(teacher.dead.wait())
    await asyncio.wait({asking, dying}, return_when=asyncio.FIRST_COMPLETED)
    dying.cancel()
    while teacher.dead.is_set() and not asking.done():
        asking.cancel()
        await asyncio.sleep(0)
    with suppress(BudgetReached, TeacherError, asyncio.CancelledError):  # a teacher that only fails ends a start
        await asking


@settings(max_examples=120, deadline=None)
@given(
    outcomes=st.lists(OUTCOMES, min_size=1, max_size=20),
    deaths=st.lists(st.integers(0, 12), max_size=3),
    samples=st.integers(1, 3),
    budgets=st.lists(st.integers(1, 30), max_size=2),
)
def test_any_history_keeps_the_promises(
    outcomes: list[str], deaths: list[int], samples: int, budgets: list[int]
) -> None:
    teacher = ScriptedTeacher(outcomes)
    limits: list[Decimal | None] = [Decimal(budget) / 10 for budget in sorted(budgets)]
    with tempfile.TemporaryDirectory() as scratch, pytest.MonkeyPatch.context() as patch:
        patch.setattr(lane, "Transport", transport_to(teacher))
        teacher.folder = Path(scratch) / "run"
        for death, budget in [
            *((death, None) for death in deaths),
            *((None, limit) for limit in limits),
            *[(None, None)] * 10,
        ]:
            teacher.dies_at = None if death is None else teacher.calls + death
            settled_before = _settled(teacher.folder, samples)
            sent_before = Counter(teacher.sent)
            with Journal(teacher.folder / "ask.sqlite") as journal:
                teacher.journal = journal
                spent_before = journal.spent().usd
                asyncio.run(start(teacher, journal, samples, budget))
                if teacher.dead is not None and not teacher.dead.is_set():
                    spent = journal.spent()
                    assert spent.usd >= teacher.charged, "our ledger is below the bill"
                    assert budget is None or spent.usd <= max(budget, spent_before), "the limit was passed"
            for text in settled_before:
                assert teacher.sent[text] == sent_before[text], "asked again what was settled"
            if teacher.dead is not None and teacher.dead.is_set():
                teacher.folder = teacher.folder.with_name(teacher.folder.name + "+")
        _look(teacher, samples)


def _settled(folder: Path, samples: int) -> set[str]:
    """Questions that need no call any more."""
    if not folder.exists():
        return set()
    with tempfile.TemporaryDirectory() as scratch:
        shutil.copytree(folder, Path(scratch) / "run")
        with Journal(Path(scratch) / "run" / "ask.sqlite") as journal:
            wanted = {request.messages: request.keys for request in requests(samples)}
            found = journal.finished([key for keys in wanted.values() for key in keys])
            done = {key for key, one in found.items() if one.status in ("ok", "empty", "truncated")}
            return {
                str(json.loads(messages)[-1]["content"]) for messages, keys in wanted.items() if done.issuperset(keys)
            }


def _look(teacher: ScriptedTeacher, samples: int) -> None:
    with Journal(teacher.folder / "ask.sqlite") as journal:
        wanted = {key for request in requests(samples) for key in request.keys}
        replies = list(journal.replies())
        assert len(replies) == len(wanted)
        assert {reply.key for reply in replies} == wanted, "a question is without a reply"
        attempts = list(journal.attempts())
        assert len(attempts) >= teacher.calls, "a call is not in the journal"
        spent = journal.spent()
        known = sum((Decimal(one.cost_usd or 0) for one in attempts if one.status != "unknown"), Decimal(0))
        assert spent.usd - spent.unknown_usd == known
        assert known <= teacher.charged <= spent.usd
        assert sum((Decimal(reply.cost_usd or 0) for reply in replies), Decimal(0)) <= known
