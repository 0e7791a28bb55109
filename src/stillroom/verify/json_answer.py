"""Kind `json`: the JSON of an answer against a schema, against the reference, or both.

The schema (JSON Schema) is `meta["schema"]`, an object or its JSON text; the reference is the question's answer, a JSON
text. Without either there is nothing to verify with. What is judged of an answer: all of it where it is JSON; else what
it marks as its answer (an answer tag, "the answer is ..."); else its fenced blocks, of which those that are marked as
JSON come first. Several that differ are unsure.

Values are compared as JSON: the order of keys makes no difference, that of a list does; numbers are compared exactly,
and 1, 1.0 and 1e0 are one number. NaN and infinities are no JSON. An object that gives a key twice means different
things to different readers, and is unsure.
"""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

from stillroom.base.records import Question
from stillroom.verify.fences import fenced_blocks
from stillroom.verify.judgement import Judgement
from stillroom.verify.markers import marked_answers
from stillroom.verify.math import not_answered
from stillroom.verify.workers import Workers

MOST_CHARACTERS = 4_000_000
"""A longer answer is not read."""


class _Unclear(ValueError):
    """JSON that readers understand differently, or that cannot be read here."""


def verify_json(question: Question, answer: str, workers: Workers) -> Judgement:
    """`workers`: of the job `json`, in which answers meet schemas."""
    request = json_request(question, answer)
    if isinstance(request, Judgement):
        return request
    return json_judgement(request, workers.run(request), workers.limit_s)


def json_request(question: Question, answer: str) -> dict[str, Any] | Judgement:
    """What the worker is asked; a judgement where there is nothing to ask."""
    reference = question.answer
    try:
        schema = read_schema(question.meta)
    except ValueError as error:
        return Judgement("unsure", f"the schema cannot be used: {error}")
    if schema is None and reference is None:
        return Judgement("unverifiable", "the question has neither a schema nor a reference answer")
    if len(answer) > MOST_CHARACTERS:
        return Judgement("unsure", f"the answer has more than {MOST_CHARACTERS:,} characters")
    if not answer.strip():
        return Judgement("wrong", "the answer is empty")
    found = _found(answer)
    if isinstance(found, Judgement):
        return found
    text, value = found
    differing = None if reference is None else _compared(reference, value, text)
    if differing is not None:
        return differing
    if schema is None:
        return Judgement("right", "the same value", text)
    return {"schema": schema, "instance": text}


def json_judgement(request: dict[str, Any], response: dict[str, Any], limit_s: float) -> Judgement:
    """What the worker's answer means."""
    text, seconds = request["instance"], response.get("seconds", limit_s)
    if "verdict" not in response:
        return Judgement("unsure", not_answered(response, limit_s), text, seconds)
    return Judgement(response["verdict"], response["reason"], text, seconds)


def read_json(text: str) -> Any:
    """The value of a JSON text, numbers as exact decimals.

    Raises ValueError: not JSON (NaN and infinities are not), a key that stands twice in an object, or too deep.
    """
    try:
        return json.loads(
            text, parse_int=Decimal, parse_float=Decimal, parse_constant=_refuse, object_pairs_hook=_once_each
        )
    except RecursionError:
        raise _Unclear("it is nested too deeply") from None
    except InvalidOperation:
        raise _Unclear("it holds a number that is too large to be read") from None


def read_schema(meta: dict[str, Any]) -> str | None:
    """The text of the schema that a question has; None where it has none.

    Raises ValueError where it is neither an object, nor true or false, nor the JSON text of one of these.
    """
    schema = meta.get("schema")
    if schema is None:
        return None
    # As text: a worker reads numbers as they are written.
    text = schema if isinstance(schema, str) else json.dumps(schema)
    if not isinstance(read_json(text), dict | bool):
        raise ValueError("the schema is not an object")
    return text


def _found(answer: str) -> tuple[str, Any] | Judgement:
    """The JSON text that is judged with its value, or why there is none."""
    whole = answer.strip()
    try:
        return whole, read_json(whole)
    except _Unclear as error:
        return Judgement("unsure", f"{error}", whole[:1000])
    except ValueError as error:
        problem = str(error)
    marked = [one.text for one in marked_answers(answer) if one.mark in ("tag", "phrase")]
    texts = _blocks(marked[-1]) or [marked[-1].strip()] if marked else []
    if not any(text[:1] in ("{", "[") for text in texts):  # "The answer is: see below", and a block below it
        texts = _blocks(answer) or texts
    values = []
    for text in texts:
        try:
            values.append((text, read_json(text)))
        except _Unclear as error:
            return Judgement("unsure", f"{error}", text[:1000])
        except ValueError as error:
            problem = str(error)
    if values and len(values) < len(texts):
        return Judgement("unsure", f"one of several blocks is not JSON: {problem}", values[-1][0])
    if not values:
        if texts or whole[:1] in ("{", "["):
            return Judgement("wrong", f"not JSON: {problem}", (texts[-1] if texts else whole)[:1000])
        has_braces = "{" in answer or "[" in answer
        return Judgement("unsure" if has_braces else "wrong", "no block of JSON was found in the answer")
    if any(value != values[0][1] for _, value in values):
        return Judgement("unsure", "several blocks of JSON that differ", values[-1][0])
    return values[-1]


def _blocks(text: str) -> list[str]:
    """The contents of the fenced blocks that are marked as JSON, or else of those that are marked as nothing."""
    blocks = [(block.language, block.text.strip()) for block in fenced_blocks(text)]
    marked = [content for language, content in blocks if language.startswith("json") and content]
    return marked or [content for language, content in blocks if not language and content]


def _compared(reference: str, value: Any, text: str) -> Judgement | None:
    """What the comparison with the reference comes to; None where both are the same value."""
    try:
        expected = read_json(reference)
    except ValueError as error:
        return Judgement("unsure", f"the reference is not JSON: {error}", text)
    try:
        return None if _same(expected, value) else Judgement("wrong", "another value", text)
    except RecursionError:
        return Judgement("unsure", "it is nested too deeply", text)


def _same(one: Any, other: Any) -> bool:
    """Python takes True and 1 for equal, JSON does not."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(_same(*pair) for pair in zip(one, other, strict=True))
    return type(one) is type(other) and bool(one == other)


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _Unclear("a key stands twice in one object")
    return found
