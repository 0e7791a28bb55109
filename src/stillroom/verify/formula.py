r"""Which formula of a reply is its answer.

In a box, a tag or after hashes it is what stands there. After a phrase ("the answer is ...") it is the first formula
of that sentence, with those that "or", "and" or commas join to it. In a reply without a mark it is the formula that
the last sentence with one comes to. A sentence without a formula is read for a number in plain text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

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
_DENIES = re.compile(
    r"(?:\b(?:not|never|nor|cannot be|cannot equal)|n['’]t(?: be)?)\s*(?:equal(?: to)?|exactly|just)?\s*$",
    re.IGNORECASE,
)
_BOUND = re.compile(
    r"\b(?:at (?:least|most)|(?:more|less|greater|fewer|larger|smaller|other) than"
    r"|between|nearly|almost|up to|over|under|below|above)\s*$",
    re.IGNORECASE,
)
_CONCLUDES = re.compile(
    r"(?:\b(?:is|are|be|equals?|gives?|get|have|has|so|thus|therefore|hence|means|yields?|makes?|obtain|find|that|answer|"
    r"conclude|namely|which is|leaves?)\b[^$.]{0,30}|[=:])\s*$",
    re.IGNORECASE,
)
_OUT_OF = re.compile(r"\s*(?:[^\W\d]+\s+){0,2}(?:out\s+)?of\s+(?:(?:the|these|those|all|its)\s+)*", re.IGNORECASE)
_LATEX = re.compile(r"\\[A-Za-z]+|[\^_{}]")
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
    allowed = [span for span in spans if not _DENIES.search(sentence[: span.start()])]
    if not allowed:
        return Formula(_content(spans[0]), "it says what the answer is not", spans[0][0])
    first = allowed[0]
    text, end, shown = _content(first), first.end(), first[0]
    for span in allowed[1:]:
        between = sentence[end : span.start()]
        if not _JOINS.fullmatch(between):
            break
        text, shown = (
            f"{text}{' or ' if 'or' in between else ', '}{_content(span)}",
            sentence[first.start() : span.end()],
        )
        end = span.end()
    doubt = "a bound, not a value" if _BOUND.search(sentence[: first.start()]) else ""
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
    spans = [span for span in _spans(sentence) if not _DENIES.search(sentence[: span.start()])]
    if not spans:
        return Formula("", "it says what the answer is not", sentence.strip())
    if len(spans) == 2 and _OUT_OF.fullmatch(sentence[spans[0].end() : spans[1].start()]):
        spans = spans[:1]
    last = spans[-1]
    clear = (len(spans) == 1 and len(sentences) == 1) or _CONCLUDES.search(sentence[: last.start()])
    alone = not re.search(r"\w", sentence[: last.start()] + sentence[last.end() :])
    if _BOUND.search(sentence[: last.start()]) or sentence.rstrip().endswith("?"):
        return Formula(_content(last), "a bound or a question, not a value", last[0])
    doubt = "" if clear or alone else "which of several formulas is meant is not clear"
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
    return bool(re.search(r"[\d\\=+]", text)) or not re.search(r"[A-Za-z]{2,}\s+[A-Za-z]|[^A-Za-z\s()*/^-]", text)


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
