"""`stillroom watch findings` and its neighbours, and docs/review.md, whose every command is run."""

from __future__ import annotations

import base64
import json
import re
import shlex
import signal
import subprocess
import sys
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator
from http.cookiejar import CookieJar
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from stillroom import cli_watch_drills
from stillroom.base.records import Explanation, Finding, FindingLink, FindingSignal
from stillroom.cli_watch_review import register
from stillroom.store.secrets import Secrets
from stillroom.watch.banks.audit import LOOKED, read_audit
from stillroom.watch.drill import Drills
from stillroom.watch.review.found import Found, Member
from stillroom.watch.review.looks import REVIEWER
from stillroom.watch.review.store import DECIDED, FindingStore
from stillroom.watch.review.webhook import SECRET_ENV, URL_ENV

PAGE = (Path(__file__).parents[1] / "docs" / "review.md").read_text(encoding="utf-8")
APP = typer.Typer()
register(APP)
cli_watch_drills.register(APP)
ACCOUNTS = tuple(f"acct_{number:022}" for number in range(3))
ORGANISATIONS = tuple(f"org_{number:022}" for number in range(3))
WITHOUT_WIRING = "import typer; from stillroom.cli_watch_review import register; a = typer.Typer(); register(a); a()"


def stillroom(*words: str, **environment: str) -> Result:
    return CliRunner().invoke(APP, words, env={"COLUMNS": "200", "NO_COLOR": "1", **environment})


def said(*words: str, **environment: str) -> str:
    result = stillroom(*words, **environment)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of a gateway with one finding; it is the working folder's `state`."""
    monkeypatch.delenv(URL_ENV, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "accounts.txt").write_text("acct_9\n\n acct_8 \n")
    finding = Finding(
        id="f_3a9c",
        kind="campaign",
        accounts=ACCOUNTS,
        organisations=ORGANISATIONS,
        since_at=1_777_420_800_000_000,
        until_at=1_779_840_000_000_000,
        found_at=1_779_840_000_000_000,
        score=14.25,
        alarm_rate=0.02,
        signals=(FindingSignal("coverage", "content", 0.8, 0.99, "They asked \x1b[31m6,102 questions once each."),),
        links=(FindingLink("payment", "billing", 3, 0, "They pay with one card."),),
        explanations=(Explanation("office", True, "They share no address."),),
        against=("A contract would.",),
        calls=7_004,
        questions=6_102,
        permits=("permit_1",),
        permitted_calls=12,
        calls_root=None,
        detector_version="1",
    )
    people = tuple(
        Member(account, owner, 7, 0, finding.since_at, finding.until_at, {"gsm8k": 5}, frozenset({"billing"}))
        for account, owner in zip(ACCOUNTS, ORGANISATIONS, strict=True)
    )
    FindingStore(tmp_path / "state" / "watch").put_all([Found(finding, members=people)])
    return "state"


def commands_of_page() -> list[list[str]]:
    blocks = re.findall(r"```\n(stillroom .*?)```", PAGE, re.DOTALL)
    return [shlex.split(line)[2:] for block in blocks for line in block.splitlines()]


def test_the_page_s_commands(state: str) -> None:
    """Every command of docs/review.md runs as it stands there; `review`, which goes on, has a test of its own."""
    commands = commands_of_page()
    assert {words[0] for words in commands} == {
        *("findings", "show", "review", "confirm", "dismiss", "ask", "export", "drill")
    }
    assert {words[1] for words in commands if words[0] == "drill"} == {"add", "list", "report"}
    for words in commands:
        if words[0] != "review":
            said(*(word.replace("2027-05-", "2999-05-") for word in words))  # a drill is registered before it begins
    steps = [step.step for step in FindingStore(Path(state) / "watch").history("f_3a9c")]
    assert steps == ["found", "confirmed", "dismissed", "asked", "exported", "exported"]
    assert "14.2" in Path("findings.html").read_text()
    assert ORGANISATIONS[1] in Path("told.html").read_text()
    assert set(re.findall(r"`finding\.(\w+)`", PAGE)) == {"found", "changed", "exported", *DECIDED.values()}
    assert {URL_ENV, SECRET_ENV} <= set(re.findall(r"STILLROOM_\w+", PAGE))


