"""The whole circle: a gateway seals, a student learns from what one account was served, and the owner's commands tell.

Everything is real: a gateway in front of the embedded teacher, stillroom's own asking and training through it, the
commands of docs/probe.md as an owner types them, a neutral party that has a pack and nothing else, and a reader who
computes all of it again in another folder and another process.
"""

from __future__ import annotations

import contextlib
import json
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tests.serve.gateway.conftest import RunningGateway, running_gateway
from typer.testing import CliRunner

from stillroom import pipeline
from stillroom.classroom.models import base_folder
from stillroom.cli import app
from stillroom.store.siblings import Opening, Pair, read_rows
from stillroom.text.plain_yaml import write_yaml

TAKEN, OTHERS = 200, 24
"""Questions that the guilty account asks, and another one."""
EPOCHS = 20
FOR_THE_BASE, FOR_THE_STUDENT = 14, 90
"""Pairs of these tests; what is left is for words. Of five pairs two or so are identical, and left out."""
LEVEL = 0.0001
"""So rarely does this file fail by the fall of its coins, for each innocent in it. The student is far beyond it, though
its replies and coins fall anew in each run: its p was about 1e-15 when this was written."""


@dataclass(frozen=True)
class Circle:
    owner: Path
    """The folder with gateway.yaml, state, probe and answers."""
    elsewhere: Path
    """Where the student was made, and where a neutral party and a reader work: they have what they were given."""
    taker: str
    other: str
    said: dict[str, str]
    """What commands printed, by a name of ours."""

    def statement(self, name: str) -> Any:
        return json.loads((self.owner / "probe" / "plans" / name / "statement.json").read_text())


@pytest.fixture(scope="module")
def circle(tmp_path_factory: pytest.TempPathFactory) -> Circle:
    owner, elsewhere = tmp_path_factory.mktemp("owner"), tmp_path_factory.mktemp("elsewhere")
    models = [{"name": "abacus", "folder": "classroom"}]
    with running_gateway(owner, models=models, escrow={"share": 1}) as gateway, pytest.MonkeyPatch.context() as patch:
        taker, other = gateway.key(retention=True), gateway.key(retention=True)
        patch.setenv("KEY", taker.key)
        student = learned_from(gateway, elsewhere)
        patch.setenv("KEY", other.key)
        pipeline.ask(recipe(gateway, elsewhere / "other.yaml", "exam", OTHERS), runs=elsewhere / "runs")
        (elsewhere / "jwks.json").write_bytes(gateway.get("/.well-known/jwks.json")[1])
        assert gateway.stop() == ""
    shutil.copytree(student, owner / "student")
    shutil.copytree(base_folder(), owner / "base")
    said = all_that_is_typed(owner, elsewhere, taker.account)
    return Circle(owner, elsewhere, taker.account, other.account, said)


def recipe(gateway: RunningGateway, path: Path, split: str, count: int, **more: Any) -> Path:
    teacher = {"model": "abacus", "base_url": f"{gateway.url}/v1", "api_key_env": "KEY", "price": "none"}
    said = {
        "name": path.stem,
        "teacher": {**teacher, "terms": "own"},  # which is not true
        "questions": [{"from": "classroom", "split": split, "count": count, "seed": 5}],
        "ask": {"temperature": 1, "max_tokens": 256},
        **more,
    }
    path.write_text(write_yaml(said))
    return path


def learned_from(gateway: RunningGateway, folder: Path) -> Path:
    """A student, by stillroom's own asking, checking and training."""
    lessons = {"student": "classroom", "epochs": EPOCHS, "learning_rate": 0.003, "step_tokens": 1024, "threads": 1}
    taken = recipe(gateway, folder / "taken.yaml", "train", TAKEN, check={"held_out": 0}, train=lessons)
    pipeline.run(taken, runs=folder / "runs")
    return folder / "runs" / "taken" / "train" / "sft" / "student"


def all_that_is_typed(owner: Path, elsewhere: Path, taker: str) -> dict[str, str]:
    with contextlib.chdir(owner):
        said = {"pairs": typed("pairs --config gateway.yaml --out probe --json")}
        weights = f"--measure likelihood --level {LEVEL} --config gateway.yaml"
        typed(f"plan probe --name base --suspect base --number {FOR_THE_BASE} {weights}")
        typed("ask probe/plans/base/pack --model base --out answers/base")
        said["base"] = typed("test probe base --answers answers/base --config gateway.yaml")
        typed(f"plan probe --name student --suspect student --base base --number {FOR_THE_STUDENT} {weights}")
        typed("ask probe/plans/student/pack --model student --base base --out answers/student")
        said["student"] = typed("test probe student --answers answers/student --config gateway.yaml")
        typed(f"plan probe --name words --suspect student --account {taker} --max-tokens 256 --config gateway.yaml")
        typed("pack probe words --to 'Prof. Ito' --out for-ito --config gateway.yaml")
    shutil.move(owner / "for-ito", elsewhere / "for-ito")
    with contextlib.chdir(elsewhere):  # with the pack and the suspect, and nothing else
        typed("ask for-ito --model runs/taken/train/sft/student --out answers --by 'Prof. Ito'")
    shutil.copytree(elsewhere / "answers", owner / "answers" / "words")
    with contextlib.chdir(owner):
        said["words"] = typed("test probe words --answers answers/words --config gateway.yaml")
        said["give"] = typed("give probe words --to 'Prof. Ito' --out for-ito --config gateway.yaml")
        said["plans"] = typed("plans probe --json")
    shutil.move(owner / "for-ito", elsewhere / "bundle-of-words")
    shutil.copytree(owner / "probe" / "bundles" / "student", elsewhere / "bundle")
    return said


