"""Pairs of one gateway stay spent in whatever folder they are gathered."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.probe.probes import ask, gathered, make_probe, planned, signer
from typer.testing import CliRunner

from stillroom.base.errors import DataError
from stillroom.cli import app
from stillroom.probe.opening import Opened, open_plan
from stillroom.probe.pairs import write_gathered
from stillroom.probe.recorded import abandon
from stillroom.probe.spent import mark_spent, read_spent


@pytest.fixture
def escrow(tmp_path: Path) -> Path:
    (tmp_path / "state" / "escrow").mkdir(parents=True)
    return tmp_path / "state" / "escrow"


def gathered_from(escrow: Path, folder: Path, count: int = 20) -> Path:
    write_gathered(folder, replace(gathered(count), escrow=escrow))
    return folder


def opened(probe: Path, answers: Path) -> Opened:
    return open_plan(probe, "first", answers, signer(probe), "Olga")


def test_what_was_opened_in_one_folder_is_spent_in_another(escrow: Path, tmp_path: Path) -> None:
    one, earlier = (gathered_from(escrow, tmp_path / name) for name in ("one", "earlier"))
    waiting = planned(earlier)
    assert opened(one, ask(planned(one, number=8).pack, one, tmp_path / "answers")).notes == []
    later = gathered_from(escrow, tmp_path / "later", 24)
    assert planned(later).plan.left_out == {"spent": 8}
    with pytest.raises(DataError, match="8 pairs of the plan are spent"):
        opened(earlier, ask(waiting.pack, earlier, tmp_path / "others"))
    assert [len(each.pair_ids) for each in read_spent(earlier)] == [8]


def test_of_two_folders_that_open_the_same_pairs_at_once_one_does(escrow: Path, tmp_path: Path) -> None:
    """Both have seen that nothing is spent, before either has marked its pairs."""
    one, other = (gathered_from(escrow, tmp_path / name) for name in ("one", "other"))
    answers = {probe: ask(planned(probe).pack, probe, tmp_path / f"answers-{probe.name}") for probe in (one, other)}

    def after_the_other(*marked: Any) -> None:
        patch.undo()
        assert opened(other, answers[other]).statement.is_positive
        mark_spent(*marked)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stillroom.probe.opening.mark_spent", after_the_other)
        with pytest.raises(DataError, match="20 pairs of the plan are spent"):
            opened(one, answers[one])
    with pytest.raises(DataError, match="20 pairs of the plan are spent") as refused:
        opened(one, answers[one])
    assert "abandon" in refused.value.remedy
    abandon(one, "first", "its pairs are spent", signer(one), "Olga")
    assert not (one / "plans" / "first" / "statement.json").exists()


def test_who_marked_first_goes_on_whoever_came_after(escrow: Path, tmp_path: Path) -> None:
    one, other = (gathered_from(escrow, tmp_path / name) for name in ("one", "other"))
    answers = {probe: ask(planned(probe).pack, probe, tmp_path / f"answers-{probe.name}") for probe in (one, other)}

    def stopped(*_: Any) -> None:
        raise KeyboardInterrupt

    def after_the_first(*marked: Any) -> None:
        patch.undo()
        patch.setattr("stillroom.probe.opening.judge", stopped)
        with pytest.raises(KeyboardInterrupt):
            opened(one, answers[one])
        patch.undo()
        mark_spent(*marked)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stillroom.probe.opening.mark_spent", after_the_first)
        with pytest.raises(DataError, match="20 pairs of the plan are spent"):
            opened(other, answers[other])
    assert opened(one, answers[one]).statement.is_positive


def test_so_are_those_of_a_plan_that_was_given_up_with_answers(escrow: Path, tmp_path: Path) -> None:
    one, other = (gathered_from(escrow, tmp_path / name) for name in ("one", "other"))
    made = planned(one, number=5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stillroom.probe.opening.mark_spent", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            opened(one, ask(made.pack, one, tmp_path / "answers"))
    abandon(one, "first", "changed our minds", signer(one), "Olga")
    assert planned(other).plan.left_out == {"spent": 5}


def test_a_plan_is_marked_once_in_each_file_whatever_a_kill_left(escrow: Path, tmp_path: Path) -> None:
    probe, pairs = gathered_from(escrow, tmp_path / "probe"), gathered(3).pairs
    for _ in range(2):
        mark_spent(probe, "sha256:" + "a" * 64, 1, pairs)
    (probe / "spent.jsonl").write_bytes(b'{"plan_digest": "sha')
    mark_spent(probe, "sha256:" + "a" * 64, 1, pairs)
    lines = [(folder / "spent.jsonl").read_text().splitlines() for folder in (escrow, probe)]
    assert lines[0] == lines[1]
    assert [orjson.loads(line)["pair_ids"] for line in lines[0]] == [sorted(pair.pair_id for pair in pairs)]
    assert not any(each.first in lines[0][0] for each in pairs)


def test_where_the_escrow_is_gone_it_is_said(escrow: Path, tmp_path: Path) -> None:
    probe = gathered_from(escrow, tmp_path / "probe")
    shutil.rmtree(escrow)
    command = ["probe", "plan", str(probe), "--name", "first", "--suspect", "abacus-7b", "--samples", "2"]
    told = CliRunner().invoke(app, command, env={"COLUMNS": "300"})
    assert "other folders of the same gateway's pairs do not know" in told.stdout
    answers = ask(probe / "plans" / "first" / "pack", probe, tmp_path / "answers")
    assert any(str(escrow) in note for note in opened(probe, answers).notes)


def test_imported_pairs_are_of_no_gateway(tmp_path: Path) -> None:
    one = make_probe(tmp_path / "one", 10)
    assert opened(one, ask(planned(one).pack, one, tmp_path / "answers")).notes == []
    assert planned(make_probe(tmp_path / "other", 10)).plan.left_out == {}
