"""The bare loop: as many workers as there may be calls in flight, one iterator, each reply parsed and looked at."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from importlib.metadata import version

from benchmarks.ask_contenders.contender import Order, body_of, is_good, obey
from pyreqwest.client import Client, ClientBuilder


def prepare(order: Order) -> Callable[[], int]:
    return lambda: asyncio.run(ask(order))


async def ask(order: Order) -> int:
    questions = order.questions()
    url = f"{order.base_url}/chat/completions"
    good = 0

    async def work(client: Client) -> None:
        nonlocal good
        for question in questions:
            body = json.dumps(body_of(question)).encode()
            request = client.post(url).header("Content-Type", "application/json").body_bytes(body)
            response = await request.build().send()
            good += response.status == 200 and is_good(json.loads(bytes(await response.bytes())))

    async with ClientBuilder().no_proxy().build() as client:
        await asyncio.gather(*(work(client) for _ in range(order.concurrency)))
    return good


if __name__ == "__main__":
    obey(prepare, f"pyreqwest {version('pyreqwest')}")
