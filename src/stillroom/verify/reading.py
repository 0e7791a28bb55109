r"""What sort of thing a formula is: a number or expression, a list, set, tuple, real interval, equation, words.

Only the shape is read here; the expressions in it stay text, for `expressions` to compare.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from stillroom.verify.latex import stripped
from stillroom.verify.shapes import (
    Assigned,
    Based,
    Doubtful,
    Equation,
    Expression,
    Interval,
    Matrix,
    Ratio,
    Reading,
    RealSet,
    Several,
    Unread,
    Words,
)
from stillroom.verify.units import currency, unit_at

_OR = re.compile(r"\\text\{\s*,?\s*or\s*\}|\\lor(?![a-z])|(?<![A-Za-z\\])or(?![A-Za-z])")
_AND = re.compile(r",?\s*\\text\{\s*,?\s*and\s*\}|,?\s*(?<![A-Za-z\\])and(?![A-Za-z])|;")
_RELATION = re.compile(r"\\(?:le|ge|ne|in|approx|equiv)(?![a-z])|<|>|=")
_NAME = re.compile(r"(?:[A-Za-z]|\\[a-z]{2,8})(?:_\{?[A-Za-z0-9]+\}?)?'?")
# What a value is given for, and is no variable: AB, \\angle ABC, |AB|, f(3), P(A), \\text{Area}.
_LABEL = re.compile(
    r"\\text\{[^{}]*\}(?:\s*\([^()]*\))?|m?\s*\\angle\s*[A-Z]{1,3}|\|?[A-Z]{2,4}\|?|\[[A-Z]{3,5}\]|\\overline\{[A-Z]{2}\}"
    r"|[A-Za-z]{1,2}\(-?\d+(?:,\s*-?\d+)*\)|P\([A-Z]\)"
)
_VAGUE = re.compile(
    r"\b(?:or|more|less|fewer|greater|least|most|not|about|approx\w*|around|roughly|nearly|if|when|mod|factorial|squared|cubed"
    r"|percent of|base|is|was|wrong|incorrect|false|no)\b"
)
_NO_SOLUTION = """no solution|no solutions|no real solution|no real solutions|empty set|the empty set"""
_ALL_REALS = """all real numbers|all reals|the real numbers|all real numbers x|all real x"""
_FUNCTION = re.compile(r"[A-Za-z](?:\^\{-1\})?\([A-Za-z](?:,[A-Za-z])*\)")
_SEPARATED = re.compile(r"-?\d{1,3}(?:(?:,\d{3})+(?:\.\d+)?|(?:\.\d{3})+,\d+)")
_COMMA = re.compile(r",(?!(?<=\d,)\d{3}(?!\d))")  # but not the one of 1,000
_BASED = re.compile(r"([0-9A-Fa-f]+)_\{?(?:\\text\{\s*)?(\d{1,2})(?:\s*\})?\}?")
_MATRIX = re.compile(r"\\begin\{[pbvB]?matrix\}(.*)\\end\{[pbvB]?matrix\}", re.DOTALL)
FUNCTION_NAMES = (
    "sin",
    "cos",
    "tan",
    "cot",
    "sec",
    "csc",
    "log",
    "exp",
    "max",
    "min",
    "gcd",
    "lcm",
    "mod",
    "det",
    "sqrt",
)
_MATHS_WORDS = frozenset((*FUNCTION_NAMES, "ln", "frac", "pi", "or", "and"))
_INFINITY = "\\infty"


def read(text: str) -> Reading:
    """The shape of a formula in the writing of `plain_latex`."""
    text = stripped(text)
    if about := re.match(r"\\(?:approx|sim|simeq|cong)(?![a-z])", text):
        return Doubtful(read(text[about.end() :]), "only about")
    if is_words(text):
        return _said(_words(text))
    if re.search(r"\\(?:pmod|bmod|setminus|equiv)(?![a-z])|\\begin\{vmatrix\}", text):
        return Unread(text)
    if match := _MATRIX.fullmatch(text):
        rows = [row for row in re.split(r"\\\\", match[1]) if row.strip()]
        return Matrix(tuple(tuple(read(cell) for cell in row.split("&")) for row in rows))
    alternatives = split_top(text, _OR)
    if len(alternatives) > 1:
        return _alternatives(alternatives)
    if text == "\\emptyset":
        return Several((), "set")
    if text == "\\mathbb{R}":
        return RealSet((Interval("-" + _INFINITY, _INFINITY, True, True),))
    union = split_top(text, re.compile(r"\\cup(?![a-z])"))
    if len(union) > 1:
        return _union(map(read, union)) or Expression(text)
    if _SEPARATED.fullmatch(text):
        return Expression(text)
    return _bracketed(text) or _listed(text) or _related(text) or _single(text)


def _said(words: str) -> Reading:
    """Words, of which some say what a formula could."""
    plain = words.casefold()
    if plain in _NO_SOLUTION.split("|"):
        return Several((), "set")
    if plain in _ALL_REALS.split("|"):
        return RealSet((Interval("-" + _INFINITY, _INFINITY, True, True),))
    return Words(words)


def is_words(text: str) -> bool:
    """Whether it is language: nothing but \\text{...}, or letters that are no formula."""
    if re.fullmatch(r"(?:\\text\{[^{}]*\}\s*)+", text):
        return True
    if re.search(r"[\\^_=<>+*/|\d$]", text):
        return False
    words = re.findall(r"[^\W\d_]+", text)
    return any(len(word) > 2 and word.lower() not in _MATHS_WORDS for word in words) or bool(
        words and not text.isascii()
    )


def split_top(text: str, separator: re.Pattern[str]) -> list[str]:
    """The parts between separators that stand inside no bracket."""
    depth, start, parts = 0, 0, []
    position = 0
    while position < len(text):
        char = text[position]
        if depth == 0 and (match := separator.match(text, position)) and match.end() > position:
            parts.append(text[start:position])
            start = position = match.end()
            continue
        depth += (char in "([{") - (char in ")]}")
        position += 1
    parts.append(text[start:])
    return [part.strip() for part in parts]


def _words(text: str) -> str:
    text = re.sub(r"\\text\{([^{}]*)\}", r"\1", text)
    return " ".join(text.strip(" .,;:!?\"'“”").split())


def _alternatives(parts: list[str]) -> Reading:
    read_parts = [read(part) for part in parts if part]
    if any(isinstance(part, RealSet) for part in read_parts):
        union = _union(read_parts)
        if union is not None:
            return union
    flat: list[Reading] = []
    for part in read_parts:
        flat.extend(part.parts if isinstance(part, Several) and part.how in ("or", "pm", "list") else [part])
    names = {part.name for part in flat if isinstance(part, Assigned)}
    if len(names) == 1:
        flat = [part.value if isinstance(part, Assigned) else part for part in flat]
    return Several(tuple(flat), "or")


def _union(parts: Iterable[Reading]) -> RealSet | None:
    intervals: list[Interval] = []
    variables: set[str] = set()
    for part in parts:
        real = as_real_set(part)
        if real is None:
            return None
        intervals.extend(real.intervals)
        variables.add(real.variable)
    return RealSet(tuple(intervals), variables.pop() if len(variables) == 1 else "")


def as_real_set(reading: Reading) -> RealSet | None:
    """A pair in round brackets read as an open interval, finitely many numbers as points; None where it is neither."""
    if isinstance(reading, RealSet):
        return reading
    if isinstance(reading, Several) and reading.how == "tuple" and len(reading.parts) == 2:
        low, high = reading.parts
        if isinstance(low, Expression) and isinstance(high, Expression):
            return RealSet((Interval(low.text, high.text, True, True),))
    if (
        isinstance(reading, Several)
        and reading.how == "set"
        and all(isinstance(part, Expression) for part in reading.parts)
    ):
        return RealSet(
            tuple(Interval(p.text, p.text, False, False) for p in reading.parts if isinstance(p, Expression))
        )
    return None


def _bracketed(text: str) -> Reading | None:
    if french := re.fullmatch(r"\]([^\[\],;]+)[,;]([^\[\],;]+)([\[\]])", text):
        return RealSet((Interval(french[1].strip(), french[2].strip(), True, french[3] == "["),))
    if text.startswith("\\{") and text.endswith("\\}") and _wraps(text, 2):
        return _braced(text[2:-2].strip())
    if text.startswith("\\langle") and text.endswith("\\rangle"):
        return Several(tuple(read(part) for part in split_top(text[7:-7], re.compile(","))), "tuple")
    if not (text[:1] in ("(", "[") and text[-1:] in (")", "]") and _wraps(text, 1)):
        return None
    parts = split_top(text[1:-1], re.compile(r",|;"))
    if _SEPARATED.fullmatch(text[1:-1]) and any(part.startswith("0") for part in parts[1:]):
        return Expression(text[1:-1])  # (1,000) is a thousand
    if len(parts) == 1:
        return read(parts[0]) if text[0] == "(" and text[-1] == ")" else None
    if len(parts) == 2 and (text[0] == "[" or text[-1] == "]"):
        return RealSet((Interval(parts[0], parts[1], text[0] == "(", text[-1] == ")"),))
    return Several(tuple(read(part) for part in parts), "tuple")


def _wraps(text: str, length: int) -> bool:
    """Whether the first bracket is closed by the last one."""
    depth = 0
    for position, char in enumerate(text):
        depth += (char in "([{") - (char in ")]}")
        if depth == 0 and position >= length - 1:
            return position == len(text) - 1
    return False


def _braced(inner: str) -> Reading:
    condition = split_top(inner, re.compile(r"\||:"))
    if len(condition) == 2:
        built = read(condition[1])
        return built if isinstance(built, RealSet) else Expression("\\{" + inner + "\\}")
    return Several(tuple(read(part) for part in split_top(inner, re.compile(r",|;"))), "set")


def _listed(text: str) -> Reading | None:
    parts = [part for comma in split_top(text, _AND) for part in split_top(comma, _COMMA)]
    parts = [part for part in parts if part]
    if len(parts) < 2:
        return None
    read_parts = tuple(read(part) for part in parts)
    names = [part.name for part in read_parts if isinstance(part, Assigned)]
    if len(names) == len(read_parts) and len(set(names)) == 1:
        return Several(tuple(part.value for part in read_parts if isinstance(part, Assigned)), "or")
    if names and len(names) == 1 and isinstance(read_parts[0], Assigned) and "(" not in names[0]:
        return Several((read_parts[0].value, *read_parts[1:]), "or")  # x = 2, -3
    return Several(read_parts, "list")


def _related(text: str) -> Reading | None:
    relations = tuple(_RELATION.findall(text))
    parts = [stripped(part) for part in split_top(text, _RELATION)]
    if len(parts) < 2 or len(parts) != len(relations) + 1 or not all(parts):
        return None
    if "\\approx" in relations:
        left, right = parts[0], parts[-1]
        named = _NAME.fullmatch(left) or _LABEL.fullmatch(left)
        return Doubtful(read(right), "only about") if named else read(left)
    if set(relations) <= {"=", "\\equiv"}:
        return _equation(parts)
    if relations == ("\\in",):
        inside = as_real_set(read(parts[1]))
        return None if inside is None else RealSet(inside.intervals, parts[0])
    return _condition(parts, relations) or Unread(text)


def _equation(parts: list[str]) -> Reading:
    left, right = parts[0], parts[-1]
    for name, value in ((left, right), (right, left)):
        if (_NAME.fullmatch(name) or _FUNCTION.fullmatch(name.replace(" ", ""))) and name not in ("i", "e", "\\pi"):
            return Assigned(name.replace(" ", ""), read(value))
    if _LABEL.fullmatch(left) or not _has_letters(left):
        return read(right)  # 3 \cdot 4 = 12: what it comes to
    if len(parts) > 2 and not _has_letters(parts[-2]):
        return read(right)  # l w = 40 \\cdot 10 = 400
    return Equation(left, right)


def _has_letters(text: str) -> bool:
    """Whether there is a variable in it."""
    return bool(re.search(r"[A-Za-z]", re.sub(r"\\[a-z]+", "", text)))


def _condition(parts: list[str], relations: tuple[str, ...]) -> RealSet | None:
    """x < 5, 5 > x, 1 \\le x < 2 and x \\ne 3 as intervals."""
    absolute = re.fullmatch(r"\|([a-z])\|", parts[0].replace(" ", "")) if len(parts) == 2 else None
    if absolute:
        return _absolute(absolute[1], relations[0], parts[1])
    at = next((index for index, part in enumerate(parts) if _NAME.fullmatch(part)), None)
    if at is None or any(_NAME.fullmatch(part) for index, part in enumerate(parts) if index != at):
        return None
    name, infinity = parts[at], _INFINITY
    if len(parts) == 2:
        other, relation = parts[1 - at], relations[0]
        if relation == "\\ne":
            return RealSet((Interval("-" + infinity, other, True, True), Interval(other, infinity, True, True)), name)
        is_open = relation in "<>"
        below = (relation in ("<", "\\le")) == (at == 0)
        interval = Interval("-" + infinity, other, True, is_open) if below else Interval(other, infinity, is_open, True)
        return RealSet((interval,), name)
    if len(parts) == 3 and at == 1:
        if all(relation in ("<", "\\le") for relation in relations):
            return RealSet((Interval(parts[0], parts[2], relations[0] == "<", relations[1] == "<"),), name)
        if all(relation in (">", "\\ge") for relation in relations):
            return RealSet((Interval(parts[2], parts[0], relations[1] == ">", relations[0] == ">"),), name)
    return None


def _absolute(name: str, relation: str, size: str) -> RealSet | None:
    """|x| < 2 and its like."""
    if relation in ("<", "\\le"):
        return RealSet((Interval(f"-({size})", size, relation == "<", relation == "<"),), name)
    if relation in (">", "\\ge"):
        is_open = relation == ">"
        below = Interval("-" + _INFINITY, f"-({size})", True, is_open)
        return RealSet((below, Interval(size, _INFINITY, is_open, True)), name)
    return None


def _single(text: str) -> Reading:
    if text.count("\\pm") == 1 and "\\mp" not in text:
        plus, minus = text.replace("\\pm", "+"), text.replace("\\pm", "-")
        return Several((_with_unit(plus.removeprefix("+").strip()), _with_unit(minus)), "pm")
    ratio = split_top(text, re.compile(":"))
    if len(ratio) > 1 and all(ratio):
        return Ratio(tuple(ratio))
    based = _BASED.fullmatch(text.replace(" ", ""))
    if based and (based[1][0].isdigit() or (len(based[1]) > 1 and int(based[2]) > 10)):
        return Based(based[1].lstrip("0") or "0", int(based[2]))
    expression = _with_unit(text)
    if _VAGUE.search(expression.noun):
        return Doubtful(expression, f"given with a reserve: {expression.noun}")
    return expression


def _with_unit(text: str) -> Expression:
    """The value apart from the currency before it and the unit, percent sign or other text after it."""
    text = text.strip()
    sign = re.match(r"(-?)\s*\\?([$€£¥₹])\s*", text)
    if sign:
        rest = _with_unit(sign[1] + text[sign.end() :])
        return Expression(rest.text, currency(sign[2]), rest.percent, "")
    if percent := re.search(r"\s*\\?%$|\s*\\text\{\s*(?:percent|per cent|\\?%)\s*\}$|\s+percent$", text):
        return Expression(text[: percent.start()].strip(), None, True)
    if degrees := re.search(r"\s*\^\{?\s*\\circ\s*\}?$", text):
        return Expression(text[: degrees.start()].strip(), unit_at("°", 0))
    after = re.search(r"\s*\\text\{([^{}]*)\}\s*(\^\{?[23]\}?)?\s*(?:/\s*\\text\{([^{}]*)\})?$", text)
    if after and after.start() > 0:
        words = after[1].strip(" .") + (after[2] or "") + (f"/{after[3].strip()}" if after[3] else "")
        words = re.sub(r"^in(?=$|\^|/)", "inch", words)
        unit = unit_at(words, 0)
        whole = unit is not None and unit.end >= len(words)
        return Expression(text[: after.start()].strip(), unit if whole else None, False, "" if whole else words.lower())
    if plain := re.search(r"(?<=[\d})])\s*([A-Za-z]{2,}(?:\s+[A-Za-z]+)*)(\^\{?[23]\}?)?$", text):
        words = plain[1] + (plain[2] or "")
        unit = unit_at(words, 0)
        if unit is not None and unit.end >= len(words):
            return Expression(text[: plain.start()].strip(), unit)
        if plain[1].lower() not in _MATHS_WORDS and " " in text[: plain.start() + 1] + plain[0][:1]:
            return Expression(text[: plain.start()].strip(), None, False, words.lower())
    return Expression(text)
