"""What pydantic finds wrong, in words for the person who wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, ValidationError
from pydantic_core import ErrorDetails


def _name_of_a_variable(value: str) -> str:
    if not (value.isidentifier() and value.isascii()):
        raise ValueError("this must be the name of an environment variable, not a key")  # which is not repeated
    return value


VariableName = Annotated[str, AfterValidator(_name_of_a_variable)]
"""Of the environment. What stands there instead is likely the key that it should hold."""

_SHOULD_BE: Mapping[str, str] = {
    "bool_type": "should be true or false",
    "decimal_parsing": "should be a number and nothing else",
    "decimal_type": "should be a number",
    "dict_type": "should be keys and values",
    "extra_forbidden": "is no key here",
    "float_type": "should be a number",
    "int_type": "should be a whole number",
    "list_type": "should be a list",
    "missing": "is missing",
    "model_type": "should be keys and values",
    "string_too_short": "should not be empty",
    "string_type": "should be text",
    "too_short": "should have at least one entry",
    "tuple_type": "should be a list",
}


def problem_in_words(details: ErrorDetails) -> str:
    """`should be a whole number`: goes on after the name of what is wrong, and has no full stop."""
    if details["type"] == "value_error":
        return details["msg"].removeprefix("Value error, ")
    return _SHOULD_BE.get(details["type"]) or details["msg"].removeprefix("Input ")


def first_problem(error: ValidationError) -> str:
    """`answer: is missing`, of a record with one problem or many."""
    details = error.errors()[0]
    place = ".".join(str(part) for part in details["loc"])
    return f"{place}: {problem_in_words(details)}" if place else problem_in_words(details)
