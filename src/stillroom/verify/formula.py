r"""Which formula of a reply is its answer.

In a box, a tag or after hashes it is what stands there. After a phrase ("the answer is ...") it is the first formula
of that sentence, with those that "or", "and" or commas join to it. In a reply without a mark it is the formula that
the last sentence with one comes to. A sentence without a formula is read for a number in plain text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from stillroom.verify.doubts import SUPPOSES, concludes, doubt_about, is_denied
from stillroom.verify.latex import plain_latex
from stillroom.verify.markers import first_line
from stillroom.verify.quantity import Found, marked_quantity, unmarked_quantity
from stillroom.verify.reading import FUNCTION_NAMES, is_words

_FORMULA = re.compile(
    r"\$\$(?P<display>.+?)\$\$|\\\[(?P<brackets>.+?)\\\]|\\\((?P<inline>.+?)\\\)|(?<!\\)\$(?P<dollars>(?:\\\$|[^$])+?)(?<!\\)\$"
    r"|(?P<align>\\begin\{(?:align|gather|equation)\*?\}.+?\\end\{(?:align|gather|equation)\*?\})",
    re.DOTALL,
)
_JOINS = re.compile(r"\s*(?:,|,?\s*or|,?\s*and)\s*")
# What may follow the formula that is the answer, up to the next formula of the sentence.
_EXPLAINS = re.compile(
    r"\s*[,;(]?\s*(?:because|since|as|where|for|which|by|from|so|i\.e\.|that is|not|namely|using|out of|of)\b",
    re.IGNORECASE,
)
# Before an equation: it says what is known, and not what it comes to.
_GIVEN = re.compile(
    r"\b(?:let|given|where|when|whenever|with|since|because|as|for|consider|define|denote|recall|note|set|setting|at"
    r"|substituting|plugging|is not|are not|cannot)\b[^.,;]*$",
    re.IGNORECASE,
)
_OUT_OF = re.compile(r"\s*(?:[^\W\d]+\s+){0,2}(?:out\s+)?of\s+(?:(?:the|these|those|all|its)\s+)*", re.IGNORECASE)
_PROSE = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{3,}")
_FUNCTIONS = frozenset(("and", "infinity", "circ", *FUNCTION_NAMES))
# Words after a formula that belong to its value.
_UNIT_WORDS = (
    """cm m km mm inches feet miles yards grams kg seconds minutes hours days degrees dollars cents percent %"""
)


@dataclass(frozen=True, slots=True)
class Formula:
    """`text` in the writing of `plain_latex`, "" where there is none; `doubt` as in Final; `shown`: as it stands."""

    text: str
    doubt: str
    shown: str


def boxed_formula(text: str) -> Formula:
    """What stands in a box or a tag."""
    if _PROSE.search(text) and "$" in text:
        return phrase_formula(text)
    return Formula(plain_latex(text), "", text.strip())


def phrase_formula(text: str) -> Formula:
    """What follows "the answer is"."""
    spans = _spans(_sentence(text))
    if not spans:
        return _in_plain_text(first_line(text) if text.strip() else text, marked=True)
    sentence = _sentence(text)
    allowed = [span for span in spans if not is_denied(sentence, span.start(), span.end())]
    if not allowed:
        return Formula(_content(spans[0]), "it says what the answer is not", spans[0][0])
    first = allowed[0]
    text, end, shown = _content(first), first.end(), first[0]
    doubt = ""
    for span in allowed[1:]:
        between = sentence[end : span.start()]
        if not _JOINS.fullmatch(between):
            doubt = "" if _EXPLAINS.match(between) else "which of several formulas is meant is not clear"
            break
        text += (" or " if "or" in between else ", ") + _content(span)
        end = span.end()
        shown = sentence[first.start() : end]
    before = max((span.end() for span in spans if span.end() <= first.start()), default=0)  # "not $5$ but $6$"
    doubt = doubt or doubt_about(sentence[before:], first.start() - before, end - before)
    unit = re.match(r"\s*((?:square |cubic )?[A-Za-z%°]+)", sentence[end:])
    return Formula(plain_latex(text + _unit_after(unit)), doubt, shown)


def unmarked_formula(text: str) -> Formula:
    """What a reply without a mark comes to."""
    if is_formula(text):
        return Formula(plain_latex(text), "", text.strip())
    sentences = [sentence for sentence in _sentences(text) if _spans(sentence)]
    if not sentences:
        return _in_plain_text(text, marked=False)
    sentence = sentences[-1]
    spans = [span for span in _spans(sentence) if not is_denied(sentence, span.start(), span.end())]
    if not spans:
        return Formula("", "it says what the answer is not", sentence.strip())
    if len(spans) == 2 and _OUT_OF.fullmatch(sentence[spans[0].end() : spans[1].start()]):
        spans = spans[:1]
    last = spans[-1]
    if "=" in _content(last):
        given = _GIVEN.search(sentence[: last.start()]) or SUPPOSES.search(sentence[: last.start()])
        doubt = "what is given, not what is found" if given or sentence.rstrip().endswith("?") else ""
    else:
        doubt = doubt_about(sentence, last.start(), last.end())
    if (len(spans) > 1 or len(sentences) > 1) and not ("=" in _content(last) or concludes(sentence, last.start())):
        doubt = doubt or "which of several formulas is meant is not clear"
    return Formula(_content(last), doubt, last[0])


def is_formula(text: str) -> bool:
    """Whether a text is one formula and no prose."""
    text = text.strip()
    match = _FORMULA.fullmatch(text.rstrip(".,"))
    if match and not _FORMULA.search(text[1:-1]):
        return True
    outside = re.sub(r"\\(?:text|mathrm|operatorname|begin|end)\s*\{[^{}]*\}", "", text)
    prose = [word for word in _PROSE.findall(outside) if word.lower() not in _FUNCTIONS]
    if prose or "\n" in text or "$" in text.replace("\\$", ""):
        return False
    return bool(re.search(r"[\d\\=+]", text)) or not re.search(r"[A-Za-z]{2,}\s+[A-Za-z]|[^A-Za-z\s()*/^|-]", text)


def _in_plain_text(text: str, *, marked: bool) -> Formula:
    line = text.strip()
    if marked and not line:
        return Formula("", "", "")
    sentence = re.split(r"(?<![\d])[.!?](?:\s|$)|(?<=\d)[.!?](?:\s|$)", line, maxsplit=1)[0].strip(" *")
    if marked and is_formula(sentence):
        return Formula(plain_latex(sentence), "", sentence)
    if marked and not re.search(r"\d", sentence) and is_words(sentence):
        return Formula(plain_latex(sentence), "", sentence)
    found: Found = marked_quantity(line) if marked else unmarked_quantity(line)
    quantity, doubt = found
    if quantity is None:
        return Formula("", doubt, line[:80])
    unit = f"\\text{{ {quantity.unit.name}}}" if quantity.unit is not None and quantity.unit.name.isalpha() else ""
    return Formula(plain_latex(quantity.numeral.text + unit), doubt, quantity.numeral.text)


def _unit_after(match: re.Match[str] | None) -> str:
    return f"\\text{{ {match[1]}}}" if match and match[1].lower() in _UNIT_WORDS.split() else ""


def _spans(text: str) -> list[re.Match[str]]:
    return list(_FORMULA.finditer(text))


def _content(match: re.Match[str]) -> str:
    return plain_latex(next(filter(None, match.groups())))


def _sentence(text: str) -> str:
    """Up to the first full stop or blank line outside a formula."""
    return next((sentence for sentence in _sentences(text) if re.search(r"\w", sentence)), "")


def _sentences(text: str) -> list[str]:
    inside = [(span.start(), span.end()) for span in _spans(text)]
    ends = [
        match.end()
        for match in re.finditer(r"[.!?](?=\s|$)|\n\s*\n|\n(?=\s*[-*\d])", text)
        if not any(start < match.start() < end for start, end in inside)
    ]
    return [
        text[start:end] for start, end in zip([0, *ends], [*ends, len(text)], strict=True) if text[start:end].strip()
    ]
