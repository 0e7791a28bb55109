"""The README of an exported data set, from `readme.md.j2` and the part that each form has of its own."""

from __future__ import annotations

from functools import cache
from importlib import resources
from pathlib import Path

import yaml
from jinja2 import Environment, FunctionLoader, StrictUndefined

from stillroom.export.conversation import REASONS
from stillroom.export.form import Form, Written
from stillroom.export.terms import terms_in_words
from stillroom.text.code_span import code_span

OWN = "own"
"""What a recipe says of the terms of a model of the maker's own."""


def write_readme(path: Path, form: Form, written: Written) -> None:
    counts = written.splits.values()
    text = (
        _environment()
        .get_template("readme.md.j2")
        .render(
            written=written,
            form=form,
            terms=terms_line(written.about.teacher, written.about.terms),
            more_terms=list(terms_in_words(written.about.binding)),
            lines=sum(each.lines for each in counts),
            plain=sum(each.without_reasoning for each in counts),
            several=any(each.lines > each.written for each in counts),
            reasons=REASONS,
            left_out=[
                (split, *reason) for split, each in written.splits.items() for reason in each.left_out.most_common()
            ],
        )
    )
    head = form.head(written)
    before = f"---\n{yaml.safe_dump(dict(head), sort_keys=False, allow_unicode=True)}---\n\n" if head else ""
    path.write_text(before + text, encoding="utf-8")


def terms_line(teacher: str | None, terms: str | None) -> str:
    """A sentence on the terms under which the teacher's replies may be used."""
    name = "The teacher's name is not recorded" if teacher is None else f"The teacher is {code_span(teacher)}"
    if terms is None:
        return f"{name}, and the recipe does not say under which terms its replies may be used: find out first."
    if terms == OWN:
        return f"{name}, a model of the maker's own, as the recipe says."
    return f"{name}; its terms, as the recipe states them: {code_span(terms)}."


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(lambda name: resources.files("stillroom.export").joinpath(name).read_text("utf-8")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"code": code_span, "number": lambda number: f"{number:,}"}
    return environment
