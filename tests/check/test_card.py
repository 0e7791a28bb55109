from __future__ import annotations

from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any, get_args

import pytest
import yaml
from markdown_it import MarkdownIt

from stillroom.base.records import Kind
from stillroom.check.card import KINDS, RULES, card_head, render_card
from stillroom.check.card_facts import Checked, Compared, Facts
from stillroom.check.licences import licence_of
from stillroom.check.origin import Origin
from stillroom.check.overlap.hits import LeftOut, Overlap, Rule
from stillroom.check.reasons import REASONS
from stillroom.report.markdown import code
from stillroom.report.run_files import Asked, Judged, Measured
from stillroom.verify.judge_measurement import measure_judge
from stillroom.verify.judge_reply import JudgeReply
from stillroom.verify.judgement import Judgement

ORIGIN = Origin(
    name="abacus",
    recipe_digest="sha256:4c1f",
    model="oracle-1",
    host="api.example.com",
    terms="own",
    samples=4,
    temperature=0.7,
    top_p=None,
    max_tokens=4096,
    seed=None,
    more_fields=("chat_template_kwargs", "top_k"),
    has_system_prompt=True,
    has_examples=True,
    held_out=0.05,
    language="en",
)
ASKED = Asked(
    asked=300,
    replies=1200,
    served_models=("oracle-1-2026",),
    prompt_tokens=1200,
    completion_tokens=34_567,
    reasoning_tokens=30_000,
    cost_usd="0.1234",
    price_id="list 3",
)
FACTS = Facts(
    origin=ORIGIN,
    rows={"train": 900, "held_out": 50, "rejected": 250},
    splits=[
        {"split": "train", "rows": 900, "questions": 450, "tokens": 9000, "median": 10, "most": 99},
        {"split": "held_out", "rows": 50, "questions": 25, "tokens": 500, "median": 10, "most": 40},
    ],
    sources=[
        {"source": "sums.jsonl", "licence": "MIT", "kept": 900, "rejected": 200},
        {"source": "more.jsonl", "licence": None, "kept": 50, "rejected": 50},
    ],
    kinds=[
        {"kind": "number", "judged_by": "verifier", "right": 900, "wrong": 120, "unsure": 30, "unverifiable": 0},
        {"kind": "none", "judged_by": None, "right": 0, "wrong": 0, "unsure": 0, "unverifiable": 50},
    ],
    teachers=[{"teacher": "oracle-1", "terms": "own", "rows": 950}],
    others=0,
    reasons=[
        {"reason": "wrong", "rows": 120, "why": REASONS["wrong"]},
        {"reason": "truncated", "rows": 100, "why": REASONS["truncated"]},
        {"reason": "unsure", "rows": 30, "why": REASONS["unsure"]},
    ],
    licence=licence_of({"MIT", None}, "own"),
    permits=[],
    with_receipt=0,
    asked=ASKED,
    checked=None,
    first_day="2026-11-25",
    last_day="2026-11-26",
    truncated=1 / 12,
    unsure=30 / 1050,
)


