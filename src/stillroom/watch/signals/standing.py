"""Where a value stands among the operator's organisations, by their distribution on earlier weeks."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from stillroom.base.errors import DataError
from stillroom.watch.signals.definitions import SIGNALS, Scale, Signal
from stillroom.watch.signals.measure import Signals
from stillroom.watch.signals.organisations import Column

MOST_EVIDENCE = 6.0
"""Of one family: no single family carries a finding."""
FEWEST_ORGANISATIONS = 20
_GRID, _LARGEST, _TAIL_SHARE, _FEWEST_IN_TAIL = 1001, 200, 0.05, 10
_TAILS = (3, 10, 30, 100, 200)
"""How many of the largest values a curve is laid through."""


@dataclass(frozen=True)
class Distribution:
    """Of one signal over the organisations that had it.

    Above the largest 5 % (200 at most), values are taken to fall off exponentially on the signal's scale, with the
    mean excess that those values have and one more of the signal's step: the exponential case of the peaks over
    a threshold (Pickands 1975, Annals of Statistics 3: 119-131); on a log scale, Hill's estimator (1975, ibid.: 1163).
    """

    scale: Scale
    step: float
    n: int
    grid: npt.NDArray[np.float64]
    """Quantiles, evenly spaced."""
    largest: npt.NDArray[np.float64]
    """The values above the tail's threshold, sorted, with the threshold itself first."""
    owners: tuple[str, ...]
    """Whose those are: nobody is held against itself."""

    @classmethod
    def of(cls, values: Column, names: Sequence[str], scale: Scale, step: float) -> Distribution | None:
        """None of fewer than twenty organisations. `names`: whose the values are."""
        places = np.flatnonzero(np.isfinite(values))
        if len(places) < FEWEST_ORGANISATIONS:
            return None
        order = places[np.argsort(values[places], kind="stable")]
        known = values[order]
        in_tail = min(max(int(_TAIL_SHARE * len(known)), _FEWEST_IN_TAIL), _LARGEST)
        grid = known[np.linspace(0, len(known) - 1, min(_GRID, len(known))).round().astype(int)]
        owners = tuple(names[place] for place in order[-in_tail:])
        return cls(scale, step, len(known), grid, known[-in_tail:], owners)

    def standing(self, values: Column) -> Column:
        """The share of organisations whose value is lower: 0 to 1; nan of nan."""
        inside = np.searchsorted(self.grid, values) / len(self.grid)
        above = 1 - (len(self.largest) - np.searchsorted(self.largest, values)) / self.n
        return np.where(np.isnan(values), np.nan, np.where(values > self.largest[0], above, inside))

    def evidence(self, values: Column, names: Sequence[str]) -> Column:
        """-log10 of the share of other organisations with such a value or a higher one; 0 of nan.

        `names`: whose the values are. One that was among the largest of the fit weeks is left out of what it is held
        against: whoever was there first would else hide itself.
        """
        evidence = self._evidence(values)
        own = {name: place for place, name in enumerate(self.owners)}
        for at, name in enumerate(names):
            if name in own and values[at] > self.largest[0]:
                evidence[at] = self._without(own[name])._evidence(values[at : at + 1])[0]
        return evidence

    def _without(self, place: int) -> Distribution:
        owners = self.owners[:place] + self.owners[place + 1 :]
        return replace(self, n=self.n - 1, largest=np.delete(self.largest, place), owners=owners)

    def _evidence(self, values: Column) -> Column:
        is_high = values > self.largest[0]
        tail_share = (len(self.largest) + 1) / (self.n + 1)
        at_least = 1 - np.searchsorted(self.grid, values) / len(self.grid)
        inside = np.maximum((at_least * self.n + 1) / (self.n + 1), tail_share)
        seen = (len(self.largest) - np.searchsorted(self.largest, values) + 1) / (self.n + 1)
        # Within the tail, what was seen counts where it is more than the curve says.
        in_tail = np.where(values > self.largest[-1], self._beyond(values), np.maximum(self._beyond(values), seen))
        share = np.where(is_high, np.minimum(in_tail, tail_share), inside)
        return np.where(np.isnan(values), 0.0, np.clip(-np.log10(np.maximum(share, 1e-300)), 0, None))

    def _beyond(self, values: Column) -> Column:
        """The share by the curve: the largest that a tail of any length gives, since some tails have a second hump."""
        scaled, largest = self._scaled(values), self._scaled(self.largest)
        share = np.zeros(len(values))
        for length in (length for length in _TAILS if length <= len(largest)):
            tail = largest[-length:]
            mean_excess = ((tail - tail[0]).sum() + self._step) / (length + 1)
            fall = np.exp(-np.maximum(scaled - tail[0], 0) / mean_excess)
            share = np.maximum(share, (length + 1) / (self.n + 1) * fall)
        return share

    @property
    def _step(self) -> float:
        return float(np.log(2)) if self.scale == "log" else self.step

    def _scaled(self, values: npt.ArrayLike) -> npt.NDArray[np.float64]:
        array = np.asarray(values, np.float64)
        return np.log1p(np.maximum(array, 0) / self.step) if self.scale == "log" else array

    def as_json(self) -> dict[str, Any]:
        return {
            "scale": self.scale,
            "step": self.step,
            "n": self.n,
            "grid": self.grid.tolist(),
            "largest": self.largest.tolist(),
            "owners": list(self.owners),
        }

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Distribution:
        grid, largest = (np.asarray(said[name], np.float64) for name in ("grid", "largest"))
        made = cls(said["scale"], float(said["step"]), int(said["n"]), grid, largest, tuple(map(str, said["owners"])))
        if not made._is_sound():
            raise ValueError("it is no distribution")
        return made

    def _is_sound(self) -> bool:
        is_known = self.scale in get_args(Scale) and 0 < self.step < np.inf
        columns = all(
            each.ndim == 1 and len(each) > 0 and bool(np.isfinite(each).all() and (np.diff(each) >= 0).all())
            for each in (self.grid, self.largest)
        )
        return is_known and columns and len(self.owners) == len(self.largest) <= self.n


