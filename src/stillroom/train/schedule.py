"""The learning rate over a run."""

from __future__ import annotations

import math


def learning_rate(step: int, steps: int, peak: float, warmup: float, final: float) -> float:
    """Linear rise over the first `warmup` share of `steps`, then a cosine down to `final` x `peak` at the last step.

    `step` counts from 0.
    """
    rise = max(1, round(steps * warmup))
    if step < rise:
        return peak * (step + 1) / rise
    progress = (step - rise) / max(1, steps - 1 - rise)
    return peak * (final + (1 - final) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress))))
