"""Clients that hang up and servers that fail, at every point, over ten thousand calls: is anything lost or left over?

    python -m benchmarks.serve_hang_ups [--calls 10000] [--at-once 64] [--workers 2] [--seed 1]

The same as `tests/serve/gateway/test_hang_ups.py`, which does it with 600 calls. Prints what the clients saw, what the
log says of it, and what is left: calls in flight, places that an account may not use, connections, requests that the
model's server still works on.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.request import urlopen

from tests.serve.gateway.asking import chat
from tests.serve.gateway.conftest import RunningGateway, model_server, running_gateway, wait_until
from tests.serve.gateway.hang_ups import many_calls

CONCURRENT = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--at-once", type=int, default=64)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, model_server() as model:
        with running_gateway(Path(folder), model.url, workers=arguments.workers) as gateway:
            key = gateway.key(concurrent=CONCURRENT, usd_per_month="1000")
            gateway.post("/v1/chat/completions", chat({"say": ["a"]}), key.key)
            sockets_before = _sockets(gateway)
            began = time.monotonic()
            told = asyncio.run(many_calls(gateway.url, key.key, arguments.calls, arguments.at_once, arguments.seed))
            print(f"{arguments.calls} calls in {time.monotonic() - began:.0f} s. What the clients saw:")
            for outcome, number in told.outcomes.most_common():
                print(f"  {outcome}: {number}")
            wait_until(lambda: _in_flight(gateway) == 0)
            wait_until(lambda: model.get("/counts")["open"] == 0)
            time.sleep(6)  # connections kept for later calls are given up after four
            with ThreadPoolExecutor(CONCURRENT) as pool:
                slow = chat({"say": ["a"], "wait_s": 2})
                statuses = Counter(
                    pool.map(lambda _: gateway.post("/v1/chat/completions", slow, key.key)[0], range(CONCURRENT))
                )
            print(f"In flight afterwards: 0; worked on by the model's server: {model.get('/counts')['open']}")
            print(f"{CONCURRENT} calls at once, as many as the account may have: {dict(statuses)}")
            time.sleep(6)
            print(f"Sockets of the workers: {sockets_before} before, {_sockets(gateway)} afterwards")
            errors = gateway.stop()
            print(f"Written to standard error: {errors or 'nothing'}")
            rows = {row["call_id"]: row for row in gateway.calls()}
        seen = model.get("/counts")["begun"]
    print("What the log says:")
    for (status, counted_by), number in Counter((row["status"], row["counted_by"]) for row in rows.values()).items():
        print(f"  {status}, tokens counted by {counted_by or 'nobody'}: {number}")
    missing = told.call_ids - set(rows)
    print(f"Calls whose reply's head a client read: {len(told.call_ids)}, of them missing from the log: {len(missing)}")
    print(f"Requests that the model's server saw: {seen}, rows: {len(rows)}")


def _sockets(gateway: RunningGateway) -> int:
    links = (link for worker in gateway.workers() for link in Path(f"/proc/{worker}/fd").iterdir())
    return sum(str(link.readlink()).startswith("socket:") for link in list(links) if link.is_symlink())


def _in_flight(gateway: RunningGateway) -> float:
    with urlopen(gateway.admin_url + "/metrics", timeout=30) as response:
        lines = response.read().decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("stillroom_in_flight"))


if __name__ == "__main__":
    main()
