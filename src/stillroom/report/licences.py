"""A licence as the Hugging Face hub writes it in the head of a card."""

from __future__ import annotations

import re
from dataclasses import dataclass

OWN = "own"
"""The terms of a model that belongs to whoever uses it."""

_NAMES = """
afl-3.0 agpl-3.0 apache-2.0 artistic-2.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear bsl-1.0 c-uda cc cc0-1.0
cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0
cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cc-by-nd-4.0 cdla-permissive-1.0
cdla-permissive-2.0 cdla-sharing-1.0 ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2 gfdl gpl gpl-2.0 gpl-3.0
isc lgpl lgpl-2.1 lgpl-3.0 mit mpl-2.0 ms-pl ncsa odbl odc-by ofl-1.1 openrail osl-3.0 pddl postgresql unlicense
wtfpl zlib
apple-ascl bigcode-openrail-m bigscience-bloom-rail-1.0 bigscience-openrail-m creativeml-openrail-m gemma llama2 llama3
llama3.1 llama3.2 llama3.3 llama4 openrail++
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


def named(licence: str, why: str) -> Licence:
    """The licence by the hub's own name for it, or as `other` where the hub has none."""
    identifier = licence.strip().lower()
    if identifier in HUB_LICENCES:
        return Licence(identifier, None, why)
    name = re.sub(r"[^a-z0-9.]+", "-", identifier).strip("-")[:60]
    return Licence("other", name or "not-named", f"{why} The hub has no name for it.")
