"""What was used of a running gateway: `stillroom calls usage` counts calls that it has not sealed, and by name."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any

from tests.serve.gateway.asking import chat
from tests.serve.gateway.conftest import wait_until
from typer.testing import CliRunner

from stillroom.cli import app
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
