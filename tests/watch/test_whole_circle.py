"""The whole circle: a gateway with 300 customers, stillroom's own `ask` behind 30 names among them, and what is found.

Everything is real but the model: processes on loopback, the admin API, the call log, the commands of an operator.
"""

from __future__ import annotations

import json
import random
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.serve.gateway.conftest import RunningGateway, model_server, running_gateway
from tests.watch.call_log import own_text
from typer.testing import CliRunner

from stillroom import pipeline
from stillroom.admin_api import KEY_ENV, URL_ENV, AdminApi
from stillroom.cli import app
from stillroom.serve.accounts.account_keys import create_key
from stillroom.serve.accounts.accounts import create_account
from stillroom.serve.accounts.admins import THE_MACHINE, create_admin
from stillroom.serve.accounts.events import changing
from stillroom.serve.accounts.keys import KeyHashes
from stillroom.serve.accounts.organisations import create_organisation
from stillroom.testing.traffic import bank_texts
from stillroom.text.plain_yaml import write_yaml
from stillroom.text.prints import billing_print

CUSTOMERS, NAMES = 300, 30
QUESTIONS = 660
CALLS_OF_CUSTOMER, CALLS_LATER = 4, 2
OFFICE, PUPILS = range(20), range(20, 35)
"""Customers who look like it: colleagues behind one address with one program; pupils who ask some of the bank."""
AGENTS = (
    "OpenAI/Python 1.51.0",
    "OpenAI/Python 1.40.2",
    "openai-node/4.67",
    "curl/8.9.1",
    "LangChain/0.3",
    "axios/1.7",
)
BEHIND_A_PROXY: dict[str, Any] = {"trusted_proxies": ["127.0.0.1/32"]}


@dataclass(frozen=True)
class Customer:
    account: str
    organisation: str
    key: str
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Circle:
    """What an operator was shown, and who was who."""

    distillers: list[Customer]
    customers: list[Customer]
    before: dict[str, Any]
    """After the bank was asked, of everything."""
    after: dict[str, Any]
    """After the same was asked again under permits, of everything."""
    under_permits: dict[str, Any]
    """Of the calls since the permits alone, as somebody would see them who knew nothing of the time before."""
    shown: str
    exported: str
    """What one accused organisation is told."""


@pytest.fixture(scope="module")
def circle(tmp_path_factory: pytest.TempPathFactory) -> Circle:
    folder = tmp_path_factory.mktemp("circle")
    bank = bank_texts("word_problems")[:QUESTIONS]
    (folder / "bank.jsonl").write_text("".join(json.dumps({"question": question}) + "\n" for question in bank))
    with pytest.MonkeyPatch.context() as patch, model_server() as model:
        with running_gateway(folder, model.url, **BEHIND_A_PROXY) as gateway:
            distillers, customers = signed_up(gateway)
            ask_as_customers_do(gateway, customers, bank, CALLS_OF_CUSTOMER)
            distil(gateway, distillers, bank, folder / "first", patch)
            assert gateway.stop() == ""
        add_bank(folder)
        with running_gateway(folder, model.url, **BEHIND_A_PROXY) as gateway:
            api = administration(gateway, patch)
            before = looked(folder / "state", "--events")
            permits = [permit_of(api, distiller) for distiller in distillers]
            ask_as_customers_do(gateway, customers, bank, CALLS_LATER)
            distil(gateway, distillers, bank, folder / "second", patch, permits)
            assert gateway.stop() == ""
        after = looked(folder / "state")
        shown = stillroom("watch", "run", "--state", str(folder / "state"))
        (found,) = after["findings"]
        whose = ["--organisation", distillers[0].organisation, "--contact", "appeals@example.com"]
        exported = stillroom("watch", "export", found["id"], *whose, "--state", str(folder / "state"))
        only_since_permits(folder / "state", folder / "since")
        add_bank(folder, "since")
        under_permits = looked(folder / "since")
    return Circle(distillers, customers, before, after, under_permits, shown, exported)