@pytest.mark.usefixtures("state")
def test_the_page_s_python(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(code, "docs/review.md", "exec"), {})
    assert capsys.readouterr().out == "f_3a9c 14.25 3\nfound None None\n"


def test_findings_and_show(state: str) -> None:
    (listed,) = json.loads(said("findings", "--state", state, "--json"))
    assert (listed["id"], listed["needs_decision"], listed["version"], listed["drill"]) == ("f_3a9c", True, 1, None)
    assert "f_3a9c   open" in said("findings", "--state", state)
    assert "There are no findings." in said("findings", "--state", state, "--status", "confirmed")
    shown = said("show", "f_3a9c", "--watch", f"{state}/watch")
    for words in ("[payment] They pay with one card.", "office, ruled out: They share", "12 other calls", "A contract"):
        assert words in shown
    assert "\x1b" not in shown
    assert json.loads(said("show", "f_3a9c", "--state", state, "--json"))["history"][0]["step"] == "found"


@pytest.mark.usefixtures("whole_day")
def test_who_looks_at_hits_of_banks_is_written_down(state: str) -> None:
    watch = Path(state) / "watch"
    said("findings", "--state", state)  # how many accounts, and not which
    assert read_audit(watch) == []
    said("show", "f_3a9c", "--watch", f"{state}/watch", "--by", "Rita")
    Secrets.open(Path(state))
    said("show", "f_3a9c", "--state", state, "--by", "Rita")
    said("show", "f_3a9c", "--state", state, "--by", "Rita", "--json")  # the same on the same day
    said("findings", "--state", state, "--by", "Rolf", "--json")
    said("findings", "--state", state, "--status", "confirmed", "--html", "all.html", "--by", "Olga")
    contact = ["--contact", "a@example.com", "--by", "Eve"]
    said("export", "f_3a9c", "--organisation", ORGANISATIONS[0], *contact, "--state", state)
    looks = read_audit(watch)
    assert {look.act for look in looks} == {LOOKED}
    assert [(look.by, look.role) for look in looks] == [
        ("Rita", REVIEWER),
        ("Rita", "owner"),
        *((name, "owner") for name in ("Rolf", "Olga", "Eve")),
    ]
    assert all(look.detail == {"findings": ["f_3a9c"], "banks": ["gsm8k"]} for look in looks)
    result = stillroom("show", "f_3a9c", "--state", state, "--by", " ")
    assert (result.exit_code, "who does it" in result.output, "6,102" in result.output) == (2, True, False)
    (watch / "audit.jsonl").write_text("no record\n")
    result = stillroom("show", "f_3a9c", "--state", state)
    assert (result.exit_code, "6,102" in result.output) == (1, False)  # what cannot be written down is not shown


def test_decisions_and_who_took_them(state: str) -> None:
    step = json.loads(said("ask", "f_3a9c", "--reason", "we wrote", "--by", "ada", "--state", state, "--json"))
    assert (step["step"], step["by"], step["reason"], step["webhook_problem"]) == ("asked", "ada", "we wrote", None)
    assert "f_3a9c confirmed by" in said("confirm", "f_3a9c", "--reason", "they did not answer", "--state", state)
    assert re.search(r"asked by ada: we wrote\n.*confirmed by \w+: they did", said("show", "f_3a9c", "--state", state))


def drill_of(file: str, since: str, until: str) -> list[str]:
    return ["drill", "add", "x", file, "--since", since, "--until", until, "--reason", "r", "--state", "state"]


@pytest.mark.usefixtures("state")
@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (["show", "f_9", "--state", "state"], 2, "no finding 'f_9'"),
        (["confirm", "f_3a9c", "--reason", " ", "--state", "state"], 2, "needs a reason"),
        (["findings"], 2, "Give --state or --watch"),
        (["findings", "--state", "elsewhere"], 2, "elsewhere is no folder"),
        (["findings", "--watch", "accounts.txt"], 2, "is no folder"),
        (["findings", "--state", "state", "--status", "closed"], 2, "closed"),
        (["export", "f_3a9c", "--organisation", "org_9", "--contact", "a@b", "--state", "state"], 2, "no organisation"),
        (drill_of("none.txt", "1h", "2h"), 1, "none"),
        (drill_of("accounts.txt", "2h", "1h"), 2, "end"),
        (drill_of("accounts.txt", "soon", "1h"), 2, "soon"),
    ],
)
def test_what_a_person_can_get_wrong(words: list[str], code: int, why: str) -> None:
    result = stillroom(*words)
    assert (result.exit_code, why in " ".join(result.output.split())) == (code, True), result.output


