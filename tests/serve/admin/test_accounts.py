"""What the admin API does, through HTTP."""

from __future__ import annotations

import time
from typing import Any

import pytest
from sqlalchemy import Engine, insert, update
from tests.serve.admin.conftest import SECRETS, Client, admin_server, new_admin_key

from stillroom.serve.accounts.directory import Directory
from stillroom.serve.database.engine import writing
from stillroom.serve.limits.bound import LimitName, window_of
from stillroom.serve.limits.tables import limit_counters, limit_leases

NO_LIMITS = {
    "requests_per_minute": None,
    "tokens_per_minute": None,
    "concurrent": None,
    "usd_per_day": None,
    "usd_per_month": None,
}


def test_an_account_from_its_beginning_to_its_end(operator: Client, engine: Engine) -> None:
    organisation = operator.organisation()
    made = operator.post("/v1/accounts", {"organisation": organisation, "name": "research"})
    account = made["id"]
    assert made | {"created_at": 0} == {
        "id": account,
        "organisation": organisation,
        "name": "research",
        "state": "active",
        "restricted_for": None,
        "replaced_by": None,
        "limits": NO_LIMITS,
        "used": {"usd_today": None, "usd_this_month": None},
        "models": None,
        "retention": False,
        "terms_version": None,
        "terms_accepted_at": None,
        "billing_print": None,
        "created_at": 0,
        "closed_at": None,
    }
    path = f"/v1/accounts/{account}"
    limits = {"requests_per_minute": 60, "usd_per_day": "2.50"}
    changed = operator.patch(path, {"limits": limits, "models": ["a"], "retention": True, "billing_reference": "c-1"})
    assert changed["limits"] == NO_LIMITS | limits
    assert (changed["models"], changed["retention"], len(changed["billing_print"])) == (["a"], True, 32)
    again = operator.patch(path, {"limits": {"usd_per_day": None}, "models": None, "billing_reference": None})
    assert again["limits"] == NO_LIMITS | {"requests_per_minute": 60}
    assert (again["models"], again["retention"], again["billing_print"]) == (None, True, None)
    assert operator.post(f"{path}/terms", {"version": "2026-11"})["terms_version"] == "2026-11"
    assert operator.post(f"{path}/restrict", {"reason": "Call us."})["state"] == "restricted"
    assert operator.post(f"{path}/lift")["state"] == "active"
    key = operator.post(f"{path}/keys", {"name": "laptop"})["key"]
    successor = operator.account(organisation, "research 2")
    closed = operator.post(f"{path}/close", {"replaced_by": successor})
    assert (closed["state"], closed["replaced_by"]) == ("closed", successor)
    directory = Directory(engine, SECRETS)
    directory.load()
    assert directory.refusal(key).code == "account_closed"
    events = operator.get("/v1/events", account=account)["data"]
    assert [event["event"] for event in events] == [
        "created",
        "changed",
        "payment changed",
        "changed",
        "payment changed",
        "accepted terms",
        "restricted",
        "restriction lifted",
        "key created",
        "closed",
        "replaced",
    ]
    assert {event["actor"] for event in events} == {"Otto"}
    assert events[1]["detail"]["usd_per_day"] == [None, "2.50"]
    assert events[2]["prints"] == {"billing": changed["billing_print"]}


def test_equal_payment_has_an_equal_print(operator: Client) -> None:
    organisation = operator.organisation()
    prints = [
        operator.get(f"/v1/accounts/{operator.account(organisation, name, billing_reference=reference)}")[
            "billing_print"
        ]
        for name, reference in (("a", "card 1"), ("b", "card 1"), ("c", "card 2"))
    ]
    assert prints[0] == prints[1] != prints[2]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("", None),
        ("/terms", {"version": "x"}),
        ("/restrict", {"reason": "x"}),
        ("/lift", {}),
        ("/close", {}),
        ("/keys", {}),
    ],
)
def test_a_closed_account_stays_as_it_is(operator: Client, path: str, body: Any) -> None:
    account = operator.account(operator.organisation())
    operator.post(f"/v1/accounts/{account}/close")
    method = "PATCH" if body is None else "POST"
    answer = operator.ask(method, f"/v1/accounts/{account}{path}", body if body is not None else {"retention": True})
    assert (answer.status, answer.code) == (409, "conflict")


