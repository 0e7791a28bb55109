"""What came in, what was kept and what was not: for check.json."""

from __future__ import annotations

from collections import Counter
from typing import Any

from stillroom.check.reasons import MAY_BE_WRONG, REASONS, SELECTED_AWAY

NO_FAMILY = "no family"
VERDICTS = ("right", "wrong", "unsure", "unverifiable")


class Tally:
    """Counts of some rows: of all, of one family or of one source."""

    def __init__(self) -> None:
        self.rows = 0
        self.rejected: Counter[str] = Counter()
        self.verdicts: Counter[str] = Counter()

    def add(self, reason: str | None, verdict: str | None) -> None:
        self.rows += 1
        if reason is not None:
            self.rejected[reason] += 1
        if verdict is not None:
            self.verdicts[verdict] += 1

    @property
    def kept(self) -> int:
        return self.rows - self.rejected.total()

    def report(self) -> dict[str, Any]:
        """`truncated` and `unsure` are shares: of all rows, and of those whose answer was judged."""
        judged = self.verdicts.total() - self.verdicts["unverifiable"]
        return {
            "rows": self.rows,
            "kept": self.kept,
            "rejected": {reason: self.rejected[reason] for reason in REASONS if self.rejected[reason]},
            "verdicts": {verdict: self.verdicts[verdict] for verdict in VERDICTS},
            "shares": {
                "truncated": self.rejected["truncated"] / self.rows if self.rows else None,
                "unsure": self.verdicts["unsure"] / judged if judged else None,
            },
        }


class Counts:
    def __init__(self) -> None:
        self.all = Tally()
        self.families: dict[str, Tally] = {}
        self.sources: dict[str, Tally] = {}
        self.licences: dict[str, set[str | None]] = {}
        self.files: dict[int, Tally] = {}
        """By their number in `check.mix`."""
        self.held_out = 0
        """Of the kept rows."""

    def add(
        self,
        reason: str | None,
        verdict: str | None,
        family: str | None,
        source: str,
        licence: str | None,
        mix: int | None,
    ) -> None:
        self.all.add(reason, verdict)
        self.families.setdefault(family or NO_FAMILY, Tally()).add(reason, verdict)
        self.sources.setdefault(source, Tally()).add(reason, verdict)
        self.licences.setdefault(source, set()).add(licence)
        if mix is not None:
            self.files.setdefault(mix, Tally()).add(reason, verdict)

    def report(self) -> dict[str, Any]:
        report = self.all.report()
        reasons = report["rejected"]
        return report | {
            "held_out": self.held_out,
            "why": {reason: REASONS[reason] for reason in reasons},
            "may_be_wrong": [reason for reason in MAY_BE_WRONG if reason in reasons],
            "selected_away": [reason for reason in SELECTED_AWAY if reason in reasons],
            "families": {name: tally.report() for name, tally in sorted(self.families.items())},
            "sources": {
                name: tally.report() | {"licences": sorted(self.licences[name], key=str)}
                for name, tally in sorted(self.sources.items())
            },
        }
