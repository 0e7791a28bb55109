from __future__ import annotations

import base64
import hashlib
import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest

from stillroom.base.errors import DataError, StoreError
from stillroom.report.page import write_report
from stillroom.report.rendering import script_json, without_credentials
from stillroom.report.words import duration, interval, money, percent
from stillroom.store.schemas import EXAM_ANSWERS
from stillroom.store.tables import read_rows, write_table

HOSTILE = (
    "</script><script>alert(1)</script>",
    "<!-- <script>",
    "</style></pre></div></main><h1>mine</h1>",
    '"><img src="https://example.invalid/x.png" onerror="alert(1)">',
    "{{ 7 * 7 }}{% raw %}{% include 'x' %}",
    "a\x00b\x1b[31mc\x07",
    "\N{GRINNING FACE}\N{ZERO WIDTH JOINER}\N{FAMILY}",
    "\u202egnp.exe \u2066x \N{HEBREW LETTER ALEF}\N{ARABIC LETTER ALEF}",
    "&lt;b&gt; &amp; <b>bold</b>",
    "x" * 100_000,
    "line\r\nline\u2028line",
)
HEADINGS = {f"h{level}": level for level in range(1, 7)}


def _load(path: Path) -> Any:
    return json.loads(path.read_text())


def test_a_finished_run_gives_a_page_that_is_well_formed(run_folder: Path, read_page: Any) -> None:
    path = write_report(run_folder)
    assert path == run_folder / "report.html"
    page = read_page(path)
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [attributes["href"] for attributes in page.tags("a")]
    assert len(links) >= 8
    assert {link.removeprefix("#") for link in links} <= {*ids, "exam.html"}
    assert (run_folder / "exam.html").exists()
    levels = [HEADINGS[tag] for tag, _ in page.elements if tag in HEADINGS]
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert all("scope" in attributes for attributes in page.tags("th"))
    charts = [attributes for attributes in page.tags("div") if "data-chart" in attributes]
    assert len(charts) == 4
    assert all(chart["role"] == "img" and chart["aria-label"] for chart in charts)
    assert page.tags("html") == [{"lang": "en"}]


def test_the_page_loads_nothing_and_runs_only_its_own_scripts(run_folder: Path, read_page: Any) -> None:
    page = read_page(write_report(run_folder))
    for _, attributes in page.elements:
        assert "src" not in attributes
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
        assert (attributes.get("href") or "#").startswith(("#", "data:,", "exam.html"))
    style = re.findall(r"<style>(.*?)</style>", (run_folder / "report.html").read_text(), re.DOTALL)
    assert len(style) == 1
    assert "url(" not in style[0]
    assert "@import" not in style[0]
    for medium in ("(prefers-color-scheme: dark)", "(max-width: 40rem)", "print"):
        assert f"@media {medium}" in style[0]

    policy = next(meta["content"] for meta in page.tags("meta") if "http-equiv" in meta)
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-eval" not in policy
    run = [text for attributes, text in page.scripts if attributes == {}]
    assert len(run) == 4
    for text in run:
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
        assert "sourceMappingURL" not in text
    others = [attributes for attributes, _ in page.scripts if attributes != {}]
    assert {attributes["type"] for attributes in others} == {"application/json"}


def test_the_examination_on_the_page_is_the_one_in_the_file(run_folder: Path, read_page: Any) -> None:
    page = read_page(write_report(run_folder))
    exam = _load(run_folder / "exam.json")
    for name, first_word in (("teacher",) * 2, ("student",) * 2, ("answers_only", "answers"), ("base",) * 2):
        taker = exam["takers"][name]
        row = next(row for row in page.rows if row[0].startswith(first_word) and len(row) == 9)
        assert row[1:] == [
            f"{100 * taker['accuracy']:.1f} %",
            f"{100 * taker['low']:.1f} to {100 * taker['high']:.1f} %",
            f"{taker['n']:,}",
            f"{taker['completion_tokens_mean']:,.1f}".removesuffix(".0"),
            f"{100 * taker['truncated_share']:.1f} %",
            str(taker["unsure"]),
            str(taker["failed"]),
            "–",
        ]
        assert f"{percent(taker['accuracy'])}" in page.text
        for family, part in taker["families"].items():
            cells = next(row for row in page.rows if row[0] == family and len(row) == 5)
            assert any(
                cell.startswith(f"{100 * part['accuracy']:.1f} % {100 * part['low']:.1f} to")
                and cell.endswith(f"n = {part['n']}")
                for cell in cells
            )
    for comparison in exam["comparisons"]:
        assert f"+{abs(100 * comparison['difference']):.1f}" in page.text
        assert f"p = {comparison['p_value']:.2g}" in page.text

    drawn = {row["taker"]: row for row in page.chart("accuracy")["data"]["values"]}
    assert {"teacher", "student", "answers only", "base"} == set(drawn)
    for name, row in drawn.items():
        taker = exam["takers"][name.replace(" ", "_")]
        assert {key: row[key] for key in ("accuracy", "low", "high", "n")} == {
            key: taker[key] for key in ("accuracy", "low", "high", "n")
        }
    families = page.chart("families")["data"]["values"]
    assert len(families) == 4 * len(exam["families"])


