"""A completion that says how likely its own prompt is: /v1/completions with `echo` and `logprobs`."""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from stillroom.generate.generator import Generator
from stillroom.serve.completion_form import check_length, prompt_tokens
from stillroom.serve.routes.errors import ApiError
from stillroom.serve.text_request import TextBody


@dataclass(frozen=True, slots=True)
class _Token:
    identity: int
    log_probability: float | None
    """None of the first: nothing stands before it."""
    likeliest: tuple[int, float] | None
    """The token that the model held likeliest there."""


async def scored_completion(generator: Generator, body: TextBody) -> dict[str, Any]:
    """The body of the response: each prompt, and behind it the likeliest token where `max_tokens` is 1.

    Raises ApiError 400 for prompts that this model can't take, ModelError if the generator died.
    """
    local = generator.local
    prompts = prompt_tokens(local, body)
    for prompt in prompts:
        check_length(prompt, local, body.model, "prompt")
    try:
        # A token more than there is: what is scored of it is not told, and what would be likeliest in its place is.
        waiting = [asyncio.wrap_future(generator.score([*prompt, 0])) for prompt in prompts]
    except ValueError as error:
        raise ApiError(400, f"{body.model} can't be asked this: {error}.", param="prompt") from error
    choices = []
    for index, (prompt, scores) in enumerate(zip(prompts, await asyncio.gather(*waiting), strict=True)):
        likeliest = list(zip(scores.likeliest_id_BK[0].tolist(), scores.likeliest_BK[0].tolist(), strict=True))
        given = [None, *scores.given_BK[0].tolist()[:-1]]
        told = [_Token(*each) for each in zip(prompt, given, [None, *likeliest[:-1]], strict=True)]
        if body.max_tokens:
            told.append(_Token(likeliest[-1][0], likeliest[-1][1], likeliest[-1]))
        choices.append(_choice(generator, body, index, told))
    prompt_count, written = sum(map(len, prompts)), len(prompts) * (body.max_tokens or 0)
    return {
        "id": f"cmpl-{uuid.uuid4().hex}",
        "object": "text_completion",
        "created": int(time.time()),
        "model": body.model,
        "choices": choices,
        "usage": {
            "prompt_tokens": prompt_count,
            "completion_tokens": written,
            "total_tokens": prompt_count + written,
        },
    }


def _choice(generator: Generator, body: TextBody, index: int, told: list[_Token]) -> dict[str, Any]:
    decoder = generator.local.tokenizer.backend_tokenizer

    def text_of(*tokens: int) -> str:
        return str(decoder.decode(list(tokens), skip_special_tokens=False))

    texts = [text_of(token.identity) for token in told]
    tops = [token.likeliest and {text_of(token.likeliest[0]): token.likeliest[1]} for token in told]
    return {
        "index": index,
        "text": text_of(*(token.identity for token in told)),
        "finish_reason": "length",
        "logprobs": {
            "tokens": texts,
            "token_logprobs": [token.log_probability for token in told],
            "top_logprobs": tops if body.logprobs else None,
            "text_offset": [0, *accumulate(map(len, texts))][:-1],
        },
    }
