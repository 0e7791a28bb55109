"""The review in a browser: only who has the token sees it, only its own forms decide, and what it shows is escaped."""

from __future__ import annotations

import http.client
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import uvicorn

from stillroom.base.records import Finding
from stillroom.watch.banks.audit import LOOKED, read_audit
from stillroom.watch.review.app import review_app
from stillroom.watch.review.charts import coverage_chart
from stillroom.watch.review.found import Found, Member
from stillroom.watch.review.looks import REVIEWER
from stillroom.watch.review.rendering import finding_page, findings_page, written_findings
from stillroom.watch.review.serving import _listener
from stillroom.watch.review.store import Decision, FindingStore

FindingMaker = Callable[..., Finding]
HOSTILE = '</script><script>alert(1)</script><img src=x onerror="alert(1)"> {{ 7 * 7 }} \u202egnp'


class Browser:
    """Sends what it is told to, and keeps the cookie that it was given."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.cookie = ""

    def ask(self, path: str, form: dict[str, str] | None = None, **headers: str) -> tuple[int, dict[str, str], str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        sent = {"cookie": self.cookie} | {name.replace("_", "-"): value for name, value in headers.items()}
        body = None if form is None else urlencode(form)
        connection.request("GET" if form is None else "POST", path, body, sent)
        answer = connection.getresponse()
        got = {name.lower(): value for name, value in answer.getheaders()}
        text = answer.read().decode()
        connection.close()
        return answer.status, got, text

    def sign_in(self) -> Browser:
        status, headers, _ = self.ask("/?token=secret")
        assert status == 303
        self.cookie = headers["set-cookie"].partition(";")[0]
        return self


@pytest.fixture
def browser(store: FindingStore) -> Iterator[Browser]:
    """Of a server that has not signed in yet."""
    with _listener(0) as listener:
        port = listener.getsockname()[1]
        app = review_app(store, by="ada", token="secret", port=port)
        server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield Browser(port)
        server.should_exit = True
        thread.join()


def form_of(page: str) -> dict[str, str]:
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page))


def test_who_opens_a_finding_with_hits_of_banks_stands_in_the_audit_log(
    browser: Browser, store: FindingStore, make_finding: FindingMaker
) -> None:
    finding = make_finding(accounts=range(2))
    people = [Member(finding.accounts[0], finding.organisations[0], 7, 0, 0, 1, {"gsm8k": 5}, None)]
    store.put_all([Found(finding, members=tuple(people))])
    store.put(make_finding("f_2", accounts=range(5, 9)))
    browser.sign_in()
    for path in ("/", "/findings/f_2", "/findings/f_1", "/findings/f_1"):
        assert browser.ask(path)[0] == 200
    (look,) = read_audit(store.watch)
    assert (look.act, look.by, look.role, look.reason) == (LOOKED, "ada", REVIEWER, "finding f_1")


def test_nobody_without_the_token(browser: Browser, store: FindingStore, make_finding: FindingMaker) -> None:
    store.put(make_finding())
    for cookie in ("", "stillroom_review=secret", f"stillroom_review_{browser.port}=wrong", "a=,; =;;\\", "\xff"):
        browser.cookie = cookie
        for path in ("/", "/findings/f_1", "/findings/f_1/decide", "/?token=wrong", "/?token=%ff"):
            status, _, text = browser.ask(path)
            assert status == 403
            assert "questions" not in text
        assert browser.ask("/findings/f_1/decide?token=secret", {"decision": "confirm", "reason": "x"})[0] == 403
    status, headers, _ = browser.ask("/findings/f_1?token=secret")
    assert (status, headers["location"]) == (303, "/findings/f_1")
    assert {"HttpOnly", "SameSite=strict"} <= set(headers["set-cookie"].split("; "))
    assert len(store.history("f_1")) == 1


def test_no_page_of_another_server(browser: Browser, store: FindingStore, make_finding: FindingMaker) -> None:
    """A name that resolves to this machine, and a form that another page sends with the cookie."""
    store.put(make_finding())
    browser.sign_in()
    assert browser.ask("/", host=f"evil.example:{browser.port}")[0] == 421
    assert browser.ask("/", host="127.0.0.1:1")[0] == 421
    form = form_of(browser.ask("/findings/f_1")[2]) | {"decision": "confirm", "reason": "sure"}
    for origin in ("http://evil.example", "null", f"http://127.0.0.1:{browser.port + 1}", "https://127.0.0.1"):
        assert browser.ask("/findings/f_1/decide", form, origin=origin)[0] == 403
    for token in ("", "wrong", "é"):
        status, _, text = browser.ask("/findings/f_1/decide", form | {"form_token": token})
        assert (status, "not made by this page" in text) == (400, True)
    assert len(store.history("f_1")) == 1
    assert browser.ask("/findings/f_1/decide", form, origin=f"http://127.0.0.1:{browser.port}")[0] == 303
    assert len(store.history("f_1")) == 2


def test_a_decision_is_recorded_in_the_reviewer_s_name(
    browser: Browser, store: FindingStore, make_finding: FindingMaker
) -> None:
    store.put(make_finding())
    browser.sign_in()
    assert "1 finding needs a decision" in browser.ask("/")[2]
    form = form_of(browser.ask("/findings/f_1")[2])
    reason = "A tutoring service.\nSee ticket 9 — naïve ☕"
    status, headers, _ = browser.ask(
        "/findings/f_1/decide", form | {"decision": "dismiss", "reason": reason, "by": "eve"}
    )
    assert (status, headers["location"]) == (303, "/findings/f_1#history")
    step = store.history("f_1")[-1]
    assert (step.step, step.by, step.reason, step.version) == ("dismissed", "ada", reason, 1)
    page = browser.ask("/findings/f_1")[2]
    assert reason in page
    assert "Nothing to decide" in browser.ask("/")[2]


def test_what_comes_to_nothing_keeps_what_was_written(
    browser: Browser, store: FindingStore, make_finding: FindingMaker
) -> None:
    store.put(make_finding())
    browser.sign_in()
    form = form_of(browser.ask("/findings/f_1")[2])
    store.put(make_finding(calls=9_000))
    status, _, page = browser.ask("/findings/f_1/decide", form | {"decision": "ask", "reason": "We ask <them>."})
    assert status == 409
    assert "f_1 has changed since you opened it." in page
    assert "We ask &lt;them&gt;.</textarea>" in page
    assert re.search(r'value="ask" required checked', page)
    again = form_of(page)
    assert again["version"] == "2"
    for wrong in ({"decision": "close"}, {"decision": "ask", "reason": " "}, {}):
        assert browser.ask("/findings/f_1/decide", again | wrong)[0] == 409
    assert len(store.history("f_1")) == 1
    assert browser.ask("/findings/f_1/decide", again | {"decision": "ask", "reason": "We ask."})[0] == 303


def test_wrong_addresses_and_long_forms(browser: Browser, store: FindingStore, make_finding: FindingMaker) -> None:
    store.put(make_finding())
    browser.sign_in()
    status, _, page = browser.ask("/findings/f_9%3Cscript%3E")
    assert (status, "There is no finding" in page, "<script>" in page) == (400, True, False)
    assert browser.ask("/nothing")[0] == 404
    assert browser.ask("/findings/f_1/decide")[0] == 405
    status, _, page = browser.ask("/findings/f_1/decide", {"reason": "x" * 70_000})
    assert (status, "too long" in page) == (400, True)


def test_what_a_finding_says_is_escaped(
    browser: Browser, store: FindingStore, make_finding: FindingMaker, clock: Any
) -> None:
    finding = make_finding()
    signals = tuple(replace(each, sentence=HOSTILE, name=HOSTILE) for each in finding.signals)
    links = tuple(replace(each, sentence=HOSTILE, kind=HOSTILE) for each in finding.links)
    explanations = tuple(replace(each, sentence=HOSTILE, name=HOSTILE) for each in finding.explanations)
    hostile = replace(
        finding,
        signals=signals,
        links=links,
        explanations=explanations,
        against=(HOSTILE,),
        permits=(HOSTILE,),
        detector_version=HOSTILE,
        permitted_calls=1,
        calls_root=HOSTILE,
        accounts=(HOSTILE, "b"),
        organisations=(HOSTILE, "c"),
    )
    member = Member(HOSTILE, HOSTILE, 1, 0, 0, 1, {HOSTILE: 3}, None)
    chart = {"description": HOSTILE, "data": {"values": [HOSTILE]}}
    store.put_all([Found(hostile, (chart,), (member,))])
    store.decide("f_1", "confirm", by=HOSTILE, reason=HOSTILE)
    store.note_export("f_1", HOSTILE, by=HOSTILE)
    browser.sign_in()
    own = form_of(browser.ask("/findings/f_1")[2])
    told = browser.ask("/findings/f_1/export", own | {"organisation": HOSTILE, "contact": HOSTILE})[2]
    pages = [browser.ask("/")[2], browser.ask("/findings/f_1")[2], told, written_findings(store, clock.now_us())]
    for page in pages:
        assert "alert(1)" in page
        assert "<img src=x" not in page
        assert "<script>alert" not in page
        assert "49" not in re.sub(r"<(script|style)[^>]*>.*?</\1>", "", page, flags=re.DOTALL)
        assert "\u202e" not in page


def test_what_one_organisation_is_told_is_taken_out(
    browser: Browser, store: FindingStore, make_finding: FindingMaker
) -> None:
    finding = make_finding()
    accounts = finding.accounts[:2]
    people = tuple(Member(each, each.replace("acct", "org"), 5, 0, 0, 1, {}, None) for each in accounts)
    store.put_all([Found(finding, members=people)])
    browser.sign_in()
    own = form_of(browser.ask("/findings/f_1")[2])
    form = own | {"organisation": finding.organisations[1], "contact": "appeals@example.com"}
    status, headers, page = browser.ask("/findings/f_1/export", form)
    assert (status, headers["content-disposition"].partition(";")[0]) == (200, "attachment")
    assert finding.accounts[1] in page
    assert finding.accounts[0] not in page
    step = store.history("f_1")[-1]
    assert (step.step, step.by, step.detail) == ("exported", "ada", {"organisation": finding.organisations[1]})
    for organisation in ("org_nobody", finding.organisations[5]):
        assert browser.ask("/findings/f_1/export", form | {"organisation": organisation})[0] == 400
    assert browser.ask("/findings/f_1/export", form | {"contact": " "})[0] == 400
    assert len(store.history("f_1")) == 2


def test_headers_keep_it_to_itself(browser: Browser, store: FindingStore, make_finding: FindingMaker) -> None:
    store.put(make_finding())
    for signed_in in (browser, browser.sign_in()):
        _, headers, page = signed_in.ask("/findings/f_1")
        assert headers["cache-control"] == "no-store"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "same-origin"
    assert "default-src 'none'" in page
    assert not re.search(r'(src|href)="(https?:)?//', page)


def test_the_groups_of_the_list(store: FindingStore, make_finding: FindingMaker) -> None:
    decisions: tuple[Decision | None, ...] = (None, "ask", "confirm", "dismiss")
    for number, decision in enumerate(decisions):
        store.put(make_finding(f"f_{number}", accounts=range(100 * number, 100 * number + 5)))
        if decision is not None:
            store.decide(f"f_{number}", decision, by="ada", reason="why")
    store.put(make_finding("f_1", accounts=range(100, 109)))
    found = re.findall(r"<h2>(.*?)</h2>|findings/(f_\d)", findings_page(store))
    assert [heading or name for heading, name in found] == ["To decide", "f_0", "f_1", "Decided", "f_2", "f_3"]


def test_what_was_decided_on_the_same_accounts_before(store: FindingStore, make_finding: FindingMaker) -> None:
    own = make_finding("f_own", kind="account", accounts=range(3, 4), organisations=("org_3",), score=3.0)
    store.put_all(
        [
            Found(own),
            Found(make_finding("f 1/?", accounts=range(9))),
            Found(make_finding("f_far", accounts=range(50, 59))),
        ]
    )
    store.decide("f_own", "dismiss", by="ada", reason="A grading service of ours.")
    page = finding_page(store, "f 1/?", by="ada", form_token="x")
    assert "A grading service of ours." in page
    assert 'href="/findings/f_own"' in page
    assert "f_far" not in page
    assert "Other findings" not in finding_page(store, "f_far", by="ada", form_token="x")
    assert 'href="findings/f%201%2F%3F"' in findings_page(store)


def test_a_finding_of_very_many_accounts(store: FindingStore, make_finding: FindingMaker) -> None:
    finding = make_finding(accounts=range(5_000))
    people = tuple(
        Member(account, owner, 5, 0, 0, 1, {}, None)
        for account, owner in zip(finding.accounts, finding.organisations, strict=True)
    )
    store.put_all([Found(finding, ({"mark": "bar"},), people)])
    page = re.sub(r"<script>.*?</script>", "", finding_page(store, "f_1", by="ada", form_token="x"), flags=re.DOTALL)
    assert len(page) < 1_500_000
    assert "The first 2,000." in page


def test_everything_on_one_page(store: FindingStore, make_finding: FindingMaker, clock: Any, tmp_path: Path) -> None:
    import numpy as np

    finding = make_finding()
    chart = coverage_chart(finding.accounts, np.arange(41), np.arange(41), 100, "gsm8k")
    store.put(finding, [chart])
    store.put(make_finding("f_2", accounts=range(90, 95), signals=(), score=2.0))
    page = written_findings(store, clock.now_us())
    assert 'href="#f_1"' in page
    assert page.count("data-chart=") == 1
    assert "<form" not in page
    for words in (finding.signals[0].sentence, finding.explanations[0].sentence, finding.against[0]):
        assert words.replace("'", "&#39;") in page
    assert "23 of them pay with 4 cards" in page
    assert "calls carries one" in page
    store.put(make_finding("f_2", accounts=range(90, 95), signals=(), score=2.0, permitted_calls=2_812))
    assert "2,812 other calls of these accounts carry a permit, and are not" in finding_page(
        store, "f_2", by="ada", form_token="x"
    )
    assert "Higher than 99.95\N{NO-BREAK SPACE}% of what is seen otherwise." in page
    empty = written_findings(FindingStore(tmp_path / "empty", clock), clock.now_us())
    assert "Nothing to decide" in empty
    assert "script-src 'none'" in empty
