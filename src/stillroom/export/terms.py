"""What goes along with an export: why the teacher's replies might be used, and what their terms ask."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stillroom.export.form import Binding
from stillroom.report.markdown import line
from stillroom.terms.grants import keep_grant

TERMS = "TERMS.md"
_HEAD = """\
# Terms

Why the teachers' replies might be used, and what their terms ask of this model. The documents themselves decide.
"""
UNSTATED = "Nobody said under which terms some of the rows came: find out before you give this away."


def conditions_in_json(binding: Binding) -> dict[str, Any]:
    """What export.json says of them."""
    return {
        "conditions": [
            {"terms": terms, **asked.model_dump(mode="json", exclude_defaults=True)}
            for terms, asked in binding.conditions
        ],
        "has_unstated_terms": binding.has_unstated,
    }


def terms_in_words(binding: Binding) -> Iterator[str]:
    """A paragraph or item of Markdown for each thing that is known; the words of others are escaped."""
    for words in binding.grant.in_words() if binding.grant else ():
        yield f"- {line(words)}"
    for terms, asked in binding.conditions:
        yield from (f"- Under {line(terms)}: {line(words)}." for words in asked.in_words())
    if binding.has_unstated:
        yield f"- {UNSTATED}"


def write_terms(folder: Path, binding: Binding) -> None:
    """Write grant.json beside a student, and TERMS.md where its teachers' terms ask anything or are not all known."""
    if binding.grant is not None:
        keep_grant(folder, binding.grant)
    if binding.conditions or binding.has_unstated:
        (folder / TERMS).write_text("\n".join([_HEAD, *terms_in_words(binding), ""]), encoding="utf-8")
