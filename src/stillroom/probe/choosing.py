"""Which pairs a plan takes: chosen without the coins, and of each pair by both of its replies alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from stillroom.base.canonical import digest
from stillroom.base.errors import DataError
from stillroom.probe.measures.tokens import tokens
from stillroom.probe.units import units_of
from stillroom.store.siblings import Opening, Pair

Reason = Literal["spent", "of_another_plan", "of_another_account", "not_chosen"]
_RUN = 2
"""So many tokens in a row are looked at."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The pairs given = `pairs` + `left_out`."""

    pairs: list[Pair]
    left_out: Counter[Reason]


def choose(
    pairs: Sequence[Pair],
    openings: Sequence[Opening],
    *,
    accounts: Collection[str],
    spent: Collection[str],
    reserved: Collection[str],
    number: int | None,
    at_random: bool,
) -> Chosen:
    """`number` pairs, or a few more, since pairs with a common reply are taken together or not at all; None: all.

    `openings` tell whose a pair is, and nothing else of them is looked at. `spent`, `reserved`: ids of pairs that were
    opened, or that another plan waits with. A unit of which another account has a pair, too, is left out: what it
    shows, it could show of either. Pairs whose two replies differ most come first; `at_random`: in an order that
    nothing of the pairs decides, as a pilot needs, which has to be like what follows it.

    Raises DataError where no pair is left.
    """
    account_of = {opening.pair_id: opening.account for opening in openings}
    units = units_of(pairs).tolist()
    out: dict[int, Reason] = {}
    for unit, pair in zip(units, pairs, strict=True):
        if pair.pair_id in spent:
            out[unit] = "spent"
        elif pair.pair_id in reserved:
            out.setdefault(unit, "of_another_plan")
        elif account_of[pair.pair_id] not in accounts:
            out.setdefault(unit, "of_another_account")
    left_out: Counter[Reason] = Counter(out[unit] for unit in units if unit in out)
    by_unit: dict[int, list[Pair]] = {}
    for unit, pair in zip(units, pairs, strict=True):
        if unit not in out:
            by_unit.setdefault(unit, []).append(pair)
    order = _at_random if at_random else _most_different_first
    taken: list[Pair] = []
    for together in sorted(by_unit.values(), key=order):
        if number is not None and len(taken) >= number:
            left_out["not_chosen"] += len(together)
        else:
            taken += together
    if not taken:
        raise DataError(
            f"None of the {len(pairs):,} pairs can be used: {_in_words(left_out)}.", "Gather more pairs, then plan."
        )
    return Chosen(taken, left_out)


def how_different(pair: Pair) -> int:
    """How many runs of two tokens stand in just one of the two replies, both cut to the shorter one's length."""
    first, second = tokens(pair.first), tokens(pair.second)
    length = min(len(first), len(second))
    one, other = (_runs(reply[:length]) for reply in (first, second))
    return len(one ^ other)


def _runs(found: Sequence[str]) -> set[tuple[str, ...]]:
    return {tuple(found[start : start + _RUN]) for start in range(len(found) - _RUN + 1)}


def _most_different_first(together: Sequence[Pair]) -> tuple[int, str]:
    return -max(map(how_different, together)), _at_random(together)


def _at_random(together: Sequence[Pair]) -> str:
    return min(digest(pair.pair_id) for pair in together)


_WORDS: Mapping[Reason, str] = {
    "spent": "opened before, or with a reply that was",
    "of_another_plan": "of a plan that waits to be opened",
    "of_another_account": "of another account, or with a reply that it has, too",
    "not_chosen": "not needed",
}


def _in_words(left_out: Counter[Reason]) -> str:
    return ", ".join(f"{count:,} {_WORDS[reason]}" for reason, count in left_out.most_common()) or "there are none"
