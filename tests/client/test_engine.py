from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.ports import unused_port

from stillroom.base.clock import Clock
from stillroom.base.errors import (
    BudgetReached,
    DataError,
    KeyRefused,
    NoSuchModel,
    RecipeError,
    TeacherError,
    TeacherUnreachable,
)
from stillroom.base.records import Message, Reply
from stillroom.client import transport
from stillroom.client.budget import BudgetLimits
from stillroom.client.engine import EngineCounts, ask_all
from stillroom.client.pacing import PaceLimits
from stillroom.client.reply import read_reply
from stillroom.client.request import ChatRequest, RequestSettings, sent_messages
from stillroom.client.settings import Endpoint, Price, Sampling
from stillroom.client.waiting import TAKEN_AT_ONCE
from stillroom.store.journal import Journal
from stillroom.testing import Answer, MisbehavingTeacher, Rule
from stillroom.testing.faults import (
    Fault,
    blank_lines,
    cut_off,
    empty_body,
    empty_choices,
    error_in_body,
    http_error,
    huge_body,
    limit_ignored,
    not_json,
    null_content,
    rate_limited,
    raw_body,
    reset,
    slow,
    truncated_json,
)

LIMIT = Sampling(temperature=0.5, max_tokens=50)
ANYWHERE = Endpoint(model="teacher", base_url="http://127.0.0.1/v1")


def request_of(question_id: str, text: str, settings: RequestSettings, *samples: int) -> ChatRequest:
    return ChatRequest(question_id, sent_messages([Message(role="user", content=text)]), settings, samples or (0,))


def requests_of(count: int, sampling: Sampling = LIMIT, first: int = 0, samples: int = 1) -> Iterator[ChatRequest]:
    settings = RequestSettings(ANYWHERE, sampling)
    for number in range(first, first + count):
        yield request_of(f"q{number}", f"Question {number}?", settings, *range(samples))


def run(
    folder: Path, base_url: str, requests: Iterable[ChatRequest], clock: Clock | None = None, **settings: Any
) -> EngineCounts:
    endpoint = {name: settings.pop(name) for name in list(settings) if name in Endpoint.model_fields}
    endpoint = {"model": "teacher", "base_url": base_url, "price": "none"} | endpoint
    pace = PaceLimits(concurrency=settings.pop("concurrency", 64))
    with Journal(folder / "ask.sqlite") as journal:
        return asyncio.run(ask_all(requests, Endpoint(**endpoint), journal, pace=pace, clock=clock, **settings))


def replies_in(folder: Path) -> list[Reply]:
    with Journal(folder / "ask.sqlite") as journal:
        return list(journal.replies())


def attempts_in(folder: Path) -> list[tuple[str, str | None]]:
    with Journal(folder / "ask.sqlite") as journal:
        return [(attempt.status, attempt.error_kind) for attempt in journal.attempts()]


def test_each_request_gets_its_reply(tmp_path: Path) -> None:
    with MisbehavingTeacher() as teacher:
        counts = run(tmp_path, teacher.base_url, requests_of(100))
        assert (counts.requests, counts.replies, counts.calls, teacher.requests) == (100, 100, 100, 100)
    for reply in replies_in(tmp_path):
        text = read_reply(reply)
        assert reply.question_id.removeprefix("q") in (text.reasoning or "")
        assert (reply.status, reply.served_model, reply.reasoning_form) == ("ok", "teacher-served", "full")
        assert (reply.counted_by, reply.cost_usd, reply.max_tokens) == ("provider", None, 50)
        assert reply.prompt_tokens == 2
        assert reply.endpoint == teacher.base_url


def test_nothing_is_asked_twice(tmp_path: Path) -> None:
    with MisbehavingTeacher() as teacher:
        run(tmp_path, teacher.base_url, requests_of(30))
        counts = run(tmp_path, teacher.base_url, requests_of(40))
        assert (counts.settled, counts.replies, teacher.requests) == (30, 10, 40)
    with MisbehavingTeacher() as moved:  # another address, the same teacher
        assert run(tmp_path, moved.base_url, requests_of(40)).settled == 40
        assert moved.requests == 0


def test_two_questions_with_the_same_messages_share_a_reply(tmp_path: Path) -> None:
    twins = [request_of(f"q{number}", "2 + 2?", RequestSettings(ANYWHERE, LIMIT)) for number in range(20)]
    with MisbehavingTeacher(delay_s=(0.01, 0.02)) as teacher:
        counts = run(tmp_path, teacher.base_url, [*twins, *requests_of(5)])
        assert teacher.by_question["2 + 2?"] == 1
    assert counts.shared + counts.settled == 19


