"""What a gateway costs: stillroom's, LiteLLM's proxy and a bare pass-through, in front of one local nginx.

    python -m benchmarks.serve_overhead [--peers litellm | none] [--rounds 5] [--seconds 3] [--json FILE]

nginx (Debian: nginx-light) answers every request at once with the same bytes, so that what is measured is the gateway.
stillroom does all that it does for an owner: a key is looked up, five limits are reserved and settled, the call is
written down before and after with its prints and its sketch, and the reply carries a signed receipt. LiteLLM's proxy
has one worker, a master key and no database, and is set up as its guide for production says. The bare pass-through is
Starlette with nothing else, on two servers and with two clients; ratios are to the one with the greatest capacity.

Capacity: closed loop, by wrk (Debian: wrk), at 16 and at 64 connections. Latency: requests that are due at a constant
rate, 30 % of the contender's own capacity, and once more at one rate for all; counted from when each was due, less what
the same load has without a gateway. In each round all contenders run one after the other, and ratios are taken within a
round: a busy machine slows all of them. nginx, the load and the gateway share the processors. Contenders that are not
ours are installed in `benchmarks/.peers` when they are first needed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.ask_contenders.local_nginx import local_nginx, nginx_version
from benchmarks.serve_contenders.gateways import contenders
from benchmarks.serve_contenders.load import BODY, Capacity, Latency, capacity, latency, wrk_version
from benchmarks.serve_contenders.running import Running, post

CONNECTIONS = (16, 64)
SHARE = 0.3
"""Of its capacity, at which a contender's latency is measured."""
DIRECT, LITELLM, ONE_WORKER = "nginx alone", "LiteLLM", "stillroom, 1 worker"


