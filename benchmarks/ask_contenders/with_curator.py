"""Bespoke Curator: its OpenAI-compatible backend, limits per minute out of the way, no viewer, no telemetry."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.metadata import version

from benchmarks.ask_contenders.contender import MAX_TOKENS, MODEL, Order, obey

os.environ |= {"TELEMETRY_ENABLED": "false", "CURATOR_VIEWER": "0"}

from bespokelabs import curator  # type: ignore[import-not-found]

NO_LIMIT = 10**9


def prepare(order: Order) -> Callable[[], int]:
    teacher = curator.LLM(
        MODEL,
        backend="openai",
        generation_params={"temperature": 0.7, "max_tokens": MAX_TOKENS},
        backend_params={
            "base_url": order.base_url,
            "api_key": "none",
            "max_concurrent_requests": order.concurrency,
            "max_requests_per_minute": NO_LIMIT,
            "max_tokens_per_minute": NO_LIMIT * 1000,
        },
    )
    questions = list(order.questions())

    def asks() -> int:
        replies = teacher(questions, working_dir=str(order.folder))
        return sum(bool(text) for text in replies.dataset["response"])

    return asks


if __name__ == "__main__":
    obey(prepare, f"bespokelabs-curator {version('bespokelabs-curator')}")
