"""What probe_power makes and counts, at a size that takes seconds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from benchmarks.probe_power import read_suspects, report
from benchmarks.probe_students import rates
from benchmarks.probe_students.making import make
from benchmarks.probe_students.rates import TESTS, power, share_of_half, size
from benchmarks.probe_students.recipes import RECIPES
from benchmarks.probe_students.rewording import labels_moved_behind
from benchmarks.probe_students.suspects import Suspect

from stillroom.probe.measures import MEASURES
from stillroom.store.siblings import Answer, Likelihood, Opening, Pair, read_rows
from stillroom.store.tables import read_traces
from stillroom.text.think import join_think, split_think


@pytest.fixture(scope="module")
def classroom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("classroom")
    chosen = {recipe.name: recipe for recipe in RECIPES}
    small = replace(chosen["20 % served, 1 epoch"], share=0.5)
    make(folder, (small, chosen["copies the question"]), scale=0.004)
    return folder


def test_a_student_learns_from_the_served_half_of_its_share(classroom: Path) -> None:
    folder = classroom / "students" / "20_percent_served_1_epoch"
    coins = {opening.pair_id: opening.coin for opening in read_rows(folder / "openings.parquet", Opening)}
    pairs = {pair.pair_id: pair for pair in read_rows(folder / "pairs.parquet", Pair)}
    rows = {row.messages[0].content: row.messages[1] for row in read_traces(folder / "training" / "traces.parquet")}
    learned = json.loads((folder / "trained_on.json").read_text())
    assert len(pairs) == len(rows) == 8
    assert len(learned) == 4
    for pair_id, pair in pairs.items():
        question = json.loads(pair.messages)[0]["content"]
        assert (question in rows) == (pair_id in learned)
        if pair_id in learned:
            served = split_think((pair.first, pair.second)[coins[pair_id]])
            assert (rows[question].reasoning, rows[question].content) == (served.reasoning, served.answer)


def test_a_student_is_asked_where_siblings_differ(classroom: Path) -> None:
    folder = classroom / "students" / "20_percent_served_1_epoch"
    differ = {
        pair.question_id: pair.pair_id
        for pair in read_rows(folder / "pairs.parquet", Pair)
        if pair.first != pair.second
    }
    said = read_rows(folder / "answers_t07.parquet", Answer)
    assert {answer.question_id for answer in said} == set(differ)
    assert len(said) == 4 * len(differ)
    scored = read_rows(folder / "likelihoods.parquet", Likelihood)
    assert sorted((row.model, row.pair_id) for row in scored) == sorted(
        (model, pair_id) for model in ("suspect", "base") for pair_id in differ.values()
    )


def test_what_is_made_is_kept(classroom: Path) -> None:
    files = {file: file.stat().st_mtime_ns for file in classroom.rglob("*") if file.is_file()}
    chosen = {recipe.name: recipe for recipe in RECIPES}
    make(classroom, (chosen["copies the question"],), scale=0.004)
    assert files == {file: file.stat().st_mtime_ns for file in classroom.rglob("*") if file.is_file()}


def test_judging_tells_of_every_student(classroom: Path) -> None:
    suspects = read_suspects([classroom / "students"], "answers_t07")
    told = "\n".join(report(suspects, "answers_t07", [classroom]))
    assert "Teacher (the classroom's) at temperature 1: " in told
    assert "| 20 % served, 1 epoch | guilty | served replies | 50% | 1 | 8 |" in told
    assert "| copies the question | innocent | nothing | - | 0 | 8 |" in told
    assert "| text | innocent | 1 | 20 | 0.05 | 0 |" in told
    assert "| 20 % served, 1 epoch | the 4 that it learned from |" in told


def suspect(nearer_served: float, pairs: int = 400) -> Suspect:
    """Of whose pairs such a share lies nearer to the served reply, by every test."""
    random = np.random.default_rng(3)
    coins_N = random.integers(0, 2, pairs).astype(np.int8)
    toward = np.where(random.random(pairs) < nearer_served, 1.0, -1.0) * random.random(pairs)
    differences_N = np.where(coins_N == 0, toward, -toward)
    every_N = np.ones(pairs, dtype=np.bool_)
    text_MN = np.tile(differences_N, (len(MEASURES), 1))
    return Suspect(
        "x",
        "guilty",
        {},
        coins_N,
        np.arange(pairs),
        every_N,
        text_MN,
        differences_N,
        differences_N,
        every_N,
        None,
        None,
        "",
    )


@pytest.mark.parametrize("test", TESTS)
def test_power_is_of_the_served_side_and_grows_with_questions(test: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "DRAWS", 40)
    few, many = (power(suspect(0.65), test, count) for count in (50, 300))
    assert few[0.01] < few[0.05] < many[0.05]
    assert many[0.05] > 0.95
    assert power(suspect(0.35), test, 300)[0.05] == 0


def test_size_counts_blocks_and_clusters_by_student() -> None:
    never, often = np.full(20, 0.5), np.r_[np.full(10, 0.01), np.full(10, 0.9)]
    found = size([never, often], 0.05)
    assert (found.accused, found.blocks, found.rate) == (10, 40, 0.25)
    assert found.exact[0] == pytest.approx(0.1269, abs=1e-4)  # Clopper-Pearson of 10 in 40
    assert found.exact[1] == pytest.approx(0.4120, abs=1e-4)
    assert found.clustered == (0.0, 0.5)  # of two students, both may be either


def test_where_power_falls_below_one_half() -> None:
    assert share_of_half({1.0: 0.9, 0.01: 0.1}) == "10.0%"
    assert share_of_half({1.0: 0.4, 0.2: 0.1}) == "below one half already at 100%"
    assert share_of_half({1.0: 1.0, 0.2: 0.8}) == "not below one half at 20%"


def test_labels_move_behind_their_steps() -> None:
    reply = join_think("23, buys 2*5\n2*5=10\nbuys: 23+10=33", "33")
    assert labels_moved_behind(reply) == join_think("2*5=10\n23+10=33, buys\n23, buys 2*5", "33")
    assert labels_moved_behind("33") == "33"
