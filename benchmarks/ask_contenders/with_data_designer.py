"""NeMo Data Designer: questions as a seed data set, one text column; no telemetry, no metrics endpoint."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.metadata import version

from benchmarks.ask_contenders.contender import MAX_TOKENS, MODEL, Order, obey

os.environ["NEMO_TELEMETRY_ENABLED"] = "false"

import data_designer.config as settings  # type: ignore[import-not-found]
import pandas as pd  # type: ignore[import-untyped]
from data_designer.interface import DataDesigner  # type: ignore[import-not-found]


def prepare(order: Order) -> Callable[[], int]:
    provider = settings.ModelProvider(name="local", endpoint=order.base_url, api_key="none")
    teacher = settings.ModelConfig(
        alias=MODEL,
        model=MODEL,
        provider=provider.name,
        skip_health_check=True,
        inference_parameters=settings.ChatCompletionInferenceParams(
            temperature=0.7, max_tokens=MAX_TOKENS, max_parallel_requests=order.concurrency
        ),
    )
    builder = settings.DataDesignerConfigBuilder(model_configs=[teacher])
    builder.with_seed_dataset(settings.DataFrameSeedSource(df=pd.DataFrame({"question": list(order.questions())})))
    builder.add_column(settings.LLMTextColumnConfig(name="answer", model_alias=MODEL, prompt="{{ question }}"))
    designer = DataDesigner(artifact_path=order.folder, model_providers=[provider])
    designer.set_run_config(settings.RunConfig(otel_metrics_port=None))

    def asks() -> int:
        made = designer.create(builder, num_records=order.count)
        return int(made.load_dataset()["answer"].str.len().gt(0).sum())

    return asks


if __name__ == "__main__":
    obey(prepare, f"data-designer {version('data-designer')}")
