"""`stillroom watch run` and its neighbours where what they are given is wrong."""

from __future__ import annotations

import base64
import json
import socket
from pathlib import Path

import pytest
from tests.watch.logs import made_calls, seal
from tests.watch.review.conftest import finding
from typer.testing import CliRunner, Result

from stillroom.cli import app
from stillroom.store.secrets import Secrets
from stillroom.watch.review import webhook
from stillroom.watch.review.store import FindingStore
from stillroom.watch.review.webhook import SECRET_ENV, URL_ENV

SECRET = "whsec_" + base64.b64encode(bytes(32)).decode()


def watch(*words: str, **environment: str) -> Result:
    return CliRunner().invoke(app, ["watch", *words], env={"COLUMNS": "200", "NO_COLOR": "1", **environment})


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of a gateway with a few calls; it is the working folder's `state`."""
    monkeypatch.delenv(URL_ENV, raising=False)
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "state"
    Secrets.open(folder)
    seal(folder / "calls", made_calls(50), 1)
    return folder


@pytest.mark.parametrize(
    ("url", "secret"),
    [("http://example.com/x", SECRET), ("no address", SECRET), ("https://example.com/x", "short")],
)
def test_a_webhook_that_is_none_is_said_before_anything_is_done(state: Path, url: str, secret: str) -> None:
    result = watch("run", "--state", "state", **{URL_ENV: url, SECRET_ENV: secret})
    assert (result.exit_code, "webhook" in result.output) == (2, True)
    assert not (state / "watch").exists()


def test_what_was_found_is_told_where_the_webhook_is_away(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "_WAITS_S", ())
    FindingStore(state / "watch").put(finding())
    with socket.create_server(("127.0.0.1", 0)) as listener:
        away = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    told = json.loads(watch("run", "--state", "state", "--json", **{URL_ENV: away, SECRET_ENV: SECRET}).stdout)
    assert (told["taken"]["counted"], told["findings"]) == (50, [])
    assert told["webhook_problem"]


@pytest.mark.usefixtures("state")
@pytest.mark.parametrize("words", [("alarms",), ("versions",), ("compare", "x"), ("findings",), ("drill", "list")])
def test_what_only_reads_makes_no_folder(words: tuple[str, ...]) -> None:
    result = watch(*words, "--state", "nowhere")
    assert (result.exit_code, "is no folder" in result.output) == (2, True)
    assert not Path("nowhere").exists()


@pytest.mark.usefixtures("state")
@pytest.mark.parametrize("day", ["2026-13-01", "yesterday", "", "1", "99999-01-01"])
def test_a_day_that_is_none(day: str) -> None:
    result = watch("run", "--state", "state", "--until", day)
    assert (result.exit_code, "is no day" in result.output) == (2, True)


@pytest.mark.usefixtures("state")
@pytest.mark.parametrize("day", ["0001-01-01", "1970-01-01"])
def test_days_without_calls(day: str) -> None:
    assert "nobody called" in watch("run", "--state", "state", "--until", day).stdout


@pytest.mark.usefixtures("state")
def test_days_that_are_still_to_come() -> None:
    assert watch("run", "--state", "state", "--until", "9999-12-31").exit_code == 2
