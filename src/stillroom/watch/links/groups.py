"""Sets of organisations that may be one: they ask something in common, or pay or connect in common, and are tied twice.

A candidate begins with what its members ask in common (a bank, a template) or with a card or an address that several
organisations have. Within it, ties of the other families are looked for; those whom ties connect are candidates too.
Each candidate is then measured as a whole, because each member alone may look like anyone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csr_matrix

from stillroom.base.records import Family
from stillroom.watch.explanations import is_explained
from stillroom.watch.links.contents import Content, contents
from stillroom.watch.links.group import Group
from stillroom.watch.links.in_time import time_links
from stillroom.watch.links.population import LINKING_KINDS, Integers, Population
from stillroom.watch.links.shards import Shards, prune, shards
from stillroom.watch.links.shared_keys import SharedKeys, shared_keys
from stillroom.watch.links.tie import Tie

FAMILY_OF_KIND: dict[str, Family] = {"ip": "network", "billing": "payment", "client": "client", "system": "client"}
FEWEST_MEMBERS = 3
_FEWEST_QUESTIONS = 50
"""Of one content, together: below it a group is not looked at."""
_FEWEST_CALLS = 300
"""Below it a group is not worth the time that the tests in time take."""
_FEWEST_UNKNOWN = 1_000
"""Calls of a group of which nobody knows what it asks."""
_HOLDS = 0.5
"""The share of a group's members that a family must tie, to count for the group."""
_SHARDS_LOG10_P, _WITHOUT_TOPICS_LOG10_P = -4.0, -20.0
"""The second where a member's questions may not be of one topic of its own: customers' are, so far more is asked."""
_LARGEST_PART = 0.6
"""Where one member asked more than this share of what all asked together, the others add little to it."""
_LITTLE = 0.2
"""Who asks less than this part of what the middle member does is no member, unless a key says so."""
_NARROW = 0.2
"""The share of a member's calls that fill the template, at the median: below it, the template is one tool of many."""
_OTHERS = 0.2
"""A template that more organisations fill outside of the group than this share is not the group's own."""
_RARE_ADDRESS = 0.02


def groups(population: Population) -> Iterator[Group]:
    """All candidates that any family ties, time left out. Sets that differ in a few members come as several groups."""
    for content in contents(population):
        yield from _asking(content, population)
    yield from _paying_or_connecting(population)


def joined(several: Sequence[Group], population: Population) -> Group:
    """One group of all their members, measured anew."""
    members = np.unique(np.concatenate([group.members for group in several]))
    by_name = {(content.kind, content.name): content for group in several for content in group.contents}
    whole = {(content.kind, content.name): content for content in contents(population)} if by_name else {}
    parts = [part for name in by_name if len((part := whole[name].of(members)).members) >= 2]
    return _measured(members, parts, _shared(members, population), population)


def with_time(group: Group, population: Population) -> Group:
    """The group with what ties it in time, too: that takes longest, and is done once for each."""
    if group.taken < _FEWEST_CALLS:
        return group
    return replace(group, ties=(*group.ties, *time_links(group.members, population)))


def with_companions(group: Group, population: Population) -> Group:
    """With those who have the group's own keys of two families, whatever they ask: measured anew."""
    families: dict[int, set[Family]] = {}
    for tie in group.ties:
        holding = population.keys.get(tie.kind)
        if holding is not None and tie.values:
            own = np.flatnonzero(pc.is_in(holding.values, pa.array(tie.values, holding.values.type)))
            for organisation in np.unique(holding.organisation_R[np.isin(holding.value_R, own)]):
                families.setdefault(int(organisation), set()).add(tie.family)
    companions = [organisation for organisation, of in families.items() if len(of) >= 2]
    members = np.union1d(group.members, np.array(companions, np.int64))
    return group if len(members) == len(group.members) else joined([replace(group, members=members)], population)


def only_tied(group: Group, population: Population) -> Group:
    """Without those whom no key ties, where keys tie others: who asks the same is no member for that."""
    tied = [tie.linked for tie in group.ties if tie.kind in FAMILY_OF_KIND]
    members = np.unique(np.concatenate(tied)) if tied else group.members
    same = len(members) < FEWEST_MEMBERS or len(members) == len(group.members)
    return group if same else joined([replace(group, members=members)], population)


def _asking(content: Content, population: Population) -> Iterator[Group]:
    members = content.members
    if len(members) < FEWEST_MEMBERS or content.questions < _FEWEST_QUESTIONS:
        return
    found = _shared(members, population)
    for part in _distinct(_core(part, found, content, population) for part in _candidates(members, found)):
        asked = content.of(part)
        if asked.questions < _FEWEST_QUESTIONS or _is_common(asked):
            continue
        group = _measured(part, [asked], found, population)
        if group.families:
            yield group
        if len(part) > len(members) / 2 and not is_explained(group):
            return  # the rest are parts of this


def _is_common(content: Content) -> bool:
    """Whether it is a template that many others fill, too: an application's, say."""
    return content.asked_MQ is None and content.everyone - len(content.members) > _OTHERS * content.everyone


def _shared(members: Integers, population: Population) -> list[SharedKeys]:
    found = (shared_keys(kind, population.keys[kind], members, population.size) for kind in LINKING_KINDS)
    return [one for one in found if one is not None]


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
            if population.calls_O[members].sum() >= _FEWEST_UNKNOWN:
                group = _measured(members, [], _shared(members, population), population)
                if group.families:
                    yield group


def _measured(members: Integers, parts: list[Content], found: Sequence[SharedKeys], population: Population) -> Group:
    ties = [tie for one in found if (tie := _key_tie(one, members)) is not None]
    ties += [tie for part in parts if (tie := _content_tie(part, population)) is not None]
    return Group(members, tuple(parts), tuple(ties), int(population.calls_O[members].sum()))


def _key_tie(found: SharedKeys, members: Integers) -> Tie | None:
    linked = np.intersect1d(found.linked, members, assume_unique=True)
    if len(linked) < max(2, _HOLDS * len(members)):
        return None
    family = FAMILY_OF_KIND[found.kind]
    return Tie(family, found.kind, linked, found.log10_p, found.keys, found.others, values=found.own_values)


def _content_tie(part: Content, population: Population) -> Tie | None:
    """That together they ask a bank in parts; or that they fill one template, and do little else."""
    if part.asked_MQ is None:
        narrow = float(np.median(part.calls_M / np.maximum(population.calls_O[part.members], 1)))
        if narrow < _NARROW or part.largest_share > _LARGEST_PART or _is_common(part):
            return None
        return Tie("content", "template", part.members, 0.0, 1, part.everyone - len(part.members))
    tested = _shards(part.asked_MQ)
    if tested.log10_p <= _SHARDS_LOG10_P or tested.log10_p_without_topics <= _WITHOUT_TOPICS_LOG10_P:
        log10_p = min(tested.log10_p, _SHARDS_LOG10_P)
        return Tie("content", "shards", part.members, log10_p, 1, None, tested.sentence)
    if part.largest_share <= _LARGEST_PART:
        return Tie("content", "bank", part.members, 0.0, 1, None)
    return None


def _shards(asked_MQ: csr_matrix) -> Shards:
    """Of all members, or without those who happen to ask the same: whichever shows more."""
    bank = asked_MQ.shape[1]
    kept = prune(asked_MQ, bank)
    both = shards(asked_MQ, bank), shards(asked_MQ[kept], bank, chosen_from=asked_MQ.shape[0])
    return min(both, key=lambda one: (one.log10_p, one.log10_p_without_topics))
