"""Which licence the card of a data set may name: one that every source and the teacher's terms agree with."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

OWN = "own"
"""The terms of a model that belongs to whoever makes the data set."""

_NAMES = """
afl-3.0 agpl-3.0 apache-2.0 artistic-2.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear bsl-1.0 c-uda cc cc0-1.0
cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0
cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cc-by-nd-4.0 cdla-permissive-1.0
cdla-permissive-2.0 cdla-sharing-1.0 ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2 gfdl gpl gpl-2.0 gpl-3.0
isc lgpl lgpl-2.1 lgpl-3.0 mit mpl-2.0 ms-pl ncsa odbl odc-by ofl-1.1 openrail osl-3.0 pddl postgresql unlicense
wtfpl zlib
"""
HUB_LICENCES = frozenset(_NAMES.split())
"""Names that the hub knows. Another one is `other` there, with its name beside it."""


@dataclass(frozen=True, slots=True)
class Licence:
    identifier: str
    """As the hub writes it; `other` and `unknown` are among its words."""
    name: str | None
    """Beside `other`: which one."""
    why: str
    """One sentence for the card."""


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
    identifier = only.strip().lower()
    why = "All questions come under it, and the teacher is the maker's own model."
    if identifier in HUB_LICENCES:
        return Licence(identifier, None, why)
    name = re.sub(r"[^a-z0-9.]+", "-", identifier).strip("-")[:60]
    return Licence("other", name or "not-named", f"{why} The hub has no name for it.")
