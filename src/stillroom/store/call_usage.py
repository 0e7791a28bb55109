"""What calls used, by whoever made them: sums over the sealed part of a gateway's call log, of any length."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, get_args

import duckdb

from stillroom.base.errors import StoreError
from stillroom.base.records import CallStatus
from stillroom.store.calls import sealed_segments, worker_folders

UsageBy = Literal["account", "organisation", "model", "permit", "day"]
_KEYS: Mapping[UsageBy, str] = {
    "account": "account",
    "organisation": "organisation",
    "model": "model",
    "permit": "permit_id",
    "day": "strftime(make_timestamp(\"at\"), '%Y-%m-%d')",
}
_STATUSES: tuple[CallStatus, ...] = get_args(CallStatus)
_AMOUNTS = {
    "prompt_tokens": "prompt_tokens",
    "cached_tokens": "cached_tokens",
    "completion_tokens": "completion_tokens",
    "reasoning_tokens": "reasoning_tokens",
    "usd": "cast(cost_usd as decimal(38, 18))",
}
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {"memory_limit": "128MB", "threads": 1}


@dataclass(frozen=True, slots=True)
class CallUsage:
    """Of some calls. A sum is over those of which it is known; None where it is known of none that used anything."""

    of: str | None
    """The id, the model's name or the day (UTC); None: calls without a permit, or all calls together."""
    calls: int
    statuses: dict[CallStatus, int]
    """How many ended so; those that are not there are none. What calls that ended as `unknown` used is in no sum."""
    prompt_tokens: int | None
    cached_tokens: int | None
    """Among the prompt's, of the calls whose provider tells."""
    completion_tokens: int | None
    reasoning_tokens: int | None
    """Among the completion's, of the calls whose provider tells."""
    estimated: int
    """Calls whose tokens are an estimate: their provider did not count them."""
    usd: Decimal | None


def sealed_usage(
    calls: Path, by: UsageBy, since_us: int | None = None, until_us: int | None = None
) -> tuple[list[CallUsage], CallUsage]:
    """For each value of `by` what its calls used, most calls first; and all of them together. Raises StoreError.

    `calls`: the folder of all workers. `since_us` (included), `until_us` (not included): when calls came, UTC.
    """
    files = [str(segment.table("calls")) for worker in worker_folders(calls) for segment in sealed_segments(worker)]
    nothing = CallUsage(None, 0, {}, 0, 0, 0, 0, 0, Decimal(0))
    if not files:
        return [], nothing
    with duckdb.connect(":memory:", config=_SETTINGS) as connection:
        try:
            found = connection.execute(_sql(by), {"files": files, "since": since_us, "until": until_us}).fetchall()
        except (duckdb.IOException, duckdb.InvalidInputException, duckdb.ConversionException) as error:
            said = str(error).partition("\n")[0]
            raise StoreError(f"The call log {calls} cannot be read: {said}", "Put it back from a backup.") from error
    rows = [_usage(row[1:]) for row in found if not row[0] and row[2]]
    return rows, next((_usage(row[1:]) for row in found if row[0]), nothing)


def _sql(by: UsageBy) -> str:
    key = _KEYS[by]
    statuses = ", ".join(f"count(*) filter (status = '{status}')" for status in _STATUSES)
    amounts = ", ".join(
        f"case when count({value}) = 0 and count(*) filter (status = 'unknown' or counted_by is not null) > 0"
        f" then null else coalesce(sum({value}), 0) end"
        for value in _AMOUNTS.values()
    )
    return (
        f"select grouping(what), what, count(*), {statuses}, count(*) filter (counted_by = 'estimate'), {amounts}"
        f" from (select *, {key} as what from read_parquet($files)"
        ' where ($since is null or "at" >= $since) and ($until is null or "at" < $until))'
        " group by grouping sets ((what), ()) order by 1, 3 desc, 2"
    )


def _usage(row: tuple[Any, ...]) -> CallUsage:
    what, calls, *numbers = row
    counts, (estimated, *amounts) = numbers[: len(_STATUSES)], numbers[len(_STATUSES) :]
    return CallUsage(
        of=what,
        calls=calls,
        statuses={status: count for status, count in zip(_STATUSES, counts, strict=True) if count},
        estimated=estimated,
        **dict(zip(_AMOUNTS, amounts, strict=True)),
    )
