"""What ties organisations to each other."""

from __future__ import annotations

from dataclasses import dataclass, field

from stillroom.base.records import Family
from stillroom.watch.links.population import Integers


@dataclass(frozen=True, slots=True)
class Tie:
    family: Family
    kind: str
    """Of a key: `ip`, `billing`, `client`, `system`. Of content: `shards`, `bank`, `template`. Of time: `in step`,
    `turns`, `relay`."""
    linked: Integers
    """Which of the group's organisations it ties."""
    log10_p: float
    """How improbable it is by chance; 0 where it was not tested against chance."""
    keys: int
    """How many different keys do it."""
    others: int | None
    """How many organisations outside of the group have them; None where that has no meaning."""
    sentence: str = ""
    """What was measured, where there is more to say than the numbers here."""
    values: tuple[str, ...] = field(default=(), repr=False)
    """The keys' prints, as far as more of the group have them than others."""
