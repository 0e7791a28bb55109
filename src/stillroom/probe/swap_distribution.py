"""The exact distribution of a sum of whole numbers, each of which counts if its own coin shows heads."""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len
from scipy.optimize import brentq
from scipy.special import expit

SMALLEST_P = sys.float_info.min
"""About 2e-308: smaller ones are given as this."""
_FURTHEST_TILT = 60.0  # the mean is then the greatest sum, but for less than 1e-20


def upper_tail(levels: NDArray[np.integer], reached: int, odds: float = 1.0) -> float:
    """P(S >= reached), where S sums those of `levels` (each at least 1) whose coins show heads.

    `odds`: of heads to tails, the same for all coins; 1 is fair. Exact but for rounding, far into the tail: the masses
    are worked out for coins that lean so far that `reached` is the mean, where rounding is small beside them, and
    weighed back (exponential tilting: Esscher 1932, Skandinavisk Aktuarietidskrift 15: 175-195).
    """
    values, counts = np.unique(levels, return_counts=True)
    greatest = int(values @ counts)
    if reached <= 0:
        return 1.0
    if reached > greatest:
        raise ValueError(f"no sum of these reaches {reached}")
    log_odds = float(np.log(odds))
    if reached == greatest:
        return max(float(expit(log_odds)) ** int(counts.sum()), SMALLEST_P)
    tilt = _tilt_to(reached, values, counts, log_odds)
    mass = _masses(values, counts, log_odds + tilt * values)[reached : greatest + 1]
    # Tilting multiplied the mass of each sum s by exp(tilt s), and divided all by the mean of that.
    log_mean = float(counts @ (np.logaddexp(0, log_odds + tilt * values) - np.logaddexp(0, log_odds)))
    beyond = float(mass @ np.exp(-tilt * np.arange(len(mass))))
    return min(max(float(np.exp(log_mean - tilt * reached + np.log(beyond))), SMALLEST_P), 1.0)


def fair_masses(levels: NDArray[np.integer]) -> NDArray[np.float64]:
    """P(S = 0), P(S = 1), ... up to the greatest sum, for fair coins; each within about 1e-15."""
    values, counts = np.unique(levels, return_counts=True)
    return _masses(values, counts, np.zeros(len(values)))[: int(values @ counts) + 1]


def _tilt_to(reached: int, values: NDArray[np.integer], counts: NDArray[np.integer], log_odds: float) -> float:
    """How far the coins must lean towards heads for a mean of `reached`; 0 where the mean is there or beyond."""

    def excess(tilt: float) -> float:
        return float((counts * values) @ expit(log_odds + tilt * values)) - reached

    return 0.0 if excess(0.0) >= 0 else float(brentq(excess, 0.0, _FURTHEST_TILT, xtol=1e-12))


def _masses(
    values: NDArray[np.integer], counts: NDArray[np.integer], log_odds: NDArray[np.float64]
) -> NDArray[np.float64]:
    """By the inverse Fourier transform of the product of the coins' own transforms."""
    length = next_fast_len(int(values @ counts) + 1, real=True)
    steps = np.arange(length // 2 + 1)
    circle = np.exp(-2j * np.pi / length * np.arange(length))
    log_size, angle = np.zeros(len(steps)), np.zeros(len(steps))
    for value, count, heads in zip(values, counts, expit(log_odds), strict=True):
        one_coin = 1 - heads + heads * circle[value * steps % length]
        with np.errstate(divide="ignore"):  # a fair coin's transform is nought somewhere, and so is the product
            log_size += count * np.log(np.abs(one_coin))
        angle += count * np.angle(one_coin)
    return np.maximum(irfft(np.exp(log_size) * np.exp(1j * angle), n=length), 0.0)