def test_a_closed_organisation_closes_what_is_in_it(operator: Client) -> None:
    organisation = operator.organisation()
    account = operator.account(organisation)
    assert operator.post(f"/v1/organisations/{organisation}/close")["closed_at"] is not None
    for path, body in (
        ("/v1/accounts", {"organisation": organisation, "name": "x"}),
        (f"/v1/accounts/{account}/keys", {}),
        (f"/v1/organisations/{organisation}/close", {}),
    ):
        assert operator.ask("POST", path, body).code == "conflict"
    assert operator.ask("PATCH", f"/v1/organisations/{organisation}", {"name": "x"}).code == "conflict"


def test_names_are_taken_once(owner: Client) -> None:
    organisation, other = owner.organisation("A"), owner.organisation("B")
    account = owner.account(organisation, "x")
    owner.account(other, "x")
    taken = [
        owner.ask("POST", "/v1/organisations", {"name": "A"}),
        owner.ask("PATCH", f"/v1/organisations/{other}", {"name": "A"}),
        owner.ask("POST", "/v1/accounts", {"organisation": organisation, "name": "x"}),
        owner.ask("PATCH", f"/v1/accounts/{owner.account(organisation, 'y')}", {"name": "x"}),
        owner.ask("POST", "/v1/admins", {"name": "Olga", "role": "auditor"}),
    ]
    assert [answer.code for answer in taken] == ["conflict"] * 5
    assert owner.patch(f"/v1/accounts/{account}", {"name": "x"})["name"] == "x"
    assert owner.patch(f"/v1/organisations/{other}", {"name": "Ünïcode & Söhne"})["name"] == "Ünïcode & Söhne"


def test_a_key_is_shown_once(operator: Client) -> None:
    account = operator.account(operator.organisation())
    made = operator.post(f"/v1/accounts/{account}/keys", {"name": "laptop"})
    key_id, key = made["row"]["id"], made["key"]
    assert key.startswith(made["row"]["prefix"] + "-")
    assert made["row"]["state"] == "active"
    rotated = operator.post(f"/v1/keys/{key_id}/rotate", {"grace_s": 3600})
    operator.post(f"/v1/keys/{rotated['row']['id']}/revoke")
    told = [
        operator.get(f"/v1/keys/{key_id}"),
        operator.get(f"/v1/accounts/{account}/keys"),
        operator.get("/v1/events"),
        operator.get(f"/v1/accounts/{account}"),
    ]
    for text in (key, rotated["key"]):
        assert text.split("-", 2)[2] not in repr(told)
    assert [(row["state"], row["replaced_by"]) for row in told[1]["data"]] == [
        ("active", rotated["row"]["id"]),
        ("revoked", None),
    ]


def test_keys_that_cannot_be_rotated(operator: Client) -> None:
    account = operator.account(operator.organisation())
    key_id = operator.post(f"/v1/accounts/{account}/keys")["row"]["id"]
    new_id = operator.post(f"/v1/keys/{key_id}/rotate", {"grace_s": 0})["row"]["id"]
    again = operator.ask("POST", f"/v1/keys/{key_id}/rotate", {})
    operator.post(f"/v1/keys/{new_id}/revoke")
    revoked = operator.ask("POST", f"/v1/keys/{new_id}/rotate", {})
    assert (again.status, revoked.status) == (409, 409)
    assert operator.get(f"/v1/keys/{key_id}")["state"] == "expired"
    before = operator.get("/v1/events", account=account)["data"]
    operator.post(f"/v1/keys/{new_id}/revoke")  # again: it is what was asked for
    assert operator.get("/v1/events", account=account)["data"] == before


def test_a_key_that_has_expired_is_not_made(operator: Client) -> None:
    account = operator.account(operator.organisation())
    past = time.time_ns() // 1000 - 1
    assert operator.ask("POST", f"/v1/accounts/{account}/keys", {"expires_at": past}).status == 409
    key_id = operator.post(f"/v1/accounts/{account}/keys")["row"]["id"]
    assert operator.ask("POST", f"/v1/keys/{key_id}/rotate", {"expires_at": past}).status == 409
    assert operator.get(f"/v1/keys/{key_id}")["replaced_by"] is None


