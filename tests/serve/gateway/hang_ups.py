"""Calls that go wrong in every way: clients that hang up, servers that fail, both at once, at every point.

Used by the test and, ten thousand strong, by `benchmarks/serve_hang_ups.py`.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

_WORDS = [f"word{number} " for number in range(8)]


@dataclass
class Told:
    """What the clients saw."""

    outcomes: Counter[str] = field(default_factory=Counter)
    call_ids: set[str] = field(default_factory=set)
    """Of the responses whose head was read."""


def plan(rng: random.Random) -> dict[str, Any]:
    """What the model's server does with one call."""
    done: dict[str, Any] = {"say": _WORDS, "pause_s": rng.choice([0, 0, 0.001, 0.004])}
    fault = rng.random()
    if fault < 0.25:
        done["cut_after"] = rng.randrange(0, 10)
    elif fault < 0.35:
        done["cut"] = True
    elif fault < 0.45:
        done["status"] = rng.choice([400, 429, 500, 503])
    elif fault < 0.55:
        done["wait_s"] = rng.choice([0.01, 0.05])
    elif fault < 0.65:
        done["usage"] = False
    return done


async def many_calls(url: str, key: str, number: int, at_once: int, seed: int) -> Told:
    told = Told()
    rng = random.Random(seed)
    waiting = iter(range(number))

    async def client() -> None:
        for _ in waiting:
            await _call(url, key, rng, told)

    await asyncio.gather(*(client() for _ in range(at_once)))
    return told


async def _call(url: str, key: str, rng: random.Random, told: Told) -> None:
    body = {
        "model": "m",
        "messages": [{"role": "user", "content": json.dumps(plan(rng))}],
        "stream": rng.random() < 0.7,
        "max_tokens": 100,
    }
    data = json.dumps(body).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(data)}\r\nconnection: close\r\n\r\n"
    ).encode()
    # Where this client hangs up, in bytes: inside its own request, or inside the reply; or not at all.
    leaves_in_request = rng.randrange(len(head) + len(data)) if rng.random() < 0.1 else None
    leaves_after = rng.choice([0, 1, 200, 600, 900, 1500, 2000]) if rng.random() < 0.5 else None
    resets = rng.random() < 0.5
    reader, writer = await asyncio.open_connection(urlsplit(url).hostname, urlsplit(url).port)
    try:
        writer.write((head + data)[:leaves_in_request])
        await writer.drain()
        if leaves_in_request is not None:
            told.outcomes["left in the request"] += 1
            return
        read = b""
        while leaves_after is None or len(read) < leaves_after:
            piece = await asyncio.wait_for(reader.read(1 << 16 if leaves_after is None else 256), 60)
            if not piece:
                break
            read += piece
        told.outcomes["hung up" if piece_is_missing(read) else "read to its end"] += 1
        for line in read.split(b"\r\n\r\n")[0].split(b"\r\n"):
            if line.startswith(b"x-stillroom-call: "):
                told.call_ids.add(line.partition(b": ")[2].decode())
    except ConnectionError:
        told.outcomes["connection ended"] += 1
    finally:
        if resets:
            writer.transport.abort()
        writer.close()


def piece_is_missing(read: bytes) -> bool:
    """Whether a response, with its connection closed after it, was not read to its end."""
    head, _, body = read.partition(b"\r\n\r\n")
    if b"transfer-encoding: chunked" in head:
        return not body.endswith(b"0\r\n\r\n")
    for line in head.split(b"\r\n"):
        if line.startswith(b"content-length: "):
            return len(body) < int(line.partition(b": ")[2])
    return True
