"""json: values compared as JSON, schemas by jsonschema in a process of its own."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillroom.base.records import Message, Question
from stillroom.verify import verify
from stillroom.verify.json_answer import verify_json
from stillroom.verify.judgement import Judgement
from stillroom.verify.workers import Workers

DEEP = 100_000


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    workers = Workers("json", limit_s=60.0, count=1)
    yield workers
    workers.close()


def question(answer: str | None = None, schema: Any = None) -> Question:
    meta = {} if schema is None else {"schema": schema}
    return Question(
        id="q", messages=(Message(role="user", content="?"),), kind="json", answer=answer, source="test", meta=meta
    )


def judged(workers: Workers, answer: str, reference: str | None = None, schema: Any = None) -> Judgement:
    return verify_json(question(reference, schema), answer, workers)


@pytest.mark.parametrize(
    ("reference", "answer", "verdict"),
    [
        ('{"a": 1, "b": [true, null]}', '{"b": [true, null], "a": 1.0}', "right"),
        ("1", "1.0", "right"),
        ("100", "1e2", "right"),
        ("0", "-0.0", "right"),
        ("0.1", "0.10", "right"),
        ("1e400", "10e399", "right"),
        ("[1, 2]", "[2, 1]", "wrong"),
        ("[1]", "[true]", "wrong"),
        ("[0]", "[false]", "wrong"),
        ('{"a": 1}', '{"a": 1, "b": null}', "wrong"),
        ('{"a": "x"}', '{"a": "X"}', "wrong"),
        ('"1"', "1", "wrong"),
        ("0.1", "0.1000000000000000001", "wrong"),
        ("12345678901234567890123", "12345678901234567890124", "wrong"),
        ('{"a": 1}', '```json\n{"a": 1}\n```', "right"),
        ('{"a": 1}', 'Here it is:\n\n```json\n{"a": 1}\n```\nI hope it helps.', "right"),
        ('{"a": 1}', 'Here it is:\n\n```\n{"a": 1}\n```', "right"),
        ('{"a": 1}', 'Here it is:\n\n~~~json\n{"a": 1}\n~~~', "right"),
        ('{"a": 1}', 'Cut off:\n\n```json\n{"a": 1}', "right"),
        ('{"a": 1}', '<answer>{"a": 1}</answer>', "right"),
        ('{"a": 1}', '<answer>\n```json\n{"a": 1}\n```\n</answer>', "right"),
        ('{"a": 1}', '```json\n{"a": 2}\n```\nNo:\n<answer>{"a": 1}</answer>', "right"),
        ('{"a": 1}', 'The answer is: {"a": 1}', "right"),
        ('{"a": 1}', 'The answer is below.\n```json\n{"a": 1}\n```', "right"),
        ('{"a": 1}', '```json\n{"a": 1}\n```\nthat is\n```json\n{"a": 1.0}\n```', "right"),
        ('{"a": 1}', '```python\nprint({"a": 2})\n```\n```json\n{"a": 1}\n```', "right"),
        ('{"a": 1}', '```json\n{"a": 1}\n```\nor\n```json\n{"a": 2}\n```', "unsure"),
        ('{"a": 1}', '```json\n{"a": 1}\n```\nfrom\n```json\n{"a": ...}\n```', "unsure"),
        ('{"a": 1}', '{"a": 1, "a": 1}', "unsure"),
        ('{"a": 1}', '```json\n{"a": 2, "a": 1}\n```', "unsure"),
        ('{"a": 1}', 'It is {"a": 1}, as I said.', "unsure"),
        ('{"a": 1}', "{'a': 1}", "wrong"),
        ('{"a": 1}', '{"a": 1,}', "wrong"),
        ('{"a": 1}', '```json\n{"a": 1,}\n```', "wrong"),
        ('{"a": 1}', "I do not know.", "wrong"),
        ('{"a": 1}', "  ", "wrong"),
        ("null", "NaN", "wrong"),
        ('{"a": 1}', '{"a": NaN}', "wrong"),
        ('{"a": 1}', '{"a": -Infinity}', "wrong"),
        ('{"a": NaN}', '{"a": 1}', "unsure"),
        ("no JSON", '{"a": 1}', "unsure"),
        ('{"a": 1, "a": 2}', '{"a": 2}', "unsure"),
    ],
)
def test_against_a_reference(workers: Workers, reference: str, answer: str, verdict: str) -> None:
    judgement = judged(workers, answer, reference)
    assert judgement.verdict == verdict, judgement


@pytest.mark.parametrize(
    ("schema", "answer", "verdict"),
    [
        ({"type": "object", "required": ["a"]}, '{"a": 1}', "right"),
        ({"type": "object", "required": ["a"]}, '{"b": 1}', "wrong"),
        ('{"type": "integer"}', "1.0", "right"),
        ('{"type": "integer"}', "1.5", "wrong"),
        ({"type": "integer"}, "true", "wrong"),
        ({"multipleOf": 0.1}, "0.3", "right"),
        ({"multipleOf": 0.1}, "0.35", "wrong"),
        ({"enum": [0.1, 2]}, "2.0", "right"),
        ({"maximum": 5}, "1e999999999", "wrong"),
        ({"format": "date"}, '"2026-02-29"', "wrong"),
        ({"format": "date"}, '"2024-02-29"', "right"),
        ({"format": "date-time"}, '"yesterday"', "wrong"),
        ({"format": "email"}, '"nobody"', "wrong"),
        ({"format": "uri"}, '"not a uri"', "wrong"),
        ({"format": "hostname"}, '"-"', "wrong"),
        ({"format": "duration"}, '"3 days"', "wrong"),
        ({"$defs": {"n": {"type": "null"}}, "$ref": "#/$defs/n"}, "null", "right"),
        ({"$ref": "https://json-schema.org/draft/2020-12/schema"}, '{"type": "nothing"}', "wrong"),
        ({"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"type": "null"}]}, "[1]", "wrong"),
        (True, "1", "right"),
        (False, "1", "wrong"),
        ({"type": "whatever"}, "1", "unsure"),
        ({"pattern": "("}, '"("', "unsure"),
        ({"$ref": "#/nowhere"}, "1", "unsure"),
        ({"$ref": "#"}, "1", "unsure"),
        ("{", "1", "unsure"),
        (7, "1", "unsure"),
        ({"type": "integer"}, "9" * 5000, "unsure"),
    ],
)  # fmt: skip
def test_against_a_schema(workers: Workers, schema: Any, answer: str, verdict: str) -> None:
    judgement = judged(workers, answer, schema=schema)
    assert judgement.verdict == verdict, judgement


def test_the_place_that_breaks_the_schema_is_named(workers: Workers) -> None:
    schema = {"properties": {"people": {"items": {"properties": {"age": {"minimum": 0.5}}}}}}
    judgement = judged(workers, '{"people": [{"age": 3}, {"age": 0.25}]}', schema=schema)
    assert judgement == Judgement(
        "wrong", "$.people[1].age: 0.25 is less than the minimum of 0.5", '{"people": [{"age": 3}, {"age": 0.25}]}'
    )


def test_schema_and_reference_must_both_be_met(workers: Workers) -> None:
    schema = {"required": ["a"]}
    assert judged(workers, '{"a": 1}', '{"a": 1}', schema).verdict == "right"
    assert judged(workers, '{"a": 2}', '{"a": 1}', schema).verdict == "wrong"
    assert judged(workers, '{"b": 1}', '{"b": 1}', schema).verdict == "wrong"


def test_without_schema_and_reference_nothing_is_verified() -> None:
    assert verify(question(), "{}").verdict == "unverifiable"


def test_verify_finds_the_verifier() -> None:
    assert verify(question('{"a": 1}', {"required": ["a"]}), '{"a": 1}').verdict == "right"


def test_no_schema_is_fetched(workers: Workers) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.5)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/schema.json"
        for schema in ({"$ref": address}, {"$schema": address, "$ref": "other.json", "$id": address}):
            judgement = judged(workers, "1", schema=schema)
            assert judgement.verdict == "unsure"
            assert "not there" in judgement.reason
        with pytest.raises(TimeoutError):
            server.accept()


@pytest.mark.parametrize(
    "answer",
    [
        "[" * DEEP,
        "[" * DEEP + "]" * DEEP,
        '{"a":' * DEEP + "1" + "}" * DEEP,
        "```json\n" + "[" * DEEP + "]" * DEEP + "\n```",
        "1e99999999999999999999",
        "[" + "9" * 1_000_000 + "]",
        "```" * DEEP,
        "```json\n" * 10_000,
        '"' + "\\u0000" * DEEP,
    ],
)
def test_bombs_are_never_right_and_end(workers: Workers, answer: str) -> None:
    assert judged(workers, answer, "[1]").verdict in ("wrong", "unsure")
    assert judged(workers, answer, schema={"type": "object", "maxProperties": 0}).verdict in ("wrong", "unsure")


def test_a_pattern_that_never_ends_costs_one_verdict() -> None:
    workers = Workers("json", limit_s=1.0, count=1)
    judgement = judged(workers, json.dumps("a" * 40 + "!"), schema={"pattern": "^(a+)+$"})
    assert (judgement.verdict, judgement.reason) == ("unsure", "verifying took more than 1 seconds")
    workers.limit_s = 60.0
    assert judged(workers, '"aaa"', schema={"pattern": "^(a+)+$"}).verdict == "right"
    workers.close()


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(_VALUES, st.booleans())
def test_every_value_is_the_same_as_itself_however_it_is_laid_out(value: Any, is_fenced: bool) -> None:
    answer = json.dumps(value, indent=2, sort_keys=True)
    if is_fenced:
        answer = f"```json\n{answer}\n```"
    judgement = verify(question(json.dumps(value, ensure_ascii=False)), answer)
    assert judgement.verdict == "right", judgement
