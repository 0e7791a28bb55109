"""`stillroom watch bank`: by an owner of the gateway, whoever else asks."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from tests.serve.admin.conftest import admin_server
from tests.watch.banks.conftest import paragraphs
from typer.testing import CliRunner, Result

from stillroom.cli import app as stillroom_app
from stillroom.cli_watch_banks import register
from stillroom.serve.database.engine import open_database
from stillroom.store.secrets import Secrets
from stillroom.watch.banks.audit import read_audit

CONFIG = """
owner: Acme
state: state
models:
  - {name: m, upstreams: [{base_url: "http://127.0.0.1:9/v1"}]}
"""
PAGE = (Path(__file__).parents[1] / "docs" / "banks.md").read_text(encoding="utf-8")

_ALL = re.findall(r"^stillroom watch (bank .*)$", PAGE, re.MULTILINE)
COMMANDS, OF_GATEWAYS = ([each for each in _ALL if ("--gateway" in each) is asks] for asks in (False, True))

app = typer.Typer()
register(app)


def bank(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["bank", *map(str, arguments)], env={"COLUMNS": "200", "NO_COLOR": "1"})


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a file of questions and the state of a gateway; it is where commands run."""
    rows = [{"question": text} for text in paragraphs()[:600]]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (tmp_path / "gateway.yaml").write_text(CONFIG)
    Secrets.open(tmp_path / "state")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STILLROOM_ADMIN_KEY", raising=False)
    return tmp_path


@pytest.fixture
def gateway(here: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The same with an admin API that runs; Olga is its owner."""
    made = made_admin("create", "Olga", "--config", str(here / "gateway.yaml"))
    engine = open_database(f"sqlite:///{here / 'state' / 'gateway.db'}")
    with admin_server(engine, Secrets.open(here / "state")) as port:
        monkeypatch.setenv("STILLROOM_ADMIN_URL", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("STILLROOM_ADMIN_KEY", made["key"])
        yield here
    engine.dispose()


def made_admin(*arguments: str) -> Any:
    result = CliRunner().invoke(stillroom_app, ["admin", *arguments, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


ADD = ("add", "train.jsonl", "--name", "docs", "--by", "Olga", "--reason", "a public set")


def test_the_page_holds_what_the_commands_do(here: Path) -> None:
    """Every command of docs/banks.md, in its order, in one folder."""
    last = ""
    for command in COMMANDS:
        arguments = shlex.split(command.replace("sha256:DIGEST", last))
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, f"{command}: {result.output}"
        last = next(iter(re.findall(r"sha256:[0-9a-f]{64}", result.output)[-1:]), last)
    assert [record.act for record in read_audit(here / "state" / "watch")] == ["bank added", "bank removed"]


@pytest.mark.usefixtures("here")
def test_what_was_done_is_said_and_can_be_listed() -> None:
    added = bank(*ADD, "--split", "train", "--state", "state")
    assert added.exit_code == 0, added.output
    assert "Added docs: 600 questions." in added.output
    assert "docs (train): 600 questions, added" in bank("list", "--state", "state").output
    shown = bank("show", "docs", "--state", "state").output
    assert "by Olga" in shown
    assert "Why: a public set" in shown
    rows = json.loads(bank("list", "--state", "state", "--json").output)
    assert [(row["name"], row["split"], row["by"]) for row in rows] == [("docs", "train", "Olga")]
    assert json.loads(bank("show", "docs", "--state", "state", "--json").output) == rows[0]
    removed = bank("remove", "docs", "--by", "Otto", "--reason", "no need", "--state", "state")
    assert removed.exit_code == 0, removed.output
    assert "There are no banks." in bank("list", "--state", "state").output
    audit = bank("audit", "--state", "state").output
    assert "Olga (owner): bank added docs. a public set" in audit
    assert "Otto (owner): bank removed docs. no need" in audit


def test_what_cannot_be_read_as_the_secret_proves_nothing(here: Path) -> None:
    for options in ((), ("--watch", "state/watch")):
        assert bank(*ADD, *options).exit_code == 2
    (here / "other").mkdir()
    without = bank(*ADD, "--state", "other")
    assert without.exit_code == 1
    assert "no gateway's secret" in without.output
    assert list((here / "other").iterdir()) == []
    assert not (here / "state" / "watch").exists()


def test_an_owner_proves_it_by_the_admin_api(gateway: Path) -> None:
    (command,) = OF_GATEWAYS
    added = CliRunner().invoke(app, shlex.split(command))
    assert added.exit_code == 0, added.output
    (record,) = read_audit(gateway / "watch")
    assert record.role == "owner"
    assert record.detail["proof"].startswith("admin Olga (adm")
    removed = bank("remove", "gsm8k-train", "--by", "Olga", "--reason", "no need", "--gateway", "--watch", "watch")
    assert removed.exit_code == 0, removed.output


@pytest.mark.parametrize("role", ["operator", "auditor"])
def test_other_administrators_may_not(gateway: Path, monkeypatch: pytest.MonkeyPatch, role: str) -> None:
    other = made_admin("create", "Otto", "--role", role, "--config", str(gateway / "gateway.yaml"))
    monkeypatch.setenv("STILLROOM_ADMIN_KEY", other["key"])
    refused = bank(*ADD, "--gateway", "--watch", "elsewhere")
    assert refused.exit_code == 2
    assert "This is for an owner" in refused.output
    assert not (gateway / "elsewhere").exists()


def test_a_credential_that_the_gateway_does_not_know_may_not(gateway: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STILLROOM_ADMIN_KEY", "sra-" + "0" * 40)
    assert bank(*ADD, "--gateway", "--watch", "elsewhere").exit_code == 1
    monkeypatch.delenv("STILLROOM_ADMIN_KEY")
    assert bank(*ADD, "--gateway", "--watch", "elsewhere").exit_code == 2
    assert not (gateway / "elsewhere").exists()


def test_too_few_questions_are_refused_with_the_reason(here: Path) -> None:
    (here / "few.txt").write_text("\n".join(text.replace("\n", " ") for text in paragraphs()[:20]))
    refused = bank("add", "few.txt", *ADD[2:], "--state", "state")
    assert refused.exit_code == 1
    assert "20 different questions" in refused.output
    assert "500 or more" in refused.output


def test_a_log_that_was_touched_ends_in_1(here: Path) -> None:
    assert bank(*ADD, "--state", "state").exit_code == 0
    last = json.loads(bank("audit", "--state", "state", "--json").output)["records"][-1]["digest"]
    assert bank("audit", "--state", "state", "--seen", last).exit_code == 0
    log = here / "state" / "watch" / "audit.jsonl"
    log.write_bytes(log.read_bytes().replace(b"Olga", b"Otto"))
    touched = bank("audit", "--state", "state", "--seen", last)
    assert touched.exit_code == 1
    assert "cut short or rewritten" in touched.output
    assert json.loads(bank("audit", "--state", "state", "--seen", last, "--json").output)["problems"]
