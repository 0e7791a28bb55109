"""By when the calls of a test stood in the log: by an authority's time stamp, or by the owner's word alone.

Who holds the gateway's keys could write a whole log, coins included, once he has seen the suspect. A stamp of an
authority outside (RFC 3161) that is older than the suspect is what he could not have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from stillroom.base.canonical import digest
from stillroom.base.errors import DataError
from stillroom.probe.logged_call import LoggedCall

if TYPE_CHECKING:
    from cryptography.x509 import Certificate


@dataclass(frozen=True, slots=True)
class LogTimes:
    calls: int
    stamped: int
    """How many of them stood in the log by a time stamp."""
    latest: datetime | None
    """By when all of these stood there; None where there are none."""
    problems: tuple[str, ...]
    """What is wrong with stamps, a sentence each."""

    @property
    def sentence(self) -> str:
        """What a reader is told, where no stamp is wrong."""
        if self.latest is None:
            return "No record of the call log is time-stamped: when its rows were written is the owner's word."
        by = f"by {self.latest.astimezone(UTC):%Y-%m-%d %H:%M} UTC, says an authority outside"
        if self.stamped == self.calls:
            return f"All rows of the call log stood there {by}."
        some = f"{self.stamped:,} of {self.calls:,} rows of the call log stood there {by}"
        return f"{some}; when the others did is the owner's word."


def log_times(calls: Sequence[LoggedCall], roots: Sequence[Certificate] | None) -> LogTimes:
    """`roots`: certificates that stamps have to trace back to; None: whose they are is not looked at."""
    times: dict[str, datetime] = {}
    problems: dict[str, str] = {}
    stamped = 0
    for call in calls:
        if call.stamp is None:
            continue
        record = digest(call.record)
        if record not in times and record not in problems:
            try:
                times[record] = call.stamp.at(call.record, roots)
            except DataError as error:
                problems[record] = f"Of the call {call.call_id}: {error.what}"
        stamped += record in times
    return LogTimes(len(calls), stamped, max(times.values(), default=None), tuple(problems.values()))
