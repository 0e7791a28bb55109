"""What a response's headers say about the server's limits, in the spellings that are in use.

| header                                                               | from                              |
|----------------------------------------------------------------------|-----------------------------------|
| `retry-after` (seconds or a date), `retry-after-ms`                  | RFC 9110; OpenAI, Azure           |
| `x-ratelimit-{limit,remaining,reset}-{requests,tokens}`              | OpenAI and most of its imitators  |
| `anthropic-ratelimit-{requests,tokens,...}-{limit,remaining,reset}`  | Anthropic                         |
| `ratelimit-{limit,remaining,reset}`, the same with `x-`              | gateways; taken as requests       |
| `ratelimit: "name";r=59;t=30` and `ratelimit: limit=..., ...`        | IETF draft ratelimit-headers      |

A reset is a duration (`6m0s`, `1s`, `20ms`), a number of seconds, an RFC 3339 date, or seconds or milliseconds since
1970.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_EPOCH_S, _EPOCH_MS = 1e8, 1e11
"""A reset of so many seconds (three years) is a date: seconds since 1970; from the second on, milliseconds."""
_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", re.ASCII)
_NUMBER = re.compile(r"\d{1,18}(?:\.\d+)?", re.ASCII)
_DRAFT_PART = re.compile(r"\b(r|t|limit|remaining|reset)=(\d{1,18})\b", re.ASCII)
_DRAFT_NAMES = {"r": "remaining", "t": "reset"}


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of one limit."""

    limit: int | None = None
    remaining: int | None = None
    reset_s: float | None = None
    """Seconds until all of it is there again."""


@dataclass(frozen=True, slots=True)
class RateHeaders:
    retry_after_s: float | None = None
    requests: Allowance | None = None
    tokens: Allowance | None = None
    """Of several (input, output, all) the one with the fewest left."""


NO_RATE_HEADERS = RateHeaders()


def read_rate_headers(headers: Mapping[str, str], now_us: int) -> RateHeaders:
    """`headers`: names in lower case; `now_us`: UTC, for headers that hold dates. What cannot be read is left out."""
    told = [name for name in headers if "ratelimit" in name or name.startswith("retry-after")]
    if not told:
        return NO_RATE_HEADERS
    retry_after_s: float | None = None
    found: dict[str, dict[str, str]] = {}
    for name in told:
        value = headers[name]
        if name == "retry-after-ms":
            milliseconds = _read_number(value)
            retry_after_s = retry_after_s if milliseconds is None else milliseconds / 1000
        elif name == "retry-after":
            retry_after_s = read_retry_after(value, now_us) if retry_after_s is None else retry_after_s
        elif name == "ratelimit":
            parts = {_DRAFT_NAMES.get(key, key): text for key, text in _DRAFT_PART.findall(value)}
            found.setdefault("requests", {}).update(parts)
        else:
            subject, field = _split(name)
            found.setdefault(subject, {})[field] = value
    requests = [_allowance(fields, now_us) for subject, fields in found.items() if subject.startswith("req")]
    tokens = [_allowance(fields, now_us) for subject, fields in found.items() if "token" in subject]
    return RateHeaders(retry_after_s, _scarcest(requests), _scarcest(tokens))


def read_retry_after(value: str | None, now_us: int) -> float | None:
    """Seconds in a Retry-After header, which holds seconds or a date; None where it holds neither."""
    if value is None:
        return None
    seconds = _read_number(value)
    if seconds is not None:
        return seconds
    try:
        date = parsedate_to_datetime(value.strip())
    except ValueError:
        return None
    return _seconds_until(date, now_us)


def _split(name: str) -> tuple[str, str]:
    """`x-ratelimit-remaining-tokens` and `anthropic-ratelimit-tokens-remaining`: ("tokens", "remaining")."""
    words = name.partition("ratelimit-")[2].split("-")
    field = next((word for word in words if word in ("limit", "remaining", "reset")), "")
    return "-".join(word for word in words if word != field) or "requests", field


def _allowance(fields: dict[str, str], now_us: int) -> Allowance:
    limit, remaining = (_read_number(fields.get(name, "")) for name in ("limit", "remaining"))
    return Allowance(
        None if limit is None else int(limit),
        None if remaining is None else int(remaining),
        _read_reset(fields.get("reset", ""), now_us),
    )


def _scarcest(allowances: list[Allowance]) -> Allowance | None:
    told = [allowance for allowance in allowances if allowance.remaining is not None]
    return min(told, key=lambda allowance: allowance.remaining or 0, default=None)


def _read_number(value: str) -> float | None:
    text = value.strip()
    return float(text) if _NUMBER.fullmatch(text) else None


def _read_reset(value: str, now_us: int) -> float | None:
    number = _read_number(value)
    if number is not None:
        if number < _EPOCH_S:
            return number
        return max(0.0, (number if number < _EPOCH_MS else number / 1000) - now_us / 1e6)
    text = value.strip()
    parts = _PART.findall(text)
    if parts and "".join(amount + unit for amount, unit in parts) == text:
        seconds = sum(float(amount) * _UNITS_S[unit] for amount, unit in parts)
        return seconds if math.isfinite(seconds) else None
    try:
        return _seconds_until(datetime.fromisoformat(text), now_us)
    except ValueError:
        return None


def _seconds_until(date: datetime, now_us: int) -> float:
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, date.timestamp() - now_us / 1e6)
