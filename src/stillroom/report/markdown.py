"""What a card (README.md) is made with, in the form of the Hugging Face hub: a YAML head, and Markdown below it.

Names come from files and models, and nobody vouches for them. In the text each stands in a code span, which no Markdown
and no HTML gets out of; the head is written by a YAML writer.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any

import yaml
from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from stillroom import __version__
from stillroom.report import words
from stillroom.text.code_span import code_span

_INNER = (".local", ".localhost", ".internal", ".intranet", ".lan", ".home.arpa")
"""Ends of names that mean something within one network only."""


def card(head: Mapping[str, Any], text: str) -> str:
    """The whole file."""
    return f"---\n{yaml.safe_dump(dict(head), sort_keys=False, allow_unicode=True)}---\n\n{text}"


def environment(package: str, filters: Mapping[str, Callable[..., Any]]) -> Environment:
    """For the templates of a package: what they show goes through a filter that makes it fit for Markdown."""
    made = Environment(
        loader=FunctionLoader(lambda name: resources.files(package).joinpath(name).read_text("utf-8")),
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {
        "code": code,
        "cell": cell,
        "said": said,
        "line": line,
        "percent": lambda share: Markup(words.percent(share)),
        "count": lambda number: Markup(words.count(number)),
        "counted": lambda number, one, many: Markup(words.counted(number, one, many)),
        **filters,
    }
    made.globals |= {"VERSION": Markup(__version__)}
    return made


def code(text: object) -> Markup:
    """The text as one line in a code span, where nothing of it means anything; `|` is told from a table's."""
    return Markup(code_span(words.visible(str(text))))


def cell(text: object) -> Markup:
    """The same for a cell of a table, where a bar would end it."""
    return Markup(code(text).replace("|", "\\|"))


def line(text: str) -> Markup:
    """A sentence with other people's words in it: whatever they are, they are text, and the sentence is one line."""
    return Markup(re.sub(r"([\\`*_\[\]<>|&#~])", r"\\\1", words.visible(" ".join(text.split()))))


def said(text: str) -> Markup:
    """A sentence or a figure of ours."""
    return Markup(text)


def public_host(host: str | None) -> str | None:
    """Where a model was asked, unless that is an address within somebody's own network."""
    host = (host or "").lower()
    try:
        return host if ipaddress.ip_address(host.strip("[]")).is_global else None
    except ValueError:
        return host if "." in host and not host.endswith(_INNER) else None


def _shown(value: Any) -> Any:
    """Text reaches a card through one of the filters above, or not at all."""
    if isinstance(value, str) and not isinstance(value, Markup):
        raise TypeError(f"{value!r} would stand in the card as it is")
    return value
