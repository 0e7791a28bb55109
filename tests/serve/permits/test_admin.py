"""The routes of permits, as a server on this machine answers them."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from sqlalchemy import Engine, insert
from tests.serve.admin.conftest import SECRETS, Client, new_admin_key

from stillroom.base.permit import read_permit
from stillroom.base.signatures import PublicKeys
from stillroom.serve.admin.app import make_admin_app
from stillroom.serve.database.engine import writing
from stillroom.serve.keyring import Keyring
from stillroom.serve.limits.tables import limit_counters
from stillroom.serve.permits.admin import permit_router
from stillroom.serve.settings import GatewaySettings

NOBODY = "0" * 22

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@dataclass
class Office:
    engine: Engine
    client: Client
    keys: PublicKeys

    def __post_init__(self) -> None:
        self.organisation = self.client.organisation("Somewhere University")
        self.account = self.client.account(self.organisation)

    def new(self, **changes: Any) -> dict[str, Any]:
        return {
            "organisation": self.organisation,
            "models": ["abacus"],
            "purpose": "a tutor",
            "student": "tutor",
            "expires_at": int(time.time() + 3600) * 1_000_000,
            **changes,
        }

    def of(self, role: Any, organisation: str | None = None) -> Client:
        name = f"{role} of {organisation}"
        return Client(self.client.port, new_admin_key(self.engine, role, name, organisation))


@pytest.fixture
def office(engine: Engine, tmp_path: Path) -> Iterator[Office]:
    given_settings = {
        "owner": "Abacus Models",
        "state": tmp_path / "state",
        "models": [{"name": name, "upstreams": [{"base_url": "http://127.0.0.1:1"}]} for name in ("abacus", "mini")],
    }
    gateway = GatewaySettings.model_validate(given_settings)
    listener = socket.create_server(("127.0.0.1", 0))
    app = make_admin_app(engine, SECRETS, [permit_router(gateway)])
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=3))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    client = Client(listener.getsockname()[1], new_admin_key(engine, "operator", "Otto"))
    yield Office(engine, client, Keyring.open(gateway.state).public_keys())
    server.should_exit = True
    thread.join()
    listener.close()


def test_a_permit_is_issued_shown_listed_and_revoked(office: Office) -> None:
    made = office.client.post("/v1/permits", office.new(calls=5, conditions=["The card names Abacus."]))
    permit = read_permit(made["token"], office.keys, int(time.time()))
    assert made["says"] == permit.model_dump(mode="json")
    assert (permit.jti, permit.iss, permit.organisation) == (made["id"], "Abacus Models", "Somewhere University")
    assert (made["state"], made["accounts"], permit.calls) == ("holds", [office.account], 5)
    assert office.client.get(f"/v1/permits/{made['id']}") == made
    other = office.client.post("/v1/permits", office.new(models=["mini"]))
    assert office.client.get("/v1/permits")["data"] == [made, other]
    first = office.client.get("/v1/permits", limit=1, organisation=office.organisation)
    assert first["data"] == [made]
    assert office.client.get("/v1/permits", after=first["next"])["data"] == [other]
    assert office.client.get("/v1/permits", organisation=f"org_{NOBODY}")["data"] == []
    revoked = office.client.post(f"/v1/permits/{made['id']}/revoke", {"reason": "for sale"})
    assert (revoked["state"], revoked["revoked_for"]) == ("revoked", "for sale")
    assert office.client.post(f"/v1/permits/{made['id']}/revoke") == revoked
    events = [event["event"] for event in office.client.get("/v1/events")["data"]]
    assert events[-3:] == ["permit issued", "permit issued", "permit revoked"]


def test_it_says_how_much_is_used(office: Office) -> None:
    permit_id = office.client.post("/v1/permits", office.new(calls=10, tokens=1000))["id"]
    with writing(office.engine) as connection:
        for name, counted in (("permit_calls", 3), ("permit_tokens", 700)):
            row = {"subject": f"permit:{permit_id}", "name": name, "counted": counted}
            connection.execute(insert(limit_counters).values(starts_at=0, wanted_until=0, **row))
    row = office.client.get(f"/v1/permits/{permit_id}")
    assert (row["calls_used"], row["tokens_used"]) == (3, 700)


def test_what_cannot_be_issued_is_told(office: Office) -> None:
    for change, status, words in (
        ({"models": ["abacsu"]}, 409, "There is no model 'abacsu' here. Did you mean abacus?"),
        ({"expires_at": 1}, 409, "ended already"),
        ({"accounts": [f"acct_{NOBODY}"]}, 404, "There is no account"),
        ({"organisation": f"org_{NOBODY}"}, 404, "There is no organisation"),
        ({"calls": 0}, 422, "body.calls"),
        ({"student": None}, 422, "body.student"),
    ):
        answer = office.client.ask("POST", "/v1/permits", office.new(**change))
        assert (answer.status, words in answer.body["error"]["message"]) == (status, True), answer
    assert office.client.ask("GET", f"/v1/permits/permit_{NOBODY}").status == 404
    assert office.client.ask("POST", f"/v1/permits/permit_{NOBODY}/revoke").status == 404
    assert office.client.ask("GET", "/v1/permits/..%2f..").status in (404, 422)


def test_roles_and_organisations_are_kept(office: Office) -> None:
    permit_id = office.client.post("/v1/permits", office.new())["id"]
    elsewhere = office.client.organisation("Elsewhere")
    outsider, auditor = office.of("operator", elsewhere), office.of("auditor")
    insider, nobody = office.of("operator", office.organisation), Client(office.client.port, None)
    changes: tuple[tuple[str, dict[str, Any]], ...] = (
        ("/v1/permits", office.new()),
        (f"/v1/permits/{permit_id}/revoke", {}),
    )
    assert [outsider.ask("POST", path, body).status for path, body in changes] == [404, 404]
    assert [auditor.ask("POST", path, body).status for path, body in changes] == [403, 403]
    assert [nobody.ask("POST", path, body).status for path, body in changes] == [401, 401]
    assert [insider.ask("POST", path, body).status for path, body in changes] == [201, 200]
    assert outsider.get("/v1/permits")["data"] == []
    assert outsider.ask("GET", f"/v1/permits/{permit_id}").status == 404
    assert len(auditor.get("/v1/permits")["data"]) == 2
    assert nobody.ask("GET", "/v1/permits").status == 401


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_the_routes_do_what_their_description_says(office: Office, mode: GenerationMode) -> None:
    permit_id = office.client.post("/v1/permits", office.new())["id"]
    api = schemathesis.openapi.from_url(f"http://127.0.0.1:{office.client.port}/openapi.json")
    for result in api.include(path_regex="^/v1/permits").get_all_operations():

        @settings(max_examples=8, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
        @given(result.ok().as_strategy(mode))  # type: ignore[union-attr]  # it raises where the description is wrong
        def check(case: Any) -> None:
            if "permit" in case.path_parameters and mode is GenerationMode.POSITIVE:
                case.path_parameters["permit"] = permit_id
            case.call_and_validate(headers={"Authorization": f"Bearer {office.client.key}"})

        check()
