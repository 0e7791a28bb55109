"""The bare loop with aiohttp: as many workers as there may be calls in flight, one iterator, each reply looked at."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from importlib.metadata import version

import aiohttp
from benchmarks.ask_contenders.contender import Order, body_of, is_good, obey


def prepare(order: Order) -> Callable[[], int]:
    return lambda: asyncio.run(ask(order))


async def ask(order: Order) -> int:
    questions = order.questions()
    url = f"{order.base_url}/chat/completions"
    good = 0

    async def work(session: aiohttp.ClientSession) -> None:
        nonlocal good
        for question in questions:
            body = json.dumps(body_of(question)).encode()
            async with session.post(url, data=body, headers={"Content-Type": "application/json"}) as response:
                good += response.status == 200 and is_good(json.loads(await response.read()))

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=order.concurrency)) as session:
        await asyncio.gather(*(work(session) for _ in range(order.concurrency)))
    return good


if __name__ == "__main__":
    obey(prepare, f"aiohttp {version('aiohttp')}")