@dataclass(frozen=True, slots=True)
class Standings:
    """What values are held against."""

    days: int
    """Of the windows that they were fitted on: sums over another number of days do not compare."""
    signals: Mapping[str, Distribution]
    """A signal that too few organisations had is not here, and does not score."""
    families: Mapping[str, Distribution]
    """Of the strongest evidence of each family: the best of many signals is high by chance more often than one."""

    def with_names(self, names: Mapping[str, str]) -> Standings:
        """The same, with other names for those that `names` has."""

        def renamed(kept: Mapping[str, Distribution]) -> dict[str, Distribution]:
            return {
                name: replace(each, owners=tuple(names.get(owner, owner) for owner in each.owners))
                for name, each in kept.items()
            }

        return Standings(self.days, renamed(self.signals), renamed(self.families))

    def as_json(self) -> dict[str, Any]:
        return {
            "days": self.days,
            "signals": {name: distribution.as_json() for name, distribution in self.signals.items()},
            "families": {name: distribution.as_json() for name, distribution in self.families.items()},
        }

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Standings:
        """Raises DataError."""
        try:
            return cls(
                int(said["days"]),
                {name: Distribution.from_json(each) for name, each in said["signals"].items()},
                {name: Distribution.from_json(each) for name, each in said["families"].items()},
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"These are no standings: {error!r}.", "Fit them again.") from error


def fit_standings(signals: Signals, leave_out: Collection[str] = ()) -> Standings:
    """`signals`: of earlier weeks; `leave_out`: organisations that are no part of ordinary traffic, such as those of
    confirmed findings and of drills."""
    names = np.array(signals.organisations.names, dtype=object)
    is_kept = ~np.isin(names, list(leave_out))
    kept = names[is_kept].tolist()
    fitted = {
        signal.name: Distribution.of(signals.values[signal.name][is_kept], kept, signal.scale, signal.step)
        for signal in SIGNALS
    }
    distributions = {name: distribution for name, distribution in fitted.items() if distribution is not None}
    strongest = strongest_by_family(evidence_by_signal(signals, distributions))
    families = {family: Distribution.of(each[is_kept], kept, "linear", 0.5) for family, each in strongest.items()}
    return Standings(
        signals.days,
        distributions,
        {family: distribution for family, distribution in families.items() if distribution is not None},
    )


def evidence_by_signal(signals: Signals, distributions: Mapping[str, Distribution]) -> dict[str, Column]:
    """Weighted, for each signal that scores."""
    names = signals.organisations.names
    return {
        signal.name: signal.weight
        * np.minimum(distributions[signal.name].evidence(signals.values[signal.name], names), MOST_EVIDENCE)
        for signal in _scored(distributions)
    }


def _scored(distributions: Mapping[str, Distribution]) -> list[Signal]:
    return [signal for signal in SIGNALS if signal.weight > 0 and signal.name in distributions]


def strongest_by_family(evidence: Mapping[str, Column]) -> dict[str, Column]:
    families: dict[str, Column] = {}
    for signal in SIGNALS:
        if signal.name in evidence:
            before = families.get(signal.family)
            own = evidence[signal.name]
            families[signal.family] = own if before is None else np.maximum(before, own)
    return families
