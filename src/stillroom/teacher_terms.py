"""The teacher's terms of a run: a grant before the first call, and what has to hold before a student is given away."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from urllib.parse import urlsplit

from stillroom.base.errors import StillroomError, TermsError, UsageError
from stillroom.client.permit_file import load_permit
from stillroom.export.form import Binding
from stillroom.model_lineage import teachers_of
from stillroom.recipe import CLASSROOM, Recipe
from stillroom.report.lineage import LINEAGE, Lineage
from stillroom.report.run_files import read_stage_file
from stillroom.terms.conditions import Conditions
from stillroom.terms.granting import conditions_of, grant_of
from stillroom.terms.grants import Grant, read_grant
from stillroom.terms.ledger import OWN
from stillroom.terms.permissions import permissions_file, read_permissions

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9. _-]{0,95}")


def require_grant(recipe: Recipe) -> Grant:
    """What lets the replies of the recipe's teacher train a student, looked at before it is asked anything.

    Raises RecipeError where the recipe names nothing, or nothing that is known; TermsError where what it names grants
    nothing; DataError for a damaged file of permissions.
    """
    teacher = recipe.teacher
    assert teacher is not None
    refuse_mixed(recipe)
    is_embedded = teacher.base_url == CLASSROOM
    addresses = teacher.addresses if teacher.base_url and not is_embedded else ()
    return grant_of(
        teacher.terms or (OWN if is_embedded else None),
        model=teacher.model,
        hosts=[urlsplit(address).hostname or "" for address in addresses],
        permissions=read_permissions(permissions_file()),
        permit=load_permit(Path(teacher.permit))[1] if teacher.permit is not None else None,
    )


def refuse_mixed(recipe: Recipe) -> None:
    """Raises TermsError where a file that is mixed in is under terms that let no model be trained on it."""
    for file in recipe.check.mix:
        if file.terms is not None:
            _granted_now(file.terms, f"The rows of {Path(file.path).name}")


def binding_of_dataset(run_folder: Path, recipe: Recipe) -> Binding:
    """What the terms of all rows of the run's data set ask.

    Raises TermsError where terms of some rows let no model be trained, StoreError for a damaged file.
    """
    named = [teacher.terms for teacher in teachers_of(run_folder, recipe)]
    return _binding(named, read_grant(run_folder))


def binding_of_student(run_folder: Path, recipe: Recipe) -> Binding:
    """What the terms of all rows that the run's student learned from ask. Raises as `binding_of_dataset` does."""
    assert recipe.train is not None
    lineage = read_stage_file(run_folder / "train" / recipe.train.method / LINEAGE, Lineage)
    grant = read_grant(run_folder)
    if lineage is not None:
        return _binding([teacher.terms for teacher in lineage.teachers], lineage.grant or grant)
    stated = recipe.teacher.terms if recipe.teacher else None
    return _binding([grant.terms_id if grant else stated], grant)


def refuse_name(name: str, binding: Binding, run: str, to: str) -> None:
    """Raises TermsError where a student must not be given away under this name, UsageError where it is no name."""
    if not _NAME.fullmatch(name):
        what = f"{name!r} is no name for a student."
        raise UsageError(
            what, "A name is up to 96 letters, digits, spaces and . _ -, and begins with a letter or digit."
        )
    for terms, asked in binding.conditions:
        for unmet in asked.unmet_by(name):
            better = _better_name(name, binding)
            raise TermsError(
                f"The name {name} {unmet}: that is what {terms} asks of a student that learned from such replies.",
                f"Run: stillroom export {run} --to {to} --name {shlex.quote(better)}"
                if better is not None
                else "No name does what all of the terms ask: train on rows of fewer teachers.",
            )


def _better_name(name: str, binding: Binding) -> str | None:
    for _, each in binding.conditions:
        name = each.suggested_name(name)
    is_unmet = any(any(each.unmet_by(name)) for _, each in binding.conditions)
    return None if is_unmet or not _NAME.fullmatch(name) else name


def _binding(named: list[str | None], grant: Grant | None) -> Binding:
    conditions: list[tuple[str, Conditions]] = []
    for terms in dict.fromkeys(each for each in named if each is not None):
        found = conditions_of(terms, grant)
        if found is None:
            found = list(_granted_now(terms, "Some of the rows").conditions())
        conditions += [each for each in found if each not in conditions]
    return Binding(grant=grant, conditions=tuple(conditions), has_unstated=None in named)


def _granted_now(terms: str, what: str) -> Grant:
    """By the ledger, or a permission that the user has: `what` came without anybody asking."""
    try:
        return grant_of(terms, model="", hosts=(), permissions=read_permissions(permissions_file()), permit=None)
    except StillroomError as error:
        raise TermsError(f"{what} are under {terms}. {error.what}", error.remedy) from error
