"""How the two APIs of a local model differ: prompts in, replies out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from stillroom.base.errors import DataError
from stillroom.generate.generator import FinishReason
from stillroom.generate.load import LocalModel
from stillroom.generate.prompt import conversation_text, encode, marks_not_shown, opens_think
from stillroom.serve.chat_request import ChatBody
from stillroom.serve.reply_text import PlainText, ReplyText
from stillroom.serve.routes.errors import ApiError
from stillroom.serve.text_request import TextBody


class Form(Protocol):
    """One API's shape of one request."""

    id_begins_with: str
    whole_object: str
    chunk_object: str
    param: str
    """The field that the prompts come from."""
    prompts: list[list[int]]
    """The tokens of each; every one is answered `n` times."""

    def text(self, prompt: list[int]) -> ReplyText | PlainText:
        """Where a reply to this prompt is put together."""
        ...

    def whole(self, text: ReplyText | PlainText) -> dict[str, Any]:
        """What a choice holds, beside its index and how it ended."""
        ...

    def begin(self) -> dict[str, Any] | None:
        """What a stream says of a choice before it has any text; None: nothing."""
        ...

    def pieces(self, reasoning: str, answer: str) -> list[dict[str, Any]]:
        """What a stream says of new text."""
        ...

    def end(self) -> dict[str, Any]: ...


class ChatForm:
    id_begins_with = "chatcmpl-"
    whole_object = "chat.completion"
    chunk_object = "chat.completion.chunk"
    param = "messages"

    def __init__(self, local: LocalModel, body: ChatBody) -> None:
        """Raises ApiError 400 for messages that this model's template refuses."""
        messages = [message.for_template() for message in body.messages]
        try:
            text = conversation_text(local.tokenizer, messages, body.tools)
        except DataError as error:
            raise ApiError(400, f"{body.model}: {error}") from error
        self.prompts = [encode(local.tokenizer, text)]
        check_length(self.prompts[0], local, body.model, self.param)
        self._local = local
        self._stops = body.stop
        self._opened_by_prompt = opens_think(text)
        """The chat template opened the think block itself."""

    def text(self, _prompt: list[int]) -> ReplyText:
        decoder = self._local.tokenizer.backend_tokenizer
        return ReplyText(decoder, _hidden(self._local), self._stops, opened_by_prompt=self._opened_by_prompt)

    def whole(self, text: ReplyText | PlainText) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": text.answer}
        if text.reasoning is not None:
            message["reasoning_content"] = text.reasoning
        return {"message": message}

    def begin(self) -> dict[str, Any]:
        return {"delta": {"role": "assistant", "content": ""}}

    def pieces(self, reasoning: str, answer: str) -> list[dict[str, Any]]:
        told = {"reasoning_content": reasoning, "content": answer}
        return [{"delta": {name: text}} for name, text in told.items() if text]

    def end(self) -> dict[str, Any]:
        return {"delta": {}}


class TextForm:
    id_begins_with = "cmpl-"
    whole_object = chunk_object = "text_completion"
    param = "prompt"

    def __init__(self, local: LocalModel, body: TextBody) -> None:
        """Raises ApiError 400 for prompts that are too long, or none."""
        self.prompts = prompt_tokens(local, body)
        for prompt in self.prompts:
            check_length(prompt, local, body.model, self.param)
        self._local = local
        self._stops = body.stop

    def text(self, prompt: list[int]) -> PlainText:
        return PlainText(self._local.tokenizer.backend_tokenizer, _hidden(self._local), self._stops, prompt)

    def whole(self, text: ReplyText | PlainText) -> dict[str, Any]:
        return {"text": text.answer}

    def begin(self) -> None:
        return None

    def pieces(self, _reasoning: str, answer: str) -> list[dict[str, Any]]:
        return [{"text": answer}] if answer else []

    def end(self) -> dict[str, Any]:
        return {"text": ""}


def choice_fields(index: int, said: Mapping[str, Any], finish_reason: FinishReason | None) -> dict[str, Any]:
    return {"index": index, **said, "finish_reason": finish_reason, "logprobs": None}


def prompt_tokens(local: LocalModel, body: TextBody) -> list[list[int]]:
    """The tokens of each prompt. Raises ApiError 400 where one is empty."""
    prompts = [each if isinstance(each, list) else _encoded(local, each) for each in body.prompt]
    if not all(prompts):
        raise ApiError(400, f"{body.model} can't go on from nothing: the prompt is empty.", param="prompt")
    return prompts


def _encoded(local: LocalModel, text: str) -> list[int]:
    """With whatever the tokenizer begins a text with (a BOS token): no chat template has written it."""
    ids: list[int] = local.tokenizer.backend_tokenizer.encode(text, add_special_tokens=True).ids
    return ids


def check_length(prompt: list[int], local: LocalModel, model: str, param: str) -> None:
    if len(prompt) >= local.context:
        room = f"{model} takes {local.context}, the reply included"
        message = f"{param}: {len(prompt)} tokens are too many; {room}. Send less text."
        raise ApiError(400, message, code="context_length_exceeded", param=param)


def _hidden(local: LocalModel) -> frozenset[int]:
    return local.end_ids | marks_not_shown(local.tokenizer)
