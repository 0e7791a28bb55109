"""What a group did, in plain sentences with the numbers in them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from stillroom.base.records import FindingLink, FindingSignal
from stillroom.text.counted import counted
from stillroom.watch.links.contents import Content
from stillroom.watch.links.group import Group
from stillroom.watch.links.population import Population
from stillroom.watch.links.tie import Tie

_SHARED = {
    "ip": ("a network (/24)", "networks (/24)"),
    "billing": ("a card", "cards"),
    "client": ("a client program, down to the way it opens its connections", "client programs"),
    "system": ("a system prompt", "system prompts"),
}


def signals(group: Group, population: Population) -> Iterator[FindingSignal]:
    """What the group did as a whole. The first says most."""
    size = len(group.members)
    for content in group.contents:
        yield _asked(content, size)
        yield _divided(content)
    if group.contents:
        share = group.calls_on_contents / max(group.calls, 1)
        said = f"{share:.0%} of their {group.calls:,} calls without a permit are these."
        yield FindingSignal("narrowness", "content", share, None, said)
    days = population.window.until_day - population.window.since_day
    said = f"Together they made {group.calls:,} calls without a permit in {days} days, {group.calls / size:,.0f} each."
    yield FindingSignal("volume", "time", float(group.calls), None, said)


def _asked(content: Content, size: int) -> FindingSignal:
    asked, calls = content.questions, int(content.calls_M.sum())
    if content.asked_MQ is None:
        said = (
            f"These {counted(size, 'organisation')} filled one template {calls:,} times, {asked:,} of them different."
        )
        return FindingSignal("template fills", "content", float(asked), None, said)
    by_question = np.bincount(content.asked_MQ.indices, minlength=content.asked_MQ.shape[1])
    alone = int((by_question == 1).sum())
    said = (
        f"These {counted(size, 'organisation')} asked {asked:,} of the {content.asked_MQ.shape[1]:,} questions of "
        f"{content.name}, {_once(alone, asked)}."
    )
    return FindingSignal("bank coverage", "content", content.coverage or 0.0, None, said)


def _once(alone: int, asked: int) -> str:
    if alone == asked:
        return "no two the same"
    return f"{alone:,} of which no two of them asked"


def _divided(content: Content) -> FindingSignal:
    middle = float(np.median(content.questions_M))
    said = f"No one of them asked more than {content.largest_share:.0%} of these; half asked {middle:,.0f} or fewer."
    return FindingSignal("largest part", "content", content.largest_share, None, said)


def link(tie: Tie, size: int) -> FindingLink:
    return FindingLink(tie.family, tie.kind, len(tie.linked), tie.others, tie.sentence or _tied(tie, size))


def _tied(tie: Tie, size: int) -> str:
    linked = "All" if len(tie.linked) == size else f"{len(tie.linked)} of the {size}"
    if tie.kind in _SHARED:
        one, many = _SHARED[tie.kind]
        shared = f"share {one}" if tie.keys == 1 else f"share {tie.keys} {many} among them"
        others = counted(tie.others, "other organisation") if tie.others else "no other organisation"
        return f"{linked} {shared}, which {others} {_has(tie.others)}{' too' if tie.others else ''}."
    if tie.kind == "template":
        return f"{linked} fill the same template, and do little else."
    return f"{linked} asked a part of the same bank, and only together much of it."


def _has(others: int | None) -> str:
    return "have" if (others or 0) > 1 else "has"


def against(group: Group) -> Iterator[str]:
    """What would speak against it: what a person may look for."""
    kinds = {tie.kind for tie in group.ties}
    if "template" in kinds:
        yield "A contract with a maker of an application whose customers these are would explain the template."
    if kinds & {"bank", "shards"}:
        yield "A shared evaluation of models, told to you beforehand, would explain the bank, though not its division."
    if "ip" in kinds:
        yield "A cloud's or a VPN's network that many unrelated people use would weaken the shared address."
    if "billing" in kinds:
        yield "A reseller or a buying office that pays for others would explain the card."
    if not group.contents:
        yield "Nothing is known of what they ask: neither a known bank nor a common template was seen."
