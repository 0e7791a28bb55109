"""The pace against servers with limits, on a virtual clock: how near it comes, and how many calls are refused."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from stillroom.testing.limited_server import (
    LATENCIES,
    WIDE,
    AnyMinute,
    Books,
    FixedMinute,
    InFlightLimit,
    Latency,
    Limit,
    NoLimit,
    Outage,
    Simulation,
    SometimesRefuses,
    TokenBucket,
    always,
    around,
    lognormal,
    mean_s,
    pareto,
    uneven_sizes,
)

WIDE_S = 0.2427
"""The mean of WIDE."""


def test_the_mean_is_what_it_is_taken_for() -> None:
    assert mean_s(WIDE) == pytest.approx(WIDE_S, rel=0.02)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "latency", [WIDE, lognormal(0.1, 1.5, 0.02, 2.0), pareto(0.06, 1.1, 2.0)], ids=["lognormal", "wider", "pareto"]
)
def test_a_limit_of_100_in_flight_is_used(latency: Latency, seed: int) -> None:
    books = Simulation(InFlightLimit(100), latency, seed=seed).run(120)
    assert books.per_s(60, 110) >= 0.9 * 100 / mean_s(latency)
    assert books.refused_share(60, 110) < 0.02
    assert books.refused_share() < 0.05


@pytest.mark.parametrize("most", [1, 3, 300])
def test_small_and_large_limits_of_concurrency_too(most: int) -> None:
    books = Simulation(InFlightLimit(most), WIDE).run(120)
    assert books.per_s(60, 110) >= 0.9 * most / WIDE_S
    assert books.refused_share(60, 110) < 0.05


def test_a_limit_of_concurrency_that_asks_for_a_pause() -> None:
    books = Simulation(InFlightLimit(100, retry_after_s=1.0), WIDE).run(180)
    assert books.per_s(60, 170) >= 0.85 * 100 / WIDE_S
    assert books.refused_share(60, 170) < 0.005


RATES: dict[str, Callable[[bool], Limit]] = {
    "bucket of 10": lambda counts: TokenBucket(600, 10, counts_refused=counts),
    "bucket of 600": lambda counts: TokenBucket(600, 600, counts_refused=counts),
    "fixed minute": lambda counts: FixedMinute(600, 37.0, counts_refused=counts),
}


@pytest.mark.parametrize("counts_refused", [False, True], ids=["", "refused calls count"])
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("latency", LATENCIES)
def test_600_a_minute_are_learned_from_refusals_alone(latency: str, rate: str, counts_refused: bool) -> None:
    for seed in range(2):
        books = Simulation(RATES[rate](counts_refused), LATENCIES[latency], seed=seed, way_s=0.002 + 0.01 * seed).run(
            480
        )
        assert books.per_s(120, 470) >= 0.9 * 10
        assert books.refused_share(120, 470) < 0.05


@pytest.mark.parametrize("turns_at", [0.0, 12.0, 58.0])
def test_whenever_the_minute_turns(turns_at: float) -> None:
    for latency in (always(0.05), around(5.0)):
        books = Simulation(FixedMinute(600, turns_at), latency).run(480)
        assert books.per_s(120, 470) >= 0.9 * 10
        assert books.refused_share(120, 470) < 0.05


@pytest.mark.parametrize("counts_refused", [False, True], ids=["", "refused calls count"])
def test_600_in_any_minute(counts_refused: bool) -> None:
    for latency in (always(0.05), around(5.0)):
        books = Simulation(AnyMinute(600, counts_refused), latency).run(480)
        assert books.per_s(120, 470) >= 0.9 * 10
        assert books.refused_share(120, 470) < 0.05


@pytest.mark.parametrize(
    "limit",
    [
        lambda: TokenBucket(600, 10, says_retry_after=True),
        lambda: TokenBucket(600, 600, says_retry_after=True),
        lambda: FixedMinute(600, 37.0, says_retry_after=True),
    ],
    ids=["bucket of 10", "bucket of 600", "fixed minute"],
)
@pytest.mark.parametrize("latency", LATENCIES)
def test_with_retry_after_few_are_refused(latency: str, limit: Callable[[], Limit]) -> None:
    books = Simulation(limit(), LATENCIES[latency]).run(480)
    assert books.per_s(120, 470) >= 0.95 * 10
    assert books.refused_share(120, 470) < 0.02


@pytest.mark.parametrize(
    "limit",
    [
        lambda: TokenBucket(600, 10, says_headers=True),
        lambda: TokenBucket(600, 60, says_headers=True, says_limit=600),
        lambda: TokenBucket(600, 600, says_headers=True),
        lambda: FixedMinute(600, 37.0, says_headers=True),
    ],
    ids=["bucket of 10", "bucket of 60", "bucket of 600", "fixed minute"],
)
@pytest.mark.parametrize("latency", LATENCIES)
def test_with_headers_hardly_any_are_refused(latency: str, limit: Callable[[], Limit]) -> None:
    books = Simulation(limit(), LATENCIES[latency]).run(480)
    assert books.per_s(120, 470) >= 0.95 * 10
    assert books.refused_share(120, 470) < 0.02


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(("latency", "seconds"), [(around(5.0), 5.0), (around(1.0), 1.0)], ids=["5 s", "1 s"])
def test_a_limit_that_changes_is_found_again(latency: Latency, seconds: float, seed: int) -> None:
    books = Simulation(InFlightLimit(100, ((120.0, 30), (300.0, 200))), latency, seed=seed).run(500)
    for begin_s, end_s, most in ((60, 120, 100), (180, 300, 30), (420, 490, 200)):
        assert books.per_s(begin_s, end_s) >= 0.9 * most / seconds
    assert books.refused_share() < 0.05


@pytest.mark.parametrize("result", ["refused", "failed", "silent"])
def test_an_outage_costs_few_calls_and_little_time_after_it(result: str) -> None:
    assert result in ("refused", "failed", "silent")
    books = Simulation(Outage(NoLimit(), 120.0, 60.0, result), WIDE, cap=64).run(260)  # type: ignore[arg-type]
    assert sum(books.refused[120:180]) < 64 + 40
    assert books.per_s(200, 250) >= 0.85 * 64 / WIDE_S


@pytest.mark.parametrize("share", [0.02, 0.05])
@pytest.mark.parametrize("seed", range(2))
def test_refusals_by_chance_hardly_slow_it(share: float, seed: int) -> None:
    draw = random.Random(seed)
    books = Simulation(SometimesRefuses(NoLimit(), share, draw), WIDE, cap=100, seed=seed).run(120)
    assert books.per_s(60, 110) >= 0.9 * (1 - share) * 100 / WIDE_S
    books = Simulation(SometimesRefuses(NoLimit(), share, draw), around(0.005), cap=16, seed=seed, way_s=0.0005).run(16)
    assert books.per_s(6, 15) >= 0.8 * (1 - share) * 16 / 0.006


@pytest.mark.parametrize("seed", range(3))
def test_refusals_by_chance_beside_a_limit(seed: int) -> None:
    limit = SometimesRefuses(InFlightLimit(100), 0.02, random.Random(seed))
    books = Simulation(limit, around(5.0), seed=seed).run(400)
    assert books.per_s(120, 390) >= 0.7 * 0.98 * 100 / 5


@pytest.mark.parametrize("burst", [10_000, 100_000])
@pytest.mark.parametrize("latency", ["50 ms", "about 5 s"])
def test_100000_tokens_a_minute_are_learned_with_calls_of_all_sizes(latency: str, burst: int) -> None:
    for seed in range(2):
        limit = TokenBucket(100_000, burst, by_tokens=True)
        simulation = Simulation(limit, LATENCIES[latency], sizes=uneven_sizes(seed), seed=seed)
        books = simulation.run(900)
        assert books.tokens_per_s(120, 890) >= 0.9 * 100_000 / 60
        assert books.refused_share(120, 890) < 0.06
        assert simulation.pace.tokens_per_minute is not None


def test_tokens_told_by_headers() -> None:
    limit = TokenBucket(100_000, 100_000, by_tokens=True, says_headers=True)
    books = Simulation(limit, around(5.0), sizes=uneven_sizes(1)).run(900)
    assert books.tokens_per_s(120, 890) >= 0.95 * 100_000 / 60
    assert books.refused_share() < 0.01


def test_a_server_that_queues_is_not_flooded() -> None:
    simulation = Simulation(NoLimit(), always(0.05), workers=4, cap=2000)
    books = simulation.run(120)
    assert books.per_s(60, 110) >= 0.95 * 4 / 0.05
    assert simulation.pace.concurrency <= 128
    assert simulation.pace.why().endswith("more were no faster")


def test_it_says_what_it_has_learned() -> None:
    simulation = Simulation(InFlightLimit(100), WIDE)
    simulation.run(60)
    assert 90 <= simulation.pace.concurrency <= 110
    assert simulation.pace.why().endswith(("in flight: learned from refusals", "in flight: growing"))
    simulation = Simulation(TokenBucket(600, 10), always(0.05))
    simulation.run(120)
    assert simulation.pace.requests_per_minute == pytest.approx(600, rel=0.08)
    assert simulation.pace.why().endswith("a minute: learned from refusals")


def test_the_same_run_twice_is_the_same() -> None:
    def run() -> Books:
        return Simulation(TokenBucket(600, 10), WIDE, seed=3).run(120)

    assert run() == run()
