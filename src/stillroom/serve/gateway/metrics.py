"""What the gateway counts for Prometheus. Labels are models, routes and reasons: never accounts, and nothing a client
sends, so that no client can make the table grow."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)


class Metrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        names = ("model", "route")
        self.calls = Counter("stillroom_calls", "Calls that reached a model.", [*names, "status"], registry=registry)
        self.refused = Counter(
            "stillroom_refused", "Requests that reached none, by reason.", ["reason"], registry=registry
        )
        self.tokens = Counter("stillroom_tokens", "Tokens, by who counted them.", [*names, "kind"], registry=registry)
        self.seconds = Histogram(
            "stillroom_call_seconds", "From the request to the reply's end.", names, buckets=_SECONDS, registry=registry
        )
        self.in_flight = Gauge(
            "stillroom_in_flight", "Calls in flight.", registry=registry, multiprocess_mode="livesum"
        )
        self.upstreams_up = Gauge(
            "stillroom_upstreams_up",
            "Servers of a model that answered when last asked, as the worst-off worker sees it.",
            ["model"],
            registry=registry,
            multiprocess_mode="livemin",
        )
