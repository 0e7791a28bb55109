"""A JSON text against a JSON Schema, by the library jsonschema. Runs in a worker: a schema's patterns can take forever.

Formats are checked (those of international names and addresses, idn-* and iri*, are not). Numbers are exact: 0.3 is a
multiple of 0.1. References into the schema itself and to the standard's own schemas are followed; nothing is fetched
from anywhere.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal, InvalidOperation

from jsonschema.exceptions import SchemaError, best_match
from jsonschema.protocols import Validator
from jsonschema.validators import Draft202012Validator, validator_for
from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]
from referencing.exceptions import Unresolvable

# Checked before the guard of the process is put up: the checkers load what they need late.
_FORMATS = ("date", "date-time", "duration", "hostname", "json-pointer", "regex", "time", "uri", "uri-template")
_MOST_DIGITS = 4000
_DECIMAL = re.compile(r"Decimal\('([^']*)'\)")


def load() -> None:
    """Load all that checking needs: afterwards no file is opened."""
    for name in _FORMATS:
        judge_instance(json.dumps({"format": name}), '"x"')
    judge_instance('{"$ref": "https://json-schema.org/draft/2020-12/schema"}', "{}")


def judge_instance(schema_text: str, instance: str) -> dict[str, str]:
    """{verdict, reason}: `wrong` names the first place that breaks the schema, `unsure` why nothing can be said."""
    try:
        schema, value = (json.loads(text, parse_float=_number) for text in (schema_text, instance))
    except (ValueError, InvalidOperation, RecursionError) as error:  # more digits than an integer may have
        return {"verdict": "unsure", "reason": f"the JSON cannot be read: {_short(str(error))}"}
    kind = validator_for(schema, default=Draft202012Validator) if isinstance(schema, dict) else Draft202012Validator
    try:
        kind.check_schema(schema)
    except SchemaError as error:
        return {"verdict": "unsure", "reason": f"the schema is not valid: {_short(error.message)}"}
    validator: Validator = kind(schema, registry=REGISTRY, format_checker=kind.FORMAT_CHECKER)
    try:
        broken = best_match(validator.iter_errors(value))
    except Unresolvable as problem:
        return {"verdict": "unsure", "reason": f"the schema refers to {_short(str(problem.ref))!r}, which is not there"}
    if broken is None:
        return {"verdict": "right", "reason": "as the schema says"}
    return {"verdict": "wrong", "reason": f"{broken.json_path}: {_short(broken.message)}"}


def _number(written: str) -> int | Decimal:
    """What is written with a point or an exponent. A whole number is an integer, as the standard has it: 1.0 is 1."""
    number = Decimal(written)
    is_whole = number.adjusted() < _MOST_DIGITS and number == number.to_integral_value()
    return int(number) if is_whole else number


def _short(text: str) -> str:
    text = _DECIMAL.sub(r"\1", " ".join(text.split()))
    return text if len(text) <= 200 else text[:197] + "..."
