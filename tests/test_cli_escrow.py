"""`stillroom escrow`, on a state folder."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from stillroom.cli import app
from stillroom.serve.escrow.escrow import FOLDER, Escrow
from stillroom.serve.settings import EscrowSettings
from stillroom.store.secrets import Secrets

PAGE = Path(__file__).parents[1] / "docs" / "escrow.md"
SETTINGS = """\
owner: Abacus Models
state: state
models: [{name: abacus, upstreams: [{base_url: "http://127.0.0.1:1/v1"}]}]
"""
REQUEST, SERVED, SEALED = b'{"n": 1}', "naïve ☕".encode(), b"\xff\x1b[31m"


def stillroom(*words: str) -> Result:
    return CliRunner().invoke(app, words, env={"COLUMNS": "200", "NO_COLOR": "1"})


def said(*words: str) -> str:
    result = stillroom(*words)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def config(tmp_path: Path) -> str:
    """Of a gateway that has sealed one call of each of two accounts."""
    file = tmp_path / "gateway.yaml"
    file.write_text(SETTINGS)
    state = tmp_path / "state"
    escrow = Escrow(state / FOLDER, Secrets.open(state), EscrowSettings(share=1))
    for call_id, account in (("c1", "acct_1"), ("c2", "acct_2")):
        asyncio.run(escrow.seal(call_id, account, request=REQUEST, served=SERVED, sealed=SEALED, coin=1))
    return str(file)


def test_the_page_s_commands(config: str) -> None:
    """Every command of docs/escrow.md does what the page says."""
    blocks = re.findall(r"```\n(stillroom .*?)```", PAGE.read_text(), re.DOTALL)
    names = {"gateway.yaml": config, "ACCOUNT": "acct_1", "CALL": "c1", "NAME": "case-1", "TEXT": "court order"}
    commands = [
        [names.get(word, word) for word in shlex.split(line)[1:]] for block in blocks for line in block.splitlines()
    ]
    assert [words[1] for words in commands] == ["list", "show", "forget", "hold", "release"]
    for words in commands:
        said(*words)


def test_list_and_show(config: str) -> None:
    assert re.search(r"acct_1  1 record, .* UTC to .* UTC\n", said("escrow", "list", "--config", config))
    shown = said("escrow", "show", "c1", "--config", config)
    assert "naïve ☕" in shown
    assert "\x1b" not in shown
    facts = json.loads(said("escrow", "show", "c1", "--config", config, "--json"))
    assert (facts["served"], facts["sealed_base64"], facts["coin"]) == ("naïve ☕", "/xtbMzFt", 1)
    assert facts["escrow_digest"].startswith("escrow1:")
    assert facts["escrow_digest"] in shown
    missing = stillroom("escrow", "show", "c9", "--config", config)
    assert (missing.exit_code, "Nothing is kept" in missing.stderr) == (2, True)


def test_hold_forget_release_and_who_did_it(config: str) -> None:
    said(
        "escrow", "hold", "case-1", "--account", "acct_1", "--reason", "court order", "--by", "ada", "--config", config
    )
    assert "held: case-1" in said("escrow", "list", "--config", config)
    refused = stillroom("escrow", "forget", "acct_1", "--config", config)
    assert (refused.exit_code, "legal hold: case-1" in refused.stderr) == (1, True)
    assert json.loads(said("escrow", "forget", "acct_2", "--config", config, "--json")) == {"records": 1}
    released = said("escrow", "release", "case-1", "--by", "grace", "--config", config)
    assert "by ada: court order. Released" in released
    assert "Deleted 1 record of acct_1" in said("escrow", "forget", "acct_1", "--config", config)
    assert "Nothing is kept." in said("escrow", "list", "--config", config)
    lines = (Path(config).parent / "state" / FOLDER / "actions.jsonl").read_text().splitlines()
    actions = [json.loads(line) for line in lines]
    assert [action["action"] for action in actions] == ["hold", "forget", "release", "forget"]
    assert [actions[0]["by"], actions[2]["by"]] == ["ada", "grace"]
    assert actions[1]["by"]


@pytest.mark.parametrize("whose", [[], ["--all", "--account", "acct_1"]])
def test_a_hold_is_on_one_or_on_all(config: str, whose: list[str]) -> None:
    result = stillroom("escrow", "hold", "case", *whose, "--reason", "why", "--config", config)
    assert result.exit_code == 2
    assert json.loads(said("escrow", "list", "--config", config, "--json"))["holds"] == []


def test_a_name_is_no_accounts_id(config: str) -> None:
    """A hold on a name would hold nothing, and forgetting a name would delete nothing."""
    held = stillroom("escrow", "hold", "case", "--account", "research", "--reason", "why", "--config", config)
    forgotten = stillroom("escrow", "forget", "research", "--config", config)
    for result in (held, forgotten):
        assert (result.exit_code, "'research' is no account's id" in result.stderr) == (2, True)
    assert json.loads(said("escrow", "list", "--config", config, "--json"))["holds"] == []
    assert "Nothing was kept of acct_9." in said("escrow", "forget", "acct_9", "--config", config)


def test_before_the_gateway_has_started(tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").write_text(SETTINGS)
    result = stillroom("escrow", "list", "--config", str(tmp_path / "gateway.yaml"))
    assert result.exit_code == 2
    assert not (tmp_path / "state").exists()


def test_a_lost_secret_is_told_and_no_other_one_made(config: str) -> None:
    secret = Path(config).parent / "state" / "secret"
    secret.unlink()
    for words in (["list"], ["forget", "acct_1"], ["hold", "case", "--all", "--reason", "court"]):
        result = stillroom("escrow", *words, "--config", config)
        assert result.exit_code == 1
        assert "has no gateway's secret" in result.stderr
    assert not secret.exists()
