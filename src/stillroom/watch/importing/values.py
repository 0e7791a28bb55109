"""What a field says, as a column of a call holds it. Each raises ValueError, with what is wrong, for anything else."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Any

LONGEST_NAME = 256
_MOST = 2**53
_MOST_SECONDS = 7 * 86_400
"""That a call takes."""
_TRUE, _FALSE = {"true", "t", "yes", "y", "1", "on"}, {"false", "f", "no", "n", "0", "off"}
_UNIX = {"unix_s": 1_000_000, "unix_ms": 1_000, "unix_us": 1, "unix_ns": 0.001}
_EARLIEST = datetime(2015, 1, 1, tzinfo=UTC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def text(value: Any) -> str:
    """Of an id or a name, in which no line end and no half of a character stands."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("it is no text")
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # as a table's column of whole numbers of which some are missing is written
    found = _CONTROL.sub("?", str(value).strip()).encode("utf-8", "backslashreplace").decode()
    if len(found) > LONGEST_NAME:
        raise ValueError(f"it is longer than {LONGEST_NAME} characters")
    return found


def word(value: Any) -> str:
    """As a person would write it in a mapping: `true`, `200`."""
    return str(value).lower() if isinstance(value, bool) else str(value).strip()


def count(value: Any) -> int:
    number = _number(value)
    if number < 0:
        raise ValueError("it is negative")
    if not number.is_integer():
        raise ValueError("it is no whole number")
    if number > _MOST:
        raise ValueError("it is too large")
    return int(number)


def number(value: Any) -> float:
    return _number(value)


def truth(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise ValueError("it is neither true nor false")


def usd(value: Any) -> str:
    """A decimal number of USD."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise ValueError("it is no number")
    try:
        amount = Decimal(str(value).strip())
    except InvalidOperation as error:
        raise ValueError("it is no number") from error
    if not amount.is_finite() or abs(amount) > _MOST:
        raise ValueError("it is no amount of money")
    if amount < 0:
        raise ValueError("it is negative")
    return format(amount.quantize(Decimal("1e-12")).normalize(), "f")


def moment(value: Any, form: str, zone: tzinfo, latest_us: int) -> int:
    """UTC in microseconds. `zone`: of a time that names none. `latest_us`: what lies after it has not been yet."""
    at = _microseconds(value, form, zone)
    if not at >= _EARLIEST_US:
        raise ValueError("it is a time before 2015")
    if at > latest_us:
        raise ValueError("it is a time that has not been yet")
    return at


def duration(value: Any, unit: str) -> int:
    """Microseconds."""
    found = round(_number(value) * _UNIX[f"unix_{unit}"])
    if found < 0:
        raise ValueError("it is negative")
    if found > _MOST_SECONDS * 1_000_000:
        raise ValueError("it is longer than a week")
    return found


def _microseconds(value: Any, form: str, zone: tzinfo) -> int:
    if isinstance(value, datetime):
        return _since_1970(value, zone)
    if form in _UNIX:
        number = _number(value) * _UNIX[form]
        if abs(number) > _MOST:
            raise ValueError(f"it is no time in {form}")
        return round(number)
    if not isinstance(value, str):
        raise ValueError(f"it is no time in the format {form}")
    try:
        told = value.strip()
        return _since_1970(datetime.fromisoformat(told) if form == "iso" else datetime.strptime(told, form), zone)  # noqa: DTZ007
    except (ValueError, OverflowError) as error:
        raise ValueError(f"it is no time in the format {form}") from error


def _since_1970(when: datetime, zone: tzinfo) -> int:
    return ((when if when.tzinfo else when.replace(tzinfo=zone)) - _EPOCH) // _US


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise ValueError("it is no number")
    try:
        number = float(value)
    except (ValueError, OverflowError) as error:
        raise ValueError("it is no number") from error
    if not math.isfinite(number) or (isinstance(value, str) and "_" in value):
        raise ValueError("it is no number")
    return number


_EARLIEST_US = (_EARLIEST - _EPOCH) // _US