def test_what_was_asked_kept_and_spent_is_what_the_files_say(run_folder: Path, read_page: Any) -> None:
    ask = _load(run_folder / "ask.json") | {"cost_usd": "12.345678", "price_id": "list of 2026-01-02"}
    (run_folder / "ask.json").write_text(json.dumps(ask))
    page = read_page(write_report(run_folder))
    check = _load(run_folder / "check.json")
    rows = {row[0]: row[1] for row in page.rows if len(row) == 4}
    assert rows["kept"] == f"{check['kept']:,}"
    for reason, number in check["rejected"].items():
        assert rows[f"rejected: {reason.replace('_', ' ')}"] == f"{number:,}"
    for family, part in check["families"].items():
        assert [family, f"{part['rows']:,}", f"{part['kept']:,}", ""] in page.rows
    for shown in (
        "$12.345678",
        "list of 2026-01-02",
        "3,617",
        "171,204",
        "402,118",
        "380,514",
        "ok 3,569, truncated 31",
    ):
        assert shown in page.text
    assert duration(ask["seconds"]) in page.text
    for method in ("sft", "answers_only"):
        training = _load(run_folder / "train" / method / "train.json")
        assert f"{training['trained_tokens']:,}" in page.text
        assert f"{training['curve'][-1][1]:.4f}" in page.text
    assert len(page.chart("loss")["data"]["values"]) <= 2 * 300


def test_ten_samples_stand_side_by_side(run_folder: Path, read_page: Any) -> None:
    page = read_page(write_report(run_folder))
    articles = [attributes for attributes in page.tags("article") if attributes.get("class") == "sample"]
    replies = [attributes for attributes in page.tags("section") if attributes.get("class") == "reply"]
    assert (len(articles), len(replies)) == (10, 20)
    for outcome in ("both right", "only the teacher right", "only the student right", "neither right"):
        assert outcome in page.text
    assert "✓" in page.text
    assert "✗" in page.text


def test_the_same_files_give_the_same_page(run_folder: Path) -> None:
    first = write_report(run_folder).read_bytes()
    assert write_report(run_folder).read_bytes() == first


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda text: ascii(text)[:24])
def test_hostile_text_anywhere_is_shown_and_does_nothing(run_folder: Path, read_page: Any, hostile: str) -> None:
    harmless = read_page(write_report(run_folder))
    _poison(run_folder, hostile)
    page = read_page(write_report(run_folder))
    assert [tag for tag, _ in page.elements if tag == "script"] == [
        tag for tag, _ in harmless.elements if tag == "script"
    ]
    assert not page.tags("img")
    assert not page.tags("b")
    assert len(page.tags("h1")) == 1
    for _, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on") or name == "src"]
    assert [text for attributes, text in page.scripts if attributes == {}] == [
        text for attributes, text in harmless.scripts if attributes == {}
    ]
    text = (run_folder / "report.html").read_text(encoding="utf-8")
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", text)
    assert page.chart("families")["data"]["values"][0]["family"] == (
        hostile if len(hostile) <= 40 else hostile[:39] + "…"
    )
    if len(hostile) > 10_000:
        assert "94,000 characters not shown" in page.text
        assert len(text) < 2_000_000
    elif "<" in hostile or "{" in hostile:
        assert page.text.count(hostile) >= 40


