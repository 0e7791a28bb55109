"""`stillroom probe`: the protocol from both sides, as it is typed, with a suspect that is a server on loopback."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.probe.probes import WORDS
from typer.testing import CliRunner, Result

from stillroom.cli import app
from stillroom.probe.measures import MEASURES, PRIMARY
from stillroom.probe.plan import LIKELIHOOD
from stillroom.probe.signer import own_signer
from stillroom.testing import MisbehavingTeacher
from stillroom.testing.answer import Answer as Said

PAIRS = 12


def stillroom(*words: object) -> Result:
    return CliRunner().invoke(app, ["probe", *map(str, words)], env={"COLUMNS": "200", "NO_COLOR": "1"})


def said(*words: object) -> str:
    result = stillroom(*words)
    assert result.exit_code == 0, result.output
    return result.stdout


def replies(number: int) -> tuple[str, str]:
    served, sealed = (" ".join(WORDS[(place * step + number) % 12] for place in range(30)) for step in (5, 7))
    return f"{number} {served}", f"{number} {sealed}"


@pytest.fixture
def probe(tmp_path: Path) -> Path:
    rows = [
        {"messages": f"Question {number}", "served": replies(number)[0], "sealed": replies(number)[1]}
        for number in range(PAIRS)
    ]
    file = tmp_path / "drawn.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    said("import", file, "--out", tmp_path / "probe")
    return tmp_path / "probe"


def test_the_owners_folder_in_place_of_a_pack_or_a_bundle_is_told_where_those_are(probe: Path, tmp_path: Path) -> None:
    words = said("plan", probe, "--name", "first", "--suspect", "abacus-7b", "--number", PAIRS + 1)
    assert f"{PAIRS + 1} were wanted: these are all that are left." in words
    assert f"stillroom probe ask {probe / 'plans' / 'first' / 'pack'} --model MODEL --out ANSWERS" in words
    address = ("--model", "abacus-7b", "--base-url", "http://127.0.0.1:9/v1", "--price", "none")
    asked = stillroom("ask", probe, *address, "--out", tmp_path / "answers")
    assert asked.exit_code == 1
    assert f"{probe / 'plans'}/NAME/pack" in asked.output
    verified = stillroom("verify", probe)
    assert verified.exit_code == 1
    assert f"{probe / 'bundles'}/NAME" in verified.output


def test_the_help_of_plan_names_every_measure() -> None:
    told = said("plan", "--help")
    assert f"{PRIMARY} (if not given)" in told
    assert [name for name in (*MEASURES, LIKELIHOOD) if name not in told] == []


def test_the_whole_protocol_from_both_sides(probe: Path, tmp_path: Path) -> None:
    """The owner plans and hands out; a neutral party asks with the pack alone; the owner opens; anybody verifies."""
    words = said("plan", probe, "--name", "first", "--suspect", "abacus-7b", "--samples", 2, "--by", "Olga")
    assert "Planned first: 12 pairs of 12 questions; 0 were left out." in words
    given = said("pack", probe, "first", "--to", "Prof. Ito", "--out", tmp_path / "for-ito")
    assert "for Prof. Ito" in given
    assert f"stillroom probe ask {tmp_path / 'for-ito'} --model MODEL --out ANSWERS --by NAME" in given

    learned = {f"Question {number}": Said(replies(number)[0]) for number in range(PAIRS)}
    with MisbehavingTeacher(lambda text: learned[text], models=["abacus-7b"]) as suspect:
        address = ("--model", "abacus-7b", "--base-url", suspect.base_url, "--price", "none")
        said("ask", tmp_path / "for-ito", *address, "--out", tmp_path / "answers", "--by", "Prof. Ito")
        assert suspect.requests == 2 * PAIRS

    result = stillroom("test", probe, "first", "--answers", tmp_path / "answers", "--by", "Olga")
    assert "compare: 5 of 5" in result.stderr
    tested = result.stdout
    assert "12" in tested
    bundle = probe / "bundles" / "first"
    assert f"Its page: {bundle / 'report.html'}" in tested
    assert "bundle-for-court" in said("give", probe, "first", "--to", "court", "--out", tmp_path / "bundle-for-court")

    with_mine = ("--answers", tmp_path / "answers", "--pack", tmp_path / "for-ito")
    others = tmp_path / "others.json"
    others.write_bytes(orjson.dumps(own_signer(tmp_path / "elsewhere").keys))
    bundle_given = tmp_path / "bundle-for-court"
    result = stillroom("verify", bundle_given, "--keys", others, "--keys", probe / "keys.json", *with_mine)
    assert "compare: 5 of 5" in result.stderr
    verified = result.stdout
    assert "All of it holds" in verified
    assert "not among the owner's" in stillroom("verify", bundle_given, "--keys", others).stdout
    assert "The answers are those that you have, unchanged." in verified

    (row,) = json.loads(said("plans", probe, "--json"))
    assert (row["name"], row["state"], row["suspect"]) == ("first", "opened", "abacus-7b")
    assert row["p_value"] == pytest.approx(2.0**-12)
    assert "first" in said("plans", probe)


def test_results_for_machines(probe: Path, tmp_path: Path) -> None:
    planned = json.loads(
        said("plan", probe, "--name", "one", "--suspect", "s", "--samples", 1, "--number", 6, "--json")
    )
    assert planned["plan"]["pairs"] == 6
    with MisbehavingTeacher(models=["s"]) as suspect:
        address = ("--model", "s", "--base-url", suspect.base_url, "--price", "none")
        said("ask", planned["pack"], *address, "--out", tmp_path / "answers")
    tested = json.loads(said("test", probe, "one", "--answers", tmp_path / "answers", "--json"))
    verified = json.loads(said("verify", tested["bundle"], "--json"))
    assert verified["statement"] == tested["statement"]
    assert verified["problems"] == []
    assert verified["digest"] == tested["digest"]


def test_a_bundle_that_was_changed_ends_in_exit_code_1_and_says_where(probe: Path, tmp_path: Path) -> None:
    said("plan", probe, "--name", "one", "--suspect", "s", "--samples", 1)
    with MisbehavingTeacher(models=["s"]) as suspect:
        address = ("--model", "s", "--base-url", suspect.base_url, "--price", "none")
        said("ask", probe / "plans" / "one" / "pack", *address, "--out", tmp_path / "answers")
    said("test", probe, "one", "--answers", tmp_path / "answers")
    page = probe / "bundles" / "one" / "report.html"
    page.write_text(page.read_text().replace("replies", "replays"))
    result = stillroom("verify", probe / "bundles" / "one")
    assert result.exit_code == 1
    assert "1 problem: this bundle is no evidence." in result.stdout
    assert "report.html was changed" in result.stdout


def test_a_plan_is_given_up_with_a_reason(probe: Path) -> None:
    said("plan", probe, "--name", "one", "--suspect", "s")
    said("abandon", probe, "one", "--reason", "they took it offline")
    (row,) = json.loads(said("plans", probe, "--json"))
    assert row["state"] == "abandoned"
    assert "they took it offline" in (probe / "plans.jsonl").read_text()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (["--level", "0.7"], "no level of a test"),
        (["--level", "0"], "no level of a test"),
        (["--top-p", "1.5"], "no share"),
        (["--temperature", "0", "--samples", "3"], "all samples of a question are one"),
        (["--measure", "taste"], "no measure 'taste'"),
        (["--account", "acct_9"], "No pair of acct_9"),
        (["--name", "../up"], "no name of a plan"),
        (["--name", "a" * 65], "no name of a plan"),
        (["--suspect", "x" * 501], "suspect"),
        (["--question", ""], "question"),
        (["--temperature", "inf"], "temperature"),
        (["--max-tokens", "9" * 25], "max_tokens"),
        (["--tsa", "file:///etc/passwd"], "no address of a time stamping authority"),
    ],
)
def test_what_is_written_wrongly_is_told_before_anything_is_recorded(probe: Path, wrong: list[str], told: str) -> None:
    result = stillroom("plan", probe, "--name", "one", "--suspect", "s", *wrong)
    assert result.exit_code == 2, result.output
    assert told in result.stderr
    assert json.loads(said("plans", probe, "--json")) == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["pack", "--to", "", "--out", "new"], "note"),
        (["abandon", "--reason", ""], "note"),
        (["pack", "--to", "Ito", "--out", "probe/plans/first/pack/copy"], "among the plans and bundles"),
        (["give", "--to", "Ito", "--out", "probe/bundles/copy"], "has no bundle"),
    ],
)
def test_what_the_log_could_not_say_or_would_break_a_folder_is_not_done(
    probe: Path, tmp_path: Path, words: list[str], told: str
) -> None:
    said("plan", probe, "--name", "first", "--suspect", "s")
    before = (probe / "plans.jsonl").read_bytes()
    command, *rest = (str(tmp_path / word) if "/" in word or word == "new" else word for word in words)
    result = stillroom(command, probe, "first", *rest)
    assert result.exit_code == 2, result.output
    assert told in result.stderr
    assert (probe / "plans.jsonl").read_bytes() == before
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["plan", "{}", "--name", "one", "--suspect", "s"], "no folder of gathered pairs"),
        (["test", "{}", "one", "--answers", "{}"], "no folder of gathered pairs"),
        (["pack", "{}", "one", "--to", "x", "--out", "{}/x"], "no folder of gathered pairs"),
        (["plans", "{}"], "no folder of gathered pairs"),
        (["verify", "{}"], "manifest.json"),
        (["verify", "{}/nowhere"], "is no folder"),
    ],
)
def test_folders_that_are_something_else(tmp_path: Path, command: list[str], told: str) -> None:
    result = stillroom(*(word.replace("{}", str(tmp_path)) for word in command))
    assert result.exit_code in (1, 2)
    assert told in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_gateways_key_signs_where_its_file_is_named(probe: Path, tmp_path: Path) -> None:
    from stillroom.serve.keyring import Keyring

    config = tmp_path / "gateway.yaml"
    config.write_text(
        'owner: Abacus\nstate: state\nmodels: [{name: abacus, upstreams: [{base_url: "http://127.0.0.1:1/v1"}]}]\n'
    )
    wish: tuple[Any, ...] = ("plan", probe, "--name", "one", "--suspect", "s", "--config", config)
    result = stillroom(*wish)
    assert result.exit_code == 2
    assert "has no signing keys yet" in result.stderr
    kid = Keyring.open(tmp_path / "state").active.kid
    said(*wish)
    assert [each["kid"] for each in json.loads((probe / "keys.json").read_text())["keys"]] == [kid]
    assert not (probe / "signing-key.json").exists()


def gateway_in(folder: Path) -> Path:
    """The settings of a gateway that has a key."""
    from stillroom.serve.keyring import Keyring

    folder.mkdir()
    config = folder / "gateway.yaml"
    config.write_text("owner: Abacus\nstate: state\n")
    Keyring.open(folder / "state")
    return config


def test_one_key_signs_a_folders_log_from_its_first_record_on(probe: Path, tmp_path: Path) -> None:
    """Records of another key would make every later bundle one that its readers' keys refuse."""
    config, another = gateway_in(tmp_path / "abacus"), gateway_in(tmp_path / "crow")
    said("plan", probe, "--name", "one", "--suspect", "s", "--number", 6, "--config", config)
    before = (probe / "plans.jsonl").read_bytes()
    commands: list[tuple[object, ...]] = [
        ("plan", probe, "--name", "two", "--suspect", "s"),
        ("pack", probe, "one", "--to", "Ito", "--out", tmp_path / "for-ito"),
        ("test", probe, "one", "--answers", tmp_path),
        ("give", probe, "one", "--to", "Ito", "--out", tmp_path / "for-ito"),
        ("abandon", probe, "one", "--reason", "gone"),
    ]
    for command in commands:
        without, with_another = stillroom(*command), stillroom(*command, "--config", another)
        assert without.exit_code == with_another.exit_code == 2
        assert "signed with a gateway's key, and without its file another key would sign" in without.stderr
        assert "--config gateway.yaml" in without.stderr
        assert "and not this one's" in with_another.stderr
    assert (probe / "plans.jsonl").read_bytes() == before
    assert not (probe / "signing-key.json").exists()
    said("abandon", probe, "one", "--reason", "gone", "--config", config)


def test_a_folders_own_key_goes_on_and_so_does_a_gateway_with_a_new_key(probe: Path, tmp_path: Path) -> None:
    from stillroom.serve.keyring import Keyring

    said("plan", probe, "--name", "one", "--suspect", "s", "--number", 3)
    config = gateway_in(tmp_path / "abacus")
    refused = stillroom("plan", probe, "--name", "two", "--suspect", "s", "--config", config)
    assert refused.exit_code == 2
    assert "Leave out --config" in refused.stderr
    said("abandon", probe, "one", "--reason", "gone")

    said("import", tmp_path / "drawn.jsonl", "--out", tmp_path / "other")
    said("plan", tmp_path / "other", "--name", "one", "--suspect", "s", "--number", 3, "--config", config)
    Keyring.open(tmp_path / "abacus" / "state").rotate()
    said("abandon", tmp_path / "other", "one", "--reason", "gone", "--config", config)
