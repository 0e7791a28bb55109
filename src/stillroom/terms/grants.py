"""What a run was granted: why a teacher's replies may train a student, kept with whatever comes of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from stillroom.base.errors import StoreError
from stillroom.base.validation import first_problem
from stillroom.store.files import read_json, write_json
from stillroom.terms.conditions import Conditions
from stillroom.terms.ledger import OutputsMayTrain, join_terms
from stillroom.terms.permissions import Permission

GRANT = "grant.json"
"""In a run's folder, and in its data set: what the run was granted."""
VERSION = 1
PERMIT = "permit"
"""Among the terms of rows, by the side of ids: that a permit granted them."""
GrantedBy = Literal["own", "ledger", "permission", "permit"]


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class GrantedTerms(_Kept):
    """What one entry said when the grant was given, or what took its place."""

    id: str
    by: Literal["own", "ledger", "permission"]
    name: str | None = None
    """None: the ledger has no such entry."""
    outputs_may_train: OutputsMayTrain
    """What the ledger says, whatever a permission allows."""
    conditions: Conditions = Conditions()
    source: str | None = None
    document_date: str | None = None
    read_on: str | None = None
    permission: Permission | None = None


class GrantedPermit(_Kept):
    """What the owner's permit says. Its signature is checked where the keys are: by the gateway, and by `verify`."""

    id: str
    owner: str
    student: str
    purpose: str
    models: tuple[str, ...]
    not_before: int
    expires: int
    """Seconds since 1970, both."""
    conditions: tuple[str, ...] = ()


class Grant(_Kept):
    """Why a teacher's replies may train a student, and on what conditions."""

    grant_version: int = VERSION
    terms: str | None
    """Ids, as the recipe has them; None where a permit says it all."""
    by: tuple[GrantedBy, ...]
    """Every kind that it rests on."""
    entries: tuple[GrantedTerms, ...] = ()
    permits: tuple[GrantedPermit, ...] = ()
    """All that the run has asked under."""

    @property
    def terms_id(self) -> str:
        """What each row under this grant is marked with."""
        return join_terms([*filter(None, [self.terms]), *([PERMIT] if self.permits else [])])

    def conditions(self) -> Iterator[tuple[str, Conditions]]:
        """With whose they are: an entry's id, or a permit's. Those that ask nothing are left out."""
        for each in self.entries:
            if each.permission is not None:
                yield each.id, Conditions(others=(f"whatever the written permission of {each.permission.by} asks",))
            elif not each.conditions.is_empty:
                yield each.id, each.conditions
        for permit in self.permits:
            yield f"{PERMIT} {permit.id}", Conditions(name_must_be=permit.student, others=permit.conditions)

    def in_words(self) -> Iterator[str]:
        """A sentence for each thing that it rests on. Names in it are other people's text."""
        for each in self.entries:
            dated = f", {each.document_date}" if each.document_date else ""
            if each.by == "own":
                yield "The recipe calls the teacher the maker's own model (own). Nobody checked that."
            elif each.permission is not None:
                given = each.permission
                yield (
                    f"{given.by} gave a written permission for {each.id}: {given.document}, "
                    f"recorded on {given.recorded_at:%Y-%m-%d}, {given.digest}."
                )
            else:
                yield f"{each.name}{dated} (entry {each.id} of the ledger, read on {each.read_on}): {each.source}"
        for permit in self.permits:
            yield f"Permit {permit.id} of {permit.owner}, for {permit.purpose}, for a student called {permit.student}."


def keep_grant(folder: Path, grant: Grant) -> None:
    """Write grant.json into a run's folder, unless it says the same. Permits that the run asked under before stay."""
    before = read_grant(folder)
    permits = (*before.permits, *grant.permits) if before is not None else grant.permits
    by = (*grant.by, PERMIT) if permits else grant.by
    grant = grant.model_copy(update={"permits": tuple(dict.fromkeys(permits)), "by": tuple(dict.fromkeys(by))})
    path, value = folder / GRANT, grant.model_dump(mode="json")
    if not path.is_file() or read_json(path) != value:
        write_json(path, value)


def read_grant(folder: Path) -> Grant | None:
    """What the run in `folder` was granted; None where it was made before grants were kept. Raises StoreError."""
    path = folder / GRANT
    if not path.is_file():
        return None
    try:
        return Grant.model_validate(read_json(path))
    except ValidationError as error:
        raise StoreError(
            f"{path} is not what stillroom writes: {first_problem(error)}.", "Delete it, and run stillroom ask again."
        ) from error
