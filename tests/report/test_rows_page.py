"""The page on which kept and rejected replies are looked through, and what the report shows of the rejected ones."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from stillroom.check.reasons import MAY_BE_WRONG, REASONS
from stillroom.report.page import EXAMPLES, write_report
from stillroom.report.rows_page import ROWS_SHOWN, TEXT_SHOWN

HOSTILE = (
    "</script><script>document.title = 'mine'</script>",
    "<!-- <script>",
    "<img src=x onerror=\"document.title = 'mine'\"><b>bold</b>",
    "\u202egnp.exe \x1b[31m\x00 &lt;i&gt;",
    "${document.title = 'mine'} {{ 7 * 7 }} `",
)


def write_check_json(folder: Path, tables: Any) -> None:
    rejected = {reason: list(tables.reasons.values()).count(reason) for reason in set(tables.reasons.values())}
    report = {
        "rows": len(tables.replies),
        "kept": len(tables.replies) - sum(rejected.values()),
        "held_out": 1,
        "rejected": rejected,
        "why": {reason: REASONS.get(reason, "") for reason in rejected},
        "may_be_wrong": [reason for reason in rejected if reason in MAY_BE_WRONG],
    }
    (folder / "check.json").write_text(json.dumps(report))


@pytest.fixture
def folder(tables: Any) -> Path:
    """A run that is checked, with its report."""
    tables.check()
    write_check_json(tables.folder, tables)
    write_report(tables.folder)
    return Path(tables.folder)


def data(page: Any) -> Any:
    (text,) = (text for attributes, text in page.scripts if attributes.get("id") == "data")
    return json.loads(text)


def test_the_page_holds_the_rows_and_says_of_how_many(folder: Path, read_page: Any) -> None:
    page = read_page(folder / "rows.html")
    held = data(page)
    assert [(one["key"], one["rows"], one["shown"], one["kept"]) for one in held["outcomes"]] == [
        ("kept", 10, 10, True),
        ("held_out", 1, 1, True),
        ("wrong", 5, 5, False),
        ("truncated", 3, 3, False),
        ("unsure", 1, 1, False),
    ]
    assert [one["why"] for one in held["outcomes"][2:]] == [REASONS[name] for name in ("wrong", "truncated", "unsure")]
    (row,) = (row for row in held["rows"] if row["id"] == "sha256:0003")
    assert row == {
        "outcome": "wrong",
        "verdict": "wrong",
        "source": "odd.jsonl",
        "length": 17,
        "tokens": 3,
        "id": "sha256:0003",
        "about": ["sums", "number", "oracle"],
        "question": "What is 3 + 1?",
        "reasoning": "3 and 1, thought",
        "answer": "4",
        "expected": "4",
        "extracted": None,
        "detail": "another number",
        "judged_by": "verifier",
    }
    assert "20 replies." in " ".join(page.text.split())
    assert "drawn by the digests" not in page.text


def test_of_many_rows_it_holds_some_and_says_so(tables: Any, read_page: Any) -> None:
    long = {**tables.replies[19], "reasoning": "y" * (TEXT_SHOWN + 9)}
    tables.replies.extend({**long, "sample": number, "key": f"sha256:more-{number}"} for number in range(1, 60))
    tables.check()
    write_check_json(tables.folder, tables)
    write_report(tables.folder)
    page = read_page(tables.folder / "rows.html")
    held = data(page)
    assert (held["outcomes"][0]["rows"], held["outcomes"][0]["shown"]) == (69, ROWS_SHOWN)
    assert f"79 replies, of which this page holds {ROWS_SHOWN + 10}: up to {ROWS_SHOWN} of each" in page.text
    row = next(row for row in held["rows"] if "y" in row["reasoning"])
    assert "… 9 characters not shown …" in row["reasoning"]
    assert len(row["reasoning"]) < TEXT_SHOWN + 60
    assert row["length"] == TEXT_SHOWN + 9 + len("20")
    text = (tables.folder / "rows.html").read_bytes()
    write_report(tables.folder)
    assert (tables.folder / "rows.html").read_bytes() == text


def test_the_page_loads_nothing_and_runs_only_its_own_script(folder: Path, read_page: Any) -> None:
    page = read_page(folder / "rows.html")
    (own,) = (text for attributes, text in page.scripts if attributes == {})
    digest = base64.b64encode(hashlib.sha256(own.encode()).digest()).decode()
    policy = next(meta["content"] for meta in page.tags("meta") if meta.get("http-equiv"))
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest}';" in policy
    assert "innerHTML" not in own
    assert {link.get("href") for link in page.tags("link")} == {"data:,"}
    assert {link["href"] for link in page.tags("a")} == {"report.html"}
    assert not [
        name for _, attributes in page.elements for name in attributes if name == "src" or name.startswith("on")
    ]


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda text: ascii(text)[:24])
def test_what_a_model_says_stays_data(tables: Any, read_page: Any, hostile: str) -> None:
    for row in tables.replies:
        row |= {"reasoning": hostile, "answer": hostile, "teacher": hostile}
    tables.reasons[3] = hostile
    tables.check()
    write_check_json(tables.folder, tables)
    write_report(tables.folder)
    for name in ("rows.html", "report.html"):
        page = read_page(tables.folder / name)
        assert not page.tags("img") + page.tags("b") + page.tags("i")
        text = (tables.folder / name).read_text(encoding="utf-8")
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", text)
    held = data(read_page(tables.folder / "rows.html"))
    assert {len(row["answer"]) >= len(hostile) for row in held["rows"]} == {True}


def test_the_report_shows_what_was_rejected_with_examples(folder: Path, read_page: Any) -> None:
    page = read_page(folder / "report.html")
    text = " ".join(page.text.split())
    for reason, number in (("wrong", "5 replies"), ("truncated", "3 replies"), ("unsure", "1 reply")):
        assert f"{reason} {number} {REASONS[reason]}" in text
    assert "A rule of thumb says so" not in text
    assert page.text.count(", thought") == 2 * EXAMPLES + 1
    assert page.text.count("another number") == EXAMPLES
    links = [link["href"] for link in page.tags("a") if link["href"].startswith("rows.html")]
    assert links == ["rows.html", "rows.html#reason=wrong", "rows.html#reason=truncated", "rows.html#reason=unsure"]


def test_a_reason_that_is_a_rule_of_thumb_says_so(tables: Any, read_page: Any) -> None:
    tables.reasons[3] = "repetition"
    tables.check()
    write_check_json(tables.folder, tables)
    assert "A rule of thumb says so: look before you believe it." in read_page(write_report(tables.folder)).text


def test_before_the_check_there_is_no_such_page(tables: Any, read_page: Any) -> None:
    (tables.folder / "rows.html").write_text("of an earlier check")
    page = read_page(write_report(tables.folder))
    assert not (tables.folder / "rows.html").exists()
    assert not [link for link in page.tags("a") if "rows.html" in str(link["href"])]


# In a browser: what the script makes of the page.


def in_browser(page: Path, address: str = "") -> str:
    """The page as it stands when its script has run."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("there is no Chromium")
    words = [
        chromium,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={page.parent / 'browser'}",
        "--virtual-time-budget=5000",
        "--dump-dom",
        page.as_uri() + address,
    ]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