@pytest.mark.parametrize(
    ("fault", "attempt"),
    [
        (http_error(408), "unknown"),
        (http_error(409), "retry"),
        (rate_limited(), "retry"),
        (http_error(500), "retry"),
        (http_error(503), "retry"),
        (http_error(504), "unknown"),  # a gateway gave up waiting for a model that may have answered
        (http_error(529), "retry"),
        (reset(), "unknown"),
        (cut_off(), "unknown"),
        (empty_body(), "unknown"),
        (truncated_json(), "unknown"),
        (not_json(), "unknown"),
        (empty_choices(), "retry"),  # with a bill
        (null_content(), "unknown"),
        (error_in_body(), "unknown"),
        (error_in_body(502), "retry"),
        (error_in_body("429"), "retry"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value.status}-{(value.body or b'')[:30]!r}",
)
def test_what_passes_is_tried_again(tmp_path: Path, clock: Clock, fault: Fault, attempt: str) -> None:
    with MisbehavingTeacher(faults=[fault, fault]) as teacher:
        counts = run(tmp_path, teacher.base_url, requests_of(1), clock)
        assert (counts.calls, teacher.requests) == (3, 3)
    assert [reply.status for reply in replies_in(tmp_path)] == ["ok"]
    assert [status for status, _ in attempts_in(tmp_path)] == [attempt, attempt, "ok"]


@pytest.mark.parametrize("fault", [blank_lines(), slow(0.05)])
def test_odd_but_right_replies_are_taken(tmp_path: Path, fault: Fault) -> None:
    with MisbehavingTeacher(faults=[fault]) as teacher:
        assert run(tmp_path, teacher.base_url, requests_of(1)).calls == 1
    assert [reply.status for reply in replies_in(tmp_path)] == ["ok"]


def test_tries_are_bounded_and_a_row_that_fails_is_a_reply(tmp_path: Path, clock: Clock) -> None:
    faults = {"Question 1?": [http_error(500, "boom")] * 99, "Question 2?": [truncated_json()] * 99}
    with MisbehavingTeacher(faults_by_question=faults) as teacher:
        counts = run(tmp_path, teacher.base_url, requests_of(4), clock, retries=4)
        assert teacher.by_question == {"Question 0?": 1, "Question 1?": 5, "Question 2?": 3, "Question 3?": 1}
    assert counts.by_status == Counter(ok=2, failed=2)
    failed = {reply.question_id: reply for reply in replies_in(tmp_path) if reply.status == "failed"}
    assert failed["q1"].error_kind == "http_500"
    assert failed["q2"].error_kind == "not_json"
    assert b"boom" in failed["q1"].raw


def test_what_failed_for_a_while_is_asked_again_by_the_next_run(tmp_path: Path, clock: Clock) -> None:
    faults = {"Question 0?": [http_error(500)] * 2, "Question 1?": [http_error(400)], "Question 2?": [null_content()]}
    with MisbehavingTeacher(faults_by_question=faults) as teacher:
        assert run(tmp_path, teacher.base_url, requests_of(4), clock, retries=0).by_status["failed"] == 2
        assert run(tmp_path, teacher.base_url, requests_of(4), clock, retries=0).requests == 4
        assert run(tmp_path, teacher.base_url, requests_of(4), clock, retries=0).calls == 1  # question 0, third time
        assert teacher.by_question == {f"Question {n}?": calls for n, calls in enumerate([3, 1, 1, 1])}
    assert [reply.status for reply in replies_in(tmp_path)] == ["ok", "failed", "empty", "ok"]


def test_a_cut_reply_is_asked_again_only_with_a_larger_limit(tmp_path: Path) -> None:
    def answer(_: str) -> Answer:
        return Answer("half", finish_reason="length", completion_tokens=50)

    with MisbehavingTeacher(answer) as teacher:
        for max_tokens, calls in ((50, 1), (50, 1), (40, 1), (51, 2), (51, 2), (None, 3), (None, 3), (9999, 3)):
            run(tmp_path, teacher.base_url, requests_of(1, Sampling(max_tokens=max_tokens)))
            assert teacher.requests == calls, max_tokens
    (reply,) = replies_in(tmp_path)
    assert (reply.status, reply.finish_reason) == ("truncated", "length")


def test_a_whole_reply_serves_any_limit_that_it_fits_in(tmp_path: Path) -> None:
    with MisbehavingTeacher(lambda _: Answer("whole", completion_tokens=30)) as teacher:
        for max_tokens, calls in ((50, 1), (30, 1), (None, 1), (29, 2)):
            run(tmp_path, teacher.base_url, requests_of(1, Sampling(max_tokens=max_tokens)))
            assert teacher.requests == calls, max_tokens


def test_retry_after_is_obeyed(tmp_path: Path, clock: Any) -> None:
    date = "Thu, 01 Jan 1970 00:00:00 GMT"  # long past for a clock that starts later
    with MisbehavingTeacher(faults=[rate_limited("7"), rate_limited("90"), rate_limited(date)]) as teacher:
        run(tmp_path, teacher.base_url, requests_of(1), clock)
        assert teacher.requests == 4
    first, second, *rest = clock.slept
    assert 7 <= first <= 8
    assert 90 <= second <= 95  # the newest value, not the first
    assert sum(rest) <= 30


class TickingClock:
    """A clock on which up to a second passes between any two looks. Calls in flight end while it sleeps."""

    def __init__(self, seed: int) -> None:
        self._now_s, self._draw = 1_000_000.0, random.Random(seed)

    def now_us(self) -> int:
        return round(self._now_s * 1e6)

    def monotonic(self) -> float:
        self._now_s += self._draw.random()
        return self._now_s

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0.03)
        self._now_s += seconds


