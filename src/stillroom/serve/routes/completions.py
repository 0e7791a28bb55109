"""OpenAI's older /v1/completions: a text goes on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stillroom.serve.routes.asked import (
    MOST_CHOICES,
    AskedFor,
    Prompts,
    count_field,
    flag_field,
    include_usage,
    model_field,
    number_field,
    read_prompts,
    text_field,
)
from stillroom.text.request_signs import asks_grading, asks_logprobs, asks_reasoning


def read(body: Mapping[str, Any]) -> AskedFor:
    """Raises ApiError 400. The prompt may be missing: a model then begins by itself."""
    prompt = body.get("prompt")
    prompts = Prompts(1, [], 0) if prompt is None else read_prompts(prompt, "prompt")
    text = "\n\n".join(prompts.texts)
    n = count_field(body, "n", most=MOST_CHOICES)
    drawn = max(n or 1, count_field(body, "best_of", least=0, most=MOST_CHOICES) or 0)
    return AskedFor(
        route="completions",
        model=model_field(body),
        stream=flag_field(body, "stream"),
        include_usage=include_usage(body),
        turns=None,
        max_tokens=count_field(body, "max_tokens", least=0),
        temperature=number_field(body, "temperature"),
        n=n,
        replies=drawn * prompts.count,
        asks_reasoning=asks_reasoning(body),
        asks_logprobs=asks_logprobs(body),
        asks_grading=asks_grading(text),
        user=text_field(body, "user"),
        prompt=prompt,
        last_user_text=text if prompts.texts else None,
        new_user_text=text,
        system_text="",
        prompt_token_estimate=prompts.tokens,
    )