def shown(dom: str) -> list[str]:
    """The ids of the rows on the page."""
    return re.findall(r"<code>sha256:([0-9a-f]{4})</code>", dom)


def test_the_filters_in_a_browser(folder: Path) -> None:
    everything = in_browser(folder / "rows.html")
    assert sorted(shown(everything)) == [f"{number:04x}" for number in range(20)]
    assert "20 of the 20 rows on this page" in everything
    for address, expected in (
        ("#reason=truncated", [5, 6, 7]),
        ("#reason=wrong&source=even.jsonl", [0, 2, 4]),
        ("#verdict=unsure", [8]),
        ("#verdict=-&min=17&max=17&q=WHAT+IS+6", [6]),
        ("#reason=no-such&q=no+such+words", []),
    ):
        dom = in_browser(folder / "rows.html", address)
        assert sorted(shown(dom)) == [f"{number:04x}" for number in expected], address
        assert f"{len(expected)} of the 20 rows on this page" in dom
    assert "No row on this page is like that." in dom


def test_hostile_replies_in_a_browser(tables: Any) -> None:
    for row, hostile in zip(tables.replies, HOSTILE * 4, strict=True):
        row |= {"reasoning": hostile, "answer": hostile, "teacher": hostile}
    tables.reasons[3] = HOSTILE[2]
    tables.check()
    write_check_json(tables.folder, tables)
    write_report(tables.folder)
    dom = in_browser(tables.folder / "rows.html")
    assert "<title>sums: kept and rejected · stillroom</title>" in dom
    body = dom.split('<section id="rows"')[1].split("</section>")[0]
    assert not re.search(r"<(img|b|i|script)\b", body)
    assert body.count("&lt;img src=x onerror=") >= 8
    assert len(shown(dom)) == 20