def signed_up(gateway: RunningGateway) -> tuple[list[Customer], list[Customer]]:
    """The names behind which one payer stands, and customers with a card each."""
    distillers, customers = [], []
    with changing(gateway.engine, "test") as change:

        def sign_up(name: str, card: str, headers: Mapping[str, str]) -> Customer:
            organisation = create_organisation(change, name)
            billing = billing_print(gateway.secrets, card)
            account = create_account(change, organisation, THE_MACHINE, {"name": "main"}, billing=billing)
            hashes = KeyHashes(gateway.secrets, "sr")
            _, key = create_key(change, hashes, account, THE_MACHINE, name=None, expires_at=None)
            return Customer(account, organisation, key.text, headers)

        for number in range(CUSTOMERS):
            office = number in OFFICE
            address = "198.51.100.7" if office else f"10.{number // 200}.{number % 200}.9"
            agent = AGENTS[0] if office else AGENTS[number % len(AGENTS)]
            headers = {"x-forwarded-for": address, "user-agent": agent, "x-tls-print": f"hello of {agent}"}
            customers.append(sign_up(f"Customer {number}", f"card {number}", headers))
        for number in range(NAMES):
            distillers.append(sign_up(f"Name {number}", "the card of all of them", {}))
    return distillers, customers


def ask_as_customers_do(
    gateway: RunningGateway, customers: Sequence[Customer], bank: Sequence[str], calls: int
) -> None:
    chance = random.Random(calls)
    asked = [
        (customer, chance.choice(bank) if number in PUPILS and chance.random() < 0.7 else own_text(chance))
        for _ in range(calls)
        for number, customer in enumerate(customers)
    ]
    chance.shuffle(asked)

    def ask(customer: Customer, text: str) -> int:
        body = {"model": "m", "messages": [{"role": "user", "content": text}]}
        return gateway.post("/v1/chat/completions", body, customer.key, dict(customer.headers))[0]

    with ThreadPoolExecutor(8) as together:
        assert set(together.map(lambda each: ask(*each), asked)) == {200}


