"""Names that nobody vouches for, in Markdown."""

from __future__ import annotations

import re

from stillroom.text.one_line import one_line

LONGEST_NAME = 120
"""Characters of a name that are shown."""


def code_span(text: str) -> str:
    """The text as one line in a code span, out of which neither Markdown nor HTML gets."""
    line = one_line(text, LONGEST_NAME)
    fence = "`" * (max((len(run) for run in re.findall("`+", line)), default=0) + 1)
    pad = " " if line.startswith("`") or line.endswith("`") or not line.strip() else ""
    return f"{fence}{pad}{line or ' '}{pad}{fence}"
