"""`stillroom calls`: on a gateway's state folder, and on a copy of its log with the owner's public keys."""

from __future__ import annotations

import json
import shutil
from dataclasses import fields
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from stillroom.base.records import Call
from stillroom.cli import app
from stillroom.serve.keyring import Keyring
from stillroom.serve.meter.call_log import CallLog
from stillroom.serve.meter.chain import RECORD_TYPE

SETTINGS = """\
owner: Abacus Models
state: state
models:
  - {name: abacus, upstreams: [{base_url: "http://127.0.0.1:1/v1"}]}
"""


def stillroom(*words: str) -> Result:
    return CliRunner().invoke(app, ["calls", *words], env={"COLUMNS": "200", "NO_COLOR": "1"})


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a gateway, with a log of three calls of one account and two of another."""
    folder = tmp_path_factory.mktemp("gateway")
    (folder / "gateway.yaml").write_text(SETTINGS, encoding="utf-8")
    keyring = Keyring.open(folder / "state")
    log = CallLog(
        folder / "state" / "calls" / "w0",
        reserve_bytes=0,
        sign=lambda record: keyring.active.sign(RECORD_TYPE, record),
    )
    for number in range(5):
        values: dict[str, Any] = dict.fromkeys(each.name for each in fields(Call))
        values |= {"call_id": f"call_{number}", "at": number, "account": f"acct_{number % 2}", "model": "abacus"}
        call = Call(**values)
        log.begin(call)
        log.settle(call)
    log.close()
    return folder


@pytest.fixture
def config(gateway: Path, tmp_path: Path) -> Path:
    """The settings of such a gateway, for one test alone."""
    shutil.copytree(gateway, tmp_path, dirs_exist_ok=True)
    return tmp_path / "gateway.yaml"


def calls_of(config: Path) -> Path:
    return config.parent / "state" / "calls"


def drop_a_row(config: Path) -> None:
    path = calls_of(config) / "w0" / "00000001" / "calls.parquet"
    pq.write_table(pq.read_table(path).slice(1), path)


def test_a_whole_log(config: Path) -> None:
    result = stillroom("verify", "--config", str(config))
    assert result.exit_code == 0, result.output
    assert "5 rows in 1 segment of 1 worker are as sealed." in result.stdout
    assert "1 of 1 record has a right signature" in result.stdout


def test_a_row_that_is_missing_is_named_and_ends_in_1(config: Path) -> None:
    drop_a_row(config)
    result = stillroom("verify", "--config", str(config))
    assert result.exit_code == 1
    assert "Row 0 of segment 1 of w0 is missing." in result.stdout
    facts = json.loads(stillroom("verify", "--config", str(config), "--json").stdout)
    assert facts["rows"] == 4
    assert [(each["kind"], each["segment"], each["row"]) for each in facts["problems"]] == [("row missing", 1, 0)]


def test_a_copy_with_the_owners_keys(config: Path, tmp_path: Path) -> None:
    copy, keys = tmp_path / "copy", tmp_path / "jwks.json"
    shutil.copytree(calls_of(config), copy)
    keys.write_bytes(orjson.dumps(Keyring.open(tmp_path / "state").jwks()))
    result = stillroom("verify", "--folder", str(copy), "--keys", str(keys), "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["signed"] == 1
    assert json.loads(stillroom("verify", "--folder", str(copy), "--json").stdout)["signed"] == 0
    keys.write_bytes(orjson.dumps(Keyring.open(tmp_path / "stranger").jwks()))
    assert stillroom("verify", "--folder", str(copy), "--keys", str(keys)).exit_code == 1


def test_forgetting_leaves_a_log_that_verifies(config: Path) -> None:
    result = stillroom("forget", "acct_0", "--config", str(config))
    assert result.exit_code == 0, result.output
    assert "Deleted 3 rows of acct_0 from 1 segment." in result.stdout
    result = stillroom("verify", "--config", str(config))
    assert result.exit_code == 0
    assert "3 rows deleted on request." in result.stdout
    assert json.loads(stillroom("forget", "acct_0", "--config", str(config), "--json").stdout)["rows"] == 0


def test_wrong_usage_is_told(config: Path, tmp_path: Path) -> None:
    assert stillroom("verify").exit_code == 2
    assert stillroom("verify", "--config", str(config), "--folder", str(tmp_path)).exit_code == 2
    assert stillroom("verify", "--config", str(config), "--keys", "x").exit_code == 2
    assert stillroom("stamp", "--config", str(config), "--tsa", "file:///etc/passwd").exit_code == 2
    assert stillroom("verify", "--folder", str(tmp_path / "nowhere")).exit_code == 1
    roots = stillroom("verify", "--config", str(config), "--roots", str(config))
    assert roots.exit_code == 1
    assert "no certificates" in roots.stderr


def test_an_authority_that_is_not_there(config: Path) -> None:
    result = stillroom("stamp", "--config", str(config), "--tsa", "http://127.0.0.1:9/")
    assert result.exit_code == 1
    assert "did not answer" in result.stderr
