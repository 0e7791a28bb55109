"""Scripts: what is read, what is refused, and in which words."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from stillroom.base.errors import UsageError
from stillroom.testing import Limits
from stillroom.testing.faults import FAULTS, rate_limited
from stillroom.testing.rules import Rule
from stillroom.testing.script import Script, load_script

Ask = Callable[..., Any]

GOOD = """\
models: [small, large]
api_key: sk-test
answer: {content: Yes., reasoning: Because., tokens: 10, cached_tokens: 1}
price: {input_per_million: 0.5, output_per_million: "2"}
seed: 7
delay: {least_s: 0.001, most_s: 0.002, shape: heavy_tailed}
limits: {in_flight: 9, requests_per_minute: 600, window: fixed_minute, retry_after: date, headers: true}
faults:
  - {fault: rate_limited, retry_after: 2, share: 0.25}
  - {fault: raw_body, body: "höh", every: 3, first: 9, after: 1, question: "2 + 3"}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "faults.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def problem(folder: Path, text: str) -> str:
    with pytest.raises(UsageError) as caught:
        load_script(write(folder, text))
    assert caught.value.remedy
    return caught.value.what


def test_what_a_script_says(tmp_path: Path) -> None:
    script = load_script(write(tmp_path, GOOD))
    assert (script.models, script.api_key, script.seed) == (("small", "large"), "sk-test", 7)
    assert script.price is not None
    assert script.price.cost_usd(2, 0, 1) == Decimal("0.000003")
    assert script.limits == Limits(
        in_flight=9, requests_per_minute=600, window="fixed_minute", retry_after="date", headers=True
    )
    assert script.faults[0].rule() == Rule(rate_limited(2), share=0.25)
    rule = script.faults[1].rule()
    assert rule.fault.body == "höh".encode()
    assert (rule.every, rule.first, rule.after, rule.question) == (3, 9, 1, "2 + 3")
    answer = script.answer.answer("any")
    assert (answer.content, answer.reasoning_content) == ("Yes.", "Because. hm hm hm hm hm hm hm hm")
    assert (answer.tokens, answer.cached_tokens) == (10, 1)


def test_it_survives_being_written_down(tmp_path: Path) -> None:
    script = load_script(write(tmp_path, GOOD))
    assert Script.model_validate_json(script.model_dump_json()) == script
    with pytest.raises(ValidationError):
        script.seed = 8


def test_the_teacher_does_as_it_says(tmp_path: Path, ask: Ask) -> None:
    text = "answer: {content: a b}\nprice: {input_per_million: 0, output_per_million: 1}\n"
    text += "faults: [{fault: internal_error, first: 1}]"
    ledger = tmp_path / "ledger.jsonl"
    with load_script(write(tmp_path, text)).teacher(ledger=ledger) as teacher:
        assert ask(teacher.base_url).status == 500
        assert ask(teacher.base_url).json["choices"][0]["message"]["content"] == "a b"
        assert teacher.charged_usd > 0
    assert ledger.read_text().count("\n") == 2


def test_an_empty_script_answers_well(tmp_path: Path, ask: Ask) -> None:
    with load_script(write(tmp_path, "# nothing\n")).teacher() as teacher:
        first, second = (ask(teacher.base_url, question).json for question in ("a", "b"))
    assert first["choices"][0]["message"] != second["choices"][0]["message"]


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_can_be_named(tmp_path: Path, name: str) -> None:
    needed = {"http_error": ", status: 418", "slow": ", seconds: 1", "stalled": ", seconds: 1", "raw_body": ", body: x"}
    script = load_script(write(tmp_path, f"faults: [{{fault: {name}{needed.get(name, '')}}}]"))
    assert script.faults[0].rule().fault.name == name


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("delays: {}", "delays (line 1): there is no such key; did you mean delay?"),
        (
            "faults: [{fault: rate_limitd}]",
            'faults.0.fault (line 1): there is no "rate_limitd"; did you mean rate_limited?',
        ),
        ("faults: [{fault: RateLimited}]", "did you mean rate_limited?"),
        ("faults: [{fault: zzz}]", 'faults.0.fault (line 1): there is no "zzz".'),
        (
            "faults:\n  - {fault: slow, second: 1}",
            "faults.0.second (line 2): there is no such key; did you mean seconds?",
        ),
        ("faults:\n  - {fault: slow}", "faults.0.seconds: is missing."),
        ("faults:\n  - {fault: reset, seconds: 1}", "faults.0.seconds (line 2): there is no such key"),
        ("faults: [{fault: reset, evry: 2}]", "did you mean every?"),
        ("faults: [{fault: cut_off, part: 1.5}]", "faults.0.part (line 1): should be less than 1, got 1.5."),
        ("faults: [{fault: reset, every: 0}]", "should be greater than or equal to 1"),
        ("faults: [{share: 0.5}]", "faults.0 (line 1): fault is missing."),
        ("faults: [{fault: reset, share: 0.6}, {fault: slow, seconds: 1, share: 0.6}]", "more than 1 together"),
        ('faults: [{fault: slow, seconds: "1"}]', 'faults.0.seconds (line 1): should be a number, got "1".'),
        ("delay: {least_s: 2, most_s: 1}", "delay (line 1): least_s is more than most_s."),
        ("delay: {least_s: 0, most_s: 1, shape: heavy_tailed}", "needs a least_s above 0"),
        ("limits: {burst: 3}", "limits (line 1): burst is the size of a token bucket"),
        ("limits: {window: minute}", "limits.window (line 1)"),
        ("price: {input_per_million: 1}", "price.output_per_million: is missing."),
        ("models: []", "models (line 1)"),
        ("- 1", "is not a mapping"),
        ("a: [", "line 1, column"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, words: str) -> None:
    assert words in problem(tmp_path, text)


def test_a_wrong_fault_is_told_where_the_list_stands_and_not_the_list(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load_script(write(tmp_path, "faults: [{fault: rest}]"))
    assert str(caught.value).endswith(
        'there is no "rest"; did you mean reset? The keys and the faults are listed in docs/testing.md.'
    )


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        load_script(tmp_path / "none.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff")
    with pytest.raises(UsageError, match="is not UTF-8"):
        load_script(tmp_path / "bytes.yaml")
