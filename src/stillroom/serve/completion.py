"""One request: from messages to generations, and from their tokens to OpenAI's JSON, whole or as server-sent events."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

import orjson

from stillroom.base.errors import DataError, ModelError
from stillroom.generate.generator import FinishReason, Generation, Generator
from stillroom.generate.prompt import conversation_text, encode, marks_not_shown, opens_think
from stillroom.generate.sampling import Sampling
from stillroom.serve.chat_request import ApiError, ChatBody
from stillroom.serve.reply_text import ReplyText


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
    """One of the n replies to a request."""

    def __init__(self, index: int, generation: Generation, text: ReplyText) -> None:
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
    """The replies to one request, as they are written. Raises ApiError 400 for a prompt that this model can't take."""

    def __init__(self, generator: Generator, body: ChatBody) -> None:
        self._body = body
        self._head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": body.model}
        prompt, opened_by_prompt = _prompt(generator, body)
        self._prompt_tokens = len(prompt)
        self._wake = Wake()
        # A whole reply is looked at once; only a stream, or a stop string, wants every token.
        on_token = self._wake if body.stream or body.stop else None
        local = generator.local
        hidden = local.end_ids | marks_not_shown(local.tokenizer)
        self._choices = []
        for index in range(body.n or 1):
            try:
                generation = generator.submit(prompt, _sampling(body, index, local.context), on_token)
            except ValueError as error:
                raise ApiError(400, f"{body.model} can't be asked this: {error}.", param="messages") from error
            generation.finished.add_done_callback(lambda _: self._wake())
            text = ReplyText(local.tokenizer.backend_tokenizer, hidden, body.stop, opened_by_prompt=opened_by_prompt)
            self._choices.append(Choice(index, generation, text))

    def cancel(self) -> None:
        for choice in self._choices:
            choice.cancel()

    async def whole(self) -> dict[str, Any]:
        """The body of a response that is not a stream. Raises ModelError if the generator died."""
        async for _ in self._steps():
            pass
        choices = []
        for choice in self._choices:
            message: dict[str, Any] = {"role": "assistant", "content": choice.text.answer}
            if choice.text.reasoning is not None:
                message["reasoning_content"] = choice.text.reasoning
            choices.append(
                {"index": choice.index, "message": message, "finish_reason": choice.finish_reason, "logprobs": None}
            )
        return {**self._head, "object": "chat.completion", "choices": choices, "usage": self._usage()}

    async def events(self) -> AsyncIterator[bytes]:
        """Server-sent events. Generation stops when the iterator is closed, as it is when the client hangs up."""
        try:
            for choice in self._choices:
                yield self._chunk(choice.index, {"role": "assistant", "content": ""})
            async for choice, reasoning, answer in self._steps():
                if reasoning:
                    yield self._chunk(choice.index, {"reasoning_content": reasoning})
                if answer:
                    yield self._chunk(choice.index, {"content": answer})
                if choice.finish_reason is not None:
                    yield self._chunk(choice.index, {}, choice.finish_reason)
            if self._body.include_usage:
                yield self._event({"choices": [], "usage": self._usage()})
            yield b"data: [DONE]\n\n"
        except ModelError as error:
            yield b"data: " + orjson.dumps(ApiError(500, str(error)).body) + b"\n\n"
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

    def _chunk(self, index: int, delta: dict[str, str], finish_reason: FinishReason | None = None) -> bytes:
        choice = {"index": index, "delta": delta, "finish_reason": finish_reason, "logprobs": None}
        return self._event({"choices": [choice], **({"usage": None} if self._body.include_usage else {})})

    def _event(self, content: dict[str, Any]) -> bytes:
        return b"data: " + orjson.dumps({**self._head, "object": "chat.completion.chunk", **content}) + b"\n\n"

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


def _prompt(generator: Generator, body: ChatBody) -> tuple[list[int], bool]:
    """The prompt's tokens, and whether the chat template opened the think block itself."""
    tokenizer = generator.local.tokenizer
    messages = [message.for_template() for message in body.messages]
    try:
        text = conversation_text(tokenizer, messages, body.tools)
    except DataError as error:
        raise ApiError(400, f"{body.model}: {error}") from error
    prompt = encode(tokenizer, text)
    context = generator.local.context
    if len(prompt) >= context:
        raise ApiError(
            400,
            f"The messages are {len(prompt)} tokens; {body.model} takes {context}, the reply included. Send less text.",
            code="context_length_exceeded",
            param="messages",
        )
    return prompt, opens_think(text)


def _sampling(body: ChatBody, index: int, context: int) -> Sampling:
    return Sampling(
        max_tokens=body.token_limit or context,
        temperature=1.0 if body.temperature is None else body.temperature,
        top_p=body.top_p or 1.0,
        seed=None if body.seed is None else f"{body.seed} {index}",
    )
