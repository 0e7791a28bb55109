r"""One way to write each formula: the many spellings of LaTeX, and the signs of Unicode, made alike.

`plain_latex` changes no value. It takes out what only moves ink (`\left`, `\,`, `\displaystyle`, boxes), puts braces
where LaTeX lets them be left out (`\frac12`, `\sqrt3`), and gives each relation and letter one name.
"""

from __future__ import annotations

import re
import unicodedata

from stillroom.verify.markers import closing_brace
from stillroom.verify.scripts import plain_signs

_SIGNS = {
    "×": r"\times ",
    "·": r"\cdot ",
    "⋅": r"\cdot ",
    "÷": "/",
    "≤": r"\le ",
    "⩽": r"\le ",
    "≥": r"\ge ",
    "⩾": r"\ge ",
    "≠": r"\ne ",
    "≈": r"\approx ",
    "∞": r"\infty ",
    "π": r"\pi ",
    "θ": r"\theta ",
    "∪": r"\cup ",
    "∩": r"\cap ",
    "∈": r"\in ",
    "∅": r"\emptyset ",
    "ℝ": r"\mathbb{R}",
    "±": r"\pm ",
    "°": r"^{\circ}",
    "⟨": r"\langle ",
    "⟩": r"\rangle ",
    "′": "'",
}
_SUPERSCRIPT = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+")
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_FRACTION = re.compile("[½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞]")

_THOUSANDS = re.compile(r"(?<=\d)\s*(?:\{,\}|,\\!|\\!,\\!|\\,|\\ |~|\\;)\s*(?=\d{3}(?!\d))")
_INK = re.compile(
    r"\\(?:left|right|bigl|bigr|Bigl|Bigr|biggl|biggr|big|Big|bigg|Bigg|displaystyle|textstyle|limits|nolimits|rm|bf|it)"
    r"(?![A-Za-z])\.?|\\!"
)
_BLANK = re.compile(r"\\(?:[,;: ]|quad(?![A-Za-z])|qquad(?![A-Za-z]))|~")
_TEXT = re.compile(r"\\(?:mathrm|textrm|textnormal|textbf|textit|textsf|texttt|mbox|hbox|operatorname)\s*\*?\s*\{")
_FRAC = re.compile(r"\\frac(?![A-Za-z])")
_WRAPPED = re.compile(r"\\(?:boxed|fbox|mathbf|boldsymbol|bm|underline|mathit|mathsf|mathnormal|ensuremath)\s*\{")
_NAMES = [
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\\[dtc]frac(?![A-Za-z])", r"\\frac"),
        (r"\\(?:leq|leqslant)(?![A-Za-z])", r"\\le "),
        (r"\\(?:geq|geqslant)(?![A-Za-z])", r"\\ge "),
        (r"\\(?:neq|not=)(?![A-Za-z])", r"\\ne "),
        (r"<=", r"\\le "),
        (r">=", r"\\ge "),
        (r"!=", r"\\ne "),
        (r"\\lt(?![A-Za-z])", "<"),
        (r"\\gt(?![A-Za-z])", ">"),
        (r"\\varnothing(?![A-Za-z])|\\\{\s*\\\}", r"\\emptyset "),
        (r"\\(?:l|r)?vert(?![A-Za-z])|\\mid(?![A-Za-z])", "|"),
        (r"\\lbrace(?![A-Za-z])", r"\\{"),
        (r"\\rbrace(?![A-Za-z])", r"\\}"),
        (r"\\div(?![A-Za-z])", "/"),
        (r"\\(?:ldots|dots|cdots)(?![A-Za-z])", "..."),
        (r"\\(?:mathbb|mathbf|mathrm)\s*\{?R\}?(?![A-Za-z])|\\R(?![A-Za-z])", r"\\mathbb{R}"),
        (r"\binfinity\b", r"\\infty"),
        (r"\+\s*\\infty", r"\\infty"),
        (r"\\circ\b", r"\\circ"),
        (r"\^\s*\\circ", r"^{\\circ}"),
        (r"\*\*", "^"),
    )
]


