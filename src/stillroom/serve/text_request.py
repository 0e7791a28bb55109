"""What a client may send to /v1/completions."""

from __future__ import annotations

from typing import Any

from pydantic import Field, ValidationInfo, field_validator

from stillroom.serve.reply_request import MAX_CHOICES, ReplyBody
from stillroom.serve.routes.errors import ApiError

DEFAULT_TOKENS = 16
"""OpenAI's own: who asks for a completion without a limit expects a few words, not the rest of a book."""


class TextBody(ReplyBody):
    """The fields that change the reply, and those that would be missed if they did nothing. Others are ignored."""

    prompt: list[str] | list[list[int]]
    """Texts, or their tokens: one reply, or n, to each."""
    max_tokens: int | None = Field(default=None, ge=0)
    suffix: str | None = None
    logprobs: int | None = Field(default=None, ge=0, le=1)
    """With `echo`: how likely each token of the prompt is; with 1 also which would have been the likeliest."""
    echo: bool | None = None
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

    @field_validator("suffix")
    @classmethod
    def _only_what_follows(cls, value: str | None) -> str | None:
        if value:
            raise ValueError("not done here: only what follows the prompt is written")
        return value

    @field_validator("best_of")
    @classmethod
    def _no_choosing(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value not in (None, info.data.get("n") or 1):
            raise ValueError("not done here: ask for n, and choose")
        return value

    @property
    def is_scored(self) -> bool:
        """Whether it asks how likely its own prompt is, and not how that goes on."""
        return bool(self.echo)

    def refuse_what_is_not_done(self) -> None:
        """Raises ApiError 400 for fields that do not go together."""
        refused = self._refused()
        if refused is not None:
            param, why = refused
            raise ApiError(400, f"{param}: {why}.", param=param)

    def _refused(self) -> tuple[str, str] | None:
        """A field, and why it is refused."""
        if not self.echo:
            if self.logprobs is not None:
                return "logprobs", "given here of the prompt's own tokens alone, with echo"
            return ("max_tokens", "it must be 1 or more") if self.max_tokens == 0 else None
        if self.logprobs is None:
            return "echo", "done here only to say how likely the prompt is, with logprobs"
        if self.max_tokens not in (0, 1):
            return "max_tokens", "it must be 0 or 1 with echo"
        if self.max_tokens and self.temperature != 0:
            return "temperature", "it must be 0 with echo, where the one token that is written is the likeliest"
        if (self.n or 1) > 1 or self.stream or self.stop:
            param = "n" if (self.n or 1) > 1 else "stream" if self.stream else "stop"
            return param, "not done here with echo"
        return None

    @property
    def token_limit(self) -> int:
        return self.max_tokens or DEFAULT_TOKENS


def _are_texts(prompts: list[Any]) -> bool:
    return all(isinstance(each, str) for each in prompts)


def _are_tokens(prompts: list[Any]) -> bool:
    return all(isinstance(each, list) and all(map(_is_token, each)) for each in prompts)


def _is_token(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
