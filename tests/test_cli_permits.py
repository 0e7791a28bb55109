"""`stillroom permit` and `stillroom signing-key`: against a gateway's admin API on this machine, and on files alone."""

from __future__ import annotations

import json
import re
import shlex
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest
import uvicorn
from typer.testing import CliRunner, Result

from stillroom.base.permit import PERMIT_TYP, read_permit
from stillroom.base.signatures import PublicKeys, SigningKey
from stillroom.cli import app
from stillroom.serve.accounts.admins import THE_MACHINE, create_admin
from stillroom.serve.accounts.events import changing
from stillroom.serve.accounts.keys import KeyHashes
from stillroom.serve.admin.app import make_admin_app
from stillroom.serve.database.engine import open_database
from stillroom.serve.database.upgrade import upgrade
from stillroom.serve.keyring import Keyring
from stillroom.serve.permits.admin import permit_router
from stillroom.serve.settings import read_settings
from stillroom.store.secrets import Secrets

PAGE = Path(__file__).parents[1] / "docs" / "permits.md"
SETTINGS = """\
owner: Abacus Models
state: state
models:
  - {name: abacus, upstreams: [{base_url: "http://127.0.0.1:1/v1"}]}
  - {name: mini, upstreams: [{base_url: "http://127.0.0.1:1/v1"}]}
"""


def stillroom(*words: str) -> Result:
    return CliRunner().invoke(app, words, env={"COLUMNS": "200", "NO_COLOR": "1"})


def said(*words: str) -> str:
    result = stillroom(*words)
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(*words: str, code: int) -> str:
    result = stillroom(*words)
    assert result.exit_code == code, result.output
    return result.stderr


@dataclass
class Gateway:
    folder: Path
    url: str
    keyring: Keyring

    @property
    def keys(self) -> PublicKeys:
        return self.keyring.public_keys()

    def keys_file(self) -> str:
        file = self.folder / "keys.json"
        file.write_bytes(orjson.dumps(self.keyring.jwks()))
        return str(file)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, str]]:
    """A gateway's admin API with two organisations, and an operator's key."""
    folder = tmp_path_factory.mktemp("gateway")
    (folder / "gateway.yaml").write_text(SETTINGS)
    settings = read_settings(folder / "gateway.yaml")
    secrets = Secrets.open(settings.state)
    engine = open_database(f"sqlite:///{folder / 'gateway.db'}")
    upgrade(engine)
    with changing(engine, "the test") as change:
        _, key = create_admin(
            change, KeyHashes(secrets, "sra"), THE_MACHINE, name="Otto", role="operator", organisation=None
        )
    listener = socket.create_server(("127.0.0.1", 0))
    admin = make_admin_app(engine, secrets, [permit_router(settings)])
    server = uvicorn.Server(uvicorn.Config(admin, log_level="critical", timeout_graceful_shutdown=3))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    yield Gateway(folder, url, Keyring.open(settings.state)), key.text
    server.should_exit = True
    thread.join()
    listener.close()
    engine.dispose()


