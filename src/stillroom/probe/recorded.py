"""Plans that the log has recorded: what is kept of each, where each stands, and what is noted of it.

PROBE/plans/NAME/plan.json
PROBE/plans/NAME/pairs.parquet   the plan's pairs
PROBE/plans/NAME/thirds.parquet  further replies of the teacher: its references, or what was there at the test
PROBE/plans/NAME/opening-salt    what hides the coins in `openings_digest`; the owner's alone until they are opened
PROBE/plans/NAME/pack/           for whoever asks, see `stillroom.probe.pack`
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from stillroom import __version__
from stillroom.base.clock import SystemClock
from stillroom.base.errors import DataError, UsageError
from stillroom.probe.bounded import read_bounded, read_bounded_rows
from stillroom.probe.pack import PAIRS, PLAN, check_pairs, copy_folder, in_order, write_pack
from stillroom.probe.plan import Plan, read_plan
from stillroom.probe.plan_log import (
    FILE,
    RECORD_TYPE,
    Event,
    LogLine,
    LogRecord,
    append_record,
    log_locked,
    read_log,
    records_of,
)
from stillroom.probe.signer import KEYS, Signer, remember_keys
from stillroom.probe.spent import mark_spent
from stillroom.probe.stamping import stamp_files
from stillroom.store.files import read_object
from stillroom.store.siblings import Pair

SOFTWARE = f"stillroom {__version__}"
PLANS, BUNDLES, PACK, SALT = "plans", "bundles", "pack", "opening-salt"

State = Literal["planned", "answered", "opened", "abandoned"]


@dataclass(frozen=True, slots=True)
class RecordedPlan:
    plan: Plan
    pairs: list[Pair]
    """In the order of their ids."""
    salt: bytes
    records: list[LogRecord]
    """Of this plan, in their order."""

    @property
    def state(self) -> State:
        return state_of(self.records)


def read_recorded(probe: Path, name: str) -> RecordedPlan:
    """Raises UsageError where there is no such plan; DataError or StoreError where it is not what was recorded."""
    folder, log = probe / PLANS / name, read_log(probe / FILE)
    first = next((line.record for line in log if line.record.plan == name), None)
    if first is None:
        raise UsageError(f"There is no plan {name} in {probe}.", "stillroom probe plans shows those that there are.")
    plan = read_plan(read_bounded(folder / PLAN), str(folder / PLAN))
    if plan.digest != first.plan_digest:
        raise DataError(f"{folder / PLAN} is not the plan that the log recorded.", "Put the file back from a backup.")
    pairs = in_order(read_bounded_rows(folder / PAIRS, Pair))
    check_pairs(plan, pairs, str(folder / PAIRS))
    return RecordedPlan(plan, pairs, read_bounded(folder / SALT), records_of(log, plan.digest))


def state_of(records: Sequence[LogRecord]) -> State:
    """Where a plan stands, from its records."""
    events = {record.event for record in records}
    if "opened" in events:
        return "opened"
    if "abandoned" in events:
        return "abandoned"
    return "answered" if "answers received" in events else "planned"


def note(
    probe: Path,
    plan: Plan,
    event: Event,
    signer: Signer,
    by: str,
    *,
    p_value: float | None = None,
    digest_of: str | None = None,
    said: str | None = None,
) -> LogLine:
    """Write an event of a plan into the log. For who holds its lock."""
    remember_keys(probe, signer)
    facts: dict[str, Any] = {
        "at": SystemClock().now_us(),
        "event": event,
        "plan": plan.name,
        "plan_digest": plan.digest,
        "suspect": plan.suspect,
        "by": by,
        "is_pilot": plan.is_pilot,
        "level": plan.level,
        "primary": plan.primary.name,
        "pairs": plan.pairs,
        "p_value": p_value,
        "digest_of": digest_of,
        "note": said,
        "software": SOFTWARE,
    }
    return append_record(probe, facts, lambda record: signer.sign(RECORD_TYPE, record))


def make_pack(probe: Path, name: str) -> Path:
    """The plan's pack as a folder, made anew with the stamps that its record has by now. Returns the folder."""
    with log_locked(probe):
        return _pack(probe, read_recorded(probe, name))


def _pack(probe: Path, recorded: RecordedPlan) -> Path:
    pack = probe / PLANS / recorded.plan.name / PACK
    log = read_log(probe / FILE)[: recorded.records[0].index + 1]
    write_pack(pack, recorded.plan, recorded.pairs, log, stamp_files(probe, log), read_object(probe / KEYS))
    return pack


def give_pack(probe: Path, name: str, to: Path, whom: str, signer: Signer, by: str) -> None:
    """Copy a plan's pack for somebody who is to ask the suspect; to whom it went is in the log before it is there.

    Raises UsageError where the plan was opened or given up.
    """
    with log_locked(probe):  # until it is copied: another one is made where this one was
        recorded = read_recorded(probe, name)
        if recorded.state in ("opened", "abandoned"):
            raise UsageError(
                f"The plan {name} is {recorded.state}: nobody needs to ask any more.", "Make another plan."
            )
        check_new(probe, to)
        pack = _pack(probe, recorded)
        note(probe, recorded.plan, "pack given", signer, by, said=whom)
        copy_folder(pack, to)


def check_new(probe: Path, to: Path) -> None:
    """Raises UsageError where a copy for somebody would be written over something, or into what is copied."""
    if to.exists():
        raise UsageError(f"{to} is there already.", "Name a folder that is not.")
    if any(to.resolve().is_relative_to((probe / name).resolve()) for name in (PLANS, BUNDLES)):
        raise UsageError(f"{to} is among the plans and bundles of {probe}.", "Name a folder elsewhere.")


def abandon(probe: Path, name: str, reason: str, signer: Signer, by: str) -> None:
    """Give up a plan that was not opened. It stays in the log; if answers had come, its pairs are spent.

    Raises UsageError for a plan that was opened, or given up before.
    """
    with log_locked(probe):
        recorded = read_recorded(probe, name)
        if recorded.state in ("opened", "abandoned"):
            raise UsageError(f"The plan {name} is {recorded.state} already.")
        if recorded.state == "answered":
            mark_spent(probe, recorded.plan.digest, SystemClock().now_us(), recorded.pairs)
        note(probe, recorded.plan, "abandoned", signer, by, said=reason)
