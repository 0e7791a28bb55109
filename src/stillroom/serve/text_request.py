"""What a client may send to /v1/completions."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationInfo, field_validator

from stillroom.serve.reply_request import MAX_CHOICES, ReplyBody

DEFAULT_TOKENS = 16
"""OpenAI's own: who asks for a completion without a limit expects a few words, not the rest of a book."""


class TextBody(ReplyBody):
    """The fields that change the reply, and those that would be missed if they did nothing. Others are ignored."""

    prompt: list[str] | list[list[int]]
    """Texts, or their tokens: one reply, or n, to each."""
    echo: bool | None = None
    suffix: str | None = None
    logprobs: int | None = None
    best_of: int | None = None

    @field_validator("prompt", mode="before")
    @classmethod
    def _several(cls, prompt: Any) -> Any:
        one = isinstance(prompt, str) or (isinstance(prompt, list) and prompt and _is_token(prompt[0]))
        prompts = [prompt] if one else prompt
        if not isinstance(prompts, list) or not prompts or not (_are_texts(prompts) or _are_tokens(prompts)):
            raise ValueError("it must be a text, a list of texts, a list of tokens, or a list of such lists")
        return prompts

    @field_validator("prompt")
    @classmethod
    def _not_too_many(cls, prompt: list[Any], info: ValidationInfo) -> list[Any]:
        if len(prompt) * (info.data.get("n") or 1) > MAX_CHOICES:
            raise ValueError(f"at most {MAX_CHOICES} replies are written for one call")
        return prompt

    @field_validator("echo", "suffix")
    @classmethod
    def _only_what_follows(cls, value: bool | str | None) -> bool | str | None:
        if value:
            raise ValueError("not done here: only what follows the prompt is written")
        return value

    @field_validator("logprobs")
    @classmethod
    def _no_logprobs(cls, value: int | None) -> None:
        if value is not None:
            raise ValueError("not given here")

    @field_validator("best_of")
    @classmethod
    def _no_choosing(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value not in (None, info.data.get("n") or 1):
            raise ValueError("not done here: ask for n, and choose")
        return value

    @property
    def token_limit(self) -> int:
        return self.max_tokens or DEFAULT_TOKENS


def _are_texts(prompts: list[Any]) -> bool:
    return all(isinstance(each, str) for each in prompts)


def _are_tokens(prompts: list[Any]) -> bool:
    return all(isinstance(each, list) and all(map(_is_token, each)) for each in prompts)


def _is_token(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
