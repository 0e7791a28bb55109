"""Text that nobody vouches for, as one line that a terminal can be given."""

from __future__ import annotations

_LOOKED_AT = 4
"""How many times the length that is wanted is looked at: a text may be megabytes long, and begin with blanks."""
_PICTURES = 0x2400
"""Unicode has a picture of each ASCII control character, in their order."""
_DELETE, _PICTURE_OF_DELETE = 0x7F, "\N{SYMBOL FOR DELETE}"


def one_line(text: str, longest: int) -> str:
    """At most `longest` characters of the text's beginning: blanks and line ends are single spaces, and what would
    control the terminal (escapes, changes of direction, lone surrogates) is shown instead of obeyed.
    """
    beginning = text[: _LOOKED_AT * longest]
    line = "".join(map(_visible, " ".join(beginning.split())))
    return line if len(line) <= longest and len(beginning) == len(text) else line[: longest - 1].rstrip() + "…"


def _visible(char: str) -> str:
    if char.isprintable():
        return char
    if ord(char) == _DELETE:
        return _PICTURE_OF_DELETE
    return chr(_PICTURES + ord(char)) if ord(char) < 0x20 else "\N{REPLACEMENT CHARACTER}"
