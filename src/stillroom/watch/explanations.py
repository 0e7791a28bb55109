"""Benign explanations of a group, each tested: what it would explain, and what it leaves unexplained.

A group is brought to a person only where no single explanation covers all the families that tie it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from stillroom.base.records import Explanation, Family
from stillroom.watch.links.group import Group
from stillroom.watch.links.shards import popular_share

MOST_OF_ONE_CUSTOMER = 5
"""Organisations that one customer may have: subsidiaries, a test and a production account, a former name."""
_WHOLE = 0.5
"""A benchmark run asks a split whole: at least this share of what the group asked, at the median."""
_POPULAR = 0.2
"""The share of what a class asks of a bank that is questions which far too many of its members ask for chance: those
that were set, and those that everybody stumbles over. Accounts that work a bank off meet by chance or less."""


@dataclass(frozen=True, slots=True)
class Tested:
    name: str
    covers: frozenset[Family]
    """The families that it would explain."""
    fits: str
    """What speaks for it."""
    fails: str
    """What it does not explain, where that is there."""


def tested(group: Group) -> list[Explanation]:
    """All explanations that could apply to the group, each ruled out or not."""
    return [_judged(explanation, group.families) for explanation in _applying(group)]


def is_explained(group: Group) -> bool:
    """Whether one of them covers everything that ties the group, or one family alone ties it."""
    return len(group.families) < 2 or any(group.families <= explanation.covers for explanation in _applying(group))


def _applying(group: Group) -> Iterator[Tested]:
    covers: set[Family]
    families, kinds = group.families, {tie.kind for tie in group.ties}
    if "network" in families:
        yield Tested(
            "office",
            frozenset({"network", "client"}),
            "Colleagues behind one address, with the same programs on their machines, share network and client.",
            "Colleagues do not divide a bank or a template's range among them, pay with one card under several names, "
            "or take turns.",
        )
    if "client" in families or "template" in kinds:
        covers = {"client"}
        if "content" in families and not kinds & {"shards", "bank"}:
            covers.add("content")
        yield Tested(
            "application",
            frozenset(covers),
            "Customers of one application send its template, with its system prompt, by its client program.",
            "An application's customers have their own cards and addresses, and no common timetable.",
        )
    if kinds & {"shards", "bank"}:
        yield Tested(
            "benchmark run",
            frozenset({"client", "content"} if _each_asks_it_whole(group) else {"client"}),
            "Those who measure models ask the same benchmark, often by the same harness.",
            "Who measures a model asks a benchmark whole; here each asked a part, and only together is it one.",
        )
    if "bank" in kinds and "shards" not in kinds and _asks_popular_questions(group):
        yield Tested(
            "class",
            frozenset({"network", "client", "content"}),
            "Pupils of one school ask the same questions, those that were set or are known as hard, from its network "
            "and by its programs; and these came up far more often than chance would have it.",
            "Pupils do not pay with one card under several names, or take turns.",
        )
    payers = max((len(tie.linked) for tie in group.ties if tie.family == "payment"), default=0)
    if 0 < payers <= MOST_OF_ONE_CUSTOMER:  # others of the group may share no more than their network
        covers = {"payment", "network", "client"}
        if "content" in families and not kinds & {"shards", "bank"}:
            covers.add("content")  # its own job's template
        yield Tested(
            "one customer",
            frozenset(covers),
            f"A customer may have {payers} organisations, with one card and one office.",
            "One customer has no need to divide what it asks among its own names.",
        )


def _each_asks_it_whole(group: Group) -> bool:
    banks = [content for content in group.contents if content.kind == "bank"]
    return all(np.median(bank.questions_M) >= _WHOLE * max(bank.questions, 1) for bank in banks)


def _asks_popular_questions(group: Group) -> bool:
    banks = [content.asked_MQ for content in group.contents]
    return all(asked is not None and popular_share(asked, asked.shape[1]) >= _POPULAR for asked in banks)


def _judged(explanation: Tested, families: frozenset[Family]) -> Explanation:
    left = families - explanation.covers
    if not left:
        return Explanation(
            explanation.name, False, f"{explanation.fits} That explains everything that ties this group."
        )
    return Explanation(explanation.name, True, f"{explanation.fits} {explanation.fails} Left: {_list(left)}.")


def _list(families: frozenset[Family]) -> str:
    return ", ".join(sorted(families))
