"""What grants that a teacher's replies train a student, and what does not, with what to do about it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from stillroom.base.errors import RecipeError, StillroomError, TermsError
from stillroom.base.permit import Permit
from stillroom.terms.granting import conditions_of, grant_of
from stillroom.terms.grants import Grant
from stillroom.terms.ledger import read_ledger
from stillroom.terms.permissions import Permission

PERMIT = Permit(
    v=1,
    jti="permit-1",
    iss="https://oracle.example",
    iat=0,
    nbf=0,
    exp=2_000_000_000,
    organisation="Some School",
    accounts=("0" * 32,),
    models=("oracle-1",),
    purpose="teaching",
    calls=None,
    tokens=None,
    student="oracle-mini",
    conditions=("not for spells",),
)


def permission(terms: str, by: str = "Jane Doe") -> Permission:
    at = datetime(2026, 11, 26, tzinfo=UTC)
    return Permission(terms=terms, by=by, document="letter.pdf", digest=f"sha256:{'0' * 64}", recorded_at=at)


def granted(
    terms: str | None,
    *,
    hosts: Sequence[str] = (),
    permissions: Sequence[Permission] = (),
    permit: Permit | None = None,
) -> Grant:
    return grant_of(terms, model="oracle-1", hosts=hosts, permissions=permissions, permit=permit)


@pytest.mark.parametrize(
    ("terms", "ids", "conditions"),
    [
        ("own", "own", []),
        ("apache-2.0", "apache-2.0", []),
        ("llama-3.1", "llama-3.1", ["llama-3.1"]),
        ("apache-2.0 +llama-3.1+ gemma", "apache-2.0 + llama-3.1 + gemma", ["llama-3.1", "gemma"]),
        ("together + llama-3.3", "together + llama-3.3", ["together", "llama-3.3"]),
    ],
)
def test_what_grants(terms: str, ids: str, conditions: list[str]) -> None:
    grant = granted(terms)
    assert grant.terms == grant.terms_id == ids
    assert set(conditions) - {"together"} == {each for each, _ in grant.conditions()} - {"together"}
    assert len(list(grant.in_words())) == len(ids.split(" + "))


@pytest.mark.parametrize(
    ("terms", "error", "what", "remedy"),
    [
        (None, RecipeError, "teacher.terms is missing", "terms: own .* terms: ENTRY .* permit: FILE .*terms allow"),
        (" ", RecipeError, "teacher.terms is missing", "terms: own"),
        ("lama-3.1", RecipeError, "has no entry lama-3.1", "Did you mean llama-3.1.*terms allow lama-3.1 --document"),
        ("Own", RecipeError, "has no entry Own", "Did you mean own"),
        ("llama-2", TermsError, "llama-2, forbids", "Ask another teacher.*terms allow llama-2 --document FILE --by"),
        ("openai-api", TermsError, "openai-api, forbids", "terms allow openai-api"),
        ("cohere-api", TermsError, "is not known", "terms allow cohere-api"),
        ("apache-2.0 + openai-api", TermsError, "openai-api, forbids", "Ask another teacher"),
        ("own + llama-2", TermsError, "llama-2, forbids", "Ask another teacher"),
        ("together", RecipeError, "the terms of the model itself decide", r"terms: together \+ apache-2.0"),
        ("together + openrouter", RecipeError, "the terms of the model itself decide", "Write both"),
    ],
)
def test_what_grants_nothing(terms: str | None, error: type[StillroomError], what: str, remedy: str) -> None:
    with pytest.raises(error, match=what) as caught:
        granted(terms)
    assert re.search(remedy, caught.value.remedy)


@pytest.mark.parametrize(
    ("terms", "hosts", "remedy"),
    [
        ("own", ["api.openai.com"], "Write terms: openai-api."),
        ("apache-2.0", ["api.together.xyz"], "Write terms: together + apache-2.0."),
        ("own", ["127.0.0.1", "eu.api.mistral.ai"], "Write terms: mistral-api."),
    ],
)
def test_an_api_of_the_ledger_is_not_asked_under_other_terms(terms: str, hosts: list[str], remedy: str) -> None:
    with pytest.raises(RecipeError, match="is asked under") as caught:
        granted(terms, hosts=hosts)
    assert caught.value.remedy == remedy


def test_the_host_says_which_terms_are_missing() -> None:
    with pytest.raises(RecipeError, match=r"The ledger has deepseek-api for api\.deepseek\.com"):
        granted(None, hosts=["api.deepseek.com"])
    assert granted("deepseek-api", hosts=["api.deepseek.com"]).by == ("ledger",)


@pytest.mark.parametrize("terms", ["openai-api", "cohere-api", "our-contract-7", "together"])
def test_a_written_permission_takes_the_place_of_an_entry(terms: str) -> None:
    grant = granted(terms, permissions=[permission(terms, "Old Name"), permission("mit"), permission(terms)])
    assert grant.by == ("permission",)
    (said,) = grant.in_words()
    assert said.startswith(f"Jane Doe gave a written permission for {terms}: letter.pdf, recorded on 2026-11-26")
    ((_, asked),) = grant.conditions()
    assert list(asked.in_words()) == ["whatever the written permission of Jane Doe asks"]
    entry = read_ledger().get(terms)
    assert grant.entries[0].read_on == (None if entry is None or entry.read_on is None else str(entry.read_on))


def test_a_permission_for_other_terms_does_not_help() -> None:
    with pytest.raises(TermsError):
        granted("openai-api + llama-2", permissions=[permission("openai-api")])


def test_a_permit_grants_where_no_terms_are_named() -> None:
    grant = granted(None, permit=PERMIT)
    assert (grant.terms, grant.terms_id, grant.by) == (None, "permit", ("permit",))
    ((whose, asked),) = grant.conditions()
    assert (whose, list(asked.in_words())) == ("permit permit-1", ["its name is oracle-mini", "not for spells"])
    both = granted("llama-3.1", permit=PERMIT)
    assert both.terms_id == "llama-3.1 + permit"
    assert [each for each, _ in both.conditions()] == ["llama-3.1", "permit permit-1"]
    assert granted("together", permit=PERMIT).by == ("ledger", "permit")


def test_a_permit_does_not_lift_terms_that_forbid() -> None:
    with pytest.raises(TermsError):
        granted("llama-2", permit=PERMIT)


def test_the_conditions_of_rows() -> None:
    assert conditions_of("own", None) == []
    assert conditions_of("apache-2.0", None) == []
    assert [each for each, _ in conditions_of("own + llama-3.1", None) or []] == ["llama-3.1"]
    assert conditions_of("llama-2", None) is None
    assert conditions_of("our-contract-7", None) is None
    grant = granted("our-contract-7", permissions=[permission("our-contract-7")])
    assert [each for each, _ in conditions_of("our-contract-7", grant) or []] == ["our-contract-7"]
    assert conditions_of("llama-2", grant) is None
