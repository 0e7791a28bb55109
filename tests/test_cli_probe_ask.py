"""`stillroom probe ask`, over HTTP and on a model of this machine: what it leaves is what a plan takes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from tests.probe.probes import make_probe, planned
from typer.testing import CliRunner, Result

from stillroom.base.clock import SystemClock
from stillroom.cli_probe_ask import register
from stillroom.client.settings import Sampling
from stillroom.probe.asked import read_asked
from stillroom.probe.pack import read_pack
from stillroom.probe.received import read_received, received_problems
from stillroom.testing import MisbehavingTeacher
from stillroom.testing.faults import http_error

app = typer.Typer()
register(app)


@app.command()
def other() -> None:
    """With one command alone, typer would not take its name."""


def stillroom(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "200", "NO_COLOR": "1"})


def said(*words: object) -> str:
    result = stillroom(*words)
    assert result.exit_code == 0, result.output
    return result.stdout


def problems(answers: Path, pack: Path, planned_at: int) -> list[str]:
    given = read_pack(pack)
    return list(received_problems(read_received(answers), given.plan, given.pairs, planned_at, SystemClock().now_us()))


def test_what_comes_back_is_what_the_plan_asked_for(tmp_path: Path) -> None:
    made = planned(make_probe(tmp_path / "probe", 5))
    with MisbehavingTeacher(models=["abacus"]) as teacher:
        words = ("ask", made.pack, "--model", "abacus", "--base-url", teacher.base_url, "--price", "none")
        told = said(*words, "--out", tmp_path / "answers", "--by", "Nora")
        assert teacher.requests == 10
        assert {body["temperature"] for body in teacher.bodies} == {0.7}
        again = json.loads(said(*words, "--out", tmp_path / "answers", "--by", "Nora", "--json"))
        assert teacher.requests == 10
    assert "10 answers of abacus (10 ok)." in told
    assert f"They are for the plan first, {made.plan.digest}." in told
    assert f"Give {tmp_path / 'answers'} to whoever made it." in told
    assert problems(tmp_path / "answers", made.pack, made.record.at) == []
    assert (again["by"], again["plan"], again["address"]) == ("Nora", made.plan.digest, teacher.base_url)


def test_a_model_of_this_machine_is_asked_and_scored_beside_its_base(tiny_model: Path, tmp_path: Path) -> None:
    short = Sampling(temperature=1.0, max_tokens=8)
    made = planned(
        make_probe(tmp_path / "probe", 3),
        primary="likelihood",
        others=("ngrams",),
        base="tiny",
        samples=1,
        sampling=short,
    )
    told = said("ask", made.pack, "--model", tiny_model, "--base", tiny_model, "--out", tmp_path / "answers")
    assert "3 answers of tiny@" in told
    assert "How likely the base tiny@" in told
    assert problems(tmp_path / "answers", made.pack, made.record.at) == []
    received = read_received(tmp_path / "answers")
    assert received.asked.address is None
    assert set(received.asked.likelihoods) == {"suspect", "base"}
    assert [each.model for each in received.likelihoods] == ["suspect"] * 3 + ["base"] * 3
    assert all(each.tokens > 0 and each.first < 0 and each.second < 0 for each in received.likelihoods)


def test_a_plan_of_likelihoods_alone_asks_for_no_answer(tiny_model: Path, tmp_path: Path) -> None:
    made = planned(make_probe(tmp_path / "probe", 3), primary="likelihood")
    result = stillroom("ask", made.pack, "--model", tiny_model, "--out", tmp_path / "answers")
    assert result.stdout.startswith("How likely the suspect tiny@")
    assert "load tiny@" in result.stderr
    assert "likelihood (suspect): 6 of 6" in result.stderr
    assert read_asked(tmp_path / "answers").samples == 0
    assert problems(tmp_path / "answers", made.pack, made.record.at) == []


def test_a_suspect_that_fails_leaves_its_failures(tmp_path: Path) -> None:
    made = planned(make_probe(tmp_path / "probe", 3), samples=1)
    with MisbehavingTeacher(models=["abacus"], faults=[http_error(400)]) as teacher:
        told = said(
            *("ask", made.pack, "--model", "abacus", "--base-url", teacher.base_url, "--price", "none"),
            *("--out", tmp_path / "answers", "--concurrency", 1),
        )
    assert "3 answers of abacus (1 failed, 2 ok)." in told


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("--model", "nowhere"), "There is no folder or file nowhere"),
        (("--model", "abacus", "--base-url", "ftp://host"), "address"),
        (("--model", "abacus", "--base-url", "http://127.0.0.1:9/v1"), "price of abacus"),
        (("--model", "abacus", "--base-url", "http://127.0.0.1:9/v1", "--price", "cheap"), "'cheap' is no price"),
        (("--model", "abacus", "--base-url", "http://127.0.0.1:9/v1", "--price", "-1/2"), "greater than or equal"),
        (
            ("--model", "a", "--base-url", "http://127.0.0.1:9/v1", "--price", "none", "--api-key-env", "NOT_SET_9"),
            "The environment variable NOT_SET_9, which api_key_env names, is not set.",
        ),
        (
            ("--model", "abacus", "--base-url", "http://127.0.0.1:9/v1", "--price", "none", "--budget-usd", "0"),
            "greater than 0",
        ),
    ],
)
def test_a_suspect_that_cannot_be_asked_is_said_at_once(tmp_path: Path, words: tuple[str, ...], error: str) -> None:
    made = planned(make_probe(tmp_path / "probe", 3))
    result = stillroom("ask", made.pack, *words, "--out", tmp_path / "answers")
    assert result.exit_code == 2, result.output
    assert error in result.output
    assert not (tmp_path / "answers").exists()


def test_likelihoods_need_a_tokenizer_or_weights_and_the_plans_base(tmp_path: Path, tiny_model: Path) -> None:
    probe = make_probe(tmp_path / "probe", 3)
    alone = planned(probe, "alone", primary="likelihood").pack
    out = ("--out", tmp_path / "answers")
    address = ("--base-url", "http://127.0.0.1:9/v1", "--price", "none")
    wrong: list[tuple[tuple[object, ...], str]] = [
        (("ask", alone, "--model", "abacus", *address, *out), "Give --tokenizer"),
        (("ask", alone, "--model", tiny_model, "--base", tiny_model, *out), "names no base"),
    ]
    with_base = planned(make_probe(tmp_path / "other", 3), "based", primary="likelihood", base="tiny").pack
    wrong += [
        (("ask", with_base, "--model", tiny_model, *out), "names a base, tiny"),
        (("ask", with_base, "--model", tiny_model, "--base", "nowhere", *out), "no folder or file nowhere"),
    ]
    for words, error in wrong:
        result = stillroom(*words)
        assert result.exit_code == 2
        assert error in result.output


def test_a_base_is_refused_where_the_plan_looks_at_no_likelihood(tmp_path: Path) -> None:
    pack = planned(make_probe(tmp_path / "probe", 3), base="tiny").pack
    with MisbehavingTeacher(models=["abacus"]) as teacher:
        address = ("--model", "abacus", "--base-url", teacher.base_url, "--price", "none")
        result = stillroom("ask", pack, *address, "--base", "tiny", "--out", tmp_path / "answers")
        assert (result.exit_code, teacher.requests) == (2, 0)
    assert "looks at no likelihood" in result.output


def test_the_answers_to_another_plan_are_left_alone(tmp_path: Path) -> None:
    with MisbehavingTeacher(models=["abacus"]) as teacher:
        for name, code in (("first", 0), ("second", 2)):
            made = planned(make_probe(tmp_path / name, 3), name)
            words = ("ask", made.pack, "--model", "abacus", "--base-url", teacher.base_url, "--price", "none")
            result = stillroom(*words, "--out", tmp_path / "answers")
            assert result.exit_code == code, result.output
        assert teacher.requests == 6
    assert "another plan" in result.output


def test_a_folder_that_is_no_pack_is_said(tmp_path: Path) -> None:
    result = stillroom("ask", tmp_path, "--model", "abacus", "--out", tmp_path / "answers")
    assert result.exit_code == 1
    assert "plan.json" in result.output
