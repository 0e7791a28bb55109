"""How near the pace comes to what servers allow, and how many calls they refuse on the way, on a virtual clock.

    python benchmarks/pace.py [--seeds 10]

Each line is a kind of limit, none of which is announced unless it says so, over so many seeds: the least and the median
share of what the limit allows, and the largest and the median share of calls refused, after the time in which the limit
may be learned: 60 seconds for a limit of calls in flight, 120 for one of calls or tokens per minute. The last column is
the largest share refused before that. Above 100 %, a bucket that is full at the beginning is used up.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable

from stillroom.client.pacing import PaceController, PaceLimits
from stillroom.testing.limited_server import (
    LATENCIES,
    WIDE,
    AnyMinute,
    FixedMinute,
    InFlightLimit,
    Latency,
    Limit,
    NoLimit,
    Outage,
    Simulation,
    SometimesRefuses,
    TokenBucket,
    around,
    lognormal,
    mean_s,
    pareto,
    uneven_sizes,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    seeds = parser.parse_args().seeds
    print(f"{'':68}{'of the limit':>18}{'refused':>18}{'before':>9}")
    print(f"{'':68}{'least':>9}{'median':>9}{'most':>9}{'median':>9}{'most':>9}")
    print("100 in flight")
    in_flight(seeds)
    print("600 a minute")
    a_minute(seeds)
    print("changes, failures")
    changes(seeds)
    print("100,000 tokens a minute, calls of 100 to 8,000 tokens")
    tokens(seeds)
    print(f"a call costs the controller {microseconds():.1f} us (asked for room twice, sent, returned)")


def in_flight(seeds: int) -> None:
    shapes = {
        "lognormal 20-2,000 ms": WIDE,
        "wider lognormal 20-2,000 ms": lognormal(0.1, 1.5, 0.02, 2.0),
        "Pareto 60-2,000 ms": pareto(0.06, 1.1, 2.0),
        "about 5 s": around(5.0),
    }
    for name, latency in shapes.items():
        allowed = 100 / mean_s(latency)
        for way_ms in (2, 20):
            show(
                f"{name}, network {2 * way_ms} ms",
                seeds,
                lambda _: InFlightLimit(100),
                latency,
                allowed,
                60,
                240,
                way_ms,
            )
    show("20-2,000 ms, Retry-After: 1", seeds, lambda _: InFlightLimit(100, (), 1.0), WIDE, 100 / mean_s(WIDE), 60, 240)


def a_minute(seeds: int) -> None:
    limits: dict[str, Callable[[int], Limit]] = {
        "bucket of 10": lambda _: TokenBucket(600, 10),
        "bucket of 10, refused calls count": lambda _: TokenBucket(600, 10, counts_refused=True),
        "bucket of 600": lambda _: TokenBucket(600, 600),
        "bucket of 600, refused calls count": lambda _: TokenBucket(600, 600, counts_refused=True),
        "fixed minute": lambda seed: FixedMinute(600, 17.0 * seed % 60),
        "fixed minute, refused calls count": lambda seed: FixedMinute(600, 17.0 * seed % 60, True),
        "any 60 seconds": lambda _: AnyMinute(600),
        "any 60 seconds, refused calls count": lambda _: AnyMinute(600, True),
        "bucket of 10, Retry-After": lambda _: TokenBucket(600, 10, says_retry_after=True),
        "bucket of 600, Retry-After": lambda _: TokenBucket(600, 600, says_retry_after=True),
        "fixed minute, Retry-After": lambda seed: FixedMinute(600, 17.0 * seed % 60, says_retry_after=True),
        "bucket of 10, headers": lambda _: TokenBucket(600, 10, says_headers=True),
        "bucket of 600, headers": lambda _: TokenBucket(600, 600, says_headers=True),
        "fixed minute, headers": lambda seed: FixedMinute(600, 17.0 * seed % 60, says_headers=True),
    }
    for delay, latency in LATENCIES.items():
        for name, limit in limits.items():
            show(f"{name}, replies {delay}", seeds, limit, latency, 10.0, 120, 900)


def changes(seeds: int) -> None:
    allowed = 100 / mean_s(WIDE)

    def chance(share: float) -> Callable[[int], Limit]:
        return lambda seed: SometimesRefuses(NoLimit(), share, random.Random(seed))

    show(
        "limit 100, then 30 from 60 s: 90 s on",
        seeds,
        lambda _: InFlightLimit(100, ((60, 30),)),
        WIDE,
        0.3 * allowed,
        90,
        240,
    )
    show(
        "limit 30, then 200 from 60 s: 120 s on",
        seeds,
        lambda _: InFlightLimit(30, ((60, 200),)),
        WIDE,
        2 * allowed,
        120,
        240,
    )
    show(
        "503 for 60 s from 60 s: 140 s on", seeds, lambda _: Outage(NoLimit(), 60, 60), WIDE, allowed, 140, 300, cap=100
    )
    for share in (0.02, 0.05):
        for delay in ("20 to 2,000 ms", "about 5 s"):
            latency = LATENCIES[delay]
            name = f"{share:.0%} refused by chance, replies {delay}"
            show(name, seeds, chance(share), latency, (1 - share) * 100 / mean_s(latency), 120, 480, cap=100)
    for share in (0.02, 0.05):
        name = f"{share:.0%} refused by chance, limit of 100 in flight, replies 3.75-6.25 s"
        show(name, seeds, beside_a_limit(share), around(5.0), (1 - share) * 20, 120, 480)


def beside_a_limit(share: float) -> Callable[[int], Limit]:
    return lambda seed: SometimesRefuses(InFlightLimit(100), share, random.Random(seed))


def tokens(seeds: int) -> None:
    limits: dict[str, Callable[[int], Limit]] = {
        "bucket of 10,000": lambda _: TokenBucket(100_000, 10_000, by_tokens=True),
        "bucket of 100,000": lambda _: TokenBucket(100_000, 100_000, by_tokens=True),
        "bucket of 10,000, headers": lambda _: TokenBucket(100_000, 10_000, by_tokens=True, says_headers=True),
        "bucket of 100,000, headers": lambda _: TokenBucket(100_000, 100_000, by_tokens=True, says_headers=True),
        "bucket of 10,000, refused calls count": lambda _: TokenBucket(100_000, 10_000, True, counts_refused=True),
    }
    for delay in ("50 ms", "about 5 s"):
        for name, limit in limits.items():
            latency, allowed = LATENCIES[delay], 100_000 / 60
            show(f"{name}, replies {delay}", seeds, limit, latency, allowed, 120, 1800, by_tokens=True)


def show(
    name: str,
    seeds: int,
    limit: Callable[[int], Limit],
    latency: Latency,
    allowed_per_s: float,
    begin_s: int,
    end_s: int,
    way_ms: int = 2,
    *,
    cap: int = 1000,
    by_tokens: bool = False,
) -> None:
    shares, refused, before = [], [], []
    for seed in range(seeds):
        sizes = uneven_sizes(seed) if by_tokens else None
        simulation = Simulation(limit(seed), latency, cap=cap, sizes=sizes, seed=seed, way_s=way_ms / 1000)
        books = simulation.run(end_s)
        last_s = end_s - 10  # what was sent later may not have come back
        per_s = books.tokens_per_s if by_tokens else books.per_s
        shares.append(per_s(begin_s, last_s) / allowed_per_s)
        refused.append(books.refused_share(begin_s, last_s))
        before.append(books.refused_share(0, begin_s))
    print(
        f"  {name:66}{min(shares):9.1%}{statistics.median(shares):9.1%}"
        f"{max(refused):9.2%}{statistics.median(refused):9.2%}{max(before):9.1%}",
        flush=True,
    )


def microseconds() -> float:
    """CPU time of the controller for one call, without limits and with 128 in flight."""
    pace, calls, now, sent = PaceController(PaceLimits(128), 0.0), 200_000, 1.0, []
    pace.returned(0.1, pace.sent(0.0, 500), "answered")
    begun = time.process_time()
    for number in range(calls):
        now += 0.0002
        while pace.room(now, 500) > 0:
            sent.append(pace.sent(now, 500))
        pace.returned(now, sent[number], "answered")
    return (time.process_time() - begun) / calls * 1e6


if __name__ == "__main__":
    main()
