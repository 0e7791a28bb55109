"""A worker in a process of its own: makes many first calls at once when it is told to, and says how many passed."""

from __future__ import annotations

import asyncio
import json
import sys

from stillroom.serve.database.engine import open_database
from stillroom.serve.limits.bound import Bound, LimitReached
from stillroom.serve.limits.limits import Limits


async def burst(url: str, worker: str, calls: int, bounds: list[Bound], cost: int) -> None:
    limits = Limits(open_database(url), worker)
    await limits.start()

    async def passes() -> bool:
        try:
            await limits.reserve(bounds, {bound.name: cost for bound in bounds})
        except LimitReached:
            return False
        return True

    print("ready", flush=True)
    sys.stdin.readline()
    passed = await asyncio.gather(*(passes() for _ in range(calls)))
    print(sum(passed), flush=True)
    sys.stdin.readline()  # killed here: nothing is given back


if __name__ == "__main__":
    order = json.loads(sys.argv[1])
    asyncio.run(
        burst(
            order["url"], order["worker"], order["calls"], [Bound(*bound) for bound in order["bounds"]], order["cost"]
        )
    )
