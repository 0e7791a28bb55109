"""`stillroom organisation | account | key | admin`, against a real admin API."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from tests.serve.admin.conftest import admin_server
from typer.testing import CliRunner, Result

from stillroom.cli import app
from stillroom.serve.accounts.directory import Directory
from stillroom.serve.accounts.events import changing
from stillroom.serve.database.engine import open_database
from stillroom.store.secrets import Secrets

ID = f"org_{'0' * 22}"
CONFIG = """
owner: Acme
state: state
models:
  - {name: m, upstreams: [{base_url: "http://127.0.0.1:9/v1"}]}
"""


def stillroom(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def told(*arguments: str) -> Any:
    """What the command says as JSON."""
    result = stillroom(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "gateway.yaml"
    path.write_text(CONFIG)
    return path


@pytest.fixture
def engine(config: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """The database of a gateway whose admin API runs, and which the commands of this test reach as its owner."""
    made = told("admin", "create", "Olga", "--config", str(config))
    state = config.parent / "state"
    engine = open_database(f"sqlite:///{state / 'gateway.db'}")
    with admin_server(engine, Secrets.open(state)) as port:
        monkeypatch.setenv("STILLROOM_ADMIN_URL", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("STILLROOM_ADMIN_KEY", made["key"])
        yield engine
    engine.dispose()


def _directory(engine: Engine, config: Path) -> Directory:
    directory = Directory(engine, Secrets.open(config.parent / "state"))
    directory.load()
    return directory


def test_from_nothing_to_a_key_that_opens(engine: Engine, config: Path) -> None:
    organisation = told("organisation", "create", "Acme")["id"]
    limits = ["--tokens-per-minute", "100k", "--usd-per-day", "2.50"]
    given = ["--model", "a", "--model", "b", "--terms", "2026-11", "--billing", "customer 1", "--retention"]
    account = told("account", "create", "research", "--organisation", organisation, *limits, *given)
    made = told("key", "create", account["id"], "--name", "laptop", "--expires", "90d")
    caller = _directory(engine, config).find(made["key"])
    assert caller is not None
    assert (caller.account, caller.limits.tokens_per_minute, str(caller.limits.usd_per_day)) == (
        account["id"],
        100_000,
        "2.50",
    )
    assert (caller.models, caller.terms_version, caller.retention) == (frozenset({"a", "b"}), "2026-11", True)
    days = (made["row"]["expires_at"] - made["row"]["created_at"]) / 86400e6
    assert 89.9 < days < 90.1


def test_what_is_set_and_taken_away(engine: Engine) -> None:  # noqa: ARG001 - the API runs
    account = told("account", "create", "x", "--organisation", told("organisation", "create", "Acme")["id"])["id"]
    told("account", "set", account, "--concurrent", "4", "--usd-per-month", "9", "--model", "a", "--billing", "c")
    row = told("account", "set", account, "--concurrent", "none", "--all-models", "--billing", "none", "--retention")
    assert (row["limits"]["concurrent"], row["limits"]["usd_per_month"]) == (None, "9")
    assert (row["models"], row["billing_print"], row["retention"]) == (None, None, True)
    assert told("account", "set", account, "--no-retention", "--name", "y")["retention"] is False
    assert told("account", "show", account)["name"] == "y"
    assert told("account", "accept-terms", account, "2")["terms_version"] == "2"
    assert told("account", "restrict", account, "--reason", "Call us.")["state"] == "restricted"
    assert told("account", "lift", account)["state"] == "active"
    assert told("account", "close", account)["state"] == "closed"
    events = [event["event"] for event in told("account", "events", account)]
    assert events[0] == "created"
    assert events[-1] == "closed"


def test_keys_are_rotated_and_revoked(engine: Engine, config: Path) -> None:
    account = told("account", "create", "x", "--organisation", told("organisation", "create", "Acme")["id"])["id"]
    old = told("key", "create", account)
    new = told("key", "rotate", old["row"]["id"], "--grace", "1h", "--expires", "2999-01-01")
    directory = _directory(engine, config)
    assert directory.find(old["key"]) is not None
    assert directory.find(new["key"]) is not None
    assert datetime.fromtimestamp(new["row"]["expires_at"] / 1e6, UTC).year == 2999
    told("key", "revoke", old["row"]["id"])
    directory.read_changes()
    assert directory.refusal(old["key"]).code == "key_revoked"
    assert [row["state"] for row in told("key", "list", account)] == ["revoked", "active"]


def test_a_key_is_shown_to_a_person(engine: Engine) -> None:  # noqa: ARG001
    account = told("account", "create", "x", "--organisation", told("organisation", "create", "Acme")["id"])["id"]
    lines = stillroom("key", "create", account).stdout.splitlines()
    assert "shown once" in lines[0]
    assert lines[-1].startswith("sr-")


def test_events_are_in_words(engine: Engine) -> None:  # noqa: ARG001
    account = told("account", "create", "x", "--organisation", told("organisation", "create", "Acme")["id"])["id"]
    stillroom("account", "set", account, "--usd-per-day", "5", "--model", "a", "--model", "b")
    stillroom("account", "set", account, "--usd-per-day", "10")
    stillroom("key", "create", account, "--expires", "2099-01-31")
    shown = stillroom("account", "events", account).stdout
    for words in ("name: x", "models: none -> a, b", "usd per day: 5 -> 10", "expires at: 2099-01-31 00:00:00 UTC"):
        assert words in shown
    assert "None" not in shown


def test_tables_are_whole_and_cannot_write_on_the_terminal(engine: Engine) -> None:  # noqa: ARG001
    organisation = told("organisation", "create", "Müller [bold]& Söhne\ue000")["id"]
    name = "a long name that goes on and on " * 2 + "to its end"
    account = told("account", "create", name, "--organisation", organisation, "--concurrent", "4")["id"]
    told("key", "create", account, "--name", "laptop")
    shown = stillroom("organisation", "list").stdout
    assert organisation in shown
    assert "[bold]& Söhne\ufffd" in shown
    shown = stillroom("account", "list").stdout
    assert account in shown
    assert name in shown
    shown = stillroom("account", "show", account).stdout
    assert "concurrent" in shown
    assert f"{time.gmtime().tm_year}-" in shown
    assert "laptop" in stillroom("key", "list", account).stdout
    assert "Olga" in stillroom("account", "events").stdout
    assert "Olga" in stillroom("admin", "whoami").stdout


def test_administrators(engine: Engine, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001
    organisation = told("organisation", "create", "Acme")["id"]
    bound = ["--role", "operator", "--organisation", organisation, "--config", str(config)]
    made = told("admin", "create", "Otto", *bound)
    assert [row["name"] for row in told("admin", "list")] == ["Olga", "Otto"]
    with monkeypatch.context() as as_otto:
        as_otto.setenv("STILLROOM_ADMIN_KEY", made["key"])
        assert told("admin", "whoami")["organisation"] == organisation
        refused = stillroom("organisation", "create", "Mine")
        assert (refused.exit_code, "belongs to one organisation" in refused.stderr) == (1, True)
    told("admin", "revoke", made["row"]["id"])
    monkeypatch.setenv("STILLROOM_ADMIN_KEY", made["key"])
    refused = stillroom("admin", "whoami")
    assert refused.exit_code == 1
    assert made["key"] not in refused.output
    taken = stillroom("admin", "create", "Otto", "--config", str(config))
    assert (taken.exit_code, "called 'Otto'" in taken.stderr) == (1, True)


def test_all_pages_are_listed(engine: Engine) -> None:
    account = told("account", "create", "x", "--organisation", told("organisation", "create", "Acme")["id"])["id"]
    with changing(engine, "somebody") as change:
        for _ in range(105):
            change.record("x", organisation=None, account=account)
    assert len(told("account", "events", account)) == 106


WRONG = [
    (["account", "set", ID], "Nothing to change"),
    (["account", "set", ID, "--model", "a", "--all-models"], "contradict"),
    (["account", "set", ID, "--concurrent", "four"], "--concurrent"),
    (["account", "set", ID, "--concurrent", "-4"], "--concurrent"),
    (["account", "create", "x", "--organisation", ID, "--usd-per-day", "2,50"], "--usd-per-day: should be an amount"),
    (["account", "create", " x", "--organisation", ID], "name: should be one line of text"),
    (["account", "create", "Acme\u200b", "--organisation", ID], "characters that are not seen"),
    (["account", "create", "\u202egpj", "--organisation", ID], "characters that are not seen"),
    (["account", "show", "acct_1"], "There is no account 'acct_1'"),
    (["key", "create", "nobody"], "There is no account 'nobody'"),
    (["key", "revoke", "key_1"], "'key_1' is no key's id"),
    (["account", "list", "--organisation", "Nowhere"], "There is no organisation 'Nowhere'"),
    (["key", "create", ID, "--expires", "soon"], "--expires"),
    (["key", "create", ID, "--expires", "90"], "--expires"),
    (["key", "rotate", ID, "--grace", "1w"], "--grace"),
    (["admin", "create", "X", "--config", "nowhere.yaml"], "nowhere.yaml"),
    (["admin", "create", "X\nY", "--config", "CONFIG"], "one line of text"),
]


def test_wrong_usage(engine: Engine, config: Path) -> None:  # noqa: ARG001
    for arguments, words in WRONG:
        result = stillroom(*(str(config) if argument == "CONFIG" else argument for argument in arguments))
        assert (result.exit_code, "Error: " in result.stderr) == (2, True), result.output
        assert words in result.stderr


def test_names_in_place_of_ids(engine: Engine, config: Path) -> None:
    told("organisation", "create", "Acme")
    told("organisation", "create", "Other")
    first = told("account", "create", "shared", "--organisation", "Acme")["id"]
    made = told("key", "create", "shared")
    assert _directory(engine, config).find(made["key"]) is not None
    assert [row["id"] for row in told("account", "list", "--organisation", "Acme")] == [first]
    second = told("account", "create", "shared", "--organisation", "Other")["id"]
    result = stillroom("account", "show", "shared")
    assert (result.exit_code, f"{first}, {second}" in result.stderr) == (2, True)
    told("account", "close", second, "--replaced-by", told("account", "create", "new", "--organisation", "Other")["id"])
    assert told("account", "show", "shared")["id"] == first  # the other one is closed
    assert told("organisation", "close", "Other")["closed_at"] is not None


def test_a_key_in_place_of_its_id_goes_nowhere(engine: Engine) -> None:  # noqa: ARG001
    key = "sr-abcdefgh-" + "k" * 43
    for command in (["key", "revoke"], ["key", "create"], ["account", "show"]):
        result = stillroom(*command, key)
        assert result.exit_code == 2
        assert "kkk" not in result.output


def test_without_a_credential_or_a_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STILLROOM_ADMIN_KEY", raising=False)
    result = stillroom("account", "list")
    assert (result.exit_code, "STILLROOM_ADMIN_KEY" in result.stderr) == (2, True)
    monkeypatch.setenv("STILLROOM_ADMIN_KEY", "sra-abcdefgh-" + "k" * 43)
    monkeypatch.setenv("STILLROOM_ADMIN_URL", "http://127.0.0.1:9")
    result = stillroom("account", "list")
    assert (result.exit_code, "does not answer" in result.stderr) == (1, True)
    assert "kkk" not in result.output
