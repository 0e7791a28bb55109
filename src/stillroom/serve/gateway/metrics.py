"""What a worker counts, for Prometheus.

Each worker writes its counts to a small file once a second, and goes on from there when it is started again; the admin
process adds the files up. Labels are models, routes and reasons: never accounts, and nothing that a client sends, so
that no client can make the table grow.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from stillroom.base.records import Call

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_Labels = tuple[str, ...]


class Metrics:
    """The counts of one worker, those of its earlier processes included."""

    def __init__(self, file: Path) -> None:
        self._file = file
        before = _read(file)
        self._calls: Counter[_Labels] = _counter(before.get("calls", []))
        self._tokens: Counter[_Labels] = _counter(before.get("tokens", []))
        self._refused: Counter[_Labels] = _counter(before.get("refused", []))
        self._seconds: dict[_Labels, list[float]] = {tuple(names): row for names, row in before.get("seconds", [])}
        self._in_flight = 0
        self.upstreams_up: Mapping[str, int] = {}

    def begun(self) -> None:
        self._in_flight += 1

    def refused(self, reason: str) -> None:
        """A request that reached no model."""
        self._refused[(reason,)] += 1

    def settled(self, call: Call) -> None:
        self._in_flight -= 1
        labels = (call.model, call.route)
        self._calls[(*labels, call.status)] += 1
        self._tokens[(*labels, "prompt")] += call.prompt_tokens or 0
        self._tokens[(*labels, "completion")] += call.completion_tokens or 0
        row = self._seconds.get(labels)
        if row is None:
            row = self._seconds[labels] = [0.0] * (len(_SECONDS) + 2)
        seconds = (call.latency_us or 0) / 1e6
        row[bisect_left(_SECONDS, seconds)] += 1
        row[-1] += seconds

    def write(self) -> None:
        """Raises OSError."""
        told = {
            "calls": list(self._calls.items()),
            "tokens": list(self._tokens.items()),
            "refused": list(self._refused.items()),
            "seconds": list(self._seconds.items()),
            "in_flight": self._in_flight,
            "upstreams_up": self.upstreams_up,
        }
        aside = self._file.with_suffix(".part")
        aside.write_bytes(orjson.dumps(told))
        aside.replace(self._file)


class AllWorkers(Collector):
    """What all workers of a folder counted, added up."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterator[Metric]:
        workers = [_read(file) for file in sorted(self._folder.glob("w*.json"))]
        yield _counts("stillroom_calls", "Calls that reached a model.", ["model", "route", "status"], workers, "calls")
        yield _counts("stillroom_tokens", "Tokens of calls.", ["model", "route", "kind"], workers, "tokens")
        yield _counts("stillroom_refused", "Requests that reached no model, by reason.", ["reason"], workers, "refused")
        yield _durations(workers)
        in_flight = sum(worker.get("in_flight", 0) for worker in workers)
        yield GaugeMetricFamily("stillroom_in_flight", "Calls in flight.", value=in_flight)
        up = GaugeMetricFamily(
            "stillroom_upstreams_up",
            "Servers of a model that answer, as the worst-off worker sees it.",
            labels=["model"],
        )
        for model in dict.fromkeys(name for worker in workers for name in worker.get("upstreams_up", {})):
            seen = [worker["upstreams_up"][model] for worker in workers if model in worker.get("upstreams_up", {})]
            up.add_metric([model], min(seen))
        yield up


def _counts(
    name: str, words: str, labels: list[str], workers: Iterable[Mapping[str, Any]], key: str
) -> CounterMetricFamily:
    family = CounterMetricFamily(name, words, labels=labels)
    total: Counter[_Labels] = Counter()
    for worker in workers:
        total.update(_counter(worker.get(key, [])))
    for values, number in total.items():
        family.add_metric(values, number)
    return family


def _durations(workers: Iterable[Mapping[str, Any]]) -> HistogramMetricFamily:
    family = HistogramMetricFamily(
        "stillroom_call_seconds", "From the request to the reply's end.", labels=["model", "route"]
    )
    total: dict[_Labels, list[float]] = {}
    for worker in workers:
        for names, row in worker.get("seconds", []):
            before = total.setdefault(tuple(names), [0.0] * len(row))
            total[tuple(names)] = [old + new for old, new in zip(before, row, strict=True)]
    for labels, row in total.items():
        counted, buckets = 0.0, []
        for bound, number in zip((*map(str, _SECONDS), "+Inf"), row, strict=False):
            counted += number
            buckets.append((bound, counted))
        family.add_metric(labels, buckets, row[-1])
    return family


def _counter(rows: Iterable[tuple[list[str], int]]) -> Counter[_Labels]:
    return Counter({tuple(names): number for names, number in rows})


def _read(file: Path) -> dict[str, Any]:
    """Empty where there is none yet, or none that can be read: counts begin anew then, as Prometheus expects."""
    try:
        told = orjson.loads(file.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return {}
    return told if isinstance(told, dict) else {}
