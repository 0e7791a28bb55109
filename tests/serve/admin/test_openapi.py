"""The admin API is what its OpenAPI description says, for requests that fit it and for those that do not."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from tests.serve.admin.conftest import Client, admin_server, new_admin_key

from stillroom.serve.database.engine import open_database

EXAMPLES = 5


@pytest.fixture(scope="module")
def owner(upgraded_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    file = shutil.copyfile(upgraded_sqlite, tmp_path_factory.mktemp("openapi") / "gateway.db")
    engine = open_database(f"sqlite:///{file}")
    with admin_server(engine) as port:
        yield Client(port, new_admin_key(engine, "owner", "Olga"))
    engine.dispose()


@pytest.fixture(scope="module")
def ids(owner: Client) -> dict[str, str]:
    """Of things that are there, by the name of the parameter that asks for one."""
    organisation = owner.organisation()
    account = owner.account(organisation)
    key = owner.post(f"/v1/accounts/{account}/keys")["row"]["id"]
    other = owner.post("/v1/admins", {"name": "Other", "role": "owner"})["row"]["id"]
    return {"organisation": organisation, "account": account, "key": key, "other": other}


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_every_route_does_what_it_says(owner: Client, ids: dict[str, str], mode: GenerationMode) -> None:
    api = schemathesis.openapi.from_url(f"http://127.0.0.1:{owner.port}/openapi.json")
    headers = {"Authorization": f"Bearer {owner.key}"}
    for result in api.get_all_operations():
        operation = result.ok()  # type: ignore[union-attr]  # it raises where the description itself is wrong
        there = {parameter.name: ids[parameter.name] for parameter in operation.path_parameters}
        is_positive = mode is GenerationMode.POSITIVE
        cases = []
        if there or is_positive:
            cases.append(operation.as_strategy(mode, headers=headers))
        if len(operation.query) + len(operation.body) > 0 or is_positive:
            cases.append(operation.as_strategy(mode, headers=headers, path_parameters=there))
        if cases:
            _check(st.one_of(cases))


def _check(cases: st.SearchStrategy[Case[Any]]) -> None:
    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
    @given(cases)
    def check(case: Case[Any]) -> None:
        case.call_and_validate()

    check()
