"""Pairs that were opened: whoever reads a bundle knows which replies were served, so that no later test rests on them.

    spent.jsonl    a line of JSON for each plan that was opened

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
from stillroom.store.append_only import append_line, whole_lines
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
    """Raises StoreError, naming a line that is none."""
    return [_parsed(line, f"{probe / FILE}, line {number}") for number, line in enumerate(whole_lines(probe / FILE), 1)]


def mark_spent(probe: Path, plan_digest: str, at: int, pairs: Sequence[Pair]) -> None:
    """Once for each plan. For who holds the log's lock. Raises StoreError."""
    if any(spent.plan_digest == plan_digest for spent in read_spent(probe)):
        return
    replies = sorted({each for pair in pairs for each in reply_prints(pair)})
    line = {"plan_digest": plan_digest, "at": at, "pair_ids": sorted(p.pair_id for p in pairs), "replies": replies}
    append_line(probe / FILE, orjson.dumps(line))


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


def _parsed(line: bytes, name: str) -> Spent:
    try:
        value = orjson.loads(line)
        return Spent(
            str(value["plan_digest"]), int(value["at"]), frozenset(value["pair_ids"]), frozenset(value["replies"])
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{name}, is no record of what was opened.", "Put the file back from a backup.") from error
