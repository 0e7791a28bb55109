"""The learning rate over a run."""

from __future__ import annotations

import math

DEFAULT_LEARNING_RATES = ((10_000_000, 1e-3), (300_000_000, 1e-4), (1_000_000_000, 4e-5), (3_000_000_000, 2e-5))
"""(parameters up to, peak learning rate) for full-weight training; larger students get 1e-5."""


LORA_FACTOR = 10
"""What the best rate of adapters is, times that of all weights (Schulman et al. 2025,
https://thinkingmachines.ai/blog/lora/)."""


def default_learning_rate(parameters: int, *, with_lora: bool = False) -> float:
    full = next((rate for limit, rate in DEFAULT_LEARNING_RATES if parameters <= limit), 1e-5)
    return full * LORA_FACTOR if with_lora else full


def learning_rate(step: int, steps: int, peak: float, warmup: float, final: float) -> float:
    """Linear rise over the first `warmup` share of `steps`, then a cosine down to `final` x `peak` at the last step.

    `step` counts from 0.
    """
    rise = max(1, round(steps * warmup))
    if step < rise:
        return peak * (step + 1) / rise
    progress = (step - rise) / max(1, steps - 1 - rise)
    return peak * (final + (1 - final) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress))))
