"""What a verifier says."""

from __future__ import annotations

from dataclasses import dataclass

from stillroom.base.records import Verdict


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, why, and what was taken for the answer.

    `unsure` is a verdict that could not be reached; it never counts as right. `unverifiable` means that there is
    nothing to verify with. `reason` is one phrase for a person. `extracted` is the part of the answer that was judged,
    None where none was found.
    """

    verdict: Verdict
    reason: str
    extracted: str | None = None
