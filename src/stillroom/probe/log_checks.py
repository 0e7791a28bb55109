"""Whether a log of plans, as a bundle has it, says what has to stand there before a result counts."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from stillroom.base.canonical import canonical_bytes, digest_bytes
from stillroom.base.signatures import PublicKeys, SignatureRefused, open_token
from stillroom.probe.plan import Plan
from stillroom.probe.plan_log import RECORD_TYPE, LogLine, records_of


def log_problems(
    log: Sequence[LogLine], plan: Plan, received_digest: str, statement: bytes, keys: PublicKeys
) -> Iterator[str]:
    """What is wrong, a sentence each. That each record follows the one before it was seen when the log was read."""
    yield from wrong_signatures(log, keys)
    earlier = 0
    for line in log:
        if line.record.at < earlier:
            yield f"Record {line.record.index} of the log is of an earlier time than the one before it."
        earlier = line.record.at
    for digest in dict.fromkeys(line.record.plan_digest for line in log):
        records = records_of(log, digest)
        if records[0].event != "planned" or sum(record.event == "planned" for record in records) > 1:
            yield f"The plan {records[0].plan} of the log does not begin with one record that it was planned."
    names = {line.record.plan_digest: line.record.plan for line in log}
    if len(set(names.values())) < len(names):
        yield "Two plans of the log have one name."
    yield from _of_this_plan(log, plan, received_digest, statement)


def wrong_signatures(log: Sequence[LogLine], keys: PublicKeys) -> Iterator[str]:
    """Records that none of the keys signed, a sentence each."""
    now = int(time.time())
    for line in log:
        name = f"Record {line.record.index} of the log"
        try:
            claims, key = open_token(line.jws, RECORD_TYPE, keys)
            key.check_time(line.record.at // 1_000_000, now)
        except SignatureRefused as refused:
            yield f"{name}: {refused.what}"
            continue
        if canonical_bytes(claims) != line.record.to_bytes():
            yield f"{name}: what was signed is something else."


def _of_this_plan(log: Sequence[LogLine], plan: Plan, received_digest: str, statement: bytes) -> Iterator[str]:
    records = records_of(log, plan.digest)
    if not records:
        yield "The plan is not in the log: it was not recorded before the asking, or it was altered since."
        return
    first = records[0]
    said = (first.plan, first.suspect, first.level, first.primary, first.pairs, first.is_pilot)
    if said != (plan.name, plan.suspect, plan.level, plan.primary.name, plan.pairs, plan.is_pilot):
        yield "The log says other things of the plan than the plan does."
    if plan.created_at > first.at:
        yield "The plan is of a later time than its record in the log."
    events = [record.event for record in records if record.event not in ("planned", "pack given")]
    if events != ["answers received", "opened"] or log[-1].record != records[-1]:
        told = ", ".join(events) or "nothing"
        yield f"The log says of the plan, after it was recorded: {told}. It has to say: answers received, opened."
        return
    if records[-2].digest_of != received_digest:
        yield "The answers are not those that the log recorded before the coins were opened."
    if records[-1].digest_of != digest_bytes(statement):
        yield "The statement is not the one that the log recorded when the coins were opened."
