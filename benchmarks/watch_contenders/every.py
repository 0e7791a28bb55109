"""All of them."""

from __future__ import annotations

from benchmarks.watch_contenders.contender import Contender
from benchmarks.watch_contenders.mmd import MaximumMeanDiscrepancy
from benchmarks.watch_contenders.prada import Prada
from benchmarks.watch_contenders.volume import Volume


def every_contender(budget_per_week: float) -> list[Contender]:
    return [Contender(rule, budget_per_week) for rule in (Volume(), Prada(), MaximumMeanDiscrepancy())]
