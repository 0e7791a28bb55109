"""May the student ship? Whether it is called better than its base, by a rule that was fixed before it was asked.

Better is a student that gains where it is to gain, and is shown to have kept what it is to keep. It gains where the
paired test says so, corrected by Holm's rule for all such sets. A set is kept where the whole 95 % interval of student
minus base lies above -margin: a test of non-inferiority at 2.5 %, which every kept set has to pass, so that the chance
of letting a loss through is not raised by there being several (Berger 1982, Technometrics 24: 295-300).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from stillroom.exam.settings import ExamSettings
from stillroom.exam.statistics import ALPHA, holm
from stillroom.report.words import points_between
from stillroom.text.counted import listed

STUDENT, BASE = "student", "base"

Outcome = Literal["gained", "kept", "lost", "not_shown", "calls_failed"]
Verdict = Literal["better", "not_better", "lost", "undecided"]


@dataclass(frozen=True, slots=True)
class SetOutcome:
    """Student against base on one set. `difference` is the student's accuracy minus the base's; None: not compared."""

    name: str | None
    keep: bool
    outcome: Outcome
    n: int
    difference: float | None
    low: float | None
    high: float | None
    p_value: float | None
    p_holm: float | None
    """Corrected for the sets that are to gain; None for those that are to be kept."""

    @property
    def said(self) -> str:
        """The set, and the difference on it."""
        name = self.name or "the questions"
        if self.difference is None or self.low is None or self.high is None:
            return name
        return f"{name}: {points_between(self.difference, self.low, self.high)}"


def ship(results: Mapping[str, Any], settings: ExamSettings) -> dict[str, Any] | None:
    """The verdict on the student, from what exam.json holds of takers, comparisons and sets; None without a student."""
    if STUDENT not in results["takers"]:
        return None
    if BASE not in results["takers"]:
        why = "The base was not examined, so nobody knows whether the student gained: add base to exam.compare."
        return {"verdict": "undecided", "why": why, "margin": settings.margin, "sets": []}
    found = _outcomes(results, settings)
    verdict = verdict_of(found)
    return {
        "verdict": verdict,
        "why": _why(verdict, found, settings.margin),
        "margin": settings.margin,
        "sets": [asdict(each) for each in found],
    }


def verdict_of(found: Sequence[SetOutcome]) -> Verdict:
    """From the outcomes on all sets, of which at least one is to gain."""
    outcomes = {each.outcome for each in found}
    if "lost" in outcomes:
        return "lost"
    if "calls_failed" in outcomes:
        return "undecided"
    if "gained" not in outcomes:
        return "not_better"
    return "better" if all(each.outcome == "kept" for each in found if each.keep) else "undecided"


def _outcomes(results: Mapping[str, Any], settings: ExamSettings) -> list[SetOutcome]:
    parts: list[tuple[str | None, bool, Mapping[str, Any]]] = [
        (each.name, each.keep, results["sets"][each.name]) for each in settings.sets
    ]
    parts = parts or [(None, False, results)]
    pairs = [_pair(part["comparisons"]) for _, _, part in parts]
    to_gain = [pair for (_, keep, _), pair in zip(parts, pairs, strict=True) if pair is not None and not keep]
    corrected = iter(holm([pair["p_value"] for pair in to_gain]))
    found = []
    for (name, keep, _), pair in zip(parts, pairs, strict=True):
        if pair is None:  # no question to which both replied
            found.append(SetOutcome(name, keep, "calls_failed", 0, None, None, None, None, None))
            continue
        p_holm = None if keep else next(corrected)
        outcome = _gained(pair, p_holm) if p_holm is not None else _kept(pair, settings.margin)
        if pair["left_out"] and outcome in ("gained", "kept"):
            outcome = "calls_failed"  # what they would have brought may be what speaks against it
        figures = (pair["difference"], pair["low"], pair["high"], pair["p_value"])
        found.append(SetOutcome(name, keep, outcome, pair["n"], *figures, p_holm))
    return found


def _pair(comparisons: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    return next((one for one in comparisons if (one["a"], one["b"]) == (STUDENT, BASE)), None)


def _gained(pair: Mapping[str, Any], p_holm: float) -> Outcome:
    if p_holm >= ALPHA or pair["difference"] == 0:
        return "not_shown"
    return "gained" if pair["difference"] > 0 else "lost"


def _kept(pair: Mapping[str, Any], margin: float) -> Outcome:
    if pair["low"] >= -margin:
        return "kept"
    return "lost" if pair["high"] < 0 else "not_shown"


def _why(verdict: Verdict, found: Sequence[SetOutcome], margin: float) -> str:
    """In sentences for a person, with the figures that the verdict rests on."""
    said = {
        "better": "The student is better than its base.",
        "not_better": "The student is not shown to be better than its base.",
        "lost": "The student is not called better than its base: it lost.",
        "undecided": "Whether the student is better than its base is undecided.",
    }
    return " ".join([said[verdict], *_reasons(found, margin)])


def _reasons(found: Sequence[SetOutcome], margin: float) -> Iterator[str]:
    allowed = f"a loss of {100 * margin:g} points"
    groups = (
        ("Lost on {}.", [each.said for each in found if each.outcome == "lost"]),
        ("Gained on {}.", [each.said for each in found if each.outcome == "gained"]),
        ("No gain is shown on {}.", [each.said for each in found if each.outcome == "not_shown" and not each.keep]),
        (
            f"It is not shown to have kept {{}}, where {allowed} would be allowed; more questions would tell.",
            [each.said for each in found if each.outcome == "not_shown" and each.keep],
        ),
        (f"Kept, where {allowed} is allowed: {{}}.", [each.said for each in found if each.outcome == "kept"]),
        (
            "Calls failed on {}: run the examination again.",
            [each.name or "the questions" for each in found if each.outcome == "calls_failed"],
        ),
    )
    for sentence, names in groups:
        if names:
            yield sentence.format(listed(names))
    if not any(each.keep for each in found) and any(each.outcome == "gained" for each in found):
        yield "Whether it lost anything else was not looked at: no set is marked keep."
