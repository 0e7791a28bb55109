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
    assert "No signature was checked: --keys does" in stillroom("verify", "--folder", str(copy)).stdout
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


def test_forgetting_makes_no_key_of_its_own(config: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(config.read_text().replace("state: ", "state: another-"))
    result = stillroom("forget", "acct_0", "--config", str(other))
    assert result.exit_code == 2
    assert "has no signing keys" in result.stderr
    assert not list(config.parent.glob("another-*"))


def test_wrong_usage_is_told(config: Path, tmp_path: Path) -> None:
    assert stillroom("verify").exit_code == 2
    assert stillroom("forget", "research", "--config", str(config)).exit_code == 2  # a name, and no id
    assert stillroom("verify", "--config", str(config), "--folder", str(tmp_path)).exit_code == 2
    assert stillroom("verify", "--config", str(config), "--keys", "x").exit_code == 2
    assert stillroom("stamp", "--config", str(config), "--tsa", "file:///etc/passwd").exit_code == 2
    assert stillroom("stamp", "--config", str(config), "--tsa", "http://[::1").exit_code == 2
    assert stillroom("verify", "--folder", str(tmp_path / "nowhere")).exit_code == 1
    roots = stillroom("verify", "--config", str(config), "--roots", str(config))
    assert roots.exit_code == 1
    assert "no certificates" in roots.stderr


def test_an_authority_that_is_not_there(config: Path) -> None:
    result = stillroom("stamp", "--config", str(config), "--tsa", "http://127.0.0.1:9/")
    assert result.exit_code == 1
    assert "did not answer" in result.stderr


def used(config: Path, *words: str) -> dict[str, Any]:
    result = stillroom("usage", "--config", str(config), "--json", *words)
    assert result.exit_code == 0, result.output
    told: dict[str, Any] = json.loads(result.stdout)
    return told


def test_what_was_used_of_a_gateway_that_does_not_run(config: Path) -> None:
    told = used(config)
    assert {row["account"]: row["calls"] for row in told["rows"]} == {"acct_0": 3, "acct_1": 2}
    assert (told["total"]["calls"], told["running"]) == (5, 0)
    by_model = stillroom("usage", "--config", str(config), "--by", "model").stdout
    assert "abacus" in by_model
    assert "Names" not in by_model


def test_a_narrow_terminal_cuts_nothing(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stillroom.cli_usage._WIDE", 40)
    lines = stillroom("usage", "--config", str(config)).stdout.splitlines()
    assert lines[0] == "acct_0"
    assert "  prompt tokens: 0; cached of them: 0" in lines
    assert lines[lines.index("all") + 1].startswith("  5 calls:")


def test_without_the_database_there_are_ids_and_no_names(config: Path) -> None:
    told = stillroom("usage", "--config", str(config)).stdout
    assert "acct_1" in told
    assert "Names are not shown. The gateway's database is not there." in told
    assert not (config.parent / "state" / "gateway.db").exists()


def test_what_a_killed_gateway_left_is_sealed_and_of_unknown_use(config: Path) -> None:
    folder = calls_of(config) / "w1"
    log = CallLog(folder, reserve_bytes=0)
    values: dict[str, Any] = dict.fromkeys(each.name for each in fields(Call))
    log.begin(Call(**{**values, "call_id": "lost", "at": 1, "account": "acct_2", "status": "unknown"}))
    shutil.copytree(folder, calls_of(config) / "w2")  # as a kill leaves it
    log.close()
    shutil.rmtree(folder)
    (row,) = (row for row in used(config)["rows"] if row["account"] == "acct_2")
    assert (row["calls"], row["statuses"]) == (1, {"unknown": 1})
    assert (row["prompt_tokens"], row["completion_tokens"], row["usd"]) == (None, None, None)
    table = stillroom("usage", "--config", str(config)).stdout
    (line,) = (line for line in table.splitlines() if "acct_2" in line)
    assert line.split()[1:] == ["1", *["unknown"] * 5, "1", "unknown"]
    assert "How 1 call ended is unknown: what they used is in no sum." in table


@pytest.mark.parametrize(
    ("words", "calls"),
    [
        (["--until", "1970-01-01"], 5),  # the calls came at its first microseconds; a day is meant to its end
        (["--until", "1970-01-01T00:00:00.000003"], 3),
        (["--since", "1970-01-01T00:00:00.000003"], 2),
        (["--since", "1970-01-01T01:00:00.000003+01:00"], 2),
        (["--since", "1970-01-02"], 0),
    ],
)
def test_only_the_days_that_are_asked_for(words: list[str], calls: int, config: Path) -> None:
    assert used(config, *words)["total"]["calls"] == calls


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--since", "yesterday"], "--since: 'yesterday' is no date."),
        (["--since", "20261101"], "--since: '20261101' is no date."),
        (["--until", "9999-12-31"], "--until: '9999-12-31' is no date."),
        (["--since", "2026-11-02", "--until", "2026-11-01"], "--until lies before --since."),
        (["--by", "key"], "'key' is not one of"),
    ],
)
def test_times_and_groups_that_are_none(words: list[str], said: str, config: Path) -> None:
    result = stillroom("usage", "--config", str(config), *words)
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_gateway_that_has_never_run(config: Path) -> None:
    shutil.rmtree(calls_of(config))
    result = stillroom("usage", "--config", str(config))
    assert result.exit_code != 0
    assert "this gateway has not passed on a call yet" in " ".join(result.stderr.split())
