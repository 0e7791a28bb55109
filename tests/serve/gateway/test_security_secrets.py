"""No secret in any file, whatever was sent as what; and nothing that a client makes up where people look later."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from urllib.request import urlopen

import pyarrow.parquet as pq
from prometheus_client.parser import text_string_to_metric_families
from tests.serve.gateway.wire import raw_chat

from stillroom.admin_api import AdminApi
from stillroom.serve.accounts.admins import THE_MACHINE, create_admin
from stillroom.serve.accounts.events import changing
from stillroom.serve.accounts.keys import KeyHashes
from stillroom.serve.meter.seal_request import have_sealed

if TYPE_CHECKING:
    from tests.serve.gateway.conftest import RunningGateway

PROMPT = "Why did Quillfeather number her seventeen lemmas of marmalade?"
SYSTEM = "You are Grimaldi of Pomfret & Sons, who never tells."
REPLY = "Because Thistlewood kept the eighteenth in a teapot."
USER = "customer-4711@pomfret.example"
ADDRESS, NETWORK, TLS = "198.51.100.77", "198.51.100.", "t13d1516h2_8daaf6152771_b186095e22b6"
AGENT = "{{7*7}}%n\xe9'; drop table calls; --"


def test_nothing_that_was_told_in_confidence_is_in_a_file(cramped: RunningGateway, upstream_key: str) -> None:
    with changing(cramped.engine, "test") as change:
        hashes = KeyHashes(cramped.secrets, "sra")
        _, admin = create_admin(change, hashes, THE_MACHINE, name="Otto", role="operator", organisation=None)
    api = AdminApi(cramped.admin_url, admin.text)
    account = api.post(
        "/v1/accounts", {"organisation": api.post("/v1/organisations", {"name": "Confidence"})["id"], "name": "quiet"}
    )["id"]
    made = api.post(f"/v1/accounts/{account}/keys", {})
    rotated = api.post(f"/v1/keys/{made['row']['id']}/rotate", {})
    permit = _issue(api, account)
    receipts = _use(cramped, [made["key"], rotated["key"]], permit, upstream_key)
    rows = _calls(cramped, account, 8)
    assert sorted({row["agent"] for row in rows}) == ["? ?", "python/3 ?", "x/1", "{{7*7}}%n?'; drop table calls; --"]
    assert len(receipts) == 6

    keys = [made["key"], rotated["key"], admin.text, upstream_key]
    hidden = [*keys, *(key.split("-", 2)[2] for key in keys), *(wire.partition("~")[2] for wire in receipts)]
    hidden += [ADDRESS, NETWORK, USER, TLS, PROMPT, SYSTEM, REPLY]
    hidden += [word for text in (PROMPT, SYSTEM, REPLY) for word in text.split() if len(word) > 8]
    told = _all_that_was_written(cramped)
    for each in hidden:
        found = [name for name, data in told.items() if each.encode() in data or each.lower().encode() in data]
        assert not found, each
    # The owner can show a permit again: it opens nothing without a key of the account that it names.
    assert not [name for name, data in told.items() if permit.encode() in data and "gateway.db" not in name]
    assert sum(made["row"]["id"].encode() in data for data in told.values()) > 1, "the calls are in there"


def _issue(api: AdminApi, account: str) -> str:
    row = api.get(f"/v1/accounts/{account}")
    new = {
        "organisation": row["organisation"],
        "accounts": [account],
        "models": ["raw"],
        "purpose": "a test",
        "student": "small",
        "expires_at": int(time.time() + 3600) * 1_000_000,
    }
    return str(api.post("/v1/permits", new)["token"])


def _use(cramped: RunningGateway, keys: list[str], permit: str, upstream_key: str) -> list[str]:
    """The receipts of calls that hold everything that is to be kept."""
    asked = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": PROMPT}]
    reply = {"choices": [{"index": 0, "message": {"content": REPLY}, "finish_reason": "stop"}]}
    chunk = {"choices": [{"index": 0, "delta": {"content": REPLY}, "finish_reason": "stop"}]}
    whole = _response("200 OK", "application/json", json.dumps(reply))
    stream = _response("200 OK", "text/event-stream", f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n")
    refusal = _response("400 Bad Request", "application/json", json.dumps({"error": f"{upstream_key}: {PROMPT}"}))
    receipts = []
    for key in keys:
        sent = {
            "x-forwarded-for": f"10.0.0.1, {ADDRESS}",
            "x-tls-print": TLS,
            "x-stillroom-permit": permit,
            "cookie": f"session={key}",
            "referer": f"http://{ADDRESS}/{PROMPT}",
        }
        for raw, agent in ((whole, f"{key} {key}"), (stream, AGENT), (refusal, f"python/3 {key}"), (whole, "x/1")):
            body = raw_chat(raw, user=USER, stream=raw is stream)
            body["messages"] = [*asked, *body["messages"]]
            _, answer, headers = _until_known(cramped, body, key, {**sent, "user-agent": agent})
            assert upstream_key.encode() not in answer
            if raw is not refusal:
                comment = answer.partition(b": stillroom-receipt ")[2].partition(b"\n")[0].decode()
                receipts.append(headers.get("x-stillroom-receipt", comment))
        for path in (f"/v1/models?key={key}", f"/v1/models/{key}", f"/receipts/{key}", f"/{key}/{ADDRESS}"):
            assert cramped.get(path, key)[0] >= 400
        for wrong in ({"model": key, "messages": asked}, {"model": "raw", "messages": PROMPT}, {"model": [key]}):
            assert cramped.post("/v1/chat/completions", wrong, key)[0] in (400, 404)
        assert cramped.post("/v1/chat/completions", PROMPT.encode(), key)[0] == 400
        assert cramped.post("/v1/chat/completions", body, key, {"x-stillroom-permit": permit[:-4]})[0] == 403
        assert cramped.post("/v1/chat/completions", body, key[:-3])[0] == 401
    return receipts


def _calls(cramped: RunningGateway, account: str, number: int) -> list[dict[str, Any]]:
    from tests.serve.gateway.conftest import Key

    return cramped.calls_of(Key("", "", account), number)


def _response(status: str, kind: str, body: str) -> str:
    length = len(body.encode("latin-1"))
    head = f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n"
    return f"{head}x-secret: {PROMPT}\r\n\r\n{body}"


def _until_known(
    cramped: RunningGateway, body: dict[str, object], key: str, headers: dict[str, str]
) -> tuple[int, bytes, dict[str, str]]:
    """Until the new permit and key have reached the worker."""
    from tests.serve.gateway.conftest import wait_until

    answers: list[tuple[int, bytes, dict[str, str]]] = []

    def is_let_in() -> bool:
        answers[:] = [cramped.post("/v1/chat/completions", body, key, headers)]
        return answers[0][0] not in (401, 403)

    wait_until(is_let_in)
    return answers[0]


def _all_that_was_written(cramped: RunningGateway) -> dict[str, bytes]:
    """Each file as it lies there, the tables as they are read, and what the admin process shows to anybody."""
    told: dict[str, bytes] = {}
    for folder in (cramped.state / "calls").glob("w*"):
        have_sealed(folder, None, 60)
    for path in cramped.state.rglob("*"):
        if path.is_file():
            told[str(path)] = path.read_bytes()
            if path.suffix == ".parquet":
                told[f"rows of {path}"] = json.dumps(pq.read_table(path).to_pylist(), default=str).encode()
    with urlopen(cramped.admin_url + "/metrics", timeout=30) as response:
        told["metrics"] = response.read()
    assert {Path(name).suffix for name in told} >= {".db", ".parquet", ".json"}
    return told


MADE_UP = ("x\n# HELP evil 1\nevil 1\n", 'm",route="x', "m\\", "\u2028", "\x00", "{{7*7}}", "m" * 250)


def test_no_client_says_what_the_metrics_are_called(gateway: RunningGateway) -> None:
    key = gateway.key().key
    for name in MADE_UP:
        body = {"model": name, "user": name, "messages": [{"role": "user", "content": name}]}
        assert gateway.post("/v1/chat/completions", body, key)[0] == 404
        assert gateway.post("/v1/chat/completions", {**body, "model": "m"}, key)[0] == 200
        assert gateway.post("/v1/chat/completions", {**body, name: 1, "model": 5}, key)[0] == 400
        assert gateway.get(f"/{quote(name)}?{quote(name)}", key)[0] == 404
        assert gateway.get(f"/receipts/{quote(name)}", key)[0] == 404
    wait_for_metrics = time.monotonic() + 30
    while True:
        with urlopen(gateway.admin_url + "/metrics", timeout=30) as response:
            families = list(text_string_to_metric_families(response.read().decode()))
        samples = [sample for family in families for sample in family.samples]
        labels = {label for sample in samples for label in sample.labels.items()}
        if ("reason", "model_not_found") in labels or time.monotonic() > wait_for_metrics:
            break
        time.sleep(0.2)
    assert {value for label, value in labels if label == "model"} == {"m"}
    assert all(re.fullmatch("[a-z_]+", value) for label, value in labels if label in ("reason", "status", "kind"))
    assert {label for label, _ in labels} == {"model", "route", "status", "kind", "reason", "le"}
    assert all(family.name.startswith("stillroom_") for family in families)
