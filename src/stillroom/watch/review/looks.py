"""Who was shown how much of which banks a finding's accounts asked: it is written down before they are shown it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from stillroom.watch.banks.audit import record_look
from stillroom.watch.review.store import KeptFinding

REVIEWER = "reviewer"
"""The role of whoever has not proved to be the gateway's owner."""


def note_look(watch: Path, shown: Iterable[KeptFinding], *, by: str, role: str) -> None:
    """Write down that `by` is shown these findings, where accounts of them asked questions of banks.

    Raises UsageError where nobody is named, StoreError.
    """
    asked = {each.finding.id: {bank for member in each.members for bank in member.bank_questions} for each in shown}
    findings = sorted(name for name, banks in asked.items() if banks)
    if findings:
        record_look(watch, by=by, role=role, findings=findings, banks=sorted(set().union(*asked.values())))