def test_lists_come_page_by_page(operator: Client) -> None:
    organisation = operator.organisation()
    other = operator.account(operator.organisation("Other"), "other")
    made = [operator.account(organisation, f"account {number}") for number in range(5)]
    keys = [operator.post(f"/v1/accounts/{made[0]}/keys")["row"]["id"] for _ in range(3)]
    for path, query, expected in (
        ("/v1/accounts", {}, [other, *made]),
        ("/v1/accounts", {"organisation": organisation}, made),
        (f"/v1/accounts/{made[0]}/keys", {}, keys),
    ):
        found: list[str] = []
        after: Any = ""
        while after is not None:
            page = operator.get(path, limit=2, after=after, **query)
            assert len(page["data"]) <= 2
            found.extend(row["id"] for row in page["data"])
            after = page["next"]
        assert found == expected
    events: list[Any] = []
    after_id: Any = 0
    while after_id is not None:
        page = operator.get("/v1/events", limit=2, after=after_id)
        events.extend(page["data"])
        after_id = page["next"]
    assert events == operator.get("/v1/events", limit=500)["data"]
    assert [event["id"] for event in events] == sorted({event["id"] for event in events})


def test_a_change_that_changes_nothing_is_no_event(operator: Client) -> None:
    account = operator.account(operator.organisation(), retention=True, terms_version="1", billing_reference="c")
    before = operator.get("/v1/events")
    operator.patch(f"/v1/accounts/{account}", {"retention": True, "billing_reference": "c", "name": "research"})
    operator.post(f"/v1/accounts/{account}/terms", {"version": "1"})
    assert operator.get("/v1/events") == before


def test_what_is_used_of_budgets_is_told(operator: Client, engine: Engine) -> None:
    organisation = operator.organisation()
    limits = {"usd_per_day": "2.50", "usd_per_month": "20"}
    account = operator.account(organisation, limits=limits)
    assert operator.get(f"/v1/accounts/{account}")["used"] == {"usd_today": "0", "usd_this_month": "0"}
    now = time.time_ns() // 1000
    names: tuple[LimitName, ...] = ("nano_usd_per_day", "nano_usd_per_month")
    today, month = (window_of(name, now).starts_at for name in names)
    with writing(engine) as connection:
        row = {"subject": account, "wanted_until": 0}
        days = {"name": "nano_usd_per_day", "starts_at": today, "counted": 1_500_000_000}
        months = {"name": "nano_usd_per_month", "starts_at": month, "counted": 10_000_000_001}
        connection.execute(insert(limit_counters), [row | days, row | months])
        lease = {"instance": "i", "subject": account, "ends_at": now * 2, "told_at": now, "held": 1_000_000_000}
        # The second one is of a month that is over.
        leases = [
            lease | {"name": "nano_usd_per_day", "starts_at": today, "used": 250_000_000},
            lease | {"name": "nano_usd_per_month", "starts_at": month - 1, "used": 0},
        ]
        connection.execute(insert(limit_leases), leases)
    used = {"usd_today": "0.75", "usd_this_month": "10.000000001"}
    assert operator.get(f"/v1/accounts/{account}")["used"] == used
    assert [row["used"] for row in operator.get("/v1/accounts")["data"]] == [used]
    with writing(engine) as connection:
        connection.execute(update(limit_counters).values(starts_at=limit_counters.c.starts_at - 1))
    assert operator.get(f"/v1/accounts/{account}")["used"] == {"usd_today": "0", "usd_this_month": "0"}


def test_a_model_that_is_not_served_is_refused_with_the_one_that_was_meant(engine: Engine) -> None:
    with admin_server(engine, models=["abacus", "mini"]) as port:
        operator = Client(port, new_admin_key(engine, "operator", "Otto"))
        organisation = operator.organisation()
        account = operator.account(organisation, models=["abacus"])
        for models, words in ((["mini", "abacsu"], "Did you mean abacus?"), (["zebra"], "There is: abacus, mini.")):
            new = {"organisation": organisation, "name": "another", "models": models}
            said = f"There is no model {models[-1]!r} here. {words}"
            for method, path, body in (
                ("POST", "/v1/accounts", new),
                ("PATCH", f"/v1/accounts/{account}", {"models": models}),
            ):
                answer = operator.ask(method, path, body)
                assert (answer.status, answer.body["error"]["message"]) == (409, said)
        assert [row["models"] for row in operator.get("/v1/accounts")["data"]] == [["abacus"]]
        assert operator.patch(f"/v1/accounts/{account}", {"models": None})["models"] is None
