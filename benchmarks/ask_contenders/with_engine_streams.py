"""stillroom's engine over event streams, its journal on disk.

The engine begins with one call and sends more as replies come: short questions before the long ones open its window.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import version

from benchmarks.ask_contenders.contender import MAX_TOKENS, MODEL, Order, obey
from benchmarks.ask_contenders.stream_server import LONG
from benchmarks.ask_contenders.with_engine import PRICE

from stillroom.base.canonical import canonical_bytes
from stillroom.client.blocking import run_to_end
from stillroom.client.engine import EngineCounts, ask_all
from stillroom.client.pacing import PaceLimits
from stillroom.client.request import ChatRequest, RequestSettings
from stillroom.client.settings import Endpoint, Sampling
from stillroom.store.journal import Journal


def prepare(order: Order) -> Callable[[], int]:
    return lambda: run_to_end(ask(order)).by_status["ok"] - short_questions(order)


def short_questions(order: Order) -> int:
    return 10 * order.concurrency


async def ask(order: Order) -> EngineCounts:
    endpoint = Endpoint(model=MODEL, base_url=order.base_url, price=PRICE, stream=True)
    settings = RequestSettings(endpoint, Sampling(temperature=0.7, max_tokens=MAX_TOKENS))

    def requests() -> Iterator[ChatRequest]:
        texts = [f"Short {number}" for number in range(short_questions(order))]
        for number, text in enumerate((*texts, *(LONG.decode() + question for question in order.questions()))):
            yield ChatRequest(f"q{number}", canonical_bytes([{"role": "user", "content": text}]), settings)

    with Journal(order.folder / "ask.sqlite") as journal:
        return await ask_all(requests(), endpoint, journal, pace=PaceLimits(order.concurrency))


if __name__ == "__main__":
    obey(prepare, f"stillroom {version('stillroom')}")
