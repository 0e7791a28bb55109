from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillroom.base.canonical import _ENCODER, _plain, canonical_bytes, digest

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=20,
)


@given(PLAIN)
def test_it_is_json_and_reading_it_back_changes_nothing(value: Any) -> None:
    data = canonical_bytes(value)
    assert canonical_bytes(json.loads(data)) == data


@given(PLAIN)
def test_both_ways_of_writing_write_the_same(value: Any) -> None:
    assert canonical_bytes(value) == _ENCODER.encode(_plain(value)).encode("utf-8")


def test_both_ways_of_writing_escape_the_same() -> None:
    for code in (*range(0xD800), *range(0xE000, 0x110000, 7)):
        character = chr(code)
        assert canonical_bytes(character) == _ENCODER.encode(character).encode("utf-8")


@given(st.dictionaries(TEXT, PLAIN))
def test_the_order_of_keys_does_not_matter(value: dict[str, Any]) -> None:
    backwards = dict(reversed(list(value.items())))
    assert canonical_bytes(backwards) == canonical_bytes(value)


@given(st.integers(-(2**53), 2**53))
def test_a_whole_float_is_its_integer(number: int) -> None:
    assert canonical_bytes(float(number)) == canonical_bytes(number)


@given(PLAIN, PLAIN)
def test_values_that_differ_have_digests_that_differ(one: Any, other: Any) -> None:
    # JSON tells true from 1 where Python does not, so the text is what is compared.
    same = json.dumps(_whole(one), sort_keys=True) == json.dumps(_whole(other), sort_keys=True)
    assert (digest(one) == digest(other)) == same


def test_spellings() -> None:
    assert canonical_bytes({"b": [1.0, True, None], "a": "é\n"}) == '{"a":"é\\n","b":[1,true,null]}'.encode()
    assert canonical_bytes(-0.0) == b"0"
    assert canonical_bytes((1, 2)) == canonical_bytes([1, 2])


@pytest.mark.parametrize("value", [math.nan, math.inf, [-math.inf], "\ud800"])
def test_what_has_no_canonical_form_is_refused(value: Any) -> None:
    with pytest.raises(ValueError):
        canonical_bytes(value)


def test_what_is_nested_too_deeply_is_refused() -> None:
    deep: list[Any] = []
    for _ in range(2000):
        deep = [deep]
    with pytest.raises(ValueError, match="too deeply"):
        canonical_bytes(deep)


@pytest.mark.parametrize("value", [{1: "a"}, {"a"}, b"bytes", object()])
def test_what_is_not_json_is_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        canonical_bytes(value)


def _whole(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    return [_whole(item) for item in value] if isinstance(value, list) else value
