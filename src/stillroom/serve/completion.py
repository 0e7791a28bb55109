"""One request: from its prompts to generations, and from their tokens to OpenAI's JSON, whole or as events."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from typing import Any

import orjson

from stillroom.base.errors import ModelError
from stillroom.generate.generator import FinishReason, Generation, Generator
from stillroom.generate.sampling import Sampling
from stillroom.serve.chat_request import ChatBody
from stillroom.serve.completion_form import ChatForm, Form, TextForm, choice_fields
from stillroom.serve.reply_text import PlainText, ReplyText
from stillroom.serve.routes.errors import ApiError, error_event
from stillroom.serve.text_request import TextBody
from stillroom.text.green_list import Mark


class Wake:
    """An asyncio.Event that other threads set, with one call into the loop however many tokens came meanwhile."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()
        self._scheduled = False

    def __call__(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon_threadsafe(self._set)

    def _set(self) -> None:
        self._scheduled = False
        self._event.set()

    async def wait(self) -> None:
        await self._event.wait()
        self._event.clear()


class Choice:
    """One of the replies to a request."""

    def __init__(self, index: int, generation: Generation, text: ReplyText | PlainText) -> None:
        self.index = index
        self.text = text
        self.finish_reason: FinishReason | None = None
        self._generation = generation
        self._seen = 0

    def advance(self) -> tuple[str, str]:
        """New (reasoning, answer); sets finish_reason with the last ones. Raises ModelError if the generator died."""
        # Asked before the tokens are read: whatever was written before the end is then seen too.
        finished = self._generation.finished.done()
        tokens = self._generation.tokens[self._seen :]
        self._seen += len(tokens)
        reasoning, answer = self.text.feed(tokens)
        if self.text.stopped:
            self.finish_reason = "stop"
            self._generation.cancel()
        elif finished:
            self.finish_reason = self._generation.finished.result()
            last_reasoning, last_answer = self.text.finish()
            reasoning, answer = reasoning + last_reasoning, answer + last_answer
        return reasoning, answer

    def cancel(self) -> None:
        self._generation.cancel()


class Completion:
    """The replies to one request, as they are written, with a watermark where `mark` says so.

    Raises ApiError 400 for a prompt that this model can't take.
    """

    def __init__(self, generator: Generator, body: ChatBody | TextBody, mark: Mark | None = None) -> None:
        self._body = body
        local = generator.local
        form: Form = ChatForm(local, body) if isinstance(body, ChatBody) else TextForm(local, body)
        self._form = form
        identity = f"{form.id_begins_with}{uuid.uuid4().hex}"
        self._head = {"id": identity, "created": int(time.time()), "model": body.model}
        self._prompt_tokens = sum(map(len, form.prompts))
        self._wake = Wake()
        # A whole reply is looked at once; only a stream, or a stop string, wants every token.
        on_token = self._wake if body.stream or body.stop else None
        self._choices: list[Choice] = []
        for prompt in form.prompts:
            for _ in range(body.n or 1):
                index = len(self._choices)
                try:
                    generation = generator.submit(prompt, _sampling(body, index, local.context, mark), on_token)
                except ValueError as error:
                    self.cancel()
                    raise ApiError(400, f"{body.model} can't be asked this: {error}.", param=form.param) from error
                generation.finished.add_done_callback(lambda _: self._wake())
                self._choices.append(Choice(index, generation, form.text(prompt)))

    def cancel(self) -> None:
        for choice in self._choices:
            choice.cancel()

    async def whole(self) -> dict[str, Any]:
        """The body of a response that is not a stream. Raises ModelError if the generator died."""
        async for _ in self._steps():
            pass
        choices = [
            choice_fields(choice.index, self._form.whole(choice.text), choice.finish_reason) for choice in self._choices
        ]
        return {**self._head, "object": self._form.whole_object, "choices": choices, "usage": self._usage()}

    async def events(self) -> AsyncIterator[bytes]:
        """Server-sent events. Generation stops when the iterator is closed, as it is when the client hangs up."""
        try:
            begun = self._form.begin()
            if begun is not None:
                for choice in self._choices:
                    yield self._chunk(choice.index, begun)
            async for choice, reasoning, answer in self._steps():
                for piece in self._form.pieces(reasoning, answer):
                    yield self._chunk(choice.index, piece)
                if choice.finish_reason is not None:
                    yield self._chunk(choice.index, self._form.end(), choice.finish_reason)
            if self._body.include_usage:
                yield self._event({"choices": [], "usage": self._usage()})
            yield b"data: [DONE]\n\n"
        except ModelError as error:
            yield error_event("chat", 500, str(error))
        finally:
            self.cancel()

    async def _steps(self) -> AsyncIterator[tuple[Choice, str, str]]:
        """(choice, new reasoning, new answer) until every choice has its finish_reason."""
        open_choices = self._choices
        while open_choices:
            await self._wake.wait()
            for choice in open_choices:
                reasoning, answer = choice.advance()
                if reasoning or answer or choice.finish_reason is not None:
                    yield choice, reasoning, answer
            open_choices = [choice for choice in open_choices if choice.finish_reason is None]

    def _chunk(self, index: int, said: Mapping[str, Any], finish_reason: FinishReason | None = None) -> bytes:
        choice = choice_fields(index, said, finish_reason)
        return self._event({"choices": [choice], **({"usage": None} if self._body.include_usage else {})})

    def _event(self, content: dict[str, Any]) -> bytes:
        return b"data: " + orjson.dumps({**self._head, "object": self._form.chunk_object, **content}) + b"\n\n"

    def _usage(self) -> dict[str, Any]:
        completion_tokens = sum(choice.text.tokens for choice in self._choices)
        return {
            "prompt_tokens": self._prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": self._prompt_tokens + completion_tokens,
            "completion_tokens_details": {
                "reasoning_tokens": sum(choice.text.reasoning_tokens for choice in self._choices)
            },
        }


def _sampling(body: ChatBody | TextBody, index: int, context: int, mark: Mark | None) -> Sampling:
    return Sampling(
        max_tokens=body.token_limit or context,
        temperature=1.0 if body.temperature is None else body.temperature,
        top_p=body.top_p or 1.0,
        seed=None if body.seed is None else f"{body.seed} {index}",
        mark=mark,
    )
