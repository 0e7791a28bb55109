"""One value, one sequence of bytes: what digests, keys and later signatures are taken over."""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any

import orjson

# Made once: json.dumps would make one for each value, which costs as much as the encoding of a short one.
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical_bytes(value: Any) -> bytes:
    """JSON with sorted keys, no spaces, UTF-8, and whole floats written as integers (0.0 and 0 are one value).

    `value` is made of dict (str keys), list, tuple, str, int, float, bool and None.
    Raises ValueError for NaN, infinities, lone surrogates and hundreds of levels, TypeError for any other type.
    """
    if _is_written_alike(value):
        try:
            return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
        except orjson.JSONEncodeError:  # a whole number of more than 64 bits, or what is an error below too
            pass
    try:
        return _ENCODER.encode(_plain(value)).encode("utf-8")
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def digest(value: Any) -> str:
    """`sha256:` and the hex digest of `canonical_bytes(value)`."""
    return digest_bytes(canonical_bytes(value))


def digest_bytes(data: bytes) -> str:
    """`sha256:` and the hex digest of the bytes themselves."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def _is_written_alike(value: Any) -> bool:
    """Whether orjson, which takes a tenth of the time or less, writes the same bytes: all but floats are alike.

    What only one of the two would take is not.
    """
    waiting = [value]
    while waiting:
        each = waiting.pop()
        kind = type(each)
        if kind is dict:
            waiting += each.values()
        elif kind is list:
            waiting += each
        elif kind is not str and kind is not int and kind is not bool and each is not None:
            return False
    return True


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} has no canonical form")
        return int(value) if value.is_integer() else value
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"a key must be a string, not {type(key).__name__}")
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    raise TypeError(f"{type(value).__name__} has no canonical form")
