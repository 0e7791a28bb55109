"""What is bounded, in which window of time, and the two ways of being turned away."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal, NamedTuple

from stillroom.base.errors import ServeError

LimitName = Literal[
    "requests_per_minute",
    "tokens_per_minute",
    "concurrent",
    "nano_usd_per_day",
    "nano_usd_per_month",
    "permit_calls",
    "permit_tokens",
]
"""Money is counted in whole billionths of a dollar."""

Counter = tuple[str, LimitName]
"""What is counted: a subject (an account, a permit) and the limit's name."""

FOREVER = 2**62
"""The end of a window that has none. Also the most that is counted at all, so that sums fit into 64 bits."""
_SECOND = 1_000_000
_MINUTE = 60 * _SECOND
_DAY = 86_400 * _SECOND


class Bound(NamedTuple):
    """`subject` may use `most` of what `name` counts, in each of its windows. 0 to 2**62."""

    subject: str
    name: LimitName
    most: int


class Window(NamedTuple):
    """UTC microseconds; the end is not part of it."""

    starts_at: int
    ends_at: int


class LimitReached(Exception):  # noqa: N818 - the outcome is the name
    """The call would pass a limit. `retry_after_s`: whole seconds until it may fit; None where waiting can't help."""

    def __init__(self, name: LimitName, retry_after_s: int | None) -> None:
        super().__init__(f"The limit {name} is reached.")
        self.name = name
        self.retry_after_s = retry_after_s


class LimitsUnavailable(ServeError):  # noqa: N818
    """The counters cannot be reached: nobody knows whether the call may pass, so it does not."""


def permit_subject(permit_id: str) -> str:
    """What a permit's calls are counted under: no account has such a name."""
    return f"permit:{permit_id}"


def window_of(name: LimitName, now_us: int) -> Window:
    """The window that `now_us` (UTC microseconds) lies in: a minute, day or month of UTC; or all of time."""
    if name in ("requests_per_minute", "tokens_per_minute"):
        return _aligned(now_us, _MINUTE)
    if name == "nano_usd_per_day":
        return _aligned(now_us, _DAY)
    if name == "nano_usd_per_month":
        now = datetime.fromtimestamp(now_us // _SECOND, UTC)
        first = datetime(now.year, now.month, 1, tzinfo=UTC)
        next_first = datetime(now.year + now.month // 12, now.month % 12 + 1, 1, tzinfo=UTC)
        return Window(int(first.timestamp()) * _SECOND, int(next_first.timestamp()) * _SECOND)
    return Window(0, FOREVER)


def _aligned(now_us: int, length: int) -> Window:
    starts_at = now_us - now_us % length
    return Window(starts_at, starts_at + length)
