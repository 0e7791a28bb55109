"""Who may do what: roles, administrators of one organisation, and everybody else."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine
from tests.serve.admin.conftest import Client, new_admin_key

NOWHERE = "0" * 22

# What an administrator may do does not depend on the database.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def _routes(client: Client) -> list[tuple[str, str, Any]]:
    """Every route that changes something, on things that are there."""
    organisation = client.organisation()
    account = client.account(organisation)
    key_id = client.post(f"/v1/accounts/{account}/keys")["row"]["id"]
    return [
        ("POST", "/v1/organisations", {"name": "New"}),
        ("PATCH", f"/v1/organisations/{organisation}", {"name": "Newer"}),
        ("POST", "/v1/accounts", {"organisation": organisation, "name": "new"}),
        ("PATCH", f"/v1/accounts/{account}", {"retention": True}),
        ("POST", f"/v1/accounts/{account}/terms", {"version": "1"}),
        ("POST", f"/v1/accounts/{account}/restrict", {"reason": "x"}),
        ("POST", f"/v1/accounts/{account}/lift", {}),
        ("POST", f"/v1/accounts/{account}/keys", {}),
        ("POST", f"/v1/keys/{key_id}/rotate", {}),
        ("POST", f"/v1/keys/{key_id}/revoke", {}),
        ("POST", f"/v1/accounts/{account}/close", {}),
        ("POST", f"/v1/organisations/{organisation}/close", {}),
    ]


def _reading(client: Client) -> list[str]:
    account = client.get("/v1/accounts")["data"][0]
    key = client.get(f"/v1/accounts/{account['id']}/keys")["data"][0]
    return [
        "/v1/me",
        "/v1/organisations",
        f"/v1/organisations/{account['organisation']}",
        "/v1/accounts",
        f"/v1/accounts/{account['id']}",
        f"/v1/accounts/{account['id']}/keys",
        f"/v1/keys/{key['id']}",
        "/v1/events",
        f"/v1/events?account={account['id']}",
    ]


def test_an_auditor_reads_and_changes_nothing(operator: Client, auditor: Client) -> None:
    routes = _routes(operator)
    before = operator.get("/v1/events")
    answers = [auditor.ask(*route) for route in routes]
    assert {(answer.status, answer.code) for answer in answers} == {(403, "forbidden")}
    assert operator.get("/v1/events") == before
    assert {auditor.ask("GET", path).status for path in _reading(operator)} == {200}


def test_an_operator_does_all_of_it(operator: Client) -> None:
    answers = [operator.ask(*route) for route in _routes(operator)]
    assert {answer.status for answer in answers} == {200, 201}


def test_administrators_are_for_owners(owner: Client, operator: Client, auditor: Client) -> None:
    made = owner.post("/v1/admins", {"name": "Fritz", "role": "operator"})
    fritz = Client(owner.port, made["key"])
    assert fritz.get("/v1/me") == made["row"]
    for client in (operator, auditor, fritz):
        for method, path, body in (
            ("GET", "/v1/admins", None),
            ("POST", "/v1/admins", {"name": "X", "role": "owner"}),
            ("POST", f"/v1/admins/{made['row']['id']}/revoke", {}),
        ):
            assert client.ask(method, path, body).status == 403
    assert [row["name"] for row in owner.get("/v1/admins")["data"]] == ["Olga", "Otto", "Ada", "Fritz"]
    assert made["key"].split("-", 2)[2] not in repr(owner.get("/v1/admins"))
    owner.post(f"/v1/admins/{made['row']['id']}/revoke")
    assert fritz.ask("GET", "/v1/me").status == 401
    assert owner.ask("POST", "/v1/admins", {"name": "Fritz", "role": "operator"}).status == 409


def test_the_last_owner_stays(owner: Client) -> None:
    olga = owner.get("/v1/me")["id"]
    assert owner.ask("POST", f"/v1/admins/{olga}/revoke").status == 409
    other = owner.post("/v1/admins", {"name": "Second", "role": "owner"})
    owner.post(f"/v1/admins/{olga}/revoke")
    assert owner.ask("GET", "/v1/me").status == 401
    assert Client(owner.port, other["key"]).ask("POST", f"/v1/admins/{other['row']['id']}/revoke").status == 409


def test_one_organisations_operator_sees_no_other(operator: Client, owner: Client, engine: Engine) -> None:
    theirs = _routes(operator)
    their_reading = _reading(operator)
    mine = operator.organisation("Mine")
    my_account = operator.account(mine, "mine")
    bound = Client(operator.port, new_admin_key(engine, "operator", "Bob", mine))
    before = operator.get("/v1/events")
    answers = [bound.ask(*route) for route in theirs]
    assert {answer.status for answer in answers} == {403, 404}  # 403: organisations, whichever
    assert all(
        answer.status == 404 for answer, route in zip(answers, theirs, strict=True) if "organisations" not in route[1]
    )
    with_ids = [path for path in their_reading if "_0" in path]
    assert len(with_ids) == 5
    assert {bound.ask("GET", path).status for path in with_ids} == {404}
    assert operator.get("/v1/events") == before
    assert [row["id"] for row in bound.get("/v1/organisations")["data"]] == [mine]
    assert [row["id"] for row in bound.get("/v1/accounts")["data"]] == [my_account]
    assert {event["organisation"] for event in bound.get("/v1/events")["data"]} == {mine}
    assert bound.get("/v1/accounts", organisation=_organisation(theirs))["data"] == []
    their_account = theirs[3][1].rsplit("/", 1)[1]
    assert bound.ask("POST", f"/v1/accounts/{my_account}/close", {"replaced_by": their_account}).status == 404
    assert bound.patch(f"/v1/accounts/{my_account}", {"retention": True})["retention"] is True
    assert bound.ask("POST", f"/v1/organisations/{mine}/close").status == 403
    assert owner.ask("POST", "/v1/admins", {"name": "X", "role": "owner", "organisation": mine}).status == 409


def _organisation(routes: list[tuple[str, str, Any]]) -> str:
    return routes[1][1].rsplit("/", 1)[1]


def test_what_is_not_seen_looks_like_what_is_not_there(operator: Client, engine: Engine) -> None:
    theirs = operator.account(operator.organisation("Theirs"))
    bound = Client(operator.port, new_admin_key(engine, "auditor", "Bob", operator.organisation("Mine")))
    hidden = bound.ask("GET", f"/v1/accounts/{theirs}")
    missing = bound.ask("GET", f"/v1/accounts/acct_{NOWHERE}")
    assert hidden.body["error"]["message"].replace(theirs, "X") == missing.body["error"]["message"].replace(
        f"acct_{NOWHERE}", "X"
    )
    assert (hidden.status, missing.status) == (404, 404)


def test_a_credential_that_is_none(owner: Client, stranger: Client) -> None:
    made_up = f"Bearer sra-aaaaaaaa-{'a' * 43}"
    forms = ["", "Bearer", "Bearer ", "Basic {0}", "Bearer {0}x", "Bearer {0} {0}", "Bearer {0}, Bearer {0}", "{0}"]
    for authorization in (made_up, *(form.format(owner.key) for form in forms)):
        answer = stranger.ask("GET", "/v1/accounts", Authorization=authorization)
        assert (answer.status, answer.code, answer.headers["www-authenticate"]) == (401, "unauthorized", "Bearer")


def test_a_key_of_an_account_is_no_credential(owner: Client, stranger: Client) -> None:
    account = owner.account(owner.organisation())
    key = owner.post(f"/v1/accounts/{account}/keys")["key"]
    assert stranger.ask("GET", "/v1/accounts", Authorization=f"Bearer {key}").status == 401


def test_a_stranger_learns_nothing(owner: Client, stranger: Client) -> None:
    routes = [*_routes(owner), *(("GET", path, None) for path in [*_reading(owner), "/v1/admins"])]
    assert {stranger.ask(*route).status for route in routes} == {401}
    assert stranger.ask("GET", "/health").body == {"status": "ok"}
    assert stranger.ask("GET", "/openapi.json").status == 200