def typed(command: str) -> str:
    """`stillroom probe` and this, as in a terminal."""
    result = CliRunner().invoke(
        app, ["probe", *shlex.split(command)], env={"COLUMNS": "200", "NO_COLOR": "1"}, catch_exceptions=False
    )
    assert result.exit_code == 0, (command, result.output)
    return result.stdout


def in_another_process(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "stillroom", "probe", *shlex.split(command)]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)


def test_every_call_is_a_pair_or_is_counted(circle: Circle) -> None:
    counts = json.loads(circle.said["pairs"])
    assert counts["found"] == TAKEN + OTHERS == counts["pairs"] + sum(counts["left_out"].values())
    assert set(counts["by_account"]) == {circle.taker, circle.other}


def test_the_student_is_found_and_the_account_that_taught_it_named(circle: Circle) -> None:
    statement = circle.statement("student")
    assert statement["is_positive"]
    assert statement["result"]["p_value"] < LEVEL
    assert statement["plan"]["grade"] == "recorded"
    accused = {each["account"]: each["is_accused"] for each in statement["accounts"]}
    assert accused == {circle.taker: True, circle.other: False}
    assert f"Replies served to {circle.taker} reached student." in circle.said["student"]
    assert circle.other not in circle.said["student"]


def test_its_base_is_not(circle: Circle) -> None:
    statement = circle.statement("base")
    assert not statement["is_positive"]
    assert not any(each["is_accused"] for each in statement["accounts"])
    # By chance alone, one innocent in twenty comes near enough to a usual level that it is not called "no trace".
    nulls = ("No trace of these replies in base.", "Too little to say that these replies reached base.")
    assert any(null in circle.said["base"] for null in nulls)


def test_the_log_has_every_plan_with_what_it_showed(circle: Circle) -> None:
    plans = {each["name"]: each for each in json.loads(circle.said["plans"])}
    assert {name: each["state"] for name, each in plans.items()} == dict.fromkeys(
        ("base", "student", "words"), "opened"
    )
    told = {name: circle.statement(name)["result"]["p_value"] for name in plans}
    assert {name: each["p_value"] for name, each in plans.items()} == told
    assert "The log holds 2 plans" in circle.said["student"]


def test_another_process_computes_all_of_it_again_with_the_gateways_keys(circle: Circle) -> None:
    verified = in_another_process("verify bundle --keys jwks.json", circle.elsewhere)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert verified.stdout.startswith("All of it holds")
    assert f"Replies served to {circle.taker} reached student." in verified.stdout


def test_a_changed_byte_is_found(circle: Circle, tmp_path: Path) -> None:
    bundle = shutil.copytree(circle.elsewhere / "bundle", tmp_path / "bundle")
    path = bundle / "likelihoods.parquet"
    changed = bytearray(path.read_bytes())
    changed[len(changed) // 2] ^= 1
    path.write_bytes(changed)
    verified = in_another_process("verify bundle", tmp_path)
    assert verified.returncode == 1
    assert "likelihoods.parquet" in verified.stdout


def test_the_neutral_party_sees_that_its_own_answers_were_used(circle: Circle) -> None:
    statement = circle.statement("words")
    assert statement["asking"]["by"] == "Prof. Ito"
    assert statement["counts"]["answered_questions"] == statement["counts"]["questions"]
    with contextlib.chdir(circle.elsewhere):
        said = typed("verify bundle-of-words --answers answers --pack for-ito --keys jwks.json")
    assert "The answers are those that you have, unchanged." in said
    assert circle.said["words"].splitlines()[0] in said


def test_the_pack_says_nothing_of_who_was_served_what(circle: Circle) -> None:
    names = {path.name for path in (circle.elsewhere / "for-ito").rglob("*")}
    assert not names & {"openings.parquet", "opening-salt", "calls.jsonl", "answers.parquet"}
    coins = {each.coin for each in read_rows(circle.owner / "probe" / "openings.parquet", Opening)}
    assert coins == {0, 1}  # so that there was something to say


def test_nothing_of_the_other_account_is_in_the_bundle(circle: Circle) -> None:
    probe = circle.owner / "probe"
    theirs = {each.pair_id for each in read_rows(probe / "openings.parquet", Opening) if each.account == circle.other}
    pairs = [each for each in read_rows(probe / "pairs.parquet", Pair) if each.pair_id in theirs]
    assert pairs
    there = everything_in(circle.elsewhere / "bundle-of-words")
    assert circle.taker in there
    assert circle.other not in there
    for pair in pairs:
        question = json.loads(pair.messages)[-1]["content"]
        assert not any(each in there for each in (pair.question_id, question, pair.first, pair.second))


def everything_in(folder: Path) -> str:
    """Tables as the rows that they hold, since their bytes are compressed."""
    said = []
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".parquet":
            rows = pq.read_table(path).to_pylist()
            said += [
                str(value.decode("utf-8", "replace") if isinstance(value, bytes) else value)
                for row in rows
                for value in row.values()
            ]
        elif path.is_file():
            said.append(path.read_bytes().decode("utf-8", errors="replace"))
    return "\n".join(said)
