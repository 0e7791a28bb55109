"""The bare loop with aiohttp over event streams: every line parsed, the texts kept."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from importlib.metadata import version

import aiohttp
from benchmarks.ask_contenders.contender import Order, body_of, obey
from benchmarks.ask_contenders.stream_server import LONG


def prepare(order: Order) -> Callable[[], int]:
    return lambda: asyncio.run(ask(order))


async def ask(order: Order) -> int:
    connector = aiohttp.TCPConnector(limit=order.concurrency)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None)) as session:
        return sum(await asyncio.gather(*(read(session, order, question) for question in order.questions())))


async def read(session: aiohttp.ClientSession, order: Order, question: str) -> bool:
    body = body_of(LONG.decode() + question) | {"stream": True, "stream_options": {"include_usage": True}}
    texts: list[str] = []
    finish_reason = None
    async with session.post(f"{order.base_url}/chat/completions", json=body) as response:
        async for line in response.content:
            if not line.startswith(b"data: ") or line.startswith(b"data: [DONE]"):
                continue
            for choice in json.loads(line[6:])["choices"]:
                delta = choice["delta"]
                texts.append(delta.get("reasoning_content") or delta.get("content") or "")
                finish_reason = choice["finish_reason"] or finish_reason
    return bool("".join(texts)) and finish_reason == "stop"


if __name__ == "__main__":
    obey(prepare, f"aiohttp {version('aiohttp')}")
