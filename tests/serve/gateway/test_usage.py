"""What was used of a running gateway: `stillroom calls usage` counts calls that it has not sealed, and by name."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any

import pytest
from tests.serve.gateway.asking import chat
from tests.serve.gateway.conftest import wait_until
from typer.testing import CliRunner

from stillroom.admin_api import AdminApi
from stillroom.cli import app
from stillroom.serve.accounts.admins import THE_MACHINE, create_admin
from stillroom.serve.accounts.events import changing
from stillroom.serve.accounts.keys import KeyHashes
from stillroom.store.call_usage import sealed_usage

if TYPE_CHECKING:
    from tests.serve.gateway.conftest import ModelServer, RunningGateway


def usage(gateway: RunningGateway, *words: str) -> str:
    command = ["calls", "usage", "--config", str(gateway.folder / "gateway.yaml"), *words]
    result = CliRunner().invoke(app, command, env={"NO_COLOR": "1"})
    assert result.exit_code == 0, result.output
    return result.stdout


def usage_of(gateway: RunningGateway, by: str, what: str, *words: str) -> dict[str, Any]:
    rows = json.loads(usage(gateway, "--by", by, "--json", *words))["rows"]
    (row,) = (row for row in rows if row[by] == what)
    assert isinstance(row, dict)
    return row


@pytest.mark.usefixtures("whole_day")
def test_what_an_account_used_of_a_running_gateway(gateway: RunningGateway) -> None:
    key = gateway.key("the one that pays")
    for plan in ({"say": ["one ", "two"]}, {"say": ["one "]}, {"say": ["nobody counts this"], "usage": False}):
        assert gateway.post("/v1/chat/completions", chat(plan), key.key)[0] == 200
    assert gateway.post("/v1/chat/completions", chat({"status": 400}), key.key)[0] == 400
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    row = usage_of(gateway, "account", key.account, "--since", f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}")
    assert row["name"] == "the one that pays (Acme)"
    assert (row["calls"], row["statuses"], row["estimated"]) == (4, {"ok": 3, "refused": 1}, 1)
    (estimated,) = (each for each in gateway.calls_of(key, 4) if each["counted_by"] == "estimate")
    assert row["prompt_tokens"] == 11 + 11 + estimated["prompt_tokens"]
    assert row["completion_tokens"] == 4 + 2 + estimated["completion_tokens"]
    assert (row["cached_tokens"], row["reasoning_tokens"]) == (8, None)
    # 14 tokens of prompts at 1 USD a million, 8 cached at 0.5, 6 of replies at 10.
    by_hand = 14 + 4 + 60 + estimated["prompt_tokens"] + 10 * estimated["completion_tokens"]
    assert row["usd"] == f"{by_hand / 1_000_000:f}".rstrip("0")
    assert usage_of(gateway, "day", today)["calls"] >= 4
    assert usage_of(gateway, "organisation", gateway.organisations["Acme"])["name"] == "Acme"
    assert usage_of(gateway, "model", "m")["statuses"]["refused"] >= 1
    table = usage(gateway)
    (line,) = (line for line in table.splitlines() if key.account in line)
    assert "the one that pays (Acme)" in line
    assert line.rstrip().endswith("3 ok, 1 refused, 1 estimated")
    assert "unknown" in line  # reasoning tokens, of which this model's server says nothing
    assert "nobody counted them" in table


def test_a_call_that_is_running_is_told_of_and_in_no_sum(gateway: RunningGateway, model: ModelServer) -> None:
    key = gateway.key()
    assert gateway.post("/v1/chat/completions", chat({"say": ["yes"]}), key.key)[0] == 200
    begun = model.get("/counts")["begun"]
    asking = HTTPConnection(gateway.url.removeprefix("http://"))
    body = json.dumps(chat({"say": ["late"], "wait_s": 300}))
    asking.request(
        "POST", "/v1/chat/completions", body, {"authorization": f"Bearer {key.key}", "content-type": "application/json"}
    )
    wait_until(lambda: model.get("/counts")["begun"] > begun)
    told = json.loads(usage(gateway, "--json"))
    assert told["running"] >= 1
    assert [row["calls"] for row in told["rows"] if row["account"] == key.account] == [1]
    assert "still running, and in no sum." in usage(gateway)
    asking.close()
    gateway.calls_of(key, 2)
    assert usage_of(gateway, "account", key.account)["statuses"] == {"ok": 1, "hung_up": 1}
    # What the command shows is what the sealed log holds.
    assert (
        json.loads(usage(gateway, "--json"))["total"]["calls"] == sealed_usage(gateway.state / "calls", "day")[1].calls
    )


@pytest.mark.usefixtures("whole_day")
def test_what_is_used_of_a_budget_and_of_a_permit_is_told_by_the_admin_api(gateway: RunningGateway) -> None:
    key = gateway.key(usd_per_day="1", usd_per_month="30")
    with changing(gateway.engine, "test") as change:
        hashes = KeyHashes(gateway.secrets, "sra")
        _, admin = create_admin(change, hashes, THE_MACHINE, name="Uma", role="operator", organisation=None)
    api = AdminApi(gateway.admin_url, admin.text)
    new = {"organisation": gateway.organisations["Acme"], "accounts": [key.account], "models": ["m"], "calls": 5}
    told = {"purpose": "a test", "student": "small", "expires_at": time.time_ns() // 1000 + 3_600_000_000}
    permit = api.post("/v1/permits", new | told)
    shown = {"x-stillroom-permit": permit["token"]}
    assert gateway.post("/v1/chat/completions", chat({"say": ["one "]}), key.key, shown)[0] == 200
    (row,) = gateway.calls_of(key, 1)
    cost = row["cost_usd"].rstrip("0")
    used = {"usd_today": cost, "usd_this_month": cost}
    wait_until(lambda: api.get(f"/v1/accounts/{key.account}")["used"] == used, pause_s=0.3)
    wait_until(lambda: api.get(f"/v1/permits/{permit['id']}")["calls_used"] == 1, pause_s=0.3)
    assert usage_of(gateway, "permit", permit["id"])["name"] == "small (Acme)"
    environment = {"STILLROOM_ADMIN_URL": gateway.admin_url, "STILLROOM_ADMIN_KEY": admin.text}
    result = CliRunner().invoke(app, ["account", "show", key.account], env=environment)
    assert f"used today       {cost} of 1 USD\n" in result.stdout
    assert f"used this month  {cost} of 30 USD\n" in result.stdout
    result = CliRunner().invoke(app, ["permit", "show", permit["id"]], env=environment)
    assert "Used: 1 of 5 calls." in result.stdout
    refused = CliRunner().invoke(app, ["account", "set", key.account, "--model", "n"], env=environment)
    assert (refused.exit_code, refused.stderr) == (1, "Error: There is no model 'n' here. There is: m.\n")