class Html(HTMLParser):
    def __init__(self, markdown: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.links: list[str] = []
        self.rows: list[list[str]] = []
        self.text = ""
        self.in_cell = False
        self.feed(MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.links += [value for name, value in attrs if name in ("href", "src") and value]
        if tag == "tr":
            self.rows.append([])
        self.in_cell = tag in ("td", "th") or (self.in_cell and tag == "code")
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        self.in_cell = self.in_cell and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.in_cell:
            self.rows[-1][-1] += data


def taken_apart(card: str) -> tuple[Any, Html]:
    """The head and the text of a card."""
    _, head, text = card.split("---\n", 2)
    return yaml.safe_load(head), Html(text)


def test_the_head_is_what_the_hub_reads() -> None:
    head, _ = taken_apart(render_card(FACTS))
    assert head == card_head(FACTS)
    assert head == {
        "pretty_name": "abacus",
        "language": ["en"],
        "license": "unknown",
        "size_categories": ["n<1K"],
        "task_categories": ["text-generation"],
        "tags": ["distillation", "synthetic", "stillroom"],
        "configs": [
            {
                "config_name": "default",
                "data_files": [
                    {"split": "train", "path": "data/train-*.parquet"},
                    {"split": "held_out", "path": "data/held_out-*.parquet"},
                ],
            }
        ],
    }


def test_what_is_not_known_is_not_in_the_head() -> None:
    head = card_head(replace(FACTS, origin=replace(ORIGIN, language=None), rows={"train": 10**9, "rejected": 0}))
    assert "language" not in head
    assert head["size_categories"] == ["n>1B"]
    assert [file["split"] for file in head["configs"][0]["data_files"]] == ["train"]


def test_the_text_says_what_happened() -> None:
    _, html = taken_apart(render_card(FACTS))
    assert ["number", KINDS["number"], "verifier", "900", "120", "30", "0"] in html.rows
    assert ["none", "no known answer", "nobody", "0", "0", "0", "50"] in html.rows
    assert ["sums.jsonl", "MIT", "900", "200"] in html.rows
    assert ["more.jsonl", "not recorded", "50", "50"] in html.rows
    assert ["truncated", "100", "8.3\N{NO-BREAK SPACE}%", REASONS["truncated"]] in html.rows
    for words in (
        "950 conversations",
        "of 1,200 replies",
        "which its server called oracle-1-2026",
        "at api.example.com, from 2026-11-25 to 2026-11-26",
        "Up to 4 replies to a question; temperature 0.7, top-p left to the server, at most 4,096 tokens",
        "Further fields of each request: chat_template_kwargs, top_k",
        "a system prompt and worked examples, which the rows do not hold",
        "1,200 prompt tokens, 34,567 completion tokens (30,000 of them reasoning), cost 0.1234 USD",
        "2.9\N{NO-BREAK SPACE}% are unsure",
        "8.3\N{NO-BREAK SPACE}% were cut by the token limit",
        "5.0\N{NO-BREAK SPACE}% of the questions were to be held out",
        "stillroom did not check that",
    ):
        assert words in " ".join(html.text.split(" ")).replace("\n", " "), words


def test_every_kind_and_every_rule_is_explained() -> None:
    assert set(KINDS) == set(get_args(Kind))
    assert set(RULES) == set(get_args(Rule))
    assert "" not in {*KINDS.values(), *RULES.values()}


NOTHING = {"count": 0, "n": 0, "share": None, "low": None, "high": None}
CHECKED = Checked.model_validate(
    {
        "judge": {
            "model": "oracle-2",
            "answers": 40,
            "measured": {
                "without_reference": {
                    "asked": 100,
                    "unsure": 4,
                    "agreement": {"count": 90, "n": 96, "share": 0.9375, "low": 0.87, "high": 0.97},
                    "called_right": {"count": 5, "n": 50, "share": 0.1, "low": 0.04, "high": 0.21},
                    "called_wrong": {"count": 1, "n": 50, "share": 0.02, "low": 0.0, "high": 0.1},
                    "replies": 100,
                    "repaired": 7,
                    "unreadable": 3,
                },
                "with_reference": {
                    "asked": 0,
                    "unsure": 0,
                    "agreement": NOTHING,
                    "called_right": NOTHING,
                    "called_wrong": NOTHING,
                },
            },
        },
        "overlap": {
            "questions": 1000,
            "kept": 980,
            "left_out": {"contaminated": 15, "near_duplicate_question": 5},
            "hits": {"near_copy": 16, "near_duplicate": 5},
        },
    }
)


def test_the_card_reads_what_the_check_writes() -> None:
    measured = measure_judge([("right", Judgement("right", "")), ("wrong", Judgement("unsure", ""))])
    assert Measured.model_validate(measured.as_json()).agreement.count == 1
    assert set(measured.as_json()) - set(Measured.model_fields) == {"kappa"}
    overlap = Overlap(9, {"a": LeftOut("contaminated", "")}, Counter({"copy": 2}))
    assert Compared.model_validate(overlap.report()).left_out == {"contaminated": 1}


def test_how_often_the_judge_errs_and_what_overlaps_is_said() -> None:
    _, html = taken_apart(render_card(replace(FACTS, checked=CHECKED)))
    text = " ".join(html.text.replace("\N{NO-BREAK SPACE}", " ").split())
    for words in (
        "A judge, oracle-2, was asked about 40 answers that nothing else could judge.",
        "it agreed in 93.8 % (87.0 to 97.0 %, 90 of 96) of those it judged",
        "called 10.0 % (4.0 to 21.0 %, 5 of 50) of the wrong ones right",
        "and 2.0 % (0.0 to 10.0 %, 1 of 50) of the right ones wrong, and left 4 unsure.",
        "Of its 100 replies about them, 7 had to be mended to be read, and 3 held no verdict that can be read.",
        "How often it errs was not measured (asked whether the answer means the same",
        "1,000 questions were compared with each other",
        "980 kept, 15 left out as contaminated, 5 left out as near_duplicate_question.",
    ):
        assert words in text, words
    assert ["near_copy", "16", RULES["near_copy"]] in html.rows
    assert "A judge" not in render_card(FACTS)


def test_a_judge_that_nobody_could_read_is_not_praised_for_calling_nothing_right() -> None:
    said = [JudgeReply(None, "no JSON")] * 2
    measured = measure_judge([("right", Judgement("unsure", "")), ("wrong", Judgement("unsure", ""))], said)
    judge = Judged(model="oracle-2", answers=9, measured={"without_reference": Measured(**measured.as_json())})
    text = " ".join(taken_apart(render_card(replace(FACTS, checked=Checked(judge=judge))))[1].text.split())
    assert "Measured on 2 answers whose verdict is known" in text
    assert "it came to a verdict on none of them. Of its 2 replies about them, 0 had to be mended" in text
    assert "of the wrong ones right" not in text


def test_the_card_names_no_split_that_is_not_there() -> None:
    rows = {"held_out": 50, "rejected": 250}
    card = render_card(replace(FACTS, rows=rows, splits=FACTS.splits[1:]))
    assert 'split="held_out")' in card
    assert "`held_out.jsonl` holds the same rows" in card
    assert "train.jsonl" not in card


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"cost_usd": None, "price_id": None}, "cost nothing, as the recipe says"),
        ({"cost_usd": None, "price_id": "list 3"}, "cost not known"),
        ({"cost_usd": "1E-7", "price_id": "list 3"}, "cost 0.0000001 USD"),
    ],
)
def test_money_is_what_the_ledger_says(asked: dict[str, Any], said: str) -> None:
    assert said in render_card(replace(FACTS, asked=ASKED.model_copy(update=asked)))


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        ("own", "the maker's own model (`terms: own`). stillroom did not check that."),
        ("deepseek-api", "The recipe names `deepseek-api` as what allows"),
        (None, "The recipe does not say what the teacher's terms are."),
    ],
)
def test_terms_are_said_as_they_are_stated_and_not_as_checked(terms: str | None, said: str) -> None:
    assert said in render_card(replace(FACTS, origin=replace(ORIGIN, terms=terms)))


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "192.168.1.7", "[::1]", "10.0.0.1", "gpu-7", "gpu.internal", "BOX.local", None]
)
def test_an_address_of_ones_own_is_nobodys_business(host: str | None) -> None:
    card = render_card(replace(FACTS, origin=replace(ORIGIN, host=host)))
    assert "on the maker's own machine or network" in card
    assert host is None or host not in card