@pytest.mark.parametrize("seed", range(4))
def test_what_opens_while_it_is_looked_at_is_not_waited_for(tmp_path: Path, seed: int) -> None:
    async def ask(journal: Journal, base_url: str) -> EngineCounts:
        endpoint = Endpoint(model="teacher", base_url=base_url, price="none")
        asked = ask_all(requests_of(40), endpoint, journal, pace=PaceLimits(concurrency=4), clock=TickingClock(seed))
        return await asyncio.wait_for(asked, timeout=60)  # it would wait for ever

    rules = [Rule(rate_limited("1"), share=0.3)]
    with MisbehavingTeacher(rules=rules, seed=seed) as teacher, Journal(tmp_path / "ask.sqlite") as journal:
        assert asyncio.run(ask(journal, teacher.base_url)).by_status["ok"] == 40


def test_calls_in_flight_are_bounded_and_the_first_goes_alone(tmp_path: Path) -> None:
    with MisbehavingTeacher(delay_s=(0.005, 0.01)) as teacher:
        run(tmp_path, teacher.base_url, requests_of(60), concurrency=8)
        assert 2 <= teacher.most_in_flight <= 8


def test_requests_are_taken_only_as_they_are_needed(tmp_path: Path) -> None:
    taken = 0
    most_ahead = 0

    def watched(teacher: MisbehavingTeacher) -> Iterator[ChatRequest]:
        nonlocal taken, most_ahead
        for request in requests_of(2000):
            taken += 1
            most_ahead = max(most_ahead, taken - teacher.requests)
            yield request

    with MisbehavingTeacher() as teacher:
        run(tmp_path, teacher.base_url, watched(teacher), concurrency=4)
    assert taken == 2000
    assert most_ahead <= 2 * TAKEN_AT_ONCE


def test_a_slow_reply_holds_up_nobody(tmp_path: Path) -> None:
    with MisbehavingTeacher(faults_by_question={"Question 1?": [slow(2)]}) as teacher:
        run(tmp_path, teacher.base_url, requests_of(50), concurrency=2)
    replies = replies_in(tmp_path)
    (late,) = [reply for reply in replies if reply.question_id == "q1"]
    assert sum(reply.asked_at < late.asked_at + late.latency_us for reply in replies) >= 25


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (http_error(401, "bad key"), KeyRefused),
        (http_error(403, "not for you"), KeyRefused),
        (http_error(404, "no such model"), NoSuchModel),
        (http_error(400, "Model Not Exist"), NoSuchModel),
        (error_in_body(401), KeyRefused),
        (http_error(402), TeacherError),
        (http_error(429, "used up", code="insufficient_quota"), TeacherError),
        (raw_body(b"moved", 307), TeacherError),
    ],
    ids=lambda value: getattr(value, "__name__", "") or f"{value.status}",
)
def test_what_no_question_can_mend_stops_the_run_after_one_call(
    tmp_path: Path, fault: Fault, error: type[TeacherError]
) -> None:
    with MisbehavingTeacher(always=fault) as teacher:
        with pytest.raises(error) as caught:
            run(tmp_path, teacher.base_url, requests_of(100))
        assert teacher.requests == 1
        assert teacher.base_url in caught.value.what
        assert caught.value.remedy
    assert replies_in(tmp_path) == []
    assert [status for status, _ in attempts_in(tmp_path)] == ["failed"]


