"""Load on a gateway: as much as it takes (wrk), or at a constant rate."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from benchmarks.ask_contenders.contender import MAX_TOKENS, MODEL
from benchmarks.ask_contenders.measured import ROOT, cpu_s
from benchmarks.serve_contenders.arrivals import Order, Outcome
from benchmarks.serve_contenders.running import Running

_TUTOR = "You are a careful tutor. Say what is given, what is asked, and each step between the two. " * 3
_QUESTION = "A baker fills trays of twelve rolls each, and gives one tray in seven to her neighbour. " * 5
BODY = json.dumps(
    {
        "model": MODEL,
        "max_tokens": MAX_TOKENS,
        "temperature": 0.7,
        "messages": [
            {"role": "system", "content": _TUTOR},
            {"role": "user", "content": f"{_QUESTION}How many rolls does she keep of {{number}} trays?"},
        ],
    }
)
"""About 1 kB. No two requests are the same: each has its own number."""

_SCRIPT = """
local before, after = {before}, {after}
local number = 0
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer {key}"
request = function()
  number = number + 1
  return wrk.format(nil, nil, nil, before .. number .. after)
end
"""


@dataclass(frozen=True)
class Capacity:
    per_s: float
    cpu_ms: float | None
    """Of the gateway's processes, for each request."""


@dataclass(frozen=True)
class Latency:
    per_s: float
    p50_ms: float
    p99_ms: float


def capacity(gateway: Running, connections: int, seconds: int) -> Capacity:
    """Requests answered per second where each connection asks again as soon as it is answered.

    Raises SystemExit where one reply was no 200.
    """
    before, after = BODY.split("{number}")
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "post.lua")
        quoted = {"before": json.dumps(before), "after": json.dumps(after), "key": gateway.key}
        script.write_text(_SCRIPT.format(**quoted))
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", str(script)]
        cpu = cpu_s(gateway.pid) if gateway.pid else 0.0
        ran = subprocess.run(
            [*command, f"{gateway.base_url}/chat/completions"], capture_output=True, text=True, check=True
        )
        cpu = cpu_s(gateway.pid) - cpu if gateway.pid else 0.0
    counted = re.search(r"(\d+) requests in", ran.stdout)
    rate = re.search(r"Requests/sec:\s*([\d.]+)", ran.stdout)
    failed = re.search(r"Non-2xx.*|Socket errors.*", ran.stdout)
    if counted is None or rate is None or failed is not None or counted[1] == "0":
        raise SystemExit(f"wrk, against {gateway.version} at {gateway.base_url}:\n{ran.stdout}{ran.stderr}")
    return Capacity(float(rate[1]), 1000 * cpu / int(counted[1]) if gateway.pid else None)


def latency(gateway: Running, per_s: float, seconds: float) -> Latency:
    """At a constant rate of requests, from when each was due. Raises SystemExit where one had no good reply."""
    order = Order(gateway.base_url, gateway.key, BODY, per_s, max(20, round(per_s * seconds)), max(5, round(per_s / 2)))
    command = [sys.executable, "-m", "benchmarks.serve_contenders.arrivals"]
    ran = subprocess.run(
        command, input=json.dumps(asdict(order)), stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT
    )
    outcome = Outcome(**json.loads(ran.stdout))
    if outcome.wrong:
        raise SystemExit(f"{outcome.wrong} of {order.requests} replies of {gateway.version} were none.")
    p50, p99 = np.percentile(outcome.latencies_ms, [50, 99])
    return Latency(per_s, float(p50), float(p99))


def wrk_version() -> str:
    shown = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False)
    found = re.search(r"wrk \S+", shown.stdout + shown.stderr)
    return found[0] if found else "wrk"
