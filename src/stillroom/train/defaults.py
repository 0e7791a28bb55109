"""The learning rate where the recipe leaves it open: by the student's size.

The sources, and where they conflict, stand in docs/train.md, whose table a test holds to this one.
"""

from __future__ import annotations

LEARNING_RATES = ((10_000_000, 1e-3), (300_000_000, 1e-4), (1_000_000_000, 4e-5), (3_000_000_000, 2e-5))
"""(parameters up to, peak learning rate of all weights)."""
RATE_OF_LARGER = 1e-5
LORA_FACTOR = 10
"""What the best rate of adapters is, times that of all weights (Schulman et al. 2025,
https://thinkingmachines.ai/blog/lora/)."""


def default_learning_rate(parameters: int, *, with_lora: bool = False) -> float:
    """The peak for a student of so many parameters, adapters not counted."""
    full = next((rate for limit, rate in LEARNING_RATES if parameters <= limit), RATE_OF_LARGER)
    return full * LORA_FACTOR if with_lora else full
