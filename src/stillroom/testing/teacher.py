"""A teacher on loopback that answers chat completions over real HTTP, and misbehaves as it is told.

    with MisbehavingTeacher(faults=[rate_limited("1"), reset()]) as teacher:
        ...  # ask at teacher.base_url
        assert teacher.requests == 5

It runs in a thread of its own, needs nothing but the standard library, and keeps its own books: what it received, by
question, independent of what any client believes.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import socket
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from stillroom.testing.faults import Fault, http_error

REMEMBERED_REQUESTS = 1000


@dataclass(frozen=True, slots=True)
class Answer:
    """What the teacher says when it behaves."""

    content: str | None
    reasoning_content: str | None = None
    finish_reason: str = "stop"
    completion_tokens: int | None = None
    """None: the number of words."""


def short_answer(question: str) -> Answer:
    """The same question always gets the same answer, and two questions different ones."""
    number = hashlib.sha256(question.encode()).hexdigest()[:8]
    return Answer(f"The answer is {number}.", f"I looked at {question!r} and found {number}.")


class MisbehavingTeacher:
    """A context manager; all of its books may be read while it runs.

    faults: met by the first requests, one each, in the order of arrival; None among them is a request answered well.
    faults_by_question: the same, for the requests of one question (the text of its last message).
    always: met by every request that no other fault meets.
    delay_s: each reply waits a random time between these two numbers of seconds.
    api_key: requests without this key get 401. models: other models get 404.
    """

    def __init__(
        self,
        answer: Callable[[str], Answer] = short_answer,
        *,
        faults: Iterable[Fault | None] = (),
        faults_by_question: Mapping[str, Iterable[Fault | None]] | None = None,
        always: Fault | None = None,
        delay_s: tuple[float, float] = (0.0, 0.0),
        seed: int = 0,
        api_key: str | None = None,
        models: Iterable[str] = ("teacher",),
    ) -> None:
        self._answer = answer
        self._faults = deque(faults)
        self._faults_by_question = {text: deque(listed) for text, listed in (faults_by_question or {}).items()}
        self._always = always
        self._delay_s = delay_s
        self._random = random.Random(seed)
        self._api_key = api_key
        self._models = tuple(models)
        self._connections: set[asyncio.Task[None]] = set()
        self.by_question: Counter[str] = Counter()
        """Requests received, by the text of their last message."""
        self.bodies: deque[dict[str, Any]] = deque(maxlen=REMEMBERED_REQUESTS)
        """The latest requests, as they were sent."""
        self.headers: deque[dict[str, str]] = deque(maxlen=REMEMBERED_REQUESTS)
        self.charged_tokens = 0
        """Completion tokens that this teacher would send a bill for."""
        self.in_flight = 0
        self.most_in_flight = 0
        self.base_url = ""

    @property
    def requests(self) -> int:
        """Chat completions asked for, refused ones included."""
        return self.by_question.total()

    def __enter__(self) -> Self:
        listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.base_url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, args=(listener,), name="teacher", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self, listener: socket.socket) -> None:
        self._stop = asyncio.Event()
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve(listener))

    async def _serve(self, listener: socket.socket) -> None:
        server = await asyncio.start_server(self._converse, sock=listener)
        await self._stop.wait()
        server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: requests one after the other until a side hangs up."""
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            while await self._serve_one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client hung up, or the test is over
        finally:
            self._connections.discard(task)
            writer.transport.abort()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request. False where the connection is to be reset."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            fault, right_reply = self._receive(first, headers, body)
            await asyncio.sleep(fault.wait_s + self._random.uniform(*self._delay_s))
        finally:
            self.in_flight -= 1
        payload = fault.leading + (right_reply if fault.body is None else fault.body)
        response = _response(fault, payload)
        writer.write(response[: int(len(response) * fault.send_part)])
        await writer.drain()
        return fault.send_part == 1.0

    def _receive(self, first: str, headers: dict[str, str], body: bytes) -> tuple[Fault, bytes]:
        """Enter one request into the books. Returns what to do wrong, if anything, and the right reply."""
        method, path, _ = first.split(" ", 2)
        if (method, path) == ("GET", "/v1/models"):
            return Fault(), _json({"object": "list", "data": [{"id": model} for model in self._models]})
        if (method, path) != ("POST", "/v1/chat/completions"):
            return http_error(404, f"nothing at {path}"), b""
        request = json.loads(body)
        question = request["messages"][-1]["content"]
        self.by_question[question] += 1
        self.bodies.append(request)
        self.headers.append(headers)
        if self._api_key is not None and headers.get("authorization") != f"Bearer {self._api_key}":
            return http_error(401, f"incorrect key: {headers.get('authorization')}"), b""
        if request["model"] not in self._models:
            return http_error(404, f"no model {request['model']}", code="model_not_found"), b""
        fault = self._next_fault(question)
        answer = self._answer(question)
        usage = _usage(request, answer)
        if fault is None or fault.charged:
            self.charged_tokens += usage["completion_tokens"]
        return fault or Fault(), _completion(request, answer, usage)

    def _next_fault(self, question: str) -> Fault | None:
        of_question = self._faults_by_question.get(question)
        if of_question:
            return of_question.popleft()
        return self._faults.popleft() if self._faults else self._always


def _usage(request: dict[str, Any], answer: Answer) -> dict[str, int]:
    words = f"{answer.reasoning_content or ''} {answer.content or ''}".split()
    prompt = sum(len(message["content"].split()) for message in request["messages"])
    completion = len(words) if answer.completion_tokens is None else answer.completion_tokens
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _completion(request: dict[str, Any], answer: Answer, usage: dict[str, int]) -> bytes:
    message: dict[str, Any] = {"role": "assistant", "content": answer.content}
    if answer.reasoning_content is not None:
        message["reasoning_content"] = answer.reasoning_content
    return _json(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 0,
            "model": f"{request['model']}-served",
            "choices": [{"index": 0, "message": message, "finish_reason": answer.finish_reason}],
            "usage": usage,
        }
    )


def _response(fault: Fault, payload: bytes) -> bytes:
    headers = (("Content-Type", "application/json"), ("Content-Length", str(len(payload))), *fault.headers)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"HTTP/1.1 {fault.status} Scripted\r\n{lines}\r\n".encode("latin-1") + payload


def _json(value: object) -> bytes:
    return json.dumps(value).encode("utf-8")
