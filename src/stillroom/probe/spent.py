"""Pairs that were opened: whoever reads a bundle knows which replies were served, so that no later test rests on them.

    spent.jsonl           a line of JSON for each plan that was opened, in the folder of the probe
    escrow/spent.jsonl    the same of every folder whose pairs came from this gateway, in its state folder

A line has the ids of the plan's pairs and a digest of each of their replies: the same words in a pair that was gathered
later are known again when the pairs themselves have expired.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from stillroom.base.canonical import digest
from stillroom.base.errors import StoreError
from stillroom.probe.pairs import escrow_of
from stillroom.store.append_only import append_line, whole_lines
from stillroom.store.lock import alone_in
from stillroom.store.siblings import Pair

FILE = "spent.jsonl"
_DIGITS = 32


@dataclass(frozen=True, slots=True)
class Spent:
    plan_digest: str
    at: int
    """UTC microseconds."""
    pair_ids: frozenset[str]
    replies: frozenset[str]
    """`reply_prints` of the pairs."""


def read_spent(probe: Path) -> list[Spent]:
    """By the plans of this folder, and by those of other folders whose pairs came from the same escrow.

    Raises StoreError, naming a line that is none.
    """
    by_plan = {spent.plan_digest: spent for path in _files(probe) for spent in _read(path)}
    return [*by_plan.values()]


def spent_before(probe: Path, plan_digest: str) -> list[Spent]:
    """What was spent before this plan, where it is marked itself; else all. Of two that are opened at once, the pairs
    are the one's that is marked first, in the gateway's state folder.

    Raises StoreError, naming a line that is none.
    """
    by_plan: dict[str, Spent] = {}
    for path in _files(probe):
        for spent in _read(path):
            if spent.plan_digest == plan_digest:
                break
            by_plan[spent.plan_digest] = spent
    return [*by_plan.values()]


def mark_spent(probe: Path, plan_digest: str, at: int, pairs: Sequence[Pair]) -> None:
    """Once for each plan, in each of the files. For who holds the log's lock. Raises StoreError."""
    replies = sorted({each for pair in pairs for each in reply_prints(pair)})
    line = {"plan_digest": plan_digest, "at": at, "pair_ids": sorted(p.pair_id for p in pairs), "replies": replies}
    for path in _files(probe):
        with alone_in(path.parent, "spent.lock"):  # plans of several folders may be opened at once
            if all(spent.plan_digest != plan_digest for spent in _read(path)):
                append_line(path, orjson.dumps(line))


def escrow_missing(probe: Path) -> str | None:
    """Where the escrow that these pairs came from cannot be reached: what that means, in a sentence."""
    escrow = escrow_of(probe)
    if escrow is None or escrow.is_dir():
        return None
    return f"{escrow} is not there: other folders of the same gateway's pairs do not know which of these are spent."


def spent_among(pairs: Iterable[Pair], spent: Sequence[Spent]) -> list[str]:
    """The ids of those that were opened, or share a reply with one that was."""
    ids = frozenset[str]().union(*(each.pair_ids for each in spent))
    replies = frozenset[str]().union(*(each.replies for each in spent))

    def is_spent(pair: Pair) -> bool:
        return pair.pair_id in ids or (bool(replies) and not replies.isdisjoint(reply_prints(pair)))

    return [pair.pair_id for pair in pairs if is_spent(pair)]


def reply_prints(pair: Pair) -> tuple[str, str]:
    """Of its two replies, together with the question; white space makes no difference, as for `units_of`."""

    def printed(reply: str) -> str:
        return digest([pair.question_id, " ".join(reply.split())]).removeprefix("sha256:")[:_DIGITS]

    return printed(pair.first), printed(pair.second)


def _files(probe: Path) -> list[Path]:
    """The escrow's, where there is one, before the folder's own."""
    escrow = escrow_of(probe)
    return [*([escrow / FILE] if escrow is not None and escrow.is_dir() else []), probe / FILE]


def _read(path: Path) -> list[Spent]:
    return [_parsed(line, f"{path}, line {number}") for number, line in enumerate(whole_lines(path), 1)]


def _parsed(line: bytes, name: str) -> Spent:
    try:
        value = orjson.loads(line)
        return Spent(
            str(value["plan_digest"]), int(value["at"]), frozenset(value["pair_ids"]), frozenset(value["replies"])
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{name}, is no record of what was opened.", "Put the file back from a backup.") from error
