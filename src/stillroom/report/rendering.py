"""What the pages are made with: templates that escape whatever comes from a model or a file, scripts named by digests.

The template escapes it (autoescape is on, and every expression goes through `_shown`), data inside a script element is
escaped by `script_json`, and a page's Content-Security-Policy lets no script run but the ones written here.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from stillroom.report import words

SCRIPTS = ("vendor/vega.min.js", "vendor/vega-lite.min.js", "vendor/vega-embed.min.js", "page.js")


@dataclass(frozen=True, slots=True)
class Script:
    text: Markup
    source: str
    """How the Content-Security-Policy names it."""


@cache
def script(name: str) -> Script:
    # A source map is a file beside the script, which a self-contained page has not.
    text = re.sub(r"^//# sourceMappingURL=.*$", "", text_of(name), flags=re.MULTILINE)
    digest = base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
    return Script(Markup(text), f"'sha256-{digest}'")


def text_of(name: str) -> str:
    return resources.files("stillroom.report").joinpath(name).read_text(encoding="utf-8")


@cache
def environment() -> Environment:
    made = Environment(
        loader=FunctionLoader(text_of),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    names = (
        "percent",
        "interval",
        "count",
        "money",
        "duration",
        "short",
        "reason",
        "taker_name",
        "points",
        "points_between",
        "p_value",
        "latency",
    )
    made.filters |= {name: getattr(words, name) for name in names}
    made.filters |= {"script_json": script_json, "without_credentials": without_credentials}
    made.globals |= {"TAKERS_EXPLAINED": words.TAKERS_EXPLAINED}
    return made


def _shown(value: Any) -> Any:
    """Every expression of the template goes through here on its way to being escaped."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return words.visible(value)
    return value


def script_json(value: Any) -> Markup:
    """JSON that cannot end the script element around it, nor open a comment in it.

    Raises ValueError for NaN and infinities, which are not JSON.
    """
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


def without_credentials(text: str) -> str:
    """URLs in the text without the user name and password that may stand before their host."""
    return re.sub(r"(\w://)[^/\s@]+@", r"\1", text)
