"""Forgetting an account: out of all counts, and out of findings and calibrations by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

import pyarrow.parquet as pq

from stillroom.base.errors import UsageError
from stillroom.watch.alarms import rename_alarmed
from stillroom.watch.banks.audit import FORGOTTEN, check_named, record_act
from stillroom.watch.calibration.kept import CalibrationFolder
from stillroom.watch.compaction import forget
from stillroom.watch.detectors import Calibrated
from stillroom.watch.engine import Engine
from stillroom.watch.folder import held
from stillroom.watch.parts import open_parts
from stillroom.watch.review.renaming import accounts_in_findings, rename
from stillroom.watch.run import keep_calibration, kept_calibration


@dataclass(frozen=True, slots=True)
class Forgotten:
    parts: int
    """Parts of the counts that it was taken out of."""
    findings: int
    """In which another name stands for it now."""
    organisation: bool
    """Whether its organisation, which had no other account, was given another name as well."""


def forget_account(engine: Engine, watch: Path, account: str, *, by: str, role: str, reason: str) -> Forgotten:
    """Take an account out of the counts, and put a random name for its own in findings and calibrations.

    So it is for its organisation, where no other account of it is known. That somebody was forgotten is written down
    first, and not who. A command that was killed on its way is finished by giving it again. Raises UsageError where
    nothing is known of the account, or nobody is named; StoreError.
    """
    check_named(by, role, reason)
    with held(watch):
        known = _in_counts(watch / "state") | accounts_in_findings(watch)
        own = {organisation for name, organisation in known if name == account}
        if not own:
            raise UsageError(f"Nothing is known of an account {account!r}.", "Give its id as it stands in the calls.")
        record_act(watch, FORGOTTEN, by=by, role=role, reason=reason)
        alone = own - {organisation for name, organisation in known if name != account} - {account}
        names = {name: f"forgotten_{token_hex(8)}" for name in (account, *sorted(alone))}
        findings = rename(watch, names)
        _rename_in_calibrations(watch, names)
        # Last: that its organisation has no other account is known from the counts.
        return Forgotten(forget(engine, watch / "state", account), findings, bool(alone))


def _in_counts(state: Path) -> set[tuple[str, str]]:
    """Each account with its organisation."""
    if not (state / "parts.sqlite3").exists():
        return set()
    pairs = set()
    with open_parts(state) as parts:
        for path in parts.paths("activity", parts.listed()):
            rows = pq.read_table(path, columns=["account", "organisation"]).group_by(["account", "organisation"])
            pairs |= {(row["account"], row["organisation"] or row["account"]) for row in rows.aggregate([]).to_pylist()}
    return pairs


def _rename_in_calibrations(watch: Path, names: Mapping[str, str]) -> None:
    for version in dict.fromkeys(step.version for step in CalibrationFolder(watch).steps()):
        kept = kept_calibration(watch, version)
        keep_calibration(
            watch,
            version,
            Calibrated(
                kept.standings.with_names(names), kept.account.with_names(names), kept.campaign.with_names(names)
            ),
        )
        rename_alarmed(watch, version, names)