def test_a_key_that_is_revoked_stops_the_run_and_loses_nothing(tmp_path: Path) -> None:
    faults = [None] * 20 + [http_error(401)] * 1000
    with MisbehavingTeacher(faults=faults, delay_s=(0, 0.01)) as teacher:
        with pytest.raises(KeyRefused):
            run(tmp_path, teacher.base_url, requests_of(200), concurrency=8)
        assert teacher.requests <= 20 + 8
    assert len(replies_in(tmp_path)) == 20
    with MisbehavingTeacher() as teacher:
        assert run(tmp_path, teacher.base_url, requests_of(200)).settled == 20


def test_nobody_there_stops_the_run_after_a_few_calls(tmp_path: Path, clock: Clock) -> None:
    port = unused_port()
    with pytest.raises(TeacherUnreachable, match=f"Nobody answers at http://127.0.0.1:{port}/v1: .*refused"):
        run(tmp_path, f"http://127.0.0.1:{port}/v1", requests_of(100), clock)
    assert [kind for _, kind in attempts_in(tmp_path)] == ["connect"] * 3


def test_a_teacher_that_only_resets_stops_the_run_after_a_few_calls(tmp_path: Path, clock: Clock) -> None:
    with MisbehavingTeacher(always=reset()) as teacher:
        with pytest.raises(TeacherUnreachable):
            run(tmp_path, teacher.base_url, requests_of(100), clock)
        assert teacher.requests == 3
    assert attempts_in(tmp_path) == [("unknown", "connection")] * 3


def test_a_teacher_that_never_answers_is_a_timeout(tmp_path: Path, clock: Clock) -> None:
    with MisbehavingTeacher(always=slow(600)) as teacher:
        with pytest.raises(TeacherUnreachable):
            run(tmp_path, teacher.base_url, requests_of(5), clock, timeout_s=0.2)
        assert teacher.requests == 3
    assert attempts_in(tmp_path) == [("unknown", "timeout")] * 3


def test_a_teacher_that_goes_away_stops_the_run(tmp_path: Path, clock: Clock) -> None:
    with MisbehavingTeacher(faults=[None] * 30, always=reset()) as teacher:
        with pytest.raises(TeacherUnreachable, match="any longer"):
            run(tmp_path, teacher.base_url, requests_of(500), clock, concurrency=4, retries=2)
        assert teacher.requests < 100
    assert Counter(reply.status for reply in replies_in(tmp_path))["ok"] == 30


def test_a_teacher_that_answers_no_question_stops_the_run(tmp_path: Path, clock: Clock) -> None:
    with MisbehavingTeacher(always=http_error(400, "temperature is not allowed")) as teacher:
        with pytest.raises(TeacherError, match=r"none of the first 8 requests .*temperature is not allowed"):
            run(tmp_path, teacher.base_url, requests_of(500), clock, concurrency=4)
        assert teacher.requests <= 8 + 4


def test_a_question_that_is_too_long_fails_alone(tmp_path: Path, clock: Clock) -> None:
    too_long = http_error(400, "maximum context length is 9", code="context_length_exceeded")
    faults = {f"Question {number}?": [too_long] for number in range(20)}
    with MisbehavingTeacher(faults_by_question=faults) as teacher:
        counts = run(tmp_path, teacher.base_url, requests_of(40), clock)
        assert teacher.requests == 40
    assert counts.by_status == Counter(ok=20, failed=20)


def test_an_error_in_the_source_stops_the_run_and_keeps_what_came(tmp_path: Path) -> None:
    def broken() -> Iterator[ChatRequest]:
        yield from requests_of(TAKEN_AT_ONCE)
        raise DataError("line 257 is not JSON.")

    with MisbehavingTeacher() as teacher:
        with pytest.raises(DataError, match="line 257"):
            run(tmp_path, teacher.base_url, broken(), concurrency=4)
        assert len(replies_in(tmp_path)) == teacher.requests > 0


