"""Clients that hang up and servers that fail, at every point: everything is settled, and nothing is left over."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import urlopen

from tests.serve.gateway.asking import chat
from tests.serve.gateway.conftest import wait_until
from tests.serve.gateway.hang_ups import many_calls

if TYPE_CHECKING:
    from tests.serve.gateway.conftest import ModelServer, RunningGateway, Start

CALLS = 600


def _sockets(process: int) -> int:
    count = 0
    for link in Path(f"/proc/{process}/fd").iterdir():
        try:
            count += str(link.readlink()).startswith("socket:")
        except FileNotFoundError:
            continue
    return count


def _metric(gateway: RunningGateway, name: str) -> float:
    with urlopen(gateway.admin_url + "/metrics", timeout=30) as response:
        lines = response.read().decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def test_nothing_is_lost_or_left_over(start_gateway: Start, model: ModelServer) -> None:
    gateway = start_gateway(model.url)
    before = model.get("/counts")["begun"]
    key = gateway.key(concurrent=40, usd_per_month="1000")
    assert gateway.post("/v1/chat/completions", chat({"say": ["a"]}), key.key)[0] == 200
    (worker,) = gateway.workers()
    told = asyncio.run(many_calls(gateway.url, key.key, CALLS, 32, 1))
    assert told.outcomes.total() == CALLS
    assert told.outcomes["hung up"] > 50
    assert told.outcomes["read to its end"] > 50
    wait_until(lambda: _metric(gateway, "stillroom_in_flight") == 0)
    # A client that hangs up stops the server behind.
    wait_until(lambda: model.get("/counts")["open"] == 0)
    # No connection stays but those kept for later calls, which are given up after a few seconds.
    wait_until(lambda: _sockets(worker) <= 12)
    # No place is taken for ever: as many calls as the account may have at once all pass.
    with ThreadPoolExecutor(40) as pool:
        slow = chat({"say": ["a"], "wait_s": 1})
        statuses = list(pool.map(lambda _: gateway.post("/v1/chat/completions", slow, key.key)[0], range(40)))
    assert statuses == [200] * 40
    assert gateway.stop() == ""
    rows = {row["call_id"]: row for row in gateway.calls()}
    assert not told.call_ids - set(rows)
    assert {row["status"] for row in rows.values()} == {"ok", "refused", "failed", "hung_up"}
    for row in rows.values():
        if row["status"] in ("ok", "hung_up"):
            assert row["prompt_tokens"] is not None
            assert row["counted_by"] in ("provider", "estimate")
            assert row["cost_usd"] is not None
    # Every call that the server saw is a row; some never reached it.
    assert len(rows) >= model.get("/counts")["begun"] - before
