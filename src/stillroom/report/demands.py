"""What a teacher's terms demand of a student that learned from its replies."""

from __future__ import annotations

from dataclasses import dataclass

from stillroom.report.licences import OWN


@dataclass(frozen=True, slots=True)
class Demands:
    """None: nothing of that sort."""

    name_must_contain: str | None = None
    """What has to stand in the student's name."""
    licence: str | None = None
    """Under which the student has to be given away."""
    notice: str | None = None
    """A text that has to go with the student."""


@dataclass(frozen=True, slots=True)
class TermsOfRows:
    """The terms under which some of the rows came."""

    id: str | None
    """As the recipe or the rows name them; None: nobody does."""
    rows: int
    demands: Demands | None
    """None: not known here."""


def demands_of(terms: str | None) -> Demands | None:
    """Of terms by their id; None where nobody here knows them. A model of one's own demands nothing."""
    return Demands() if terms == OWN else None
