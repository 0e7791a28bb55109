"""Sets of organisations that may be one: they ask something in common, or pay or connect in common, and are tied twice.

A candidate begins with what its members ask in common (a bank, a template) or with a card or an address that several
organisations have. Within it, ties of the other families are looked for; those whom ties connect are candidates too.
Each candidate is then measured as a whole, because each member alone may look like anyone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from stillroom.watch.links.in_time import time_links
from stillroom.watch.links.shards import prune, shards

from stillroom.base.records import Family
from stillroom.watch.links.contents import Content, contents
from stillroom.watch.links.population import LINKING_KINDS, Integers, Population
from stillroom.watch.links.shared_keys import SharedKeys, shared_keys
from stillroom.watch.links.tie import Tie

FAMILY_OF_KIND: dict[str, Family] = {"ip": "network", "billing": "payment", "client": "client", "system": "client"}
FEWEST_MEMBERS = 3
_HOLDS = 0.5
"""The share of a group's members that a family must tie, to count for the group."""
_SHARDS_LOG10_P = -4.0
_LARGEST_PART = 0.6
"""Where one member asked more than this share of what all asked together, the others add little to it."""
_LITTLE = 0.2
"""Who asks less than this part of what the middle member does is no member, unless a key says so."""
_NARROW = 0.2
"""The share of a member's calls that fill the template, at the median: below it, the template is one tool of many."""
_OTHERS = 0.2
"""A template that more organisations fill outside of the group than this share is not the group's own."""
_RARE_ADDRESS = 0.02


@dataclass(frozen=True, slots=True)
class Group:
    """`members`: numbers of organisations, ascending."""

    members: Integers
    contents: tuple[Content, ...]
    ties: tuple[Tie, ...]
    calls: int
    """All calls of the members without a permit, whatever they ask."""

    @property
    def families(self) -> frozenset[Family]:
        return frozenset(tie.family for tie in self.ties)

    @property
    def questions(self) -> int:
        return sum(content.questions for content in self.contents)

    @property
    def calls_on_contents(self) -> int:
        return sum(int(content.calls_M.sum()) for content in self.contents)


def groups(population: Population) -> Iterator[Group]:
    """All candidates that two families or more tie. Sets that differ in a few members come as several groups."""
    for content in contents(population):
        yield from _asking(content, population)
    yield from _paying_or_connecting(population)


def joined(several: Sequence[Group], population: Population) -> Group:
    """One group of all their members, measured anew."""
    members = np.unique(np.concatenate([group.members for group in several]))
    by_name = {(content.kind, content.name): content for group in several for content in group.contents}
    whole = {(content.kind, content.name): content for content in contents(population)} if by_name else {}
    parts = [whole[name].of(members) for name in by_name]
    shared = [shared_keys(kind, population.keys[kind], members, population.size) for kind in LINKING_KINDS]
    return _measured(members, parts, [found for found in shared if found is not None], population)


def _asking(content: Content, population: Population) -> Iterator[Group]:
    members = content.members
    if content.asked_MQ is not None:
        members = members[prune(content.asked_MQ, content.asked_MQ.shape[1])]
    if len(members) < FEWEST_MEMBERS:
        return
    shared = [shared_keys(kind, population.keys[kind], members, population.size) for kind in LINKING_KINDS]
    found = [one for one in shared if one is not None]
    for part in _distinct(_core(part, found, content, population) for part in _candidates(members, found)):
        group = _measured(part, [content.of(part)], found, population)
        if len(group.families) >= 2:
            yield group


def _candidates(members: Integers, found: Sequence[SharedKeys]) -> Iterator[Integers]:
    """The whole set, and each part of it that one kind of key connects."""
    yield members
    for one in found:
        yield from one.groups


def _core(part: Integers, found: Sequence[SharedKeys], content: Content, population: Population) -> Integers:
    """Without those who happen to ask the same: whom no key ties where keys tie most, and who ask far less of it."""
    tied = [np.intersect1d(one.linked, part, assume_unique=True) for one in found]
    holding = [linked for linked in tied if len(linked) >= _HOLDS * len(part)]
    if holding:
        return np.unique(np.concatenate(holding))
    asked = content.of(part)
    share = asked.calls_M / np.maximum(population.calls_O[part], 1)
    is_little = (share < _LITTLE * np.median(share)) & (asked.questions_M < _LITTLE * np.median(asked.questions_M))
    return part[~is_little]


def _distinct(parts: Iterable[Integers]) -> Iterator[Integers]:
    """Those that are large enough, each once."""
    seen = set()
    for part in parts:
        name = part.tobytes()
        if len(part) >= FEWEST_MEMBERS and name not in seen:
            seen.add(name)
            yield part


def _paying_or_connecting(population: Population) -> Iterator[Group]:
    """Groups that ask nothing known in common: those who share a card, or an address that few share."""
    for kind in ("billing", "ip"):
        holding = population.keys[kind]
        is_rare = holding.holders_V <= max(FEWEST_MEMBERS, _RARE_ADDRESS * population.size)
        chosen = np.flatnonzero((holding.holders_V >= FEWEST_MEMBERS) & (is_rare | (kind == "billing")))
        rows_by_value = np.argsort(holding.value_R, kind="stable")
        first = np.searchsorted(holding.value_R[rows_by_value], np.arange(len(holding.holders_V) + 1))
        for value in chosen:
            members = np.unique(holding.organisation_R[rows_by_value[first[value] : first[value + 1]]])
            shared = [shared_keys(each, population.keys[each], members, population.size) for each in LINKING_KINDS]
            group = _measured(members, [], [one for one in shared if one is not None], population)
            if len(group.families) >= 2:
                yield group


def _measured(members: Integers, parts: list[Content], found: Sequence[SharedKeys], population: Population) -> Group:
    ties = [tie for one in found if (tie := _key_tie(one, members)) is not None]
    ties += [tie for part in parts if (tie := _content_tie(part, population)) is not None]
    ties += time_links(members, population)
    calls = int(population.calls_O[members].sum())
    return Group(members, tuple(parts), tuple(ties), calls)


def _key_tie(found: SharedKeys, members: Integers) -> Tie | None:
    linked = np.intersect1d(found.linked, members, assume_unique=True)
    if len(linked) < max(2, _HOLDS * len(members)):
        return None
    family = FAMILY_OF_KIND[found.kind]
    return Tie(family, found.kind, linked, found.log10_p, found.keys, found.others, values=found.rare_values)


def _content_tie(part: Content, population: Population) -> Tie | None:
    """That together they ask a bank in parts; or that they fill one template, and do little else."""
    if part.asked_MQ is None:
        narrow = float(np.median(part.calls_M / np.maximum(population.calls_O[part.members], 1)))
        others = part.everyone - len(part.members)
        if narrow < _NARROW or part.largest_share > _LARGEST_PART or others > _OTHERS * part.everyone:
            return None
        return Tie("content", "template", part.members, 0.0, 1, others)
    tested = shards(part.asked_MQ, part.asked_MQ.shape[1])
    if tested.log10_p <= _SHARDS_LOG10_P:
        return Tie("content", "shards", part.members, tested.log10_p, 1, None, tested.sentence)
    if part.largest_share <= _LARGEST_PART:
        return Tie("content", "bank", part.members, 0.0, 1, None)
    return None


def without(group: Group, outsiders: Integers, population: Population) -> Group:
    """The group as it is when these organisations are not counted to it."""
    members = np.setdiff1d(group.members, outsiders)
    left = replace(group, members=members, contents=tuple(content.of(members) for content in group.contents))
    return joined([left], population)