@pytest.fixture
def gateway(running: tuple[Gateway, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Gateway:
    gateway, key = running
    monkeypatch.setenv("STILLROOM_ADMIN_URL", gateway.url)
    monkeypatch.setenv("STILLROOM_ADMIN_KEY", key)
    monkeypatch.chdir(tmp_path)
    return gateway


@pytest.fixture
def university(gateway: Gateway) -> str:  # noqa: ARG001 - by the environment
    """The name of an organisation with two accounts."""
    from stillroom.admin_api import AdminApi

    api = AdminApi.from_environment()
    name = f"University {time.time_ns()}"
    organisation = api.post("/v1/organisations", {"name": name})["id"]
    for account in ("alice", "bob"):
        api.post("/v1/accounts", {"organisation": organisation, "name": account})
    return name


def issue_words(university: str, *more: str) -> tuple[str, ...]:
    named = ("--organisation", university, "--model", "abacus", "--student", "tutor", "--purpose", "fractions")
    return ("permit", "issue", *named, "--until", "2099-06-30", *more)


def test_a_permit_is_issued_to_a_file_that_says_what_it_allows(gateway: Gateway, university: str) -> None:
    more = ("--account", "bob", "--calls", "10", "--tokens", "5000", "--condition", "Name Abacus.", "--model", "mini")
    text = said(*issue_words(university, *more, "--from", "2098-01-01T12:00", "--out", "a.permit"))
    assert f"{university} may train tutor on replies of abacus and mini," in text
    assert "It does not hold yet." in text
    assert "Used: 0 of 10 calls and 0 of 5,000 tokens." in text
    assert "Written to a.permit, for teacher.permit of a recipe." in text
    permit = read_permit(Path("a.permit").read_text().strip(), gateway.keys, int(time.time()))
    assert (permit.calls, permit.tokens, permit.conditions, len(permit.accounts)) == (10, 5000, ("Name Abacus.",), 1)
    # all of 30 June, in UTC
    assert (permit.nbf, permit.exp) == (4_039_416_000, 4_086_547_200)


def test_without_a_file_it_is_printed(gateway: Gateway, university: str) -> None:
    token = said(*issue_words(university)).strip()
    permit = read_permit(token, gateway.keys, int(time.time()))
    assert (permit.organisation, permit.calls, permit.tokens) == (university, None, None)
    assert len(permit.accounts) == 2


def test_a_permit_is_listed_shown_and_revoked(university: str) -> None:
    row = json.loads(said(*issue_words(university, "--calls", "3", "--json")))
    listed = said("permit", "list")
    assert [line.split()[1] for line in listed.splitlines() if row["id"] in line] == ["holds"]
    assert row in json.loads(said("permit", "list", "--json"))
    shown = said("permit", "show", row["id"])
    assert "It holds." in shown
    assert "Used: 0 of 3 calls." in shown
    said("permit", "show", row["id"], "--out", "again.permit")
    assert Path("again.permit").read_text() == row["token"] + "\n"
    assert said("permit", "revoke", row["id"], "--reason", "for sale") == f"{row['id']} is revoked.\n"
    assert "It is revoked: for sale" in said("permit", "show", row["id"])
    assert json.loads(said("permit", "revoke", row["id"], "--json"))["state"] == "revoked"


def test_a_file_is_shown_without_a_gateway(gateway: Gateway, university: str, monkeypatch: pytest.MonkeyPatch) -> None:
    said(*issue_words(university, "--calls", "3", "--out", "a.permit"))
    keys = gateway.keys_file()
    monkeypatch.delenv("STILLROOM_ADMIN_KEY")
    monkeypatch.setenv("STILLROOM_ADMIN_URL", "http://127.0.0.1:1")
    text = said("permit", "show", "a.permit")
    assert "with at most 3 calls and any number of tokens, made by 2 accounts," in text
    assert "Who signed it was not checked: --keys does." in text
    assert f"Its signature is by a key of {keys}." in said("permit", "show", "a.permit", "--keys", keys)
    shown = json.loads(said("permit", "show", "a.permit", "--json"))
    assert (shown["verified"], shown["holds"], shown["says"]["student"]) == (False, True, "tutor")


def test_a_file_by_somebody_else_is_told(gateway: Gateway, university: str) -> None:
    row = json.loads(said(*issue_words(university, "--json")))
    forged = SigningKey.generate().sign(PERMIT_TYP, {**row["says"], "nbf": 1, "exp": 1_000_000_000})
    Path("forged.permit").write_text(forged)
    assert "It has expired." in said("permit", "show", "forged.permit")
    error = refused("permit", "show", "forged.permit", "--keys", gateway.keys_file(), code=1)
    assert "not among the owner's" in error
    for content in ("", "a.b.c", "x" * 100_000, '{"jws": 7}', row["token"][:-10]):
        Path("damaged.permit").write_text(content)
        result = stillroom("permit", "show", "damaged.permit", "--keys", gateway.keys_file())
        assert (result.exit_code, "damaged.permit" in result.stderr) == (1, True), result.output


def test_a_permit_that_would_write_on_the_terminal_is_none(university: str) -> None:
    row = json.loads(said(*issue_words(university, "--json")))
    Path("evil.permit").write_text(SigningKey.generate().sign(PERMIT_TYP, {**row["says"], "purpose": "\x1b[2Jx"}))
    assert "purpose" in refused("permit", "show", "evil.permit", code=1)


@pytest.mark.parametrize(
    ("changes", "code", "what"),
    [
        ({"--organisation": "Nobody"}, 2, "There is no organisation 'Nobody'. stillroom organisation list"),
        ({"--account": "carol"}, 2, "There is no account 'carol'"),
        ({"--model": "abacsu"}, 1, "There is no model 'abacsu' here. Did you mean abacus?"),
        ({"--until": "2020-01-01"}, 1, "ended already"),
        ({"--until": "tomorrow"}, 2, "--until: 'tomorrow' is no time. Write 90d, 2027-01-31"),
        ({"--until": "9999-12-31"}, 2, "expires_at"),
        ({"--from": "2099-99-99"}, 2, "--from: '2099-99-99' is no time."),
        ({"--purpose": ""}, 2, "purpose"),
        ({"--condition": "a" * 1001}, 2, "conditions"),
    ],
)
def test_what_cannot_be_issued_is_told(university: str, changes: dict[str, str], code: int, what: str) -> None:
    words = list(issue_words(university))
    for option, value in changes.items():
        if option in words:
            words[words.index(option) + 1] = value
        else:
            words += [option, value]
    assert what in " ".join(refused(*words, code=code).split())


def test_a_file_that_exists_stays_and_nothing_is_signed(university: str) -> None:
    Path("a.permit").write_text("in use")
    before = json.loads(said("permit", "list", "--json"))
    assert "a.permit exists already" in refused(*issue_words(university, "--out", "a.permit"), code=2)
    assert Path("a.permit").read_text() == "in use"
    assert json.loads(said("permit", "list", "--json")) == before


def test_a_permit_that_could_not_be_written_is_named(university: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    error = refused(*issue_words(university, "--out", "file/a.permit"), code=1)
    (permit_id,) = re.findall(r"stillroom permit show (permit_\w+) --out FILE", error)
    assert said("permit", "show", permit_id, "--out", "a.permit")


@pytest.mark.usefixtures("gateway")
def test_what_is_neither_a_file_nor_a_permit_is_told() -> None:
    assert "There is no file nowhere." in refused("permit", "show", "nowhere", code=2)
    nobody = f"permit_{'0' * 22}"
    assert f"There is no permit {nobody}." in refused("permit", "show", nobody, code=1)
    assert f"There is no permit {nobody}." in refused("permit", "revoke", nobody, code=1)
    for escape in ("permit_/../../admins", "permit_?x=1", "permit_é"):
        assert "is no permit's id" in refused("permit", "revoke", escape, code=2)


@pytest.mark.usefixtures("gateway")
def test_a_gateway_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STILLROOM_ADMIN_KEY", "sra-secret")
    assert "needs an administrator's key" in refused("permit", "list", code=1)
    monkeypatch.setenv("STILLROOM_ADMIN_URL", "http://127.0.0.1:1")
    error = refused("permit", "list", code=1)
    assert "http://127.0.0.1:1 does not answer" in error
    assert "sra-secret" not in error
    monkeypatch.setenv("STILLROOM_ADMIN_URL", "nonsense")
    assert "STILLROOM_ADMIN_URL" in refused("permit", "list", code=2)
    monkeypatch.delenv("STILLROOM_ADMIN_KEY")
    assert "STILLROOM_ADMIN_KEY is not set" in refused("permit", "list", code=2)


def test_signing_keys_are_listed_and_rotated(tmp_path: Path) -> None:
    config = tmp_path / "gateway.yaml"
    config.write_text(SETTINGS)
    named = ("--config", str(config))
    assert "has no signing keys yet" in refused("signing-key", "list", *named, code=2)
    assert not (tmp_path / "state").exists()
    keyring = Keyring.open(tmp_path / "state")
    first = keyring.active.kid
    assert said("signing-key", "list", *named).startswith(f"{first}  since ")
    second = json.loads(said("signing-key", "rotate", *named, "--json"))["kid"]
    newest, oldest = json.loads(said("signing-key", "list", *named, "--json"))["keys"]
    assert {newest["kid"], oldest["kid"]} == {first, second}
    assert "signs from now on" in said("signing-key", "rotate", *named)
    assert len(said("signing-key", "list", *named).splitlines()) == 3
    assert "cannot be read" in refused("signing-key", "list", "--config", str(tmp_path / "none.yaml"), code=2)


@pytest.mark.usefixtures("gateway")
def test_the_commands_of_the_page_are_what_they_say() -> None:
    from stillroom.admin_api import AdminApi

    api = AdminApi.from_environment()
    organisation = api.post("/v1/organisations", {"name": "Somewhere University"})["id"]
    api.post("/v1/accounts", {"organisation": organisation, "name": "alice"})
    blocks = re.findall(r"```\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    commands = [shlex.split(line, comments=True) for line in blocks[0].replace("\\\n", " ").splitlines()]
    assert commands[0][0] == "export"
    shown = [said(*words[1:]) for words in commands[1:]][-1]
    # all but the ids and the moments, which are others
    assert [line for line in shown.splitlines() if "UTC" not in line] == [
        line for line in blocks[1].splitlines() if "UTC" not in line
    ]


def test_help_gives_examples() -> None:
    for words in (("permit", "issue"), ("permit", "show"), ("signing-key", "rotate")):
        assert f"Example: stillroom {' '.join(words)}" in " ".join(said(*words, "--help").split())
