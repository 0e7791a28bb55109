"""From calls to the tables of counts that `watch` keeps. One code for all engines; docs of the columns: `tables`.

Every frame is lazy. Calls that carry a permit are counted in `permitted_calls` and in nothing else, and what a call
does not say is in no count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import narwhals as nw

from stillroom.watch.engine import Frame
from stillroom.watch.tables import (
    ACTIVITY,
    HOURS,
    LONG_REPLY,
    LONG_REPLY_RATIO,
    SAMPLED_PREFIX,
    KeyKind,
    StateTable,
)

DAY_US, HOUR_US = 86_400_000_000, 3_600_000_000
END_US, END_NUMBER = 7_258_118_400_000_000, 2**31
"""The year 2200, and more tokens than any call has: a log from elsewhere may say anything, and sums must hold it."""
LONGEST_GAP_US = 600_000_000
_KEY_COLUMNS: Mapping[KeyKind, str] = {
    "ip": "ip_print",
    "billing": "billing_print",
    "tls": "tls_print",
    "agent": "agent",
    "client": "client",
    "system": "system_print",
    "user": "user_print",
}
_ALIAS_COLUMNS: Mapping[str, str] = {
    "ip": "ip_print",
    "tls": "tls_print",
    "client": "client",
    "system": "system_print",
    "user": "user_print",
    "prompt": "prompt_print",
    "skeleton": "skeleton_print",
}


def countable(calls: Frame) -> Frame:
    """The calls of which it is known whose they are and when they came, with what is counted of each.

    An account of which no organisation is known is one of its own. Times (before 1970, after 2199) and
    numbers that nothing can have are unknown.
    """
    at = nw.col("at")
    mine = calls.filter(~nw.col("account").is_null(), at >= 0, at < END_US)
    return mine.with_columns(
        *(_number(name) for name in ("prompt_tokens", "completion_tokens", "turns", "n")),
        organisation=nw.coalesce(nw.col("organisation"), nw.col("account")),
        day=(at // DAY_US).cast(nw.Int64()),
        hour=((at // HOUR_US) % 24).cast(nw.Int64()),
        client=_client(),
    )


def _number(name: str) -> nw.Expr:
    value = nw.col(name)
    return nw.when((value >= 0) & (value < END_NUMBER)).then(value).alias(name)


def call_counts(calls: Frame) -> Mapping[StateTable, Frame]:
    """`activity`, `templates`, `prompts`, `keys` and `models` of countable calls, each of which is there once."""
    free = calls.filter(nw.col("permit_id").is_null())
    return {
        "activity": _activity(calls, free),
        "templates": _templates(free),
        "prompts": _prompts(free),
        "keys": nw.concat(
            [
                *(_keys(free, kind, column) for kind, column in _KEY_COLUMNS.items()),
                _keys(calls, "permit", "permit_id"),  # says what covers an account's other calls, and links nobody
            ]
        ),
        "models": _counted(free.filter(~nw.col("model").is_null()), ["account", "model", "day"]),
    }


def aliases(earlier_prints: Frame, calls: Frame) -> Frame:
    """Which prints of an earlier epoch are which of the later one, by calls that have both."""
    prints = [name for name in _ALIAS_COLUMNS.values() if name != "client"]
    now = calls.select("call_id", "agent", **{f"{name}_now": nw.col(name) for name in prints})
    both = earlier_prints.join(now, on="call_id", how="inner")
    both = both.with_columns(client=_client(), client_now=_client("tls_print_now"))
    pairs = [
        both.select(kind=nw.lit(kind), earlier=nw.col(column), later=nw.col(f"{column}_now"))
        for kind, column in _ALIAS_COLUMNS.items()
    ]
    found = nw.concat(pairs).filter(~nw.col("earlier").is_null(), ~nw.col("later").is_null())
    return found.filter(nw.col("earlier") != nw.col("later")).group_by("kind", "earlier").agg(nw.col("later").max())


def _client(tls: str = "tls_print") -> nw.Expr:
    return nw.concat_str(nw.col(tls), nw.col("agent"), separator=" ")


def bank_hits(hits: Frame) -> Frame:
    """`hits`: columns of `banks.match.HITS`."""
    days = hits.with_columns(day=(nw.col("at") // DAY_US).cast(nw.Int64()))
    return days.group_by("account", "bank", "question", "day").agg(
        nw.len().alias("calls"),
        nw.col("is_exact").cast(nw.Int64()).sum().cast(nw.Int64()).alias("exact_calls"),
        nw.col("at").min().alias("first_at"),
    )


def _activity(calls: Frame, free: Frame) -> Frame:
    is_free = nw.col("permit_id").is_null()
    lengths = ~nw.col("prompt_tokens").is_null() & ~nw.col("completion_tokens").is_null()
    asks = [nw.col(f"asks_{what}") for what in ("reasoning", "logprobs", "grading")]
    many, few = nw.col("completion_tokens"), nw.col("prompt_tokens")
    is_long = (many >= LONG_REPLY) & (many >= few * LONG_REPLY_RATIO)
    counted = {
        "calls": is_free,
        "permitted_calls": ~is_free,
        "failed": is_free & nw.col("status").is_in(["failed", "refused"]),
        "turns_known": is_free & ~nw.col("turns").is_null(),
        "single_turn": is_free & (nw.col("turns") == 1),
        "lengths_known": is_free & lengths,
        "long_replies": is_free & lengths & is_long,
        "asks_known": is_free & ~(asks[0].is_null() & asks[1].is_null() & asks[2].is_null()),
        "asks_reasoning": is_free & asks[0],
        "asks_logprobs": is_free & asks[1],
        "asks_grading": is_free & asks[2],
        "n_known": is_free & ~nw.col("n").is_null(),
        "many_samples": is_free & (nw.col("n") > 1),
        **{name: is_free & (nw.col("hour") == hour) for hour, name in enumerate(HOURS)},
    }
    days = calls.group_by("account", "day").agg(
        nw.col("organisation").min(),
        nw.when(is_free).then(nw.col("at")).min().alias("first_at"),
        nw.when(is_free).then(nw.col("at")).max().alias("last_at"),
        nw.when(is_free & lengths).then(nw.col("prompt_tokens")).sum().alias("prompt_tokens"),
        nw.when(is_free & lengths).then(nw.col("completion_tokens")).sum().alias("completion_tokens"),
        *(condition.cast(nw.Int64()).sum().cast(nw.Int64()).alias(name) for name, condition in counted.items()),
    )
    joined = days.join(_gaps(free), on=["account", "day"], how="left")
    zeros = {name: nw.col(name).fill_null(0) for name in ("gaps", "gaps_s", "gaps_square_s")}
    return joined.with_columns(**zeros).select(*ACTIVITY.names)


def _gaps(free: Frame) -> Frame:
    before = nw.col("at").shift(1).over("account", order_by="at")
    gaps = free.select("account", "day", "at").with_columns(gap_us=nw.col("at") - before)
    short = gaps.filter(nw.col("gap_us") <= LONGEST_GAP_US)
    seconds = short.with_columns(gap_s=nw.col("gap_us") / 1_000_000.0)
    squares = seconds.with_columns(square=nw.col("gap_s") * nw.col("gap_s"))
    return squares.group_by("account", "day").agg(
        nw.len().alias("gaps"), nw.col("gap_s").sum().alias("gaps_s"), nw.col("square").sum().alias("gaps_square_s")
    )


def _templates(free: Frame) -> Frame:
    filled = free.filter(~nw.col("skeleton_print").is_null())
    # Counted in two steps: to count different values within each of very many groups is slow in every engine.
    each = _counted(filled, ["account", "skeleton_print", "day", "prompt_print"])
    days = each.group_by("account", "skeleton_print", "day").agg(
        nw.col("calls").sum().cast(nw.Int64()).alias("calls"), nw.len().alias("prompts")
    )
    return days.with_columns(rows=nw.lit(1, nw.Int64()))


def _prompts(free: Frame) -> Frame:
    sampled = free.filter(nw.col("prompt_print").str.starts_with(SAMPLED_PREFIX))
    return sampled.group_by("account", "prompt_print", "day").agg(
        nw.len().alias("calls"),
        (nw.col("turns") == 1).cast(nw.Int64()).sum().cast(nw.Int64()).alias("single_turn"),
    )


def _keys(free: Frame, kind: KeyKind, column: str) -> Frame:
    known = free.filter(~nw.col(column).is_null()).select("account", "day", kind=nw.lit(kind), value=nw.col(column))
    return _counted(known, ["account", "kind", "value", "day"])


def _counted(frame: Frame, by: Sequence[str]) -> Frame:
    return frame.group_by(*by).agg(nw.len().cast(nw.Int64()).alias("calls"))
