"""From what was judged to the statement: who asked, what the log of plans has, and with what it was computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.metadata import version

from stillroom import __version__
from stillroom.probe.asked import Asked
from stillroom.probe.judging import Judged
from stillroom.probe.plan import Plan
from stillroom.probe.plan_log import LogLine, LogRecord, records_of
from stillroom.probe.recorded import state_of
from stillroom.probe.statement import Asking, LoggedPlan, LogSummary, Statement

_COMPUTED_WITH = ("numpy", "scipy", "statsmodels", "rapidfuzz")


def state(
    plan: Plan,
    judged: Judged,
    asked: Asked,
    log: Sequence[LogLine],
    stamps: Mapping[int, datetime],
    opened_at: int,
) -> Statement:
    """`log`: up to the record that the answers were received. `stamps`: by the index of their record, those that fit.

    `opened_at`: UTC microseconds.
    """
    planned = records_of(log, plan.digest)[0]
    after = [at for index, at in stamps.items() if index >= planned.index]
    return Statement(
        plan=plan,
        plan_digest=plan.digest,
        planned_at=planned.at,
        plan_stamped_at=int(min(after).timestamp() * 1_000_000) if after else None,
        asking=Asking(asked.by, asked.model, asked.address, asked.first_at, asked.last_at, asked.software),
        opened_at=opened_at,
        result=judged.result,
        is_positive=judged.is_positive,
        others=judged.others,
        accounts=judged.accounts,
        counts=judged.counts,
        closeness=judged.closeness,
        needed=judged.needed,
        log=LogSummary(_logged(log, plan, judged.result.p_value), len(log), log[-1].record.digest),
        picture=judged.picture,
        telling=judged.telling,
        software={"stillroom": __version__} | {name: version(name) for name in _COMPUTED_WITH},
        coins=judged.coins,
        references=judged.references,
    )


def logged_plans(log: Sequence[LogLine]) -> list[LoggedPlan]:
    """Every plan, in the order in which they were made."""
    digests = dict.fromkeys(line.record.plan_digest for line in log)
    return [_logged_plan(records_of(log, each)) for each in digests]


def _logged_plan(records: Sequence[LogRecord]) -> LoggedPlan:
    first = records[0]
    p_value = next((record.p_value for record in records if record.event == "opened"), None)
    return LoggedPlan(first.plan, first.suspect, first.at, first.is_pilot, state_of(records), first.level, p_value)


def _logged(log: Sequence[LogLine], plan: Plan, p_value: float) -> tuple[LoggedPlan, ...]:
    """With the plan at hand as it stands once this is written down: opened."""
    return tuple(
        LoggedPlan(each.name, each.suspect, each.planned_at, each.is_pilot, "opened", each.level, p_value)
        if each.name == plan.name
        else each
        for each in logged_plans(log)
    )
