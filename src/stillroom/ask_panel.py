"""The asking stage as a person sees it: a panel on a terminal, and the same figures in one line elsewhere."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from rich.table import Table
from rich.text import Text

from stillroom.panel import bar_of, bar_width, clock, panel_of, panel_width
from stillroom.text.failure_words import failures_in_words
from stillroom.text.one_line import one_line

RECENT_S, SAMPLE_EVERY_S = 30.0, 1.0
FEWEST_REPLIES = 10
"""Rates look further back than `RECENT_S` until they have seen so many."""
SURE_REPLIES = 20
"""Replies from which on their mean cost says something of the whole."""
READING_S = 2.0
"""The latest question and answer stay for so long: nobody reads eight of them a second."""
SILENCE_S = 10.0


class _Seen(NamedTuple):
    at: float
    replies: int
    tokens: int


class RecentRates:
    """Replies and tokens a second over the last half minute, or over the last replies where they are slower."""

    def __init__(self, now: float, replies: int, tokens: int) -> None:
        self._seen = deque([_Seen(now, replies, tokens)])

    def see(self, now: float, replies: int, tokens: int) -> None:
        seen, latest = self._seen, self._seen[-1]
        if now - latest.at >= SAMPLE_EVERY_S and (replies, tokens) != latest[1:]:
            seen.append(_Seen(now, replies, tokens))
        while len(seen) > 1 and seen[1].at <= now - RECENT_S and replies - seen[1].replies >= FEWEST_REPLIES:
            seen.popleft()

    def per_s(self, now: float, replies: int, tokens: int) -> tuple[float, float] | None:
        oldest = self._seen[0]
        elapsed = now - oldest.at
        if replies <= oldest.replies or elapsed < SAMPLE_EVERY_S:
            return None
        return (replies - oldest.replies) / elapsed, (tokens - oldest.tokens) / elapsed


class AskView:
    """Is shown the stage's updates, as often as anybody looks, and puts them into words.

    `facts` are those of `stillroom.ask.passes.facts_of`; what is missing among them is left out. Times are seconds.
    """

    def __init__(self) -> None:
        self._now = self._began = self._replied_at = self._latest_at = 0.0
        self._done: int = 0
        self._total: int | None = None
        self._facts: Mapping[str, Any] = {}
        self._rates: RecentRates | None = None
        self._latest: tuple[str, str] | None = None

    def see(self, now: float, done: int, total: int | None, facts: Mapping[str, Any]) -> None:
        done_before, replies_before = self._done, self._replies
        self._now, self._done, self._total, self._facts = now, done, total, facts
        if self._rates is None or done < done_before or self._replies < replies_before:  # or another pass: --reask
            self._began = self._replied_at = now
            self._rates = RecentRates(now, self._replies, self._tokens)
        elif self._replies != replies_before:
            self._replied_at = now
        self._rates.see(now, self._replies, self._tokens)
        latest = facts.get("latest")
        if latest is not None and (self._latest is None or now - self._latest_at >= READING_S):
            self._latest_at, self._latest = now, (question_text(latest[0]), latest[1])

    def line(self) -> str:
        """All but the texts: `1,231 of 4,000, 1:37 left, 28 replies a second, ...`."""
        words = self.words()
        return f"{self._progress()}, {words}" if words else self._progress()

    def words(self) -> str:
        """What stands beside how much is done."""
        failures = self._failures()
        parts = [
            *self._speed(),
            *(f"spent {words}" for words, _ in self._spent()),
            *(f"pace: {words}" for words in self._pace()),
            *([f"failed calls: {failures}"] if failures else []),
        ]
        return ", ".join(parts)

    def panel(self, width: int) -> Table:
        """For a terminal of so many columns."""
        width = panel_width(width)
        return panel_of(self._rows(width), width)

    def _rows(self, width: int) -> Iterator[tuple[str, Text]]:
        bar = bar_of(self._done, self._total, bar_width(width))
        yield "ask", Text(" ").join([bar, Text(self._progress())]) if self._total else Text(self._progress())
        if speed := self._speed():
            yield "speed", Text(", ".join(speed))
        for words, style in self._spent():
            yield "spent", Text(words, style=style)
        for words in self._pace():
            yield "pace", Text(words)
        if failures := self._failures():
            yield "failed", Text(failures, style="yellow")
        for label, text in zip(("question", "answer"), self._latest or (), strict=False):
            yield label, Text(one_line(text, width), no_wrap=True, overflow="ellipsis")

    @property
    def _replies(self) -> int:
        return int(self._facts.get("replies", 0))

    @property
    def _tokens(self) -> int:
        return int(self._facts.get("completion_tokens", 0))

    @property
    def _left(self) -> int | None:
        return None if self._total is None else self._total - self._done

    @property
    def _at_most(self) -> str:
        return "at most " if self._facts.get("total_is_most") else ""

    def _per_s(self) -> tuple[float, float] | None:
        if self._left == 0:  # the speed of the whole, and not that of the half minute before somebody looks
            elapsed = self._replied_at - self._began
            return (self._replies / elapsed, self._tokens / elapsed) if elapsed > 0 else None
        return None if self._rates is None else self._rates.per_s(self._now, self._replies, self._tokens)

    def _progress(self) -> str:
        if self._total is None:
            return f"{self._done:,}"
        words = f"{self._done:,} of {self._at_most}{self._total:,}"
        rates = self._per_s()
        return f"{words}, {self._at_most}{clock(self._left / rates[0])} left" if self._left and rates else words

    def _speed(self) -> list[str]:
        rates = self._per_s()
        words = [f"{_rate(rates[0])} replies a second"] if rates else []
        if rates and self._tokens:  # some servers do not count them
            words.append(f"{_rate(rates[1])} tokens a second")
        if in_flight := self._facts.get("in_flight"):
            words.append(f"{in_flight:,} in flight")
        silent_s = self._now - self._replied_at
        if in_flight and silent_s >= SILENCE_S:
            words.append(f"the last reply came {clock(silent_s)} ago")
        return words

    def _spent(self) -> Iterator[tuple[str, str]]:
        """What is spent of each limit, and what the whole will take as far as the mean reply tells; with a style."""
        facts = self._facts
        budget, spent = facts.get("budget_usd"), facts.get("spent_usd", Decimal(0))
        if budget is not None or spent:
            whole = self._whole(spent, facts.get("cost_usd", Decimal(0)))
            yield _spent_words(spent, budget, whole, "USD", self._at_most)
        for limit, used, now, unit in (
            ("max_calls", "calls_of_all_runs", "calls", "calls"),
            ("max_total_tokens", "tokens_of_all_runs", "total_tokens", "tokens"),
        ):
            if facts.get(limit) is not None:
                whole = self._whole(Decimal(facts[used]), Decimal(facts[now]))
                yield _spent_words(facts[used], facts[limit], whole, unit, self._at_most)

    def _whole(self, used: Decimal, used_now: Decimal) -> Decimal | None:
        if not self._left or self._replies < SURE_REPLIES:
            return None
        return used + used_now * self._left / self._replies

    def _pace(self) -> list[str]:
        """A line for each address of the teacher."""
        if self._left == 0:
            return []
        return [words for words in str(self._facts.get("pace", "")).split("; ") if words]

    def _failures(self) -> str:
        return failures_in_words(self._facts.get("failures", {}))


def question_text(messages: bytes) -> str:
    """What the user said last, from the JSON of a request's messages; a part that is no text is named by its type."""
    said = [message.get("content") for message in json.loads(messages) if message.get("role") == "user"]
    content = said[-1] if said else ""
    if not isinstance(content, list):
        return str(content)
    parts = [part if isinstance(part, dict) else {"text": part} for part in content]
    return " ".join(str(part.get("text") or f"[{part.get('type')}]") for part in parts)


def _spent_words(
    used: Decimal | int, limit: Decimal | int | None, whole: Decimal | None, unit: str, at_most: str
) -> tuple[str, str]:
    words = f"{_amount(used)} {unit}" if limit is None else f"{_amount(used)} of {limit:,} {unit}"
    if whole is None:
        return words, ""
    whole = whole if isinstance(used, Decimal) else Decimal(round(whole))
    words += f", about {_amount(whole if unit == 'USD' else int(whole))} {at_most}for the whole"
    return (f"{words}: more than the limit", "bold yellow") if limit is not None and whole > limit else (words, "")


def _amount(value: Decimal | int) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.2f}" if value >= 1 or not value else f"{value:.4f}"


def _rate(per_s: float) -> str:
    return f"{per_s:,.0f}" if per_s >= 10 else f"{per_s:.1f}" if per_s >= 0.1 else f"{per_s:.3f}"
