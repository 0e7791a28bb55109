"""The gateway is what its OpenAPI description says, for requests that fit it and for those that do not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import Case, GenerationMode

if TYPE_CHECKING:
    from tests.serve.gateway.conftest import RunningGateway

EXAMPLES = 8


@pytest.fixture(scope="module")
def key(gateway: RunningGateway) -> dict[str, str]:
    """Both headers, since either may be generated beside the other."""
    text = gateway.key().key
    return {"Authorization": f"Bearer {text}", "x-api-key": text}


@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize("has_key", [True, False], ids=["with a key", "without"])
def test_every_route_does_what_it_says(
    gateway: RunningGateway, key: dict[str, str], has_key: bool, mode: GenerationMode
) -> None:
    described = json.loads(gateway.get("/openapi.json")[1])
    if has_key:
        _check(gateway, described, key, mode)
    else:
        for item in described["paths"].values():
            for operation in item.values():
                del operation["security"]  # or a key would be generated
        answered = _check(gateway, described, {}, mode)
        assert set(answered) <= {200, 401}


def test_requests_that_reach_a_model_do_what_they_say(gateway: RunningGateway, key: dict[str, str]) -> None:
    described = json.loads(gateway.get("/openapi.json")[1])
    calls = {path: item for path, item in described["paths"].items() if "post" in item}
    for item in calls.values():
        item["post"]["parameters"] = []  # no permit, which would be refused
        del item["post"]["security"]  # or each call would be tried again with a wrong key, which is made to wait
        body = item["post"]["requestBody"]["content"]["application/json"]["schema"]
        body["properties"]["model"] = {"const": "m"}
    begun = _check(gateway, {**described, "paths": calls}, key, GenerationMode.POSITIVE)
    assert begun.count(200) > len(begun) // 2 > len(calls)


def _check(
    gateway: RunningGateway, described: dict[str, Any], headers: dict[str, str], mode: GenerationMode
) -> list[int]:
    """The status of each answer, of which none is a server's error."""
    api = schemathesis.openapi.from_dict(described)
    answered: list[int] = []

    def check(case: Case[Any]) -> None:
        response = case.call_and_validate(base_url=gateway.url)
        answered.append(response.status_code)

    for result in api.get_all_operations():
        operation = result.ok()  # type: ignore[union-attr]  # it raises where the description itself is wrong
        # Where there is no body, there is nothing that could not be what is described.
        if mode is GenerationMode.POSITIVE or len(operation.body):
            asked = given(operation.as_strategy(mode, headers=headers))(check)
            bounded = settings(max_examples=EXAMPLES, derandomize=True, database=None, deadline=None)
            settings(bounded, suppress_health_check=list(HealthCheck))(asked)()
    assert answered
    assert max(answered) < 500
    return answered