@dataclass
class Measured:
    version: str
    same_body: bool
    capacities: dict[int, list[Capacity]] = field(default_factory=lambda: defaultdict(list))
    """By the number of connections, round by round."""
    at_own_rate: list[tuple[Latency, Latency]] = field(default_factory=list)
    """With the gateway, and without one at the same rate just before."""
    at_common_rate: list[tuple[Latency, Latency]] = field(default_factory=list)

    @property
    def capacity(self) -> float:
        return max(median([each.per_s for each in rounds]) for rounds in self.capacities.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", default="litellm", choices=["litellm", "none"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="of each contender, of each kind, in each round")
    parser.add_argument("--json", type=Path, help="write every figure there as well")
    arguments = parser.parse_args()
    starts = contenders(arguments.peers.split(","))
    with ExitStack() as stack:
        nginx = stack.enter_context(local_nginx())
        direct = Running(nginx.base_url, "none", None, nginx_version())
        running = {DIRECT: direct}
        for name, start in starts.items():
            running[name] = stack.enter_context(start(nginx.base_url))
        measured = measure(running, arguments.rounds, arguments.seconds)
    print(f"\n{nginx_version()}, {wrk_version()}, {os.cpu_count()} processors, {arguments.rounds} rounds\n")
    print(capacity_table(measured))
    print()
    print(latency_table(measured))
    print()
    print(ratios(measured))
    if arguments.json:
        arguments.json.write_text(json.dumps(as_data(measured), indent=1) + "\n")


def measure(running: Mapping[str, Running], rounds: int, seconds: int) -> dict[str, Measured]:
    measured = {
        name: Measured(each.version, _answers_the_same(each, running[DIRECT])) for name, each in running.items()
    }
    for each in running.values():
        capacity(each, 16, 1)  # what is made once is made here
    for number in range(rounds):
        for connections in CONNECTIONS:
            for name, each in running.items():
                figures = capacity(each, connections, seconds)
                measured[name].capacities[connections].append(figures)
                say(number, name, f"{figures.per_s:9,.0f} requests/s at {connections} connections")
    gateways = {name: each for name, each in running.items() if name != DIRECT}
    common = SHARE * min(measured[name].capacity for name in gateways)
    for number in range(rounds):
        for name, each in gateways.items():
            its = measured[name]
            for rate, figures_at in ((SHARE * its.capacity, its.at_own_rate), (common, its.at_common_rate)):
                without, with_it = latency(running[DIRECT], rate, seconds), latency(each, rate, seconds)
                figures_at.append((with_it, without))
                say(number, name, f"{with_it.p50_ms:9.2f} ms, p99 {with_it.p99_ms:.2f} ms at {rate:,.0f} requests/s")
    return measured


def _answers_the_same(gateway: Running, direct: Running) -> bool:
    """Byte for byte. Raises HTTPError where it does not answer."""
    body = BODY.replace("{number}", "7").encode()
    told = [post(f"{each.base_url}/chat/completions", body, each.key) for each in (gateway, direct)]
    return told[0] == told[1]


def say(number: int, name: str, what: str) -> None:
    print(f"round {number + 1}  {name:27}{what}", flush=True)


def capacity_table(measured: Mapping[str, Measured]) -> str:
    lines = [
        f"{'capacity, medians (range)':27}{'version':50}{'same bytes':>11}"
        + "".join(f"{f'{count} connections, requests/s':>38}{'CPU ms':>8}" for count in CONNECTIONS)
    ]
    for name, its in measured.items():
        line = f"{name:27}{its.version:50}{'yes' if its.same_body else 'no':>11}"
        for count in CONNECTIONS:
            cpu = [each.cpu_ms for each in its.capacities[count] if each.cpu_ms is not None]
            rates = [each.per_s for each in its.capacities[count]]
            line += f"{spread(rates, ',.0f'):>38}{f'{median(cpu):.3f}' if cpu else '':>8}"
        lines.append(line)
    return "\n".join(lines)


def latency_table(measured: Mapping[str, Measured]) -> str:
    lines = [f"{'latency added, ms':27}{'requests/s':>11}{'p50':>28}{'p99':>28}"]
    for kind in ("at_own_rate", "at_common_rate"):
        for name, its in measured.items():
            pairs: list[tuple[Latency, Latency]] = getattr(its, kind)
            if pairs:
                p50 = [with_it.p50_ms - without.p50_ms for with_it, without in pairs]
                p99 = [with_it.p99_ms - without.p99_ms for with_it, without in pairs]
                rate = pairs[0][0].per_s
                lines.append(f"{name:27}{rate:11,.0f}{spread(p50, '.2f'):>28}{spread(p99, '.2f'):>28}")
    return "\n".join(lines)


def ratios(measured: Mapping[str, Measured]) -> str:
    """Capacity of ours over theirs, round by round."""
    bare = max((name for name in measured if name.startswith("bare ")), key=lambda name: measured[name].capacity)
    ours = [name for name in measured if name.startswith("stillroom")]
    lines = [f"{'capacity, median (range)':44}" + "".join(f"{f'{count} connections':>28}" for count in CONNECTIONS)]
    lines[0] += f"{'for the same processor time':>28}"
    for name in ours:
        for other in (LITELLM, bare):
            if other not in measured:
                continue
            line = f"{f'{name} / {other}':44}"
            for count in CONNECTIONS:
                pairs = zip(measured[name].capacities[count], measured[other].capacities[count], strict=True)
                line += f"{spread([mine.per_s / theirs.per_s for mine, theirs in pairs], '.2f'):>28}"
            lines.append(f"{line}{spread(_cpu_ratios(measured[name], measured[other]), '.2f'):>28}")
    return "\n".join(lines)


def _cpu_ratios(ours: Measured, theirs: Measured) -> list[float]:
    """Requests for the same processor time: what a busy machine disturbs least."""
    rounds = [
        pair for count in CONNECTIONS for pair in zip(ours.capacities[count], theirs.capacities[count], strict=True)
    ]
    return [other.cpu_ms / mine.cpu_ms for mine, other in rounds if mine.cpu_ms and other.cpu_ms]


def as_data(measured: Mapping[str, Measured]) -> dict[str, Any]:
    def pairs(figures: Sequence[tuple[Latency, Latency]]) -> list[dict[str, Any]]:
        return [{"with": vars(with_it), "without": vars(without)} for with_it, without in figures]

    return {
        name: {
            "version": its.version,
            "same_body": its.same_body,
            "capacity": {count: [vars(each) for each in rounds] for count, rounds in its.capacities.items()},
            "latency_at_own_rate": pairs(its.at_own_rate),
            "latency_at_common_rate": pairs(its.at_common_rate),
        }
        for name, its in measured.items()
    }


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def spread(values: Sequence[float], form: str) -> str:
    return f"{median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


if __name__ == "__main__":
    main()