def plain_latex(text: str) -> str:
    """The formula in its one writing, without dollar signs around it and punctuation after it."""
    text = _typographic(plain_signs(text))
    text = _THOUSANDS.sub(",", text)
    text = _BLANK.sub(" ", _INK.sub("", text))
    text = _TEXT.sub(r"\\text{", text)
    text = _unwrapped(text)
    text = _without_environment(text)
    for pattern, replacement in _NAMES:
        text = pattern.sub(replacement, text)
    text = _with_braces(text)
    return stripped(" ".join(text.split()))


def stripped(text: str) -> str:
    """Without dollar signs, display brackets, emphasis and punctuation around it."""
    before = None
    while text != before:
        before = text
        text = text.strip().strip("*`").strip()
        text = re.sub(r"(?<!\\)[.,;:]+$", "", text) if not text.endswith("...") else text
        for start, end in (("$$", "$$"), ("$", "$"), (r"\[", r"\]"), (r"\(", r"\)")):
            inner = text[len(start) : -len(end)]
            if text.startswith(start) and text.endswith(end) and len(text) >= len(start) + len(end):
                text = inner if start not in inner else text
        if text.endswith("$") and text.count("$") == 1 and not text.endswith("\\$"):
            text = text[:-1]
    return text


def key(text: str) -> str:
    """What two writings of one formula have in common when only blanks differ, but for a blank between two digits."""
    text = re.sub(r"(?<=\d)\s+(?=\d)", "\0", text)
    return re.sub(r"\s+", "", re.sub(r"\\text\{([^{}]*)\}", lambda match: match[1].casefold(), text))


def _typographic(text: str) -> str:
    if text.isascii():
        return text
    for sign, command in _SIGNS.items():
        text = text.replace(sign, command)
    text = _SUPERSCRIPT.sub(lambda match: "^{" + match[0].translate(_SUPERSCRIPTS) + "}", text)
    text = re.sub(r"√\s*(\d+|[a-z]|\([^()]*\))", r"\\sqrt{\1}", text)
    return _FRACTION.sub(_frac, text)


def _frac(match: re.Match[str]) -> str:
    over, _, under = unicodedata.normalize("NFKC", match[0]).partition("\u2044")
    return rf"\frac{{{over}}}{{{under}}}"


def _unwrapped(text: str) -> str:
    r"""Without the command around what `\boxed{...}`, `\mathbf{...}` and their like hold."""
    while match := _WRAPPED.search(text):
        end = closing_brace(text, match.end())
        if end is None:
            return text
        text = text[: match.start()] + text[match.end() : end] + text[end + 1 :]
    return text


def _without_environment(text: str) -> str:
    r"""The lines of an `align` joined to one chain: x &= 2 + 3 \\ &= 5 is x = 2 + 3 = 5."""
    text, count = re.subn(r"\\(?:begin|end)\{(?:align|aligned|gather|gathered|equation|split)\*?\}", " ", text)
    return text.replace("\\\\", " ").replace("&", " ") if count else text


def _with_braces(text: str) -> str:
    r"""Braces around every argument of `\frac`, `\sqrt`, `^` and `_`."""
    text = re.sub(r"\\sqrt\s*(\d|[A-Za-z](?![A-Za-z]))", r"\\sqrt{\1}", text)
    text = re.sub(r"([_^])\s*(\d)(?!\d)", r"\1{\2}", text)
    text = re.sub(r"([_^])\s*([A-Za-z])(?![A-Za-z])", r"\1{\2}", text)
    start = 0
    while match := _FRAC.search(text, start):
        start = match.end()
        position = start
        for _ in range(2):
            argument = _argument(text, position)
            if argument is None:
                break
            begin, end = argument
            if text[begin] != "{":
                text = text[:position] + "{" + text[begin:end] + "}" + text[end:]
            else:
                text = text[:position] + text[begin:]
            position = _argument(text, position)[1]  # type: ignore[index]
    return text


def _argument(text: str, position: int) -> tuple[int, int] | None:
    """Where the argument that stands at `position` begins and ends: a group in braces, or one letter or digit."""
    while position < len(text) and text[position] == " ":
        position += 1
    if position >= len(text):
        return None
    if text[position] != "{":
        return (position, position + 1) if text[position].isalnum() else None
    end = closing_brace(text, position + 1)
    return None if end is None else (position, end + 1)
