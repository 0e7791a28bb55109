"""Whether anything lets a teacher's replies train another model: looked at before the first call."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from stillroom.base.errors import RecipeError, TermsError
from stillroom.terms.conditions import Conditions
from stillroom.terms.grants import Grant, GrantedBy, GrantedPermit, GrantedTerms
from stillroom.terms.ledger import (
    OWN,
    STRICTNESS,
    Entry,
    entry_of_host,
    join_terms,
    read_ledger,
    split_terms,
)
from stillroom.terms.permissions import Permission

if TYPE_CHECKING:
    from stillroom.base.permit import Permit

_WAYS = (
    "Write terms: own for a model of yours, terms: ENTRY for one whose licence or API stillroom terms list names, or "
    "permit: FILE with the permit of its owner. stillroom terms allow records a written permission."
)


def grant_of(
    terms: str | None, *, model: str, hosts: Sequence[str], permissions: Sequence[Permission], permit: Permit | None
) -> Grant:
    """What lets the replies of `model`, asked at `hosts`, train a student.

    `terms` are ids of the ledger, `own`, or several joined by `+`: each of them has to grant it, so that the strictest
    stands. A permission of the user's takes the place of what its entry says; `permit` is the owner's, and does where
    no terms are named. `host` is None where the run serves the model itself.

    Raises RecipeError where nothing is said or an id is not known, TermsError where what is said grants nothing.
    """
    ids = split_terms(terms or "")
    if not ids and permit is None:
        what = f"teacher.terms is missing: nothing says what lets the replies of {model} train another model."
        raise RecipeError(f"{what}{_hint(hosts)}", _WAYS)
    recorded = {each.terms: each for each in permissions}  # a later one takes an earlier one's place
    for host in hosts:
        _refuse_another_owner(ids, host)
    entries = tuple(_granted(each, recorded) for each in ids)
    if permit is None:
        _refuse_without_the_models_own(ids, recorded)
    kinds: list[GrantedBy] = [each.by for each in entries]
    if permit is not None:
        kinds.append("permit")
    return Grant(
        terms=join_terms(ids) or None,
        by=tuple(dict.fromkeys(kinds)),
        entries=entries,
        permits=(_as_granted(permit),) if permit is not None else (),
    )


def _granted(terms_id: str, recorded: Mapping[str, Permission]) -> GrantedTerms:
    if terms_id == OWN:
        return GrantedTerms(id=OWN, by="own", outputs_may_train="allowed")
    entry, permission = read_ledger().get(terms_id), recorded.get(terms_id)
    if entry is None:
        if permission is None:
            raise RecipeError(f"The ledger of terms has no entry {terms_id}.", not_in_the_ledger(terms_id))
        return GrantedTerms(id=terms_id, by="permission", outputs_may_train="unknown", permission=permission)
    if permission is not None:
        return GrantedTerms(
            id=entry.id,
            by="permission",
            name=entry.name,
            outputs_may_train=entry.outputs_may_train,
            source=entry.source,
            document_date=entry.document_date,
            read_on=entry.read_on.isoformat() if entry.read_on else None,
            permission=permission,
        )
    if STRICTNESS[entry.outputs_may_train] > STRICTNESS["conditions"]:
        raise _refused(entry)
    return GrantedTerms(
        id=entry.id,
        by="ledger",
        name=entry.name,
        outputs_may_train=entry.outputs_may_train,
        conditions=entry.conditions,
        source=entry.source,
        document_date=entry.document_date,
        read_on=entry.read_on.isoformat() if entry.read_on else None,
    )


def _refused(entry: Entry) -> TermsError:
    allow = f"If you have a written permission, record it: stillroom terms allow {entry.id} --document FILE --by NAME."
    if entry.outputs_may_train == "forbidden":
        dated = f" ({entry.document_date})" if entry.document_date else ""
        what = f"{entry.name}{dated}, entry {entry.id}, forbids that its outputs train another model. {entry.why}"
        return TermsError(what, f"Ask another teacher. {allow}")
    what = f"Whether outputs under {entry.name}, entry {entry.id}, may train another model is not known. {entry.why}"
    return TermsError(what, f"{f'Read it at {entry.source}' if entry.source else 'Read it'}. {allow}")


def _refuse_another_owner(ids: Sequence[str], host: str) -> None:
    """Raises RecipeError where an API of the ledger is asked, and its terms are not among those that are named."""
    entry = entry_of_host(host)
    if entry is None or entry.id in ids:
        return
    named = f"teacher.terms is {join_terms(list(ids))}" if ids else "teacher.terms is missing"
    what = f"{named}, but {host} is asked under {entry.name}, the entry {entry.id}."
    others = [each for each in ids if each != OWN]
    raise RecipeError(what, f"Write terms: {join_terms([entry.id, *others])}.")


def _refuse_without_the_models_own(ids: Sequence[str], recorded: Mapping[str, Permission]) -> None:
    """Raises RecipeError where a provider serves models of others, and nobody named the model's licence."""
    ledger = read_ledger()
    passing = [each for each in ids if each in ledger and ledger[each].model_terms_apply and each not in recorded]
    if passing and len(ids) == len(passing):
        entry = ledger[passing[0]]
        what = (
            f"Under {entry.name}, entry {entry.id}, the terms of the model itself decide, and teacher.terms names none."
        )
        raise RecipeError(what, f"Write both, for example terms: {join_terms([entry.id, 'apache-2.0'])}.")


def _as_granted(permit: Permit) -> GrantedPermit:
    return GrantedPermit(
        id=permit.jti,
        owner=permit.iss,
        student=permit.student,
        purpose=permit.purpose,
        models=permit.models,
        not_before=permit.nbf,
        expires=permit.exp,
        conditions=permit.conditions,
    )


def _hint(hosts: Sequence[str]) -> str:
    for host in hosts:
        entry = entry_of_host(host)
        if entry is not None:
            return f" The ledger has {entry.id} for {host}."
    return ""


def conditions_of(terms: str, grant: Grant | None) -> list[tuple[str, Conditions]] | None:
    """What rows under `terms` ask of a student: of `grant`, where that is what they came under, else of the ledger.

    Each with the id of the entry. None where an id is not known, or where its entry lets no model be trained.
    """
    if grant is not None and terms == grant.terms_id:
        return list(grant.conditions())
    found: list[tuple[str, Conditions]] = []
    for each in split_terms(terms):
        if each == OWN:
            continue
        entry = read_ledger().get(each)
        if entry is None or STRICTNESS[entry.outputs_may_train] > STRICTNESS["conditions"]:
            return None
        if not entry.conditions.is_empty:
            found.append((each, entry.conditions))
    return found


def not_in_the_ledger(terms_id: str) -> str:
    """What to do about an id that the ledger has not: its nearest entries, and how to record a permission."""
    near = difflib.get_close_matches(terms_id.lower(), [OWN, *read_ledger()], n=3, cutoff=0.5)
    meant = f"Did you mean {' or '.join(near)}? " if near else ""
    return (
        f"{meant}stillroom terms list names all of them. For terms that it has not, record the written permission: "
        f"stillroom terms allow {terms_id} --document FILE --by NAME."
    )
