"""The 25 instructions of IFEval, each a function of the answer and its arguments: followed, not followed, or None."""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

from stillroom.verify.instructions.language import is_in_language
from stillroom.verify.instructions.pieces import capital_words, sentences

Arguments = Mapping[str, Any]
Check = Callable[[str, Arguments], bool | None]

_OPTIONS = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
_FENCE = re.compile(r"\A```(?:json)?|```\Z", re.IGNORECASE)


class ArgumentError(Exception):
    """An argument that an instruction needs is not there, or of another type."""


def _text(arguments: Arguments, name: str) -> str:
    value = arguments.get(name)
    if not isinstance(value, str) or not value.strip():
        raise ArgumentError(name)
    return value.strip()


def _texts(arguments: Arguments, name: str) -> list[str]:
    value = arguments.get(name)
    if not isinstance(value, list) or not value or not all(isinstance(each, str) for each in value):
        raise ArgumentError(name)
    return value


def _number(arguments: Arguments, name: str) -> int:
    value = arguments.get(name)
    # Tables that hold no value for other rows hold whole numbers as 3.0.
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0 or value != int(value):
        raise ArgumentError(name)
    return int(value)


def _compared(least: int, most: int, arguments: Arguments, number: str, relation: str) -> bool | None:
    """Whether a count from `least` to `most` is as many as asked; None where that depends on which it is."""
    word = _text(arguments, relation)
    compare = {"less than": operator.lt, "at least": operator.ge}.get(word)
    if compare is None:
        raise ArgumentError(relation)
    wanted = _number(arguments, number)
    answers = {compare(least, wanted), compare(most, wanted)}
    return answers.pop() if len(answers) == 1 else None


def _count(pattern: str, answer: str) -> int:
    """Words of a prompt are patterns to IFEval too; one that is no pattern is taken as it stands."""
    try:
        return len(re.findall(pattern, answer, re.IGNORECASE))
    except re.error:
        return len(re.findall(re.escape(pattern), answer, re.IGNORECASE))


def _keywords(answer: str, arguments: Arguments) -> bool:
    return all(_count(word, answer) for word in _texts(arguments, "keywords"))


def _forbidden_words(answer: str, arguments: Arguments) -> bool:
    return not any(_count(rf"\b{word}\b", answer) for word in _texts(arguments, "forbidden_words"))


def _keyword_frequency(answer: str, arguments: Arguments) -> bool | None:
    found = _count(_text(arguments, "keyword"), answer)
    return _compared(found, found, arguments, "frequency", "relation")


def _letter_frequency(answer: str, arguments: Arguments) -> bool | None:
    found = answer.lower().count(_text(arguments, "letter").lower())
    return _compared(found, found, arguments, "let_frequency", "let_relation")


def _language(answer: str, arguments: Arguments) -> bool | None:
    return is_in_language(answer, _text(arguments, "language"))


def _sentences(answer: str, arguments: Arguments) -> bool | None:
    return _compared(*sentences(answer), arguments, "num_sentences", "relation")


def _words(answer: str, arguments: Arguments) -> bool | None:
    found = len(re.findall(r"\w+", answer))
    return _compared(found, found, arguments, "num_words", "relation")


def _starred_paragraphs(answer: str, arguments: Arguments) -> bool:
    parts = re.split(r"\s?\*\*\*\s?", answer)
    inner = parts[1:-1]
    if not all(part.strip() for part in inner):
        return False
    return sum(bool(part.strip()) for part in parts) == _number(arguments, "num_paragraphs")


def _first_word_of_paragraph(answer: str, arguments: Arguments) -> bool:
    paragraphs = answer.split("\n\n")
    filled = sum(bool(paragraph.strip()) for paragraph in paragraphs)
    position = _number(arguments, "nth_paragraph")
    if not 1 <= position <= filled or filled != _number(arguments, "num_paragraphs"):
        return False
    words = paragraphs[position - 1].split()
    first = re.split(r"[.,?!'\"]", words[0].lstrip("'").lstrip('"'), maxsplit=1)[0] if words else ""
    return first.lower() == _text(arguments, "first_word").lower()


def _placeholders(answer: str, arguments: Arguments) -> bool:
    return len(re.findall(r"\[.*?\]", answer)) >= _number(arguments, "num_placeholders")


