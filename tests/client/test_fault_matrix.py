"""Every fault of the misbehaving teacher, alone and mixed, over 2,000 questions each, against the teacher's books."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from stillroom.base.errors import BudgetReached, KeyRefused, NoSuchModel, OutOfCredit, StillroomError
from stillroom.base.records import Attempt, Message
from stillroom.client import retry
from stillroom.client.budget import BudgetLimits
from stillroom.client.engine import EngineCounts, ask_all
from stillroom.client.pacing import PaceLimits
from stillroom.client.request import ChatRequest, RequestSettings, sent_messages
from stillroom.client.settings import Endpoint, Price, Sampling
from stillroom.store.journal import Journal
from stillroom.testing import Limits, MisbehavingTeacher, Rule
from stillroom.testing import Price as TeacherPrice
from stillroom.testing import faults as f
from stillroom.testing.faults import Fault

QUESTIONS = 2000
PRICE = {"input_per_million": Decimal("3"), "output_per_million": Decimal("15")}
SAMPLING = Sampling(temperature=0.5, max_tokens=60)

WHOLE: dict[str, tuple[Fault, float]] = {
    "429": (f.rate_limited(), 0.05),
    "429 with Retry-After": (f.rate_limited(0.02), 0.02),
    "429 with a date": (f.rate_limited(date_in_s=0), 0.002),
    "500": (f.internal_error(), 0.2),
    "502": (f.bad_gateway(), 0.2),
    "503": (f.unavailable(), 0.05),
    "504": (f.gateway_timeout(), 0.1),
    "529": (f.overloaded(), 0.05),
    "filtered": (f.content_filtered(), 0.2),
    "reset": (f.reset(), 0.1),
    "cut off": (f.cut_off(), 0.1),
    "hung up": (f.hung_up(), 0.1),
    "never answered": (f.never_answered(), 0.002),
    "slow": (f.slow(0.1), 0.2),
    "slow bytes": (f.slow_bytes(0.3, 5), 0.05),
    "blank lines": (f.blank_lines(20, 0.1), 0.1),
    "empty body": (f.empty_body(), 0.2),
    "truncated JSON": (f.truncated_json(), 0.2),
    "HTML": (f.not_json(), 0.2),
    "error in the body": (f.error_in_body(), 0.2),
    "429 in the body": (f.error_in_body(429), 0.02),
    "huge body": (f.huge_body(5), 0.002),
    "no choices": (f.empty_choices(), 0.2),
    "null content": (f.null_content(), 0.2),
    "no usage": (f.missing_usage(), 0.3),
    "usage as text": (f.usage_as_text(), 0.3),
    "wrong types": (f.wrong_types(), 0.2),
    "invalid UTF-8": (f.invalid_utf8(), 0.3),
    "lone surrogates": (f.lone_surrogates(), 0.3),
    "parts": (f.content_as_parts(), 0.5),
    "unclosed think block": (f.unclosed_think(), 0.3),
    "another model": (f.other_model(), 0.5),
}
STREAMED: dict[str, tuple[Fault, float]] = {
    "cut off": (f.cut_off(), 0.1),
    "stalled": (f.stalled(5), 0.01),
    "no finish reason": (f.no_finish_reason(), 0.1),
    "ended early": (f.ended_early(), 0.1),
    "error in the stream": (f.error_in_stream(), 0.1),
    "tiny chunks": (f.tiny_chunks(100), 0.1),
    "split think tags": (f.split_think_tags(), 0.3),
    "comments": (f.keep_alive_comments(5), 0.3),
    "no usage": (f.missing_usage(), 0.3),
    "500": (f.internal_error(), 0.2),
    "429": (f.rate_limited(), 0.05),
}


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_WAIT_S", 0.005)


def requests(endpoint: Endpoint, samples: int = 1) -> Iterator[ChatRequest]:
    settings = RequestSettings(endpoint, SAMPLING)
    for number in range(QUESTIONS):
        messages = sent_messages([Message(role="user", content=f"What is {number} plus one?")])
        yield ChatRequest(f"q{number}", messages, settings, tuple(range(samples)))


def teacher_with(rules: list[Rule], **settings: Any) -> MisbehavingTeacher:
    return MisbehavingTeacher(rules=rules, price=TeacherPrice(**PRICE), **settings)


def ask(
    folder: Path, teacher: MisbehavingTeacher, samples: int = 1, budget: BudgetLimits | None = None, **endpoint: Any
) -> EngineCounts:
    where = Endpoint(
        model="teacher", base_url=teacher.base_url, price=Price(**PRICE), **({"timeout_s": 2.0} | endpoint)
    )
    with Journal(folder / "ask.sqlite") as journal:
        return asyncio.run(
            ask_all(
                requests(where, samples),
                where,
                journal,
                pace=PaceLimits(64),
                limits=budget or BudgetLimits(),
                retries=30,
            )
        )


def compare_books(folder: Path, teacher: MisbehavingTeacher, *, samples: int = 1) -> Counter[str]:
    """Ours against the teacher's, call by call. Returns how many replies have which status."""
    with Journal(folder / "ask.sqlite") as journal:
        ours = {attempt.request_id: attempt for attempt in journal.attempts()}
        spent = journal.spent()
        statuses: Counter[str] = Counter(reply.status for reply in journal.replies())
    theirs = {entry.request_id: entry for entry in teacher.ledger}
    assert len(theirs) == len(teacher.ledger), "two calls had one name"
    assert theirs.keys() <= ours.keys(), "a call that we know nothing of"
    for name, entry in theirs.items():
        assert _counts_for(ours[str(name)]) >= entry.charged_usd, (entry, ours[str(name)])
        if ours[str(name)].status != "unknown":
            assert _counts_for(ours[str(name)]) == entry.charged_usd, (entry, ours[str(name)])
    unknown = {name for name, attempt in ours.items() if attempt.status == "unknown"}
    known_by_us = spent.usd - spent.unknown_usd
    known_by_them = sum((entry.charged_usd for name, entry in theirs.items() if name not in unknown), Decimal(0))
    assert known_by_us == known_by_them
    assert spent.usd >= teacher.charged_usd
    assert spent.calls == len(ours)
    assert statuses.total() <= QUESTIONS * samples
    return statuses


