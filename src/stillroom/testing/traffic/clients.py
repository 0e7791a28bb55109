"""Client models: when one client calls and how long its prompts and replies are, measured on a real service.

ServeGen (Xiang et al., 2025) describes each client by its rate and the shape of its inter-arrival times in windows of
ten minutes. Rates are rescaled to the number of calls that an account is given; shapes and the rhythm stay.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.special import gamma

from stillroom.base.errors import DataError

WINDOW_S = 600
WINDOWS_PER_DAY = 86_400 // WINDOW_S
_DAYS = 14
_WINDOWS = _DAYS * WINDOWS_PER_DAY
_QUANTILES = np.array([0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0])
_SHORTEST_SHAPE = 0.05
_BUNDLED = 24

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Clients:
    """One row for each client."""

    names: tuple[str, ...]
    rates: Floats
    """(clients, windows of two weeks): the share of its calls that falls into each."""
    shapes: tuple[Floats, ...]
    """Of each client, for its windows that have calls: of the inter-arrival times."""
    is_weibull: tuple[npt.NDArray[np.bool_], ...]
    """Weibull, else Gamma."""
    shares: tuple[Floats, ...]
    """Of each client, for these windows: the share of its calls up to there."""
    prompt_tokens: Floats
    """(clients, 7): logarithms at the points 0, 5, 25, 50, 75, 95 and 100 %."""
    completion_tokens: Floats
    reasoning_share: Floats
    """(clients, 7): of the completion's tokens; not a number where the model does not reason."""

    @property
    def is_seldom(self) -> npt.NDArray[np.bool_]:
        """Of each: it calls in less than a tenth of all windows."""
        return np.asarray((self.rates > 0).mean(axis=1) < 0.1)

    def __len__(self) -> int:
        return len(self.names)


@lru_cache(4)
def load_clients(data: Path | None) -> Clients:
    """Those of `data`/servegen, or bundled ones. Raises DataError."""
    if data is None:
        return _bundled()
    folder = data / "servegen"
    try:
        lengths = json.loads((folder / "lengths.json").read_text(encoding="utf-8"))
        files = sorted(folder.glob("*/client-*.csv"))
        rows = [list(csv.DictReader(file.read_text(encoding="utf-8").splitlines())) for file in files]
    except (OSError, ValueError) as error:
        raise DataError(f"{folder} cannot be read: {error}.", "Give the folder of the real data as data=.") from error
    names = tuple(f"{file.parent.name}/{file.stem}" for file in files)
    rates = [_two_weeks(np.array([[float(row["start_s"]), float(row["rate_per_s"])] for row in own])) for own in rows]
    shapes = [np.array([float(row["shape"]) for row in own]) for own in rows]
    is_weibull = [np.array([row["arrival"] == "Weibull" for row in own]) for own in rows]
    weights = [np.array([float(row["rate_per_s"]) for row in own]) for own in rows]
    typical = [_typical(lengths, name.partition("/")[0]) for name in names]
    return _clients(
        names, rates, shapes, is_weibull, weights, [lengths.get(n, t) for n, t in zip(names, typical, strict=True)]
    )


def tokens(table: Floats, client: Integers, at: Floats) -> Floats:
    """Of each call, the value of its client's distribution at `at` (0 to 1), in the units of the table."""
    place = np.clip(np.searchsorted(_QUANTILES, at, side="right") - 1, 0, len(_QUANTILES) - 2)
    part = (at - _QUANTILES[place]) / (_QUANTILES[place + 1] - _QUANTILES[place])
    low, high = table[client, place], table[client, place + 1]
    return np.asarray(low + part * (high - low))


