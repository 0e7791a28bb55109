"""Which licence the card of a data set may name: one that every source and the teacher's terms agree with."""

from __future__ import annotations

from collections.abc import Collection

from stillroom.report.licences import OWN, Licence, named


def licence_of(licences: Collection[str | None], terms: str | None, *, has_others: bool = False) -> Licence:
    """What the card may say, from the licences of all sources (None: not recorded) and the teacher's terms.

    `has_others`: whether there are rows of other teachers, read from elsewhere, whose terms are not recorded. A licence
    is named only where it is the only one and the teacher is the maker's own model. Nothing is made up: what is not
    known is `unknown`, and what differs or was not looked at is `other`.
    """
    if not licences or None in licences:
        return Licence("unknown", None, "The licence of some of the questions is not recorded.")
    if has_others:
        return Licence("unknown", None, "Some rows come from elsewhere, and their teachers' terms are not recorded.")
    if len(licences) > 1:
        return Licence("other", "several", "The questions come under different licences: see the table.")
    if terms is None:
        return Licence("unknown", None, "The recipe does not say what the teacher's terms are.")
    if terms != OWN:
        return Licence("other", "see-terms", "The teacher's terms apply beside the licence of the questions.")
    (only,) = licences
    assert only is not None
    return named(only, "All questions come under it, and the teacher is the maker's own model.")
