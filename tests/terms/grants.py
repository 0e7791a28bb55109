"""A grant as a run keeps it, of terms that nobody has."""

from __future__ import annotations

from stillroom.terms.conditions import Conditions
from stillroom.terms.grants import Grant, GrantedTerms

GRANT = Grant(
    terms="oracle-api",
    by=("ledger",),
    entries=(
        GrantedTerms(
            id="oracle-api",
            by="ledger",
            name="<b>The oracle's terms</b>",
            outputs_may_train="conditions",
            conditions=Conditions(name_must_begin_with="Oracle", not_for=("spells",)),
            source="https://oracle.example/terms",
            document_date="version 2",
            read_on="2026-11-26",
        ),
    ),
)
