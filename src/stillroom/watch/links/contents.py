"""What sets of organisations ask in common: a known bank's questions, or one template filled again and again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.sparse import csr_matrix

from stillroom.watch.links.population import Integers, Population

_FEWEST_OF_BANK = 2
"""Different questions of a bank below which an organisation is not counted among those that ask it."""
_FEWEST_FILLS = 50
"""Different prompts of a template, all organisations together, below which it is not looked at."""


@dataclass(frozen=True, slots=True)
class Content:
    """M are the organisations that ask it, in ascending order; Q the questions of a bank."""

    kind: Literal["bank", "template"]
    name: str
    """The bank's, or the template's print."""
    members: Integers
    questions_M: Integers
    """Different ones that each asked: of the bank, or fills of the template."""
    calls_M: Integers
    asked_MQ: csr_matrix | None
    """Calls by question; None for a template, whose range nobody knows."""
    everyone: int
    """How many organisations ask it, these and the others."""

    def of(self, chosen: Integers) -> Content:
        """The part of the organisations with these numbers."""
        rows = np.flatnonzero(np.isin(self.members, chosen))
        asked = None if self.asked_MQ is None else self.asked_MQ[rows]
        return Content(
            kind=self.kind,
            name=self.name,
            members=self.members[rows],
            questions_M=self.questions_M[rows],
            calls_M=self.calls_M[rows],
            asked_MQ=asked,
            everyone=self.everyone,
        )

    @property
    def questions(self) -> int:
        """Different ones that were asked by all together. Fills of different organisations are taken as different."""
        if self.asked_MQ is None:
            return int(self.questions_M.sum())
        return len(np.unique(self.asked_MQ.indices))

    @property
    def coverage(self) -> float | None:
        """The share of the bank that was asked; None for a template."""
        return None if self.asked_MQ is None else self.questions / self.asked_MQ.shape[1]

    @property
    def largest_share(self) -> float:
        """How much of what all asked together one organisation alone asked, 0 to 1."""
        return float(self.questions_M.max(initial=0)) / max(self.questions, 1)


def contents(population: Population) -> Iterator[Content]:
    """All that two organisations or more ask in common."""
    for name, asked_OQ in population.banks.items():
        different = np.diff(asked_OQ.indptr)
        members = np.flatnonzero(different >= _FEWEST_OF_BANK)
        if len(members) >= 2:
            asked_MQ = asked_OQ[members]
            calls = np.asarray(asked_MQ.sum(axis=1)).ravel()
            yield Content("bank", name, members, different[members], calls, asked_MQ, len(members))
    templates = population.templates
    fills = np.add.reduceat(templates.prompts_R, templates.first_row_V[:-1]) if len(templates.prints) else np.array([])
    holders = np.diff(templates.first_row_V)
    for template in np.flatnonzero((holders >= 2) & (fills >= _FEWEST_FILLS)):
        rows = slice(templates.first_row_V[template], templates.first_row_V[template + 1])
        yield Content(
            "template",
            str(templates.prints[int(template)]),
            templates.organisation_R[rows],
            templates.prompts_R[rows],
            templates.calls_R[rows],
            None,
            int(holders[template]),
        )
