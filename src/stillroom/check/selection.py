"""Which of the good rows are wanted: of one question, and of all together.

What is drawn by lot is drawn by a digest of the row's own id and the seed, and never by its place: a row that is added
moves no other row in the order in which they are taken. Where a quota is full it can still push one out, so:

- `most_per_source` and a `weight`: one added row changes at most one other;
- `long_share`: one added row lets in or pushes out as many of the other kind as the share makes of one;
- `keep` and `per_question` look at the rows of one question only.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction

from stillroom.check.decide import Decision, kept
from stillroom.check.settings import CheckSettings

OWN = -1
"""Where a row comes from that the teacher wrote; others have the number of their entry in `mix`."""


def select_of_question(decisions: Sequence[Decision], settings: CheckSettings, difficulty: float | None) -> None:
    """Leave out what `pass_rate`, `keep` and `per_question` do not want of one question's good replies.

    `difficulty` is the question's pass rate; None, where it is not known, is wanted whatever `pass_rate` says.
    """
    good = kept(decisions)
    if settings.pass_rate is not None and difficulty is not None:
        least, largest = settings.pass_rate
        if not least <= difficulty <= largest:
            reason = "too_hard" if difficulty < least else "too_easy"
            for decision in good:
                decision.reject(reason, f"pass rate {difficulty:.3g}, wanted {least:g} to {largest:g}")
            return
    limit = settings.per_question
    if settings.keep == "shortest_right":
        limit = limit or 1
        good.sort(key=_length(good))
    if limit is not None:
        for decision in good[limit:]:
            decision.reject("not_selected", f"{settings.keep} keeps {limit} of {len(good)} for each question")


def _length(decisions: Sequence[Decision]) -> Callable[[Decision], int]:
    """One measure for all: characters, where a server did not count the tokens of each."""
    if all(decision.reply["completion_tokens"] is not None for decision in decisions):
        return lambda decision: int(decision.reply["completion_tokens"])
    return lambda decision: len(decision.reply["reasoning"] or "") + len(decision.reply["answer"])


class Lots:
    """The good rows of all questions, in the order in which they were added: a few numbers of each."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._lots = array("Q")
        self._sources = array("I")
        self._origins = array("h")
        self._is_long = bytearray()
        self._names: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._lots)

    def add(self, row_id: str, source: str, origin: int, *, is_long: bool) -> None:
        """`origin`: OWN, or the row's number in `mix`. The row's index is the number of those before it."""
        drawn = hashlib.blake2b(f"{self._seed} {row_id}".encode("utf-8", "replace"), digest_size=8).digest()
        self._lots.append(int.from_bytes(drawn, "little"))
        self._sources.append(self._names.setdefault(source, len(self._names)))
        self._origins.append(origin)
        self._is_long.append(is_long)

    def left_out(self, settings: CheckSettings) -> dict[int, tuple[str, str]]:
        """By index, reason and detail of the rows that are not wanted."""
        out: dict[int, tuple[str, str]] = {}
        self._balance_sources(out, settings.most_per_source)
        self._weigh(out, [source.weight for source in settings.mix])
        self._mix_lengths(out, settings.long_share)
        return out

    def share_of_long(self, out: Mapping[int, tuple[str, str]]) -> float | None:
        """Of the rows that are wanted; None where there are none."""
        wanted = [self._is_long[index] for index in range(len(self)) if index not in out]
        return sum(wanted) / len(wanted) if wanted else None

    def _balance_sources(self, out: dict[int, tuple[str, str]], most: int | None) -> None:
        if most is None:
            return
        names = list(self._names)
        by_source: dict[int, list[int]] = {}
        for index, source in enumerate(self._sources):
            by_source.setdefault(source, []).append(index)
        for source, rows in by_source.items():
            detail = f"{most} of {len(rows)} are kept of {names[source]}"
            out.update((index, ("source_share", detail)) for index in self._drawn(rows)[most:])

    def _weigh(self, out: dict[int, tuple[str, str]], weights: Sequence[float | None]) -> None:
        by_origin: dict[int, list[int]] = {}
        for index, origin in enumerate(self._origins):
            if index not in out:
                by_origin.setdefault(origin, []).append(index)
        own = len(by_origin.get(OWN, []))
        for origin, weight in enumerate(weights):
            rows = by_origin.get(origin, [])
            if weight is None:
                continue
            wanted = int(own * Fraction(str(weight)))
            detail = f"{wanted} of {len(rows)} are kept: {weight:g} for each of {own}"
            out.update((index, ("mix_weight", detail)) for index in self._drawn(rows)[wanted:])

    def _mix_lengths(self, out: dict[int, tuple[str, str]], share: float | None) -> None:
        if share is None:
            return
        rows = [index for index in range(len(self)) if index not in out]
        long = [index for index in rows if self._is_long[index]]
        short = [index for index in rows if not self._is_long[index]]
        long_wanted, short_wanted = quota(len(long), len(short), share)
        for name, some, wanted in (("long", long, long_wanted), ("short", short, short_wanted)):
            detail = f"{wanted} of {len(some)} {name} ones are kept: {share:g} of all are to be long"
            out.update((index, ("long_share", detail)) for index in self._drawn(some)[wanted:])

    def _drawn(self, rows: Iterable[int]) -> list[int]:
        """The rows in the order in which they are taken."""
        return sorted(rows, key=lambda index: (self._lots[index], index))


def quota(long: int, short: int, share: float) -> tuple[int, int]:
    """How many long and short ones are kept, so that as many as possible are, and `share` of them are long.

    Where one kind is missing altogether, nothing can be mixed, and all of the other kind are kept, unless the share
    asks for none of them.
    """
    exact = Fraction(str(share))
    if exact in (0, 1):
        return (0, short) if exact == 0 else (long, 0)
    if not long or not short:
        return long, short
    ratio = exact / (1 - exact)
    return min(long, int(short * ratio)), min(short, int(long / ratio))