def _counts_for(attempt: Attempt) -> Decimal:
    counted = attempt.reserved_usd if attempt.status == "unknown" else attempt.cost_usd
    return Decimal(counted or 0)


@pytest.mark.parametrize("name", WHOLE)
def test_each_fault(tmp_path: Path, name: str) -> None:
    fault, share = WHOLE[name]
    with teacher_with([Rule(fault, share=share)]) as teacher:
        counts = ask(tmp_path, teacher)
        assert teacher.by_fault[fault.name] > 0
    assert (counts.requests, counts.replies) == (QUESTIONS, QUESTIONS)
    statuses = compare_books(tmp_path, teacher)
    assert statuses.total() == QUESTIONS
    expected = {"filtered": "refused", "unclosed think block": "empty"}.get(name)
    if expected is not None:
        assert statuses[expected] == teacher.by_fault[fault.name]
    else:
        assert statuses["ok"] >= QUESTIONS * 0.98


@pytest.mark.parametrize("name", STREAMED)
def test_each_fault_of_a_stream(tmp_path: Path, name: str) -> None:
    fault, share = STREAMED[name]
    with teacher_with([Rule(fault, share=share)]) as teacher:
        counts = ask(tmp_path, teacher, stream=True, idle_timeout_s=1.0)
        assert teacher.by_fault[fault.name] > 0
    assert (counts.requests, counts.replies) == (QUESTIONS, QUESTIONS)
    assert compare_books(tmp_path, teacher)["ok"] >= QUESTIONS * 0.98


@pytest.mark.parametrize("stream", [False, True])
def test_all_of_them_mixed(tmp_path: Path, stream: bool) -> None:
    slow = {"never answered", "stalled", "slow bytes", "huge body", "429 with a date"}  # these wait for seconds
    faults = [fault for name, (fault, _) in (STREAMED if stream else WHOLE).items() if name not in slow]
    with teacher_with([Rule(fault, share=0.3 / len(faults)) for fault in faults]) as teacher:
        counts = ask(tmp_path, teacher, stream=stream, idle_timeout_s=2.0)
        assert teacher.by_fault.keys() >= {fault.name for fault in faults}
    assert (counts.requests, counts.replies) == (QUESTIONS, QUESTIONS)
    statuses = compare_books(tmp_path, teacher)
    assert statuses.total() == QUESTIONS
    assert statuses["ok"] >= QUESTIONS * 0.9


@pytest.mark.parametrize(
    ("fault", "calls_of_a_question"),
    [(None, 1), (f.fewer_choices(1), 4), (f.n_refused(), 4)],
    ids=["n works", "n ignored", "n refused"],
)
def test_several_samples(tmp_path: Path, fault: Fault | None, calls_of_a_question: int) -> None:
    with teacher_with([] if fault is None else [Rule(fault)]) as teacher:
        if fault is not None and fault.name == "n_refused":
            teacher = teacher_with([Rule(fault, first=1)])
            with teacher:
                counts = ask(tmp_path, teacher, samples=4)
        else:
            counts = ask(tmp_path, teacher, samples=4)
    assert counts.replies == QUESTIONS * 4
    assert compare_books(tmp_path, teacher, samples=4) == {"ok": QUESTIONS * 4}
    assert QUESTIONS * calls_of_a_question <= counts.calls <= QUESTIONS * calls_of_a_question + 64
    with Journal(tmp_path / "ask.sqlite") as journal:
        total = sum((Decimal(reply.cost_usd or 0) for reply in journal.replies()), Decimal(0))
    assert total == teacher.charged_usd


