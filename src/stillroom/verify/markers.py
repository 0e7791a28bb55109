r"""Where in a reply the final answer is said to stand.

Four marks are known: `\boxed{...}`, `<answer>...</answer>`, `#### ...` and the phrases "the answer is ...",
"final answer: ...". What follows a phrase runs to the next mark, so that "the answer is \boxed{5}" has one answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Mark = Literal["boxed", "tag", "hashes", "phrase"]

_MARK = re.compile(
    r"""
      (?P<boxed>\\(?:boxed|fbox)\s*\{)
    | (?P<tag><answer>)
    | ^[ \t]*(?P<hashes>\#{4})(?!\#)
    | (?P<phrase>
        \b answers? (?:\s+(?:to|for|in|of)\s[^.,:=\n]{1,60}?)? [*_]{0,2} \s* (?:\bis\b|\bare\b|:|=)
        [*_]{0,2} \s* :?
      | \b final \s answer [*_\s]{0,6} \n
      )
    """,
    re.VERBOSE | re.IGNORECASE | re.MULTILINE,
)
_NUMBER_LINE = re.compile(r"[-+$€£\d][\d\s.,/%$€£-]*")


@dataclass(frozen=True, slots=True)
class Marked:
    """One marked answer: by which mark, and the text that it marks (stripped, never empty)."""

    mark: Mark
    text: str


def marked_answers(text: str) -> list[Marked]:
    """Every marked answer of a reply, in the order in which they stand."""
    found: list[Marked] = []
    matches = list(_MARK.finditer(text))
    for index, match in enumerate(matches):
        end = matches[index + 1].start() if index + 1 < len(matches) else len(text)
        mark = _mark_of(match)
        rest = text[match.end() :]
        if mark == "boxed":
            content = _to_closing_brace(rest)
        elif mark == "tag":
            content = rest.partition("</answer>")[0]
        elif mark == "hashes":
            content = _hashes_line(rest)
        else:
            content = text[match.end() : end]
        content = content.strip()
        if content.strip("*_$:.\\[( \t\n"):
            found.append(Marked(mark, content))
    return found


def first_line(text: str) -> str:
    """The first line that is not blank, without the emphasis that Markdown puts around it."""
    return next((bare(line) for line in text.splitlines() if bare(line)), "")


def bare(text: str) -> str:
    """Without surrounding blanks, Markdown emphasis, and one pair of dollar signs that LaTeX puts around a formula."""
    text = text.strip().strip("*_`").strip()
    if len(text) > 2 and text[0] == text[-1] == "$":
        text = text.strip("$").strip()
    return text


def _mark_of(match: re.Match[str]) -> Mark:
    if match["boxed"]:
        return "boxed"
    if match["tag"]:
        return "tag"
    return "hashes" if match["hashes"] else "phrase"


def _to_closing_brace(rest: str) -> str:
    depth = 1
    for position, character in enumerate(rest):
        depth += (character == "{") - (character == "}")
        if depth == 0:
            return rest[:position]
    return ""  # A box that never closes was cut off.


def _hashes_line(rest: str) -> str:
    """What follows `####`, unless this is a Markdown heading: then it is neither a number nor the last line."""
    line, _, below = rest.partition("\n")
    line = line.strip()
    return line if not below.strip() or _NUMBER_LINE.fullmatch(line) else ""
