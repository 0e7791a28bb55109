"""What a client may send to /v1/chat/completions."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from stillroom.generate.prompt import template_message
from stillroom.serve.reply_request import ReplyBody


class TextPart(BaseModel):
    type: Literal["text"]
    text: str


class ChatMessage(BaseModel):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[TextPart] | None = None
    reasoning_content: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None
    name: str | None = None

    def for_template(self) -> dict[str, Any]:
        """The message as chat templates expect it: one text, and the role that was called developer later as system."""
        content = self.content or ""
        return template_message(
            "system" if self.role == "developer" else self.role,
            content if isinstance(content, str) else "".join(part.text for part in content),
            reasoning=self.reasoning_content,
            tool_calls=self.tool_calls,
            tool_call_id=self.tool_call_id,
            name=self.name,
        )


class ChatBody(ReplyBody):
    """The fields that change the reply. Others are ignored."""

    messages: list[ChatMessage] = Field(min_length=1)
    tools: list[dict[str, Any]] | None = None
    """Written into the prompt, where the model's chat template does so; calls come back as the text they are."""
    max_completion_tokens: int | None = Field(default=None, ge=1)

    @property
    def token_limit(self) -> int | None:
        """The newer name wins where both are given."""
        return self.max_completion_tokens or self.max_tokens
