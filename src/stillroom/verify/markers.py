r"""Where in a reply the final answer is said to stand.

Four marks are known: `\boxed{...}`, `<answer>...</answer>`, `#### ...` and the phrases "the answer is ...",
"final answer: ..." (and their like in a few other languages). What follows a phrase runs to the next mark, so that
"the answer is \boxed{5}" has one answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Mark = Literal["boxed", "tag", "hashes", "phrase"]

_MARK = re.compile(
    r"""
      (?P<boxed>\\(?:boxed|fbox)\s*\{)
    | (?P<token>\\(?:boxed|fbox)\s+)(?=[^\s{}\\])
    | (?P<tag><answer>)
    | ^[ \t]*(?P<hashes>\#{4})(?!\#)
    | (?P<phrase>
        \b answers? (?:\s+(?:to|for|in|of)\s[^.,:=\n]{1,60}?)? [*_]{0,2} \s* (?:\bis\b|\bare\b|:|=)
        [*_]{0,2} \s* :?
      | \b final \s answer [*_\s]{0,6} \n
      | \b (?:antwort|respuesta|réponse|resposta|risposta) (?:\s+(?:correcta|finale?|correcte)){0,2}
        [*_]{0,2} \s* (?:\b(?:ist|lautet|es|est|é|è)\b|:)
      | (?:答案|答え) (?:是|为|為|は|[：:])
      )
    """,
    re.VERBOSE | re.IGNORECASE | re.MULTILINE,
)
MOST_MARKS = 40
"""More are not looked at, from the end: what is said in the end counts, and each is looked through to its close."""

_NUMBER_LINE = re.compile(r"[-+$€£\d][\d\s.,/%$€£-]*")


@dataclass(frozen=True, slots=True)
class Marked:
    """One marked answer: by which mark, the text that it marks (stripped, never empty), and where mark and text end."""

    mark: Mark
    text: str
    start: int
    end: int


def marked_answers(text: str) -> list[Marked]:
    """Every marked answer of a reply, in the order in which they stand."""
    found: list[Marked] = []
    matches = list(_MARK.finditer(text))[-MOST_MARKS:]
    for index, match in enumerate(matches):
        end = matches[index + 1].start() if index + 1 < len(matches) else len(text)
        mark = _mark_of(match)
        content, length = _content(mark, text, match.end(), end)
        if content.strip("*_$:.\\[( \t\n"):
            found.append(Marked(mark, content.strip(), match.start(), match.end() + length))
    return found


def is_cut(text: str) -> bool:
    """Whether the last box or answer tag is never closed: the reply was cut off inside its answer."""
    matches = [match for match in _MARK.finditer(text) if _mark_of(match) in ("boxed", "tag") and not match["token"]]
    if not matches:
        return False
    last = matches[-1]
    if last["tag"]:
        return "</answer>" not in text[last.end() :]
    return closing_brace(text, last.end()) is None


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
    if match["boxed"] or match["token"]:
        return "boxed"
    if match["tag"]:
        return "tag"
    return "hashes" if match["hashes"] else "phrase"


def _content(mark: Mark, text: str, start: int, end: int) -> tuple[str, int]:
    """What is marked by the mark that ends at `start`, and how many characters it takes; `end` is the next mark."""
    if mark == "boxed" and text[start - 1] != "{":
        token = re.compile(r"[^\s{}\\$]*").match(text, start)
        assert token is not None
        return token[0].rstrip(".,;"), len(token[0])
    if mark == "boxed":
        closing = closing_brace(text, start)
        # A box that never closes was cut off.
        return ("", 0) if closing is None else (text[start:closing], closing + 1 - start)
    if mark == "tag":
        content = text[start:].partition("</answer>")[0]
        return content, len(content)
    if mark == "hashes":
        line = text[start:].partition("\n")[0]
        return _hashes_line(text[start:]), len(line)
    return text[start:end], end - start


def closing_brace(text: str, start: int) -> int | None:
    """Where the brace closes that was opened before `start`; None where it never does."""
    depth = 1
    for position in range(start, len(text)):
        depth += (text[position] == "{") - (text[position] == "}")
        if depth == 0:
            return position
    return None


def _hashes_line(rest: str) -> str:
    """What follows `####`, unless this is a Markdown heading: then it is neither a number nor the last line."""
    line, _, below = rest.partition("\n")
    line = line.strip()
    return line if not below.strip() or _NUMBER_LINE.fullmatch(line) else ""
