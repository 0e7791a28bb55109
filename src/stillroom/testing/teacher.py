"""A teacher on loopback that answers chat completions over real HTTP, and misbehaves as it is told.

    with MisbehavingTeacher(faults=[rate_limited("1"), reset()]) as teacher:
        ...  # ask at teacher.base_url
        assert teacher.requests == 5

It runs in a thread of its own and keeps its own books: what it received, by question, and what each call costs,
independent of what any client believes.
"""

from __future__ import annotations

import asyncio
import math
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, Self

import orjson

from stillroom.base.errors import ServeError
from stillroom.base.receipt import RECEIPT_HEADER
from stillroom.testing.answer import Answer, Answers, beyond_limit, short_answer, within_limit
from stillroom.testing.call import Call, read_call
from stillroom.testing.completion import billed_tokens, body_of, completion, events_of
from stillroom.testing.faults import Fault, http_error
from stillroom.testing.http import Connection, HttpRequest
from stillroom.testing.ledger import Ledger, LedgerEntry, Price
from stillroom.testing.limits import LimitKeeper, Limits
from stillroom.testing.owner import KEYS_PATH, Owner
from stillroom.testing.response import RIGHT, Headers, Response, response
from stillroom.testing.rewrites import Completion
from stillroom.testing.rules import Rule, RuleBook, draw

REMEMBERED_REQUESTS = 1000
CLOSING_S = 0.005
_NOTHING = (0, 0, 0)


