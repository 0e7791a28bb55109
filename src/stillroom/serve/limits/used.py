"""What has been used of limits, to be told to people: from the counters, without what workers hold unused."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, func, select

from stillroom.serve.limits.bound import LimitName, window_of
from stillroom.serve.limits.tables import limit_counters, limit_leases


def used_by(connection: Connection, subjects: Collection[str], now_us: int) -> dict[str, dict[LimitName, int]]:
    """Of each subject, by the limit's name, in the window of `now_us`; as far as workers have told.

    A limit that is not there was not used, or is not limited: then nobody counts.
    """
    used: dict[str, dict[LimitName, int]] = {subject: {} for subject in subjects}
    leases, counters = limit_leases.c, limit_counters.c
    key = (leases.subject, leases.name, leases.starts_at)
    held = (
        select(*key, func.sum(leases.held - leases.used).label("unused"))
        .where(leases.subject.in_(used))
        .group_by(*key)
        .subquery()
    )
    is_its = (
        (held.c.subject == counters.subject) & (held.c.name == counters.name) & (held.c.starts_at == counters.starts_at)
    )
    counted = (
        select(counters.subject, counters.name, counters.starts_at, counters.counted - func.coalesce(held.c.unused, 0))
        .select_from(limit_counters)
        .outerjoin(held, is_its)
        .where(counters.subject.in_(used))
    )
    for subject, name, starts_at, amount in connection.execute(counted):
        # A counter whose window is over begins anew with the next call.
        if starts_at == window_of(name, now_us).starts_at:
            used[subject][name] = int(amount)
    return used