def unit_gaps(generator: np.random.Generator, clients: Clients, client: Integers) -> Floats:
    """A gap before each call, 1 on average, as bursty as its client is in one of its windows."""
    shape = np.ones(len(client))
    is_weibull = np.zeros(len(client), np.bool_)
    for number in np.unique(client):
        of_it = np.flatnonzero(client == number)
        # Calls that follow each other are in one window: sixteen share their shape.
        at = np.repeat(generator.random(len(of_it) // 16 + 1), 16)[: len(of_it)]
        window = np.searchsorted(clients.shares[number], at)
        shape[of_it], is_weibull[of_it] = clients.shapes[number][window], clients.is_weibull[number][window]
    gaps = np.empty(len(client))
    gaps[~is_weibull] = generator.standard_gamma(shape[~is_weibull]) / shape[~is_weibull]
    gaps[is_weibull] = generator.weibull(shape[is_weibull]) / gamma(1 + 1 / shape[is_weibull])
    return gaps


def _two_weeks(windows: Floats) -> Floats:
    rates = np.zeros(_WINDOWS)
    place = (windows[:, 0] // WINDOW_S).astype(np.int64)
    repeats = _DAYS if place.max() < WINDOWS_PER_DAY else 1
    for day in range(repeats):
        within = place + day * WINDOWS_PER_DAY < _WINDOWS
        rates[(place + day * WINDOWS_PER_DAY)[within]] = windows[within, 1]
    return np.asarray(rates / rates.sum())


def _typical(lengths: dict[str, dict[str, list[float]]], pool: str) -> dict[str, list[float]]:
    """For a client whose lengths are not known: the middle of its pool's."""
    own = [value for name, value in lengths.items() if name.startswith(f"{pool}/")]
    return {key: [float(x) for x in np.median([value[key] for value in own], axis=0)] for key in own[0]}


def _points(values: Sequence[float], *, is_share: bool) -> Floats:
    """Seven points from five: what lies outside of 5 to 95 % is taken to reach a little further."""
    five = np.array(values, np.float64)
    if is_share:
        return np.asarray(np.clip(np.concatenate([[five[0] * 0.7], five, [five[-1] * 1.05]]), 0, 0.99))
    return np.asarray(np.log(np.maximum(np.concatenate([[five[0] * 0.6], five, [five[-1] * 1.6]]), 1.0)))


def _clients(
    names: tuple[str, ...],
    rates: list[Floats],
    shapes: list[Floats],
    is_weibull: list[npt.NDArray[np.bool_]],
    weights: list[Floats],
    lengths: list[dict[str, list[float]]],
) -> Clients:
    shares = [np.cumsum(weight) / weight.sum() for weight in weights]
    for share in shares:
        share[-1] = 1.0
    unknown = np.full(len(_QUANTILES), np.nan)
    reasoning = [_points(of["reason_ratio"], is_share=True) if "reason_ratio" in of else unknown for of in lengths]
    return Clients(
        names=names,
        rates=np.stack(rates),
        shapes=tuple(np.maximum(shape, _SHORTEST_SHAPE) for shape in shapes),
        is_weibull=tuple(is_weibull),
        shares=tuple(shares),
        prompt_tokens=np.stack([_points(of["input_tokens"], is_share=False) for of in lengths]),
        completion_tokens=np.stack([_points(of["output_tokens"], is_share=False) for of in lengths]),
        reasoning_share=np.stack(reasoning),
    )


def _bundled() -> Clients:
    """Day and night, weekdays and burstiness in the ranges that ServeGen reports; no client of it in particular."""
    generator = np.random.default_rng(20261013)
    window = np.arange(_WINDOWS)
    hour, day = window % WINDOWS_PER_DAY / WINDOWS_PER_DAY * 24, window // WINDOWS_PER_DAY
    rates, shapes, lengths = [], [], []
    for number in range(_BUNDLED):
        wave = 1 + generator.uniform(0.1, 0.95) * np.cos((hour - generator.uniform(11, 17)) / 24 * 2 * np.pi)
        rate = wave * np.where(day % 7 >= 5, generator.uniform(0.1, 1), 1) * generator.lognormal(0, 0.4, _WINDOWS)
        rates.append(rate / rate.sum())
        shapes.append(1 / generator.lognormal(0.1, 0.35, _WINDOWS) ** 2)  # of a Gamma: one over the square of the CV
        prompt, reply = generator.lognormal(5.3, 1.3), generator.lognormal(4.5, 1.8)
        spread = np.exp(np.array([-1.6, -0.6, 0, 0.6, 1.6]) * generator.uniform(0.3, 1))
        lengths.append({"input_tokens": list(prompt * spread), "output_tokens": list(reply * spread)})
        if number % 2:
            lengths[-1]["reason_ratio"] = [0.3, 0.45, 0.55, 0.66, 0.85]
    names = tuple(f"bundled/client-{number}" for number in range(_BUNDLED))
    never = [np.zeros(_WINDOWS, np.bool_)] * _BUNDLED
    return _clients(names, rates, shapes, never, list(rates), lengths)