def distil(
    gateway: RunningGateway,
    distillers: Sequence[Customer],
    bank: Sequence[str],
    folder: Path,
    patch: pytest.MonkeyPatch,
    permits: Sequence[str] = (),
) -> None:
    """`stillroom ask`, once for each name, with a part of the bank of its own."""
    folder.mkdir()
    for number, distiller in enumerate(distillers):
        patch.setenv("KEY_OF_NAME", distiller.key)
        part = folder / f"part-{number}.jsonl"
        rows = ({"question": question} for question in bank[number :: len(distillers)])
        part.write_text("".join(json.dumps(row) + "\n" for row in rows))
        teacher = {"model": "m", "base_url": f"{gateway.url}/v1", "api_key_env": "KEY_OF_NAME", "price": "none"}
        if permits:
            (folder / f"{number}.permit").write_text(permits[number])
            teacher["permit"] = f"{number}.permit"
        else:
            teacher["terms"] = "own"  # which is not true
        recipe = {"name": f"name-{number}", "teacher": teacher, "questions": [{"from": "file", "path": part.name}]}
        path = folder / f"{number}.yaml"
        path.write_text(write_yaml(recipe))
        facts = pipeline.ask(path, runs=folder / "runs")
        assert facts["by_status"] == {"ok": len(bank) // len(distillers)}


def administration(gateway: RunningGateway, patch: pytest.MonkeyPatch) -> AdminApi:
    """The admin API, which commands find by the environment."""
    with changing(gateway.engine, "test") as change:
        hashes = KeyHashes(gateway.secrets, "sra")
        _, admin = create_admin(change, hashes, THE_MACHINE, name="Otto", role="operator", organisation=None)
    patch.setenv(KEY_ENV, admin.text)
    patch.setenv(URL_ENV, gateway.admin_url)
    return AdminApi(gateway.admin_url, admin.text)


def permit_of(api: AdminApi, distiller: Customer) -> str:
    new = {
        "organisation": distiller.organisation,
        "accounts": [distiller.account],
        "models": ["m"],
        "purpose": "a test",
        "student": "small",
        "expires_at": int(time.time() + 3600) * 1_000_000,
    }
    return str(api.post("/v1/permits", new)["token"])


def stillroom(*words: str) -> str:
    result = CliRunner().invoke(app, words, env={"COLUMNS": "200", "NO_COLOR": "1"}, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def add_bank(folder: Path, state: str = "state") -> None:
    said = ["--name", "problems", "--split", "train", "--by", "Olga", "--reason", "our own", "--state", folder / state]
    stillroom("watch", "bank", "add", str(folder / "bank.jsonl"), *map(str, said))


def looked(state: Path, *more: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(stillroom("watch", "run", "--state", str(state), "--json", *more))
    return told


def only_since_permits(state: Path, since: Path) -> None:
    """A state folder with the gateway's secret and the last segment of each worker alone."""
    (since / "calls").mkdir(parents=True)
    shutil.copy(state / "secret", since / "secret")
    for worker in (state / "calls").glob("w*"):
        last = max(path for path in worker.iterdir() if path.is_dir() and path.name.isdecimal())
        shutil.copytree(last, since / "calls" / worker.name / last.name)


def test_all_of_them_are_found_and_nobody_else(circle: Circle) -> None:
    (found,) = circle.before["findings"]
    assert found["kind"] == "campaign"
    assert found["accounts"] == sorted(each.account for each in circle.distillers)
    assert sorted(found["organisations"]) == sorted(each.organisation for each in circle.distillers)
    assert (found["calls"], found["questions"], found["permitted_calls"]) == (QUESTIONS, QUESTIONS, 0)
    assert circle.before["taken"]["counted"] == CUSTOMERS * CALLS_OF_CUSTOMER + QUESTIONS
    assert found["calls_root"] == circle.before["taken"]["calls_root"] is not None


def test_the_finding_says_why(circle: Circle) -> None:
    (found,) = circle.before["findings"]
    said = [each["sentence"] for each in found["signals"]]
    asked = f"These {NAMES} organisations asked {QUESTIONS} of the {QUESTIONS} questions of problems, "
    assert said[0].startswith(asked)
    links = {link["family"]: link for link in found["links"]}
    assert {"network", "payment", "content"} <= set(links)
    assert links["content"]["kind"] == "shards"
    assert {links[family]["accounts"] for family in ("network", "payment", "content")} == {NAMES}
    assert {links[family]["others"] for family in ("network", "payment")} == {0}
    assert "no two the same" in links["content"]["sentence"]
    explanations = {each["name"]: each for each in found["explanations"]}
    assert {"office", "benchmark run"} <= set(explanations)
    assert all(each["is_ruled_out"] for each in explanations.values())
    assert "payment" in explanations["office"]["sentence"]
    assert found["against"]
    assert all(each in circle.shown for each in [*said[:2], *(link["sentence"] for link in found["links"])])
    assert "system_print" in circle.before["missing"]  # nobody sends one: absent, and said to be


def test_what_is_asked_under_a_permit_is_outside_of_the_finding(circle: Circle) -> None:
    (before,), (after,) = circle.before["findings"], circle.after["findings"]
    same = ("id", "accounts", "calls", "questions", "score", "signals", "links", "explanations")
    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    assert after["permitted_calls"] == QUESTIONS
    assert circle.after["taken"]["counted"] == CUSTOMERS * CALLS_LATER + QUESTIONS


def test_with_permits_from_the_beginning_nothing_is_found(circle: Circle) -> None:
    assert circle.under_permits["taken"]["counted"] == CUSTOMERS * CALLS_LATER + QUESTIONS
    assert circle.under_permits["findings"] == []


def test_who_is_accused_reads_of_nobody_else(circle: Circle) -> None:
    told, *others = circle.distillers
    assert f"{told.account} asked {QUESTIONS // NAMES} different questions" in circle.exported
    assert not any(name in circle.exported for each in others for name in (each.account, each.organisation))
    (found,) = circle.after["findings"]
    names = "|".join([told.account, told.organisation, found["id"], r"\d+-\d+-\d+"])
    figures = set(re.findall(r"\d+", re.sub(names, "", circle.exported)))
    assert figures == {"22", "1"}  # its calls and questions, and its account: not how many others there are