def _poison(folder: Path, hostile: str) -> None:
    """The text in every place of a run's files where a model, a server or a user could have put it."""
    path = folder / "exam" / "answers.parquet"
    rows = list(read_rows(path))
    for row in rows:
        row |= dict.fromkeys(("family", "question", "expected", "reasoning", "answer", "extracted"), hostile)
        row["reason"] = None if row["verdict"] == "right" else hostile
    write_table(path, EXAM_ANSWERS, rows)

    exam = _load(folder / "exam.json")
    first = exam["families"][0]
    exam["families"][0] = hostile
    for taker in exam["takers"].values():
        taker["model"] = hostile
        taker["families"] = {hostile: taker["families"][first]} | taker["families"]
    exam["takers"][hostile] = exam["takers"]["base"]
    exam["comparisons"][0]["b"] = hostile
    (folder / "exam.json").write_text(json.dumps(exam))

    ask = _load(folder / "ask.json")
    ask |= {"teacher": hostile, "served_models": [hostile, "x"], "base_url": hostile, "by_status": {hostile: 3600}}
    (folder / "ask.json").write_text(json.dumps(ask | {"cost_usd": "1", "price_id": hostile}))
    check = _load(folder / "check.json")
    check |= {
        "rejected": {hostile: 212},
        "families": {hostile: {"rows": 3600, "kept": 3388}, "x": {"rows": 0, "kept": 0}},
    }
    (folder / "check.json").write_text(json.dumps(check))
    training = _load(folder / "train/sft/train.json") | {"student": hostile, "skipped": {hostile: 3}}
    (folder / "train/sft/train.json").write_text(json.dumps(training))
    # A comment of YAML takes no control characters; a quoted name takes them escaped.
    comment = "".join(char for char in hostile[:50] if char.isprintable())
    (folder / "recipe.yaml").write_text(f"# digest: {comment}\nname: {json.dumps(hostile)}\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("gone", "absent", "headline"),
    [
        (("exam.json",), "the examination", "3,388 replies kept, not examined yet."),
        (("exam.json", "train"), "the training", "3,388 replies kept, not trained on yet."),
        (("exam.json", "train", "check.json"), "what was kept", "3,600 questions asked, not checked yet."),
        (("exam.json", "train", "check.json", "ask.json"), "what was asked", "Nothing has been asked yet."),
        (("recipe.yaml",), "the recipe", "its teacher"),
    ],
)
def test_what_is_not_there_yet_is_absent_with_a_word_why(
    run_folder: Path, read_page: Any, gone: tuple[str, ...], absent: str, headline: str
) -> None:
    for name in gone:
        _move_away(run_folder / name)
    page = read_page(write_report(run_folder))
    assert f"{absent} (" in page.text
    assert headline in page.text
    sections = {attributes.get("id") for attributes in page.tags("section")}
    for name, section in (("exam.json", "exam"), ("train", "training"), ("ask.json", "cost"), ("check.json", "x")):
        assert section not in sections or name not in gone
    assert {attributes["href"].removeprefix("#") for attributes in page.tags("a")} <= {*sections, "exam.html"}


def test_an_empty_folder_has_a_page_without_scripts(tmp_path: Path, read_page: Any) -> None:
    page = read_page(write_report(tmp_path))
    assert page.scripts == []
    policy = next(meta["content"] for meta in page.tags("meta") if "http-equiv" in meta)
    assert "script-src 'none'" in policy


def test_an_examination_of_one_model_alone(run_folder: Path, read_page: Any) -> None:
    exam = _load(run_folder / "exam.json")
    exam |= {"takers": {"gpt-x": exam["takers"]["teacher"]}, "comparisons": []}
    (run_folder / "exam.json").write_text(json.dumps(exam))
    rows = [
        row | {"taker": "gpt-x"} for row in read_rows(run_folder / "exam/answers.parquet") if row["taker"] == "base"
    ]
    write_table(run_folder / "exam/answers.parquet", EXAM_ANSWERS, rows)
    page = read_page(write_report(run_folder))
    assert "gpt-x" in page.text
    assert len([section for section in page.tags("section") if section.get("class") == "reply"]) == 10


def test_a_folder_or_file_that_cannot_be_read_is_named(run_folder: Path) -> None:
    with pytest.raises(DataError, match="is not a folder"):
        write_report(run_folder / "nowhere")
    (run_folder / "exam.json").write_text('{"n": 3}')
    with pytest.raises(StoreError, match=r"exam\.json is not what its stage writes: takers: Field required"):
        write_report(run_folder)
    (run_folder / "exam.json").write_text('{"n": ')
    with pytest.raises(StoreError, match=r"exam\.json"):
        write_report(run_folder)
    (run_folder / "exam.json").unlink()
    (run_folder / "recipe.yaml").write_text("a: [")
    with pytest.raises(StoreError, match=r"recipe\.yaml"):
        write_report(run_folder)


def test_credentials_in_a_url_are_not_shown(run_folder: Path, read_page: Any) -> None:
    url = "https://me:hunter2@example.invalid/v1"
    ask = _load(run_folder / "ask.json") | {"base_url": url}
    (run_folder / "ask.json").write_text(json.dumps(ask))
    (run_folder / "recipe.yaml").write_text(f"name: abacus\nteacher: {{base_url: {url!r}}}\n")
    write_report(run_folder)
    assert "hunter2" not in (run_folder / "report.html").read_text()
    assert "https://example.invalid/v1" in read_page(run_folder / "report.html").text
    assert without_credentials("a@b.c, http://h/x@y") == "a@b.c, http://h/x@y"


def test_data_in_a_script_element_cannot_leave_it() -> None:
    value = {"</script>": "<!--<script>&", "n": [1.5, None]}
    text = script_json(value)
    assert not set("<>&") & set(text)
    assert json.loads(text) == value
    with pytest.raises(ValueError):
        script_json(float("nan"))


def test_numbers_are_said_as_they_are() -> None:
    assert percent(0.8725) == "87.2\N{NO-BREAK SPACE}%"
    assert interval(0.1, 0.255) == "10.0 to 25.5\N{NO-BREAK SPACE}%"
    assert money(None, None) == "price: none"
    assert money(None, "a list of prices") == "not known"
    assert money("0.00012", "a list of prices") == "$0.00012"


def _move_away(path: Path) -> None:
    path.rename(path.parent.parent / f"{path.parent.name}-{path.name}")
