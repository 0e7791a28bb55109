"""stillroom's engine: a journal on disk, every intent and every reply durable, a price, a budget."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from importlib.metadata import version

from benchmarks.ask_contenders.contender import MAX_TOKENS, MODEL, Order, obey

from stillroom.base.canonical import canonical_bytes
from stillroom.client.blocking import run_to_end
from stillroom.client.budget import BudgetLimits
from stillroom.client.engine import EngineCounts, ask_all
from stillroom.client.pacing import PaceLimits
from stillroom.client.request import ChatRequest, RequestSettings
from stillroom.client.settings import Endpoint, Price, Sampling
from stillroom.store.journal import Journal

PRICE = Price(input_per_million=Decimal("0.25"), output_per_million=Decimal("1.25"))
BUDGET_USD = Decimal(1000)


def prepare(order: Order) -> Callable[[], int]:
    return lambda: run_to_end(ask(order)).by_status["ok"]


async def ask(order: Order) -> EngineCounts:
    endpoint = Endpoint(model=MODEL, base_url=order.base_url, price=PRICE)
    settings = RequestSettings(endpoint, Sampling(temperature=0.7, max_tokens=MAX_TOKENS))
    requests = (
        ChatRequest(f"q{number}", canonical_bytes([{"role": "user", "content": question}]), settings)
        for number, question in enumerate(order.questions(), order.first)
    )
    with Journal(order.folder / "ask.sqlite") as journal:
        return await ask_all(
            requests,
            endpoint,
            journal,
            pace=PaceLimits(order.concurrency),
            limits=BudgetLimits(budget_usd=BUDGET_USD),
        )


if __name__ == "__main__":
    obey(prepare, f"stillroom {version('stillroom')}")