def test_a_run_that_is_cancelled_twice_leaves_open_intents_to_be_counted(tmp_path: Path) -> None:
    async def cancelled(teacher: MisbehavingTeacher, journal: Journal) -> None:
        endpoint = Endpoint(model="teacher", base_url=teacher.base_url, price="none")
        said: list[str] = []
        pace = PaceLimits(concurrency=4)
        asking = asyncio.create_task(ask_all(requests_of(50), endpoint, journal, pace=pace, announce=said.append))
        while teacher.in_flight < 2:
            await asyncio.sleep(0.001)
        asking.cancel()
        while not said:
            await asyncio.sleep(0.001)
        assert "2 calls are in flight" in said[0]
        assert not asking.done()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    with MisbehavingTeacher(faults=[None], always=slow(600)) as teacher, Journal(tmp_path / "ask.sqlite") as journal:
        asyncio.run(cancelled(teacher, journal))
    assert [status for status, _ in attempts_in(tmp_path)].count("unknown") == 2


def test_the_key_is_sent_and_is_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("TEACHER_KEY", "sk-secret-123")
    with MisbehavingTeacher(api_key="sk-secret-123", faults=[http_error(500, "sk-secret-123 failed")] * 2) as teacher:
        run(tmp_path, teacher.base_url, requests_of(3), api_key_env="TEACHER_KEY", retries=0)
        assert teacher.headers[0]["authorization"] == "Bearer sk-secret-123"
    # This one repeats the key that it was given.
    with MisbehavingTeacher(api_key="another") as teacher, pytest.raises(KeyRefused, match=r"Bearer \[key\]") as caught:
        run(tmp_path, teacher.base_url, requests_of(1, first=9), api_key_env="TEACHER_KEY")
    assert "Mend the key in TEACHER_KEY" in caught.value.remedy
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"sk-secret" not in written
    assert not any("sk-secret" in reply.raw.decode() for reply in replies_in(tmp_path))
    assert "sk-secret" not in caplog.text + str(caught.value)