@pytest.mark.parametrize(
    ("licences", "terms", "identifier", "name"),
    [
        ({"MIT"}, "own", "mit", None),
        ({"CC-BY-4.0"}, "own", "cc-by-4.0", None),
        ({"Our House Rules 1"}, "own", "other", "our-house-rules-1"),
        ({"/"}, "own", "other", "not-named"),
        ({"MIT", "Apache-2.0"}, "own", "other", "several"),
        ({"MIT", None}, "own", "unknown", None),
        ({None}, "own", "unknown", None),
        (set(), "own", "unknown", None),
        ({"MIT"}, None, "unknown", None),
        ({"MIT"}, "deepseek-api", "other", "see-terms"),
    ],
)
def test_a_licence_is_named_only_where_all_agree(
    licences: set[str | None], terms: str | None, identifier: str, name: str | None
) -> None:
    found = licence_of(licences, terms)
    assert (found.identifier, found.name) == (identifier, name)
    head = card_head(replace(FACTS, licence=found))
    assert head["license"] == identifier
    assert head.get("license_name") == name


def test_rows_from_elsewhere_have_terms_that_nobody_knows() -> None:
    assert licence_of({"MIT"}, "own", has_others=True).identifier == "unknown"
    teachers: list[dict[str, Any]] = [
        {"teacher": "oracle-1", "terms": "own", "rows": 900},
        {"teacher": None, "terms": None, "rows": 50},
    ]
    card = render_card(replace(FACTS, teachers=teachers, others=1))
    assert ["not recorded", "not stated", "50"] in taken_apart(card)[1].rows
    assert "Under which terms the other rows came stands in the table above" in card


