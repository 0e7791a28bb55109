"""Groups that no benign explanation covers, joined where they overlap, scored by what was taken together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components

from stillroom.base.records import Explanation
from stillroom.watch.explanations import is_explained, tested
from stillroom.watch.links.group import Group
from stillroom.watch.links.groups import groups, joined, only_tied, with_companions, with_time
from stillroom.watch.links.population import Population

FEWEST_QUESTIONS = 300
"""Below it, what was taken is not worth a person's look, whatever the budget. Calls, where nothing else is known."""
_OVERLAP = 0.5
"""Two groups are one campaign where they share this part of the smaller one."""
_KEY_FAMILIES = frozenset({"network", "payment", "client"})
_FAMILY = 0.5
"""What each family beyond the second adds to the score, in decades of questions."""
_UNKNOWN_CONTENT = 1.0
"""What is taken off where nothing is known of what was asked, in decades of questions."""


@dataclass(frozen=True, slots=True)
class Campaign:
    group: Group
    score: float
    """log10 of the different questions that were asked together, half for each family beyond the second."""
    explanations: tuple[Explanation, ...]


def campaigns(population: Population) -> list[Campaign]:
    """Highest score first. What a threshold makes of them is the calibration's."""
    all_found = [one for same in _overlapping(list(groups(population))) for one in _unexplained(same, population)]
    found = [group for group in all_found if group.taken >= FEWEST_QUESTIONS]
    scored = [_scored(group) for group in found]
    return sorted(scored, key=lambda campaign: (-campaign.score, campaign.group.members.tolist()))


def _scored(group: Group) -> Campaign:
    extra = _FAMILY * (len(group.families) - 2)
    if group.contents:
        score = float(np.log10(max(group.questions, 1))) + extra
    else:
        score = float(np.log10(max(group.calls, 1))) + extra - _UNKNOWN_CONTENT
    return Campaign(group, score, tuple(tested(group)))


def _overlapping(found: Sequence[Group]) -> Iterator[list[Group]]:
    """The groups, in sets that are connected by overlaps."""
    if not found:
        return
    rows = np.repeat(np.arange(len(found)), [len(group.members) for group in found])
    members = np.concatenate([group.members for group in found])
    held = csr_matrix((np.ones(len(rows), np.int64), (rows, members)))
    common = coo_matrix(held @ held.T)
    sizes = np.array([len(group.members) for group in found])
    is_one = common.data >= _OVERLAP * np.minimum(sizes[common.row], sizes[common.col])
    edges = coo_matrix((common.data[is_one], (common.row[is_one], common.col[is_one])), shape=common.shape)
    _, label = connected_components(edges, directed=False)
    for number in range(label.max() + 1):
        yield [group for group, of in zip(found, label.tolist(), strict=True) if of == number]


def _unexplained(same: list[Group], population: Population) -> list[Group]:
    """The groups as one; or, where that is nothing or has a benign explanation, the largest of them that has none."""
    # Those whom keys tie are surer of each other than all who ask the same.
    same = [group for group in same if group.families & _KEY_FAMILIES] or same
    whole = same[0] if len(same) == 1 else joined(same, population)
    if is_explained(whole):
        whole = with_time(whole, population)
    if is_explained(whole):
        unexplained = [group for group in same if not is_explained(group)]
        if not unexplained:
            return []
        whole = max(unexplained, key=lambda group: (group.questions, group.calls))
    for changed in (with_companions, only_tied):
        other = changed(whole, population)
        whole = whole if is_explained(other) else other
    return [whole if "time" in whole.families else with_time(whole, population)]