@pytest.mark.parametrize(("value", "what"), [(None, "is not set"), ("  ", "is not set"), ("a\nb", "characters")])
def test_a_key_that_is_missing_is_found_out_before_the_first_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str | None, what: str
) -> None:
    monkeypatch.delenv("TEACHER_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("TEACHER_KEY", value)
    with MisbehavingTeacher() as teacher:
        with pytest.raises(RecipeError, match=what):
            run(tmp_path, teacher.base_url, requests_of(1), api_key_env="TEACHER_KEY")
        assert teacher.requests == 0


def test_an_unknown_price_is_an_error_before_the_first_call(tmp_path: Path) -> None:
    with MisbehavingTeacher() as teacher:
        with pytest.raises(RecipeError, match=r"The price of teacher at .* is not known"):
            run(tmp_path, teacher.base_url, requests_of(1), price=None)
        assert teacher.requests == 0


def test_every_call_that_was_charged_is_in_the_cost(tmp_path: Path, clock: Clock) -> None:
    price = Price(input_per_million="1", output_per_million="10")  # type: ignore[arg-type]
    with MisbehavingTeacher(lambda _: Answer("4", completion_tokens=7), faults=[empty_choices()]) as teacher:
        counts = run(tmp_path, teacher.base_url, requests_of(3), clock, price=price)
    with Journal(tmp_path / "ask.sqlite") as journal:
        assert [attempt.cost_usd for attempt in journal.attempts() if attempt.status == "retry"] == ["0.000009"]
        assert {reply.cost_usd for reply in journal.replies()} == {"0.000072"}
        assert {(reply.price_id or "")[:7] for reply in journal.replies()} == {"recipe:"}
    assert str(counts.cost_usd) == "0.000225"


def test_extra_fields_are_sent_and_a_null_takes_one_out(tmp_path: Path) -> None:
    extra = {"enable_thinking": True, "max_tokens": None, "max_completion_tokens": 5}
    endpoint = Endpoint(model="teacher", base_url="http://127.0.0.1/v1", extra_body=extra)
    settings = RequestSettings(endpoint, Sampling(max_tokens=50, seed=7, top_p=0.9))
    message = Message(role="user", content="2 + 2?", train=True)
    request = ChatRequest("q", sent_messages([message]), settings, (2,))
    with MisbehavingTeacher() as teacher:
        run(tmp_path, teacher.base_url, [request], extra_body=extra)
        assert list(teacher.bodies) == [
            {
                "model": "teacher",
                "messages": [{"role": "user", "content": "2 + 2?"}],
                "top_p": 0.9,
                "seed": 9,
                "enable_thinking": True,
                "max_completion_tokens": 5,
            }
        ]


def test_progress_is_told_of_every_request(tmp_path: Path) -> None:
    heard: list[int] = []
    with MisbehavingTeacher() as teacher:
        run(tmp_path, teacher.base_url, requests_of(10), on_progress=lambda counts: heard.append(counts.replies))
        assert heard == sorted(heard)
        assert heard[-1] == 10
        counts = run(tmp_path, teacher.base_url, requests_of(10))
        assert (counts.requests, counts.settled, counts.calls) == (10, 10, 0)


def test_a_replica_that_is_dead_costs_no_row_its_reply(tmp_path: Path, clock: Clock) -> None:
    dead = f"http://127.0.0.1:{unused_port()}/v1"
    with MisbehavingTeacher() as teacher:
        counts = run(tmp_path, dead, requests_of(50), clock, replicas=(teacher.base_url,), retries=0)
        assert teacher.requests == 50
    assert counts.by_status == Counter(ok=50)
    assert ("retry", "connect") in attempts_in(tmp_path)


def test_a_refusal_is_put_off_where_nothing_is_tried_again(tmp_path: Path, clock: Clock) -> None:
    with MisbehavingTeacher(faults=[rate_limited(), None, rate_limited()]) as teacher:
        counts = run(tmp_path, teacher.base_url, requests_of(10), clock, retries=0)
    assert counts.by_status == Counter(ok=10)


def test_a_body_without_an_end_is_an_outcome_that_may_have_cost(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "LARGEST_BODY", 1 << 16)
    with MisbehavingTeacher(faults=[None, huge_body(0.1)]) as teacher:
        counts = run(tmp_path, teacher.base_url, requests_of(5), clock)
        assert teacher.requests == 5
        assert run(tmp_path, teacher.base_url, requests_of(5), clock).calls == 0
    assert counts.failures == Counter(too_large=1)
    assert attempts_in(tmp_path).count(("unknown", "too_large")) == 1
    assert [reply.raw for reply in replies_in(tmp_path) if reply.status == "failed"] == [b""]


def test_no_more_choices_are_read_than_were_asked_for(tmp_path: Path) -> None:
    choice = {"message": {"content": "4"}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 9, "completion_tokens": 4}
    body = orjson.dumps({"choices": [choice] * 50_000, "usage": usage})
    with MisbehavingTeacher(always=raw_body(body)) as teacher:
        counts = run(tmp_path, teacher.base_url, requests_of(2, samples=2))
    assert counts.by_status == Counter(ok=4)
    assert [(reply.choice, reply.completion_tokens) for reply in replies_in(tmp_path)] == [(0, 2), (1, 2)] * 2


def test_a_key_in_pieces_is_in_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEACHER_KEY", "sk-secret-123")
    pieces = ["You are sk-", "secret", "-123, are you?"]
    events = [{"choices": [{"index": 0, "delta": {"content": piece}}]} for piece in pieces]
    events.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    body = b"".join(b"data: %b\n\n" % orjson.dumps(event) for event in events) + b"data: [DONE]\n\n"
    with MisbehavingTeacher(always=raw_body(body)) as teacher:
        run(tmp_path, teacher.base_url, requests_of(1), api_key_env="TEACHER_KEY", stream=True)
    (reply,) = replies_in(tmp_path)
    assert read_reply(reply).answer == "You are [key], are you?"
    assert reply.status == "ok"


def test_what_a_teacher_billed_beyond_its_limit_is_remembered(tmp_path: Path, clock: Clock) -> None:
    price = Price(input_per_million="0", output_per_million="1000")  # type: ignore[arg-type]
    budget = BudgetLimits(budget_usd=Decimal("1.1"))
    with MisbehavingTeacher(always=limit_ignored(150)) as teacher:  # each call may cost 0.05 USD, and costs 0.2
        run(tmp_path, teacher.base_url, requests_of(1), clock, price=price)
        with pytest.raises(BudgetReached):
            run(tmp_path, teacher.base_url, requests_of(50), clock, price=price, limits=budget)
        assert teacher.requests == 5
    with Journal(tmp_path / "ask.sqlite") as journal:
        assert journal.spent().usd == 1
