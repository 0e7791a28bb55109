from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from stillroom.base.records import Route
from stillroom.serve.routes.errors import ApiError, error_body
from stillroom.serve.routes.openapi import BODIES, openapi
from stillroom.serve.routes.request import read_body, read_request

ROUTES: tuple[Route, ...] = get_args(Route)
VALIDATORS = {route: Draft202012Validator(schema) for route, schema in BODIES.items()}

_VALUES = st.one_of(
    st.sampled_from([None, True, False, 0, 1, 128, 129, -1, 2**31 - 1, 2**31, 1.0, 1.5, "", "m", "x" * 257, [], {}]),
    st.sampled_from(
        [["a"], [1], [[1], [2]], [[1.0]], ["a", 1], [True], [-1], [[]], [[[]]], [2**31], [{"role": "user"}], [{}]]
    ),
    st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "role": st.sampled_from(["user", "assistant", "system", 5, None]),
                "content": st.sampled_from(["x", None, 5, {}, [], ["x"], [5], [{"type": "text", "text": "x"}]]),
                "type": st.sampled_from(["message", "reasoning", "function_call"]),
            },
        ),
        max_size=3,
    ),
    st.fixed_dictionaries({}, optional={"user_id": st.sampled_from(["u", None, 5]), "include_usage": st.booleans()}),
)


def _is_read(route: Route, body: dict[str, Any]) -> bool:
    try:
        read_request(route, read_body(json.dumps(body).encode()))
    except ApiError:
        return False
    return True


@pytest.mark.parametrize("route", ROUTES)
@given(data=st.data())
@settings(max_examples=150)
def test_the_description_says_exactly_what_is_read(route: Route, data: st.DataObject) -> None:
    """A body that holds to the schema is read, and one that does not is refused."""
    least: dict[Route, dict[str, Any]] = {
        "chat": {"messages": [{"role": "user"}]},
        "messages": {"messages": [{"role": "user"}]},
        "embeddings": {"input": "x"},
    }
    names = st.sampled_from([*BODIES[route]["properties"], "something_else"])
    changes = data.draw(st.dictionaries(names, _VALUES, max_size=2))
    body = {"model": "m"} | least.get(route, {}) | changes
    for name in data.draw(st.sets(names, max_size=1)) - changes.keys():
        body.pop(name, None)
    assert _is_read(route, body) == VALIDATORS[route].is_valid(body)


def test_it_is_a_description_of_every_route() -> None:
    described = openapi("ACME")
    Draft202012Validator.check_schema({"$defs": described["components"]["schemas"]})
    calls = {each["post"]["operationId"] for each in described["paths"].values() if "post" in each}
    assert calls == set(ROUTES)
    assert json.loads(json.dumps(described)) == described
    identities = [each["operationId"] for path in described["paths"].values() for each in path.values()]
    assert len(identities) == len(set(identities))


@pytest.mark.parametrize("route", ROUTES)
def test_errors_are_as_it_says(route: Route) -> None:
    described = openapi("ACME")
    [call] = [
        each["post"] for each in described["paths"].values() if "post" in each and each["post"]["operationId"] == route
    ]
    for status, answer in call["responses"].items():
        if status in ("200", "4XX"):
            continue
        name = answer["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        validator = Draft202012Validator(described["components"]["schemas"][name])
        validator.validate(json.loads(error_body(route, int(status), "It is so.")))
        validator.validate(json.loads(error_body(route, int(status), "It is so.", code="why", param="model")))