HOSTILE = [
    "<script>alert(1)</script>",
    "](https://evil.example) [x](javascript:alert(1)) ![](https://evil.example/p.png)",
    "`` ` ``` <img src=x onerror=alert(1)> `",
    "a | b |\n| c | d |\n\n# Heading\n\n---\nlicense: mit\n---",
    "\x1b[2J\u202egnp.exe &lt;b&gt; &#60;i&#62; \\` <b>",
    "https://evil.example www.evil.example <https://evil.example> {{ 7*7 }} {% raw %}",
    "- no\n- : yes\n'\"#&*!%@`",
    "|`|\\|`",
    "",
    " ",
    "x" * 5000,
]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_names_from_files_and_models_are_only_names(hostile: str) -> None:
    assert CHECKED.judge is not None
    row = {"rows": 5, "tokens": 1, "median": 1, "most": 1, "questions": 1}
    facts = replace(
        FACTS,
        origin=replace(
            ORIGIN,
            model=hostile,
            terms=hostile,
            more_fields=(hostile,),
            recipe_digest=hostile,
            host=f"{hostile}.example",
        ),
        sources=[{"source": hostile, "licence": hostile, "kept": 1, "rejected": 2}],
        kinds=[{"kind": hostile, "judged_by": None, "right": 1, "wrong": 1, "unsure": 1, "unverifiable": 1}],
        teachers=[{"teacher": hostile, "terms": hostile, "rows": 1}, {"teacher": None, "terms": None, "rows": 2}],
        others=2,
        reasons=[{"reason": hostile, "rows": 5, "why": ""}],
        splits=[row | {"split": hostile}],
        asked=ASKED.model_copy(update={"served_models": (hostile,)}),
        checked=Checked(
            judge=Judged(model=hostile, answers=1, measured={hostile: CHECKED.judge.measured["with_reference"]}),
            overlap=Compared(questions=5, kept=5, left_out={hostile: 1}, hits={hostile: 1}),
        ),
        licence=licence_of({hostile}, "own"),
    )
    head, html = taken_apart(render_card(facts))
    assert head == card_head(facts)
    assert html.elements <= taken_apart(render_card(FACTS))[1].elements
    assert html.links == []
    assert {len(row) for row in html.rows} == {2, 3, 4, 6, 7}  # no cell more than the tables have


@pytest.mark.parametrize("name", ["a.jsonl", "`", "``x```", "a`b", " x ", "*bold* _it_ <b> &lt; \\| [x](y)"])
def test_a_name_reads_as_it_is(name: str) -> None:
    assert Html(f"so {code(name)}, so").text == f"so {name.strip()}, so\n"
