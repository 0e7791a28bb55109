"""distilabel: a pipeline of one TextGeneration step, whose batches are as large as there may be calls in flight.

Without its log lines: one for each call would be a good part of the work.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.metadata import version

from benchmarks.ask_contenders.contender import MAX_TOKENS, MODEL, Order, obey

os.environ["DISTILABEL_LOG_LEVEL"] = "WARNING"

from distilabel.models import OpenAILLM  # type: ignore[import-not-found]
from distilabel.pipeline import Pipeline  # type: ignore[import-not-found]
from distilabel.steps import LoadDataFromDicts  # type: ignore[import-not-found]
from distilabel.steps.tasks import TextGeneration  # type: ignore[import-not-found]


def prepare(order: Order) -> Callable[[], int]:
    with Pipeline(cache_dir=str(order.folder)) as pipeline:
        rows = LoadDataFromDicts(
            data=[{"instruction": question} for question in order.questions()], batch_size=order.concurrency
        )
        teacher = OpenAILLM(
            model=MODEL,
            base_url=order.base_url,
            api_key="none",
            generation_kwargs={"temperature": 0.7, "max_new_tokens": MAX_TOKENS},
        )
        answers = TextGeneration(llm=teacher, input_batch_size=order.concurrency)
        rows >> answers

    def asks() -> int:
        replies = pipeline.run(use_cache=False)
        return sum(bool(text) for text in replies["default"]["train"]["generation"])

    return asks


if __name__ == "__main__":
    obey(prepare, f"distilabel {version('distilabel')}")
