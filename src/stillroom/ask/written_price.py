"""Prices as people write them: what is no price of a recipe is refused in one sentence that says what to write."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from pydantic import ValidationError

from stillroom.base.validation import first_problem
from stillroom.client.settings import Price
from stillroom.text.counted import listed
from stillroom.text.nearest import nearest_name

_FORM = "{input_per_million: 0.55, output_per_million: 2.19}"
_UNIT = "USD for a million tokens, and 0 where they cost nothing"
_PARTS = {
    "input_per_million": ("input", "prompt", "in"),
    "output_per_million": ("output", "completion", "out"),
    "cached_per_million": ("cached", "cache"),
    "per_call": ("call", "request"),
}
_UNITS = {"token": Decimal(1_000_000), "1k": Decimal(1000), "thousand": Decimal(1000), "k": Decimal(1000)}
"""What a price for one of these is to be multiplied by."""
_LEAST = Decimal("0.0001")
"""USD for a million tokens: hundreds of times below the cheapest model, and above any price for a single token."""


def read_price(value: Any) -> Any:
    """The price that is written there. Raises ValueError where somebody meant something else by it."""
    if value is None or value == "none" or isinstance(value, Price):
        return value
    if not isinstance(value, Mapping):
        raise ValueError(_no_mapping(value))
    for key, amount in value.items():
        if key not in Price.model_fields:
            raise ValueError(_other_key(str(key), amount))
        if (problem := _other_amount(key, amount)) is not None:
            raise ValueError(problem)
    missing = [name for name, field in Price.model_fields.items() if field.is_required() and name not in value]
    if missing:
        raise ValueError(f"{listed(missing)} {'is' if len(missing) == 1 else 'are'} missing: {_UNIT}")
    try:
        return Price.model_validate(value)
    except ValidationError as error:
        raise ValueError(first_problem(error)) from error


def _no_mapping(value: Any) -> str:
    if isinstance(value, str):
        is_none = value.strip().lower() in ("none", "free", "no", "nothing", "null", "zero")
    else:
        is_none = value is False or (isinstance(value, int | float) and value == 0 and value is not True)
    if is_none:
        return "write none where the teacher costs nothing"
    if (isinstance(value, int | float) and value is not True) or (
        isinstance(value, str) and _number(value) is not None
    ):
        return f"one number is no price, since prompts and replies cost differently: write {_FORM}"
    return f"a price is none, or {_FORM}: USD for a million tokens"


def _other_key(key: str, amount: Any) -> str:
    words = re.split(r"[^a-z0-9]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", key).lower())
    if "currency" in words:
        return "there is no currency: prices are in USD"
    factor = next((by for unit, by in _UNITS.items() if {unit, f"{unit}s"} & set(words)), None)
    right = next((name for name, said in _PARTS.items() if set(words) & set(said)), None)
    if set(words) & set(_PARTS["cached_per_million"]):  # of the input, mostly
        right = "cached_per_million"
    right = right or nearest_name(key, Price.model_fields)
    if right is None:
        return f"there is no {key}; a price is {_FORM}, and may have cached_per_million and per_call"
    number = _number(amount)
    if factor is None or right == "per_call" or number is None or "million" in words:
        return f"there is no {key}: write {right}, the USD {_per(right)}"
    return f"{key}: prices are for a million tokens; write {right}: {_plain(number * factor)}"


def _other_amount(key: str, amount: Any) -> str | None:
    number = _number(amount)
    if isinstance(amount, str) and number is None:
        return f"{key}: {amount[:40]!r} is no number: write the USD {_per(key)} alone, such as 0.55"
    if isinstance(amount, str) and not _is_plain(amount):
        if re.search("usd|dollar", amount.replace("$", "usd"), re.IGNORECASE):
            return f"{key}: write {_plain(number or Decimal(0))} alone; prices are in USD"
        return f"{key}: {amount[:40]!r} is not in USD: write what it is in USD, as a number alone"
    if number is None:
        optional = amount is None and key in ("cached_per_million", "per_call")
        return None if optional else f"{key} should be a number: the USD {_per(key)}"
    if number < 0:
        return f"{key}: a price is never negative"
    if key != "per_call" and 0 < number < _LEAST:
        million = _plain(number * _UNITS["token"])
        return f"{key}: less than any model costs for a million tokens; if it is for one token, write {million}"
    return None


def _per(key: str) -> str:
    return "for each call" if key == "per_call" else "for a million tokens"


def _number(value: Any) -> Decimal | None:
    """The amount that stands in `value`, a currency's sign or name aside."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    found = re.fullmatch(r"\s*[^\d\s.+-]*\s*([-+]?[\d.]+(?:[eE][-+]?\d+)?)\s*[^\d\s.]*\s*", str(value))
    try:
        return Decimal(found[1]) if found else None
    except InvalidOperation:
        return None


def _is_plain(text: str) -> bool:
    return re.fullmatch(r"\s*[-+]?[\d.]+(?:[eE][-+]?\d+)?\s*", text) is not None


def _plain(number: Decimal) -> str:
    return format(number.normalize(), "f")