def test_what_an_organisation_is_told(state: str) -> None:
    words = ["export", "f_3a9c", "--organisation", ORGANISATIONS[2], "--contact", "a@example.com", "--state", state]
    told = json.loads(said(*words, "--json"))
    assert [account["account"] for account in told["accounts"]] == [ACCOUNTS[2]]
    text = said(*words)
    assert "The 7 calls of your 1 account" in text
    assert ACCOUNTS[0] not in text


def test_drills(state: str) -> None:
    add = ["drill", "add", "may", "accounts.txt", "--since", "2999-01-01", "--until", "2999-02-01", "--state", state]
    added = json.loads(said(*add, "--reason", "recall", "--json"))
    assert added["accounts"] == ["acct_8", "acct_9"]
    assert [each.id for each in Drills(Path(state) / "watch").list()] == ["may"]
    assert stillroom(*add, "--reason", "again").exit_code == 2
    assert "before it begins" in stillroom(*drill_of("accounts.txt", "2020-01-01", "2020-02-01")).output
    assert "may: not seen yet; it goes on until 2999-02-01" in said("drill", "report", "--state", state)
    report = json.loads(said("drill", "report", "--state", state, "--json"))
    assert (report["recall"], report["over"], report["outcomes"][0]["drill"]) == (None, 0, "may")
    assert json.loads(said("drill", "list", "--state", state, "--json"))[0]["accounts"] == ["acct_8", "acct_9"]


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    got: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/", got
    server.shutdown()
    thread.join()
    server.server_close()


def test_word_of_a_decision(state: str, receiver: tuple[str, list[dict[str, Any]]]) -> None:
    url, got = receiver
    named = {URL_ENV: url, SECRET_ENV: "whsec_" + base64.b64encode(bytes(24)).decode()}
    said("confirm", "f_3a9c", "--reason", "sure", "--state", state, **named)
    assert [word["type"] for word in got] == ["finding.found", "finding.confirmed"]
    shown = json.loads(said("show", "f_3a9c", "--state", state, "--json"))
    assert [(each["step"], each["answer"], each["is_done"]) for each in shown["deliveries"]] == [
        (1, "204", True),
        (2, "204", True),
    ]
    refused = stillroom("ask", "f_3a9c", "--reason", "x", "--state", state, **{**named, SECRET_ENV: "short"})
    assert (refused.exit_code, "webhook's secret" in refused.output) == (2, True)
    assert len(FindingStore(Path(state) / "watch").history("f_3a9c")) == 2


def test_the_review_is_served_until_it_is_stopped(state: str) -> None:
    """The command of the page, in a process of its own: looked at, decided on, stopped by Ctrl-C."""
    (words,) = [words for words in commands_of_page() if words[0] == "review"]
    command = [sys.executable, "-c", WITHOUT_WIRING, *words, "--by", "ada"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            dismiss_in_browser(process.stdout.readline().removeprefix("Open ").strip())
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, errors) == (0, "")
    step = FindingStore(Path(state) / "watch").history("f_3a9c")[-1]
    assert (step.step, step.by, step.reason) == ("dismissed", "ada", "known")


def dismiss_in_browser(url: str) -> None:
    """Open the address that was printed, and decide on the one finding there."""
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    with browser.open(url, timeout=60) as answer:
        assert "1 finding needs a decision" in answer.read().decode()
    finding = f"{url.partition('/?')[0]}/findings/f_3a9c"
    with browser.open(finding, timeout=60) as answer:
        fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', answer.read().decode()))
    form = urllib.parse.urlencode({**fields, "decision": "dismiss", "reason": "known"}).encode()
    with browser.open(f"{finding}/decide", form, timeout=60) as answer:
        assert answer.url == f"{finding}#history"
