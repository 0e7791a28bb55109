"""Owners whose machine dies in the middle of a command: at any step of it, the same command goes on."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.probe.killed import COMMANDS, PAIRS
from tests.probe.probes import ask, make_probe, planned

from stillroom.base.errors import DataError
from stillroom.probe import planning
from stillroom.probe.pack import read_pack
from stillroom.probe.pairs import read_gathered
from stillroom.probe.plan_log import read_log
from stillroom.probe.recorded import read_recorded
from stillroom.probe.spent import read_spent
from stillroom.probe.verification import verify_bundle

ROOT = Path(__file__).parents[2]


def check(folder: Path) -> None:
    """Nothing is half there, whatever is said to be there is, and what was opened is spent, once."""
    probe = folder / "probe"
    if not probe.exists():
        return
    assert len(read_gathered(probe).pairs) == PAIRS
    log = read_log(probe / "plans.jsonl")
    spent = read_spent(probe)
    assert len({pair for each in spent for pair in each.pair_ids}) == sum(len(each.pair_ids) for each in spent)
    for record in (line.record for line in log):
        assert read_recorded(probe, record.plan).plan.digest == record.plan_digest
        assert record.event != "opened" or record.plan_digest in {each.plan_digest for each in spent}
        if record.event == "bundle made":
            assert verify_bundle(probe / "bundles" / record.plan).problems == []
    if (folder / "for-ito").exists():
        read_pack(folder / "for-ito")


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """By a command: the folder as it stands before it."""
    folders = {}
    at = tmp_path_factory.mktemp("begun")
    for name, command in COMMANDS.items():
        folders[name] = at
        at = shutil.copytree(at, tmp_path_factory.mktemp(name) / "done")
        if name != "give":  # it has no part in what follows
            command(at)
        if name == "plan":
            ask(at / "probe" / "plans" / "first" / "pack", at / "probe", at / "answers")
    return folders


STEPS = {"gather": (12, 20), "plan": (5, 34, 48, 58, 70), "give": (8, 20, 33, 44), "test": (9, 14, 90)}


def test_killed_at_any_step_the_same_command_goes_on(begun: dict[str, Path], tmp_path: Path) -> None:
    ends = [(name, step, tmp_path / name / str(step)) for name, steps in STEPS.items() for step in steps]
    for name, _, folder in ends:
        shutil.copytree(begun[name], folder)
    command = [sys.executable, "-m", "tests.probe.killed", *(f"{name}:{step}:{folder}" for name, step, folder in ends)]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert said.stdout.split() == ["True"] * len(ends), said.stderr
    for name, _, folder in ends:
        check(folder)
        COMMANDS[name](folder)
        check(folder)
        events = [line.record.event for line in read_log(folder / "probe" / "plans.jsonl")]
        if name == "test":
            assert events == ["planned", "answers received", "opened", "bundle made"]
        if name == "plan":
            assert events == ["planned"]
            assert read_pack(folder / "probe" / "plans" / "first" / "pack").plan.name == "first"


def test_a_plan_without_its_pack_is_told_of_and_made_whole_by_the_same_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe = make_probe(tmp_path / "probe", PAIRS)
    monkeypatch.setattr(planning, "make_pack", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        planned(probe)
    monkeypatch.undo()
    with pytest.raises(DataError, match="its pack was not") as refused:
        read_pack(probe / "plans" / "first" / "pack")
    assert "plan again" in refused.value.remedy
    made = planned(probe)
    assert read_pack(made.pack).plan == made.plan
    assert [line.record for line in read_log(probe / "plans.jsonl")] == [made.record]
