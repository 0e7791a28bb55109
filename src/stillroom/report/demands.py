"""What a teacher's terms demand of a student that learned from its replies."""

from __future__ import annotations

from dataclasses import dataclass

from stillroom.terms.conditions import Conditions
from stillroom.terms.granting import conditions_of
from stillroom.terms.grants import Grant


@dataclass(frozen=True, slots=True)
class TermsOfRows:
    """The terms under which some of the rows came."""

    id: str | None
    """As the recipe or the rows name them; None: nobody does."""
    rows: int
    demands: tuple[Conditions, ...] | None
    """Of each entry that asks something; None: not known here."""

    @property
    def licences(self) -> set[str]:
        """Those that have to be passed on, in small letters."""
        return {each.pass_licence_on.strip().lower() for each in self.demands or () if each.pass_licence_on}


def demands_of(terms: str | None, grant: Grant | None) -> tuple[Conditions, ...] | None:
    """Of terms by their ids, as the run was granted them, else as the ledger has them; None where it knows them not.

    A model of one's own demands nothing.
    """
    found = conditions_of(terms, grant) if terms is not None else None
    return None if found is None else tuple(asked for _, asked in found)