def _postscript(answer: str, arguments: Arguments) -> bool:
    marker = _text(arguments, "postscript_marker")
    pattern = {"P.P.S": r"p\.\s?p\.\s?s", "P.S.": r"p\.\s?s\."}.get(marker, re.escape(marker.lower()))
    return re.search(pattern, answer.lower()) is not None


def _bullets(answer: str, arguments: Arguments) -> bool:
    found = re.findall(r"^\s*(?:\*[^*]|-).*$", answer, re.MULTILINE)
    return len(found) == _number(arguments, "num_bullets")


def _one_of_the_options(answer: str, arguments: Arguments) -> bool:  # noqa: ARG001
    return any(option in answer for option in _OPTIONS)


def _highlights(answer: str, arguments: Arguments) -> bool:
    found = re.findall(r"\*[^\n*]*\*", answer) + re.findall(r"\*\*[^\n*]*\*\*", answer)
    return sum(bool(each.strip("*").strip()) for each in found) >= _number(arguments, "num_highlights")


def _sections(answer: str, arguments: Arguments) -> bool:
    heads = re.findall(rf"{re.escape(_text(arguments, 'section_spliter'))}\s?\d+", answer)
    return len(heads) >= _number(arguments, "num_sections")


def _json(answer: str, arguments: Arguments) -> bool:  # noqa: ARG001
    text = _FENCE.sub("", _FENCE.sub("", answer.strip())).strip()
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _title(answer: str, arguments: Arguments) -> bool:  # noqa: ARG001
    return any(each.lstrip("<").rstrip(">").strip() for each in re.findall(r"<<[^\n]+>>", answer))


def _two_responses(answer: str, arguments: Arguments) -> bool:  # noqa: ARG001
    parts = answer.split("******")
    if not all(part.strip() for part in parts[1:-1]):
        return False
    filled = [part.strip() for part in parts if part.strip()]
    return len(filled) == 2 and filled[0] != filled[1]


def _repeated_prompt(answer: str, arguments: Arguments) -> bool:
    return answer.strip().lower().startswith(_text(arguments, "prompt_to_repeat").lower())


def _end(answer: str, arguments: Arguments) -> bool:
    return answer.strip().strip('"').lower().endswith(_text(arguments, "end_phrase").lower())


def _capital_word_frequency(answer: str, arguments: Arguments) -> bool | None:
    return _compared(*capital_words(answer), arguments, "capital_frequency", "capital_relation")


def _all_capitals(answer: str, arguments: Arguments) -> bool | None:  # noqa: ARG001
    return is_in_language(answer, "en") if answer.isupper() else False


def _no_capitals(answer: str, arguments: Arguments) -> bool | None:  # noqa: ARG001
    return is_in_language(answer, "en") if answer.islower() else False


def _no_comma(answer: str, arguments: Arguments) -> bool:  # noqa: ARG001
    return "," not in answer


def _quoted(answer: str, arguments: Arguments) -> bool:  # noqa: ARG001
    text = answer.strip()
    return len(text) > 1 and text[0] == text[-1] == '"'


CHECKS: dict[str, Check] = {
    "keywords:existence": _keywords,
    "keywords:forbidden_words": _forbidden_words,
    "keywords:frequency": _keyword_frequency,
    "keywords:letter_frequency": _letter_frequency,
    "language:response_language": _language,
    "length_constraints:number_sentences": _sentences,
    "length_constraints:number_words": _words,
    "length_constraints:number_paragraphs": _starred_paragraphs,
    "length_constraints:nth_paragraph_first_word": _first_word_of_paragraph,
    "detectable_content:number_placeholders": _placeholders,
    "detectable_content:postscript": _postscript,
    "detectable_format:number_bullet_lists": _bullets,
    "detectable_format:constrained_response": _one_of_the_options,
    "detectable_format:number_highlighted_sections": _highlights,
    "detectable_format:multiple_sections": _sections,
    "detectable_format:json_format": _json,
    "detectable_format:title": _title,
    "combination:two_responses": _two_responses,
    "combination:repeat_prompt": _repeated_prompt,
    "startend:end_checker": _end,
    "startend:quotation": _quoted,
    "change_case:capital_word_frequency": _capital_word_frequency,
    "change_case:english_capital": _all_capitals,
    "change_case:english_lowercase": _no_capitals,
    "punctuation:no_comma": _no_comma,
}
