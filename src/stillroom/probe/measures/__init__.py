"""Measures of likeness: is what a suspect says nearer to the first or to the second of two siblings?

None knows which of the two was served. Each treats both alike, so that to exchange them changes the sign of its
difference and nothing else; both are cut to the same number of tokens.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from stillroom.probe.measures.combination import combined, relative
from stillroom.probe.measures.comparison import Comparison, Numbers, compare
from stillroom.probe.measures.edit import edit_differences
from stillroom.probe.measures.language_model import language_model_differences
from stillroom.probe.measures.ngrams import ngram_differences
from stillroom.probe.measures.start import start_differences
from stillroom.store.siblings import Pair

Part = Callable[[Comparison], Numbers]
Texts = Mapping[str, Sequence[str]]
"""Several texts to each question, by its id."""


@dataclass(frozen=True, slots=True)
class Measure:
    name: str
    version: int
    """Grows with every change that gives other numbers: a plan names the version that it was made with."""
    parts: tuple[Part, ...]
    """Several are combined by rank."""

    def differences(self, pairs: Sequence[Pair], answers: Texts, references: Texts | None = None) -> Numbers:
        """difference_N: above 0 where the answers are nearer to the pair's first reply, nan where there is no answer.

        `references` are texts of whoever cannot have learned from the served replies, to the same questions: further
        replies of the teacher, best of all, or what the suspect's own base says. With them the difference is relative
        to theirs. Whoever wants several measures calls `all_differences`, which reads the texts once.
        """
        row_N: Numbers = all_differences(pairs, answers, [self.name], references=references)[0]
        return row_N


_EVERY = (
    Measure("combined", 1, (language_model_differences, ngram_differences, edit_differences)),
    Measure("samples", 1, (language_model_differences,)),
    Measure("ngrams", 1, (ngram_differences,)),
    Measure("edit", 1, (edit_differences,)),
    Measure("start", 1, (start_differences,)),
)
MEASURES: Mapping[str, Measure] = MappingProxyType({measure.name: measure for measure in _EVERY})
PRIMARY = "combined"
"""The name of the one that a plan tests unless it says otherwise."""


def all_differences(
    pairs: Sequence[Pair],
    answers: Texts,
    names: Sequence[str] = tuple(MEASURES),
    *,
    references: Texts | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Numbers:
    """difference_MN of the named measures, in their order. `on_progress` is told (steps done, of so many).

    Where the answers by themselves are as near to the one sibling as to the other, no references make them lean.
    """
    parts = dict.fromkeys(part for name in names for part in MEASURES[name].parts)
    steps = itertools.count()
    total = (1 if references is None else 2) * (len(parts) + 1)

    def step() -> None:
        if on_progress is not None:
            on_progress(next(steps), total)

    def parts_of(texts: Texts) -> dict[Part, Numbers]:
        found: dict[Part, Numbers] = {}
        comparison = compare(pairs, texts)
        step()
        for part in parts:
            found[part] = part(comparison)
            step()
        return found

    step()
    alone = parts_of(answers)
    alone_MN = _of_parts(alone, names)
    if references is None:
        return alone_MN
    reference = parts_of(references)
    beside_MN = _of_parts({part: relative(alone[part], reference[part]) for part in parts}, names)
    return np.where(alone_MN == 0, 0.0, beside_MN)


def _of_parts(known: Mapping[Part, Numbers], names: Sequence[str]) -> Numbers:
    rows = [[known[part] for part in MEASURES[name].parts] for name in names]
    return np.stack([row[0] if len(row) == 1 else combined(row) for row in rows])