@pytest.mark.parametrize(
    "limits", [Limits(in_flight=20), Limits(in_flight=20, retry_after="none")], ids=["told", "not told"]
)
def test_limits_lose_nothing(tmp_path: Path, limits: Limits) -> None:
    with teacher_with([], limits=limits, delay_s=(0.001, 0.01)) as teacher:
        counts = ask(tmp_path, teacher)
        assert teacher.by_fault["in_flight_limit"] > 0
    assert counts.replies == QUESTIONS
    assert compare_books(tmp_path, teacher) == {"ok": QUESTIONS}


@pytest.mark.parametrize(
    ("fault", "error"),
    [(f.quota_exhausted(), OutOfCredit), (f.key_refused(), KeyRefused), (f.no_such_model(), NoSuchModel)],
    ids=lambda value: getattr(value, "name", None) or value.__name__,
)
def test_what_will_not_heal_stops_the_run_where_it_is(
    tmp_path: Path, fault: Fault, error: type[StillroomError]
) -> None:
    with teacher_with([Rule(fault, after=500)], delay_s=(0.001, 0.005)) as teacher:
        with pytest.raises(error) as stopped:
            ask(tmp_path, teacher)
        assert teacher.base_url in stopped.value.what
        assert len(teacher.ledger) <= 500 + 64
    assert compare_books(tmp_path, teacher)["ok"] >= 500 - 64
    with teacher_with([]) as healed:
        counts = ask(tmp_path, healed)
    assert counts.settled + counts.replies == QUESTIONS


@pytest.mark.parametrize("share", [0.0, 0.08])
@pytest.mark.parametrize(
    "limit",
    [{"budget_usd": Decimal("0.35")}, {"max_calls": 700}, {"max_total_tokens": 20_000}],
    ids=lambda one: next(iter(one)),
)
def test_no_call_in_flight_carries_a_total_past_its_limit(tmp_path: Path, limit: dict[str, Any], share: float) -> None:
    rules = [Rule(fault, share=share / 4) for fault in (f.reset(), f.missing_usage(), f.internal_error(), f.cut_off())]
    with teacher_with(rules if share else [], delay_s=(0.001, 0.01)) as teacher:
        with pytest.raises(BudgetReached, match=next(iter(limit))):
            ask(tmp_path, teacher, budget=BudgetLimits(**limit))
        asked = len(teacher.ledger)
        statuses = compare_books(tmp_path, teacher)
        assert 0 < statuses["ok"] < QUESTIONS
        tokens = sum(entry.prompt_tokens + entry.completion_tokens for entry in teacher.ledger)
        assert teacher.charged_usd <= limit.get("budget_usd", 1000)
        assert asked <= limit.get("max_calls", 10**9)
        assert tokens <= limit.get("max_total_tokens", 10**9)
        with pytest.raises(BudgetReached):  # the limit is the run's, however often it is started
            ask(tmp_path, teacher, budget=BudgetLimits(**limit))
        assert len(teacher.ledger) <= asked + 1
        counts = ask(tmp_path, teacher)
        assert counts.settled + counts.replies == QUESTIONS


def test_a_server_that_ignores_the_limit_teaches_the_budget(tmp_path: Path) -> None:
    with teacher_with([Rule(f.limit_ignored(600))]) as teacher:
        with pytest.raises(BudgetReached):
            ask(tmp_path, teacher, budget=BudgetLimits(budget_usd=Decimal("0.5")))
        compare_books(tmp_path, teacher)
        assert Decimal("0.3") < teacher.charged_usd <= Decimal("0.5")


def test_replies_far_longer_than_the_limit_make_reservations_no_larger_than_they_are(tmp_path: Path) -> None:
    with teacher_with([Rule(f.limit_ignored(3000))]) as teacher:
        counts = ask(tmp_path, teacher, budget=BudgetLimits(budget_usd=Decimal(1000)))
        assert counts.replies == QUESTIONS
        compare_books(tmp_path, teacher)
    with Journal(tmp_path / "ask.sqlite") as journal:
        most = max(Decimal(attempt.reserved_usd or 0) for attempt in journal.attempts())
    assert most <= 60 * Decimal("0.001")  # 3,000 tokens cost 0.045
