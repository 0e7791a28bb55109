"""What a verifier says."""

from __future__ import annotations

from dataclasses import dataclass, field

from stillroom.base.records import Verdict


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, why, and what was taken for the answer.

    `unsure` is a verdict that could not be reached; it never counts as right. `unverifiable` means that there is
    nothing to verify with. `reason` is one phrase for a person. `extracted` is the part of the answer that was judged,
    None where none was found. `seconds` is the time that judging took, waiting left out; two judgements that differ in
    it only are equal.
    """

    verdict: Verdict
    reason: str
    extracted: str | None = None
    seconds: float = field(default=0.0, compare=False)