class MisbehavingTeacher:
    """A context manager; all of its books may be read while it runs and afterwards.

    faults: met by the first requests, one each, in the order of arrival; None among them is a request answered well.
    faults_by_question: the same, for the requests of one question (the text of its last message).
    rules: met by requests that meet none of these. always: met by every request that no other fault meets.
    delay_s: each reply waits a random time between these two numbers of seconds; `uniform`, or `heavy_tailed`: half of
        the replies take less than about twice the lower one, a few take nearly the upper one.
    seed: of shares and delays, which are drawn anew for each question and attempt: the same request meets the same
        fault, in whatever order requests come.
    limits: 429 above them; such a request meets no fault.
    price: for the bill; None: it costs nothing. ledger: a file that the books are appended to, see `Ledger`.
    api_key: requests without this key get 401. models: other models get 404.
    owner: signs a receipt for each reply, and looks at the permits that are presented.
    port: 0 takes one that is free. Raises ServeError where it is taken.
    """

    def __init__(
        self,
        answer: Callable[[str], Answers] = short_answer,
        *,
        faults: Iterable[Fault | None] = (),
        faults_by_question: Mapping[str, Iterable[Fault | None]] | None = None,
        rules: Sequence[Rule] = (),
        always: Fault | None = None,
        delay_s: tuple[float, float] = (0.0, 0.0),
        delay_shape: Literal["uniform", "heavy_tailed"] = "uniform",
        seed: int = 0,
        limits: Limits | None = None,
        price: Price | None = None,
        ledger: Path | None = None,
        api_key: str | None = None,
        models: Iterable[str] = ("teacher",),
        owner: Owner | None = None,
        port: int = 0,
    ) -> None:
        if delay_shape == "heavy_tailed" and not 0 < delay_s[0] <= delay_s[1]:
            raise ValueError("a heavy-tailed delay needs two bounds above 0")
        self._answer = answer
        self._faults = deque(faults)
        self._faults_by_question = {text: deque(listed) for text, listed in (faults_by_question or {}).items()}
        self._rules = RuleBook(rules)
        self._always = always
        self._delay_s = delay_s
        self._delay_shape = delay_shape
        self._seed = seed
        self._limits = LimitKeeper(limits or Limits(), time.time())
        self._api_key = api_key
        self._models = tuple(models)
        self._owner = owner
        self._port = port
        self._books = Ledger(price, ledger)
        self._answered: Counter[str] = Counter()
        """Requests that no limit refused, by question: which attempt the next one is."""
        self._given: Counter[str] = Counter()
        """Choices made, by question, where there are several answers to take in turn."""
        self.requests = 0
        """Chat completions asked for, refused ones included."""
        self.by_question: Counter[str] = Counter()
        """Requests received, by the text of their last message."""
        self.bodies: deque[dict[str, Any]] = deque(maxlen=REMEMBERED_REQUESTS)
        """The latest requests, as they were sent."""
        self.headers: deque[dict[str, str]] = deque(maxlen=REMEMBERED_REQUESTS)
        self.in_flight = 0
        self.most_in_flight = 0
        self.base_url = ""

    def summary(self) -> dict[str, Any]:
        """The books in brief, as plain values."""
        return {
            "requests": self.requests,
            "most_in_flight": self.most_in_flight,
            "prompt_tokens": self._books.prompt_tokens,
            "completion_tokens": self._books.charged_tokens,
            "charged_usd": format(self._books.charged_usd, "f"),
            "by_fault": dict(self._books.by_fault),
        }

    @property
    def ledger(self) -> list[LedgerEntry]:
        """Every call, in the order of arrival."""
        return self._books.entries

    @property
    def charged_usd(self) -> Decimal:
        """The bill."""
        return self._books.charged_usd

    @property
    def charged_tokens(self) -> int:
        """Completion tokens that the bill is for."""
        return self._books.charged_tokens

    @property
    def by_fault(self) -> Counter[str]:
        """Calls that met a fault or a limit, by its name."""
        return self._books.by_fault

    def __enter__(self) -> Self:
        self._books.open()
        try:
            listener = socket.create_server(("127.0.0.1", self._port), backlog=1024)
        except OSError as error:
            self._books.close()
            raise ServeError(f"Port {self._port} cannot be used: {error.strerror}.", "Name another port.") from error
        self.base_url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        self._failure: BaseException | None = None
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(self._note_failure)
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, args=(listener,), name="teacher", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._books.close()
        if self._failure is not None and kind is None:
            raise self._failure

    def _note_failure(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """What goes wrong in the teacher itself (the answer's function, the ledger's disk) is raised at its end."""
        self._failure = self._failure or context.get("exception") or RuntimeError(context["message"])

    def _run(self, listener: socket.socket) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve(listener))

    async def _serve(self, listener: socket.socket) -> None:
        connections: set[Connection] = set()
        server = await self._loop.create_server(
            lambda: Connection(self._receive, self._finished, connections), sock=listener
        )
        await self._stop.wait()
        server.close()
        await asyncio.sleep(CLOSING_S)  # a connection that was just accepted is not among them yet
        while connections:
            for connection in connections:
                connection.end()
            await asyncio.sleep(CLOSING_S)

    # -- one request ------------------------------------------------------------------------------------------------

    def _receive(self, request: HttpRequest) -> Response:
        """What is sent for one request, which is entered into the books."""
        others = self.in_flight
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        if (request.method, request.path) == ("GET", "/v1/models"):
            data = [{"id": model, "object": "model"} for model in self._models]
            return response(orjson.dumps({"object": "list", "data": data}))
        if self._owner is not None and (request.method, request.path) == ("GET", KEYS_PATH):
            return response(self._owner.keys())
        if (request.method, request.path) != ("POST", "/v1/chat/completions"):
            return _refuse(http_error(404, f"nothing at {request.path}"))
        if not request.says_its_length:
            return _refuse(http_error(411, "a request must say the length of its body"))
        call = read_call(request.body, request.headers)
        if call is None:
            return _refuse(http_error(400, "the body is not a request for a chat completion"))
        self.requests += 1
        self.by_question[call.question] += 1
        self.bodies.append(call.fields)
        self.headers.append(call.headers)
        return self._respond(call, others)

    def _finished(self) -> None:
        self.in_flight -= 1

    def _respond(self, call: Call, others: int) -> Response:
        now = time.time()
        refused, headers = self._refusal(call, others, now)
        if refused is not None:
            self._enter(call, refused, _NOTHING)
            return _refuse(refused, headers)
        drawn, delay_s = self._draw(call.question)
        fault = self._next_fault(call.question, drawn)
        if fault is not None and not call.concerns(fault):
            fault = None
        conduct = fault or RIGHT
        reply, tokens = self._reply(call, conduct) if conduct.body is None or conduct.charged else ({}, _NOTHING)
        self._enter(call, fault, tokens if conduct.charged else _NOTHING)
        content: bytes | list[bytes]
        receipt = None
        if self._owner is not None and conduct.body is None and conduct.status == 200:
            receipt = self._owner.receipt(call, reply)
        if conduct.body is not None:
            content = conduct.body
        elif call.streams and conduct.status == 200:
            content = events_of(reply, call.fields, conduct, receipt)
        else:
            content = body_of(reply, conduct)
            headers = headers if receipt is None else (*headers, (RECEIPT_HEADER, receipt))
        return response(content, conduct, headers=headers, delay_s=delay_s)

    def _refusal(self, call: Call, others: int, now: float) -> tuple[Fault | None, Headers]:
        """Why the call is not answered, whatever its question is; and the headers that tell of limits."""
        key, model = call.headers.get("authorization"), call.fields["model"]
        if self._api_key is not None and key != f"Bearer {self._api_key}":
            return replace(http_error(401, f"incorrect key: {key}"), name="key_refused"), ()
        if model not in self._models:
            return replace(http_error(404, f"no model {model}", code="model_not_found"), name="no_such_model"), ()
        if self._owner is not None and (not_permitted := self._owner.refusal(call)) is not None:
            return not_permitted, ()
        refusal = self._limits.admit(now, others)
        headers = self._limits.headers(now)
        if refusal is None:
            return None, headers
        fault = replace(http_error(429, "too many requests"), name=refusal.name)
        return fault, (*headers, *self._limits.retry_after(refusal, now))

    def _draw(self, question: str) -> tuple[float, float]:
        """What decides which share of the rules the call belongs to, and its delay in seconds."""
        attempt = self._answered[question]
        self._answered[question] = attempt + 1
        low, high = self._delay_s
        drawn, drawn_delay = draw(self._seed, question, attempt)
        if self._delay_shape == "uniform":
            return drawn, low + (high - low) * drawn_delay
        return drawn, 1 / (1 / low - drawn_delay * (1 / low - 1 / high))  # Pareto with exponent 1 between two bounds

    def _next_fault(self, question: str, drawn: float) -> Fault | None:
        of_question = self._faults_by_question.get(question)
        if of_question:
            return of_question.popleft()
        if self._faults:
            return self._faults.popleft()
        return self._rules.fault_for(question, drawn) or self._always

    def _reply(self, call: Call, conduct: Fault) -> tuple[Completion, tuple[int, int, int]]:
        """The completion, and the tokens that it costs: of the prompt, of that from a cache, of the choices."""
        count = call.choices if conduct.most_choices is None else min(call.choices, conduct.most_choices)
        answers = self._answers(call.question, count)
        if conduct.tokens_over_limit is not None and call.limit is not None:
            answers = [beyond_limit(answer, call.limit, conduct.tokens_over_limit) for answer in answers]
        else:
            answers = [within_limit(answer, call.limit) for answer in answers]
        reply = completion(call.fields, answers, self.requests)
        counted = reply["usage"]
        if conduct.rewrite is not None:
            reply = conduct.rewrite(reply)
        return reply, billed_tokens(reply.get("usage")) or billed_tokens(counted) or _NOTHING

    def _answers(self, question: str, count: int) -> list[Answer]:
        answers = self._answer(question)
        if isinstance(answers, Answer):
            return [answers] * count
        given = self._given[question]
        self._given[question] = given + count
        return [answers[(given + index) % len(answers)] for index in range(count)]

    def _enter(self, call: Call, fault: Fault | None, tokens: tuple[int, int, int]) -> None:
        unheard = fault is not None and (fault.send_part == 0 or fault.wait_s == math.inf)
        self._books.add(
            LedgerEntry(
                at_us=time.time_ns() // 1000,
                request_id=call.headers.get("x-client-request-id"),
                question=call.question,
                prompt_tokens=tokens[0],
                cached_tokens=tokens[1],
                completion_tokens=tokens[2],
                charged_usd=self._books.cost_usd(*tokens),
                status=None if unheard else 200 if fault is None else fault.status,
                fault=None if fault is None else fault.name,
            )
        )


def _refuse(fault: Fault, headers: Headers = ()) -> Response:
    return response(fault.body or b"", fault, headers=headers)
