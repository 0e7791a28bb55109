"""OpenAI's /v1/embeddings: numbers for texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stillroom.serve.routes.asked import AskedFor, model_field, read_prompts, text_field
from stillroom.serve.routes.errors import ApiError


def read(body: Mapping[str, Any]) -> AskedFor:
    """Raises ApiError 400."""
    if body.get("input") is None:
        raise ApiError(400, "input must be a text or a list of texts.", code="invalid_type", param="input")
    prompts = read_prompts(body["input"], "input")
    text = "\n\n".join(prompts.texts)
    return AskedFor(
        route="embeddings",
        model=model_field(body),
        stream=False,
        include_usage=False,
        turns=None,
        max_tokens=None,
        temperature=None,
        n=None,
        replies=0,
        asks_reasoning=False,
        asks_logprobs=False,
        asks_grading=False,
        user=text_field(body, "user"),
        prompt=body["input"],
        last_user_text=text if prompts.texts else None,
        new_user_text=text,
        system_text="",
        prompt_token_estimate=prompts.tokens,
    )
