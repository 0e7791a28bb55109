"""Measures of likeness: is what a suspect says nearer to the first or to the second of two siblings?

None knows which of the two was served. Each treats both alike, so that to exchange them changes the sign of its
difference and nothing else; both are cut to the same number of tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from stillroom.probe.measures.comparison import Comparison, compare
from stillroom.probe.measures.edit import edit_differences
from stillroom.probe.measures.language_model import language_model_differences
from stillroom.probe.measures.ngrams import ngram_differences
from stillroom.probe.measures.start import start_differences
from stillroom.store.siblings import Pair


@dataclass(frozen=True, slots=True)
class Measure:
    name: str
    version: int
    """Grows with every change that gives other numbers: a plan names the version that it was made with."""
    of: Callable[[Comparison], NDArray[np.float64]]

    def differences(self, pairs: Sequence[Pair], answers: Mapping[str, Sequence[str]]) -> NDArray[np.float64]:
        """difference_N: above 0 where the answers are nearer to the pair's first reply, nan where there is no answer.

        `answers` holds the samples of each question by its id. Whoever wants several measures calls
        `all_differences`, which reads the texts once.
        """
        return self.of(compare(pairs, answers))


_EVERY = (
    Measure("ngrams", 1, ngram_differences),
    Measure("language_model", 1, language_model_differences),
    Measure("edit", 1, edit_differences),
    Measure("start", 1, start_differences),
)
MEASURES: Mapping[str, Measure] = MappingProxyType({measure.name: measure for measure in _EVERY})
PRIMARY = "ngrams"
"""The name of the one that a plan tests unless it says otherwise."""


def all_differences(
    pairs: Sequence[Pair], answers: Mapping[str, Sequence[str]], names: Sequence[str] = tuple(MEASURES)
) -> NDArray[np.float64]:
    """difference_MN of the named measures, in their order."""
    comparison = compare(pairs, answers)
    return np.stack([MEASURES[name].of(comparison) for name in names])
