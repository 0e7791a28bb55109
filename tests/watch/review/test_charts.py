"""The charts show what the arrays say, stay small, and are drawn."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from stillroom.watch.review.charts import (
    COLUMNS,
    POINTS,
    ROWS,
    activity_chart,
    coverage_chart,
    order_chart,
    overlap_chart,
    score_chart,
)

NOBODY = np.array([], dtype=np.int64)


def values(spec: dict[str, Any]) -> list[dict[str, Any]]:
    return list(spec["data"]["values"])


def names(count: int) -> list[str]:
    return [f"acct_{number:022x}" for number in range(count)]


def test_shards_are_a_staircase() -> None:
    """Four accounts share 40 of 50 questions at random: each asks its own part, and no cell lies beside the stairs."""
    question = np.random.default_rng(1).permutation(50)[:40]
    asked_by = np.repeat([2, 0, 3, 1], [16, 12, 8, 4])
    drawn = values(coverage_chart(["a", "b", "c", "d"], asked_by, question, 50, "bank"))
    assert [(cell["row"], cell["from"], cell["share"]) for cell in drawn] == [
        (row, place, 1.0)
        for row, places in (("c", range(16)), ("a", range(16, 28)), ("d", range(28, 36)), ("b", range(36, 40)))
        for place in places
    ]


def test_overlap_lies_beside_the_stairs() -> None:
    """Two who ask the same questions, one of them twice, are two full rows."""
    question = np.tile(np.arange(30), 3)
    drawn = values(coverage_chart(["a", "b"], np.repeat([0, 1, 1], 30), question, 30, "bank"))
    assert sorted((cell["row"], cell["from"]) for cell in drawn) == [(row, at) for row in "ab" for at in range(30)]
    spec = coverage_chart(["a", "b"], np.repeat([0, 1, 1], 30), question, 40, "gsm8k")
    assert spec["description"].startswith("30 questions of the 40 of gsm8k")
    assert spec["description"].endswith("10 questions were asked by none of them.")


def test_two_thousand_accounts_still_draw() -> None:
    draw = np.random.default_rng(2)
    accounts, questions = names(2_000), 7_473
    asked_by, question = draw.integers(0, 2_000, 200_000), draw.integers(0, questions, 200_000)
    day, hour = draw.integers(100, 128, 200_000), draw.integers(0, 24, 200_000)
    specs = [
        coverage_chart(accounts, asked_by, question, questions, "bank"),
        overlap_chart(2_000, asked_by, question, questions, "bank"),
        activity_chart(accounts, asked_by, day, hour, np.ones(200_000, np.int64), (100, 128)),
        order_chart(question, np.arange(200_000), questions, "bank"),
    ]
    assert all(len(values(spec)) <= most for spec, most in zip(specs, (8_064, 7, 8_064, POINTS), strict=True))
    assert ROWS * COLUMNS == 8_064
    assert all(len(json.dumps(spec)) < 1_000_000 for spec in specs)
    rows = {cell["row"] for cell in values(specs[0])}
    assert {"accounts 1 to 42", "accounts 1,960 to 2,000"} <= rows
    assert len(rows) == ROWS
    # Grouped rows of shards are still a staircase: each column of questions is asked by one row, or by two neighbours.
    shards = np.arange(7_000)
    stairs = values(coverage_chart(accounts, shards % 2_000, shards, questions, "bank"))
    assert len(stairs) < COLUMNS + ROWS


def test_how_many_asked_each_question_and_how_many_by_chance() -> None:
    """Against draws: 20 accounts take 50 of 400 questions each, by themselves."""
    draw = np.random.default_rng(3)
    asked_by = np.repeat(np.arange(20), 50)
    rounds = []
    for _ in range(200):
        question = np.concatenate([draw.choice(400, 50, replace=False) for _ in range(20)])
        rounds.append([row["seen"] for row in values(overlap_chart(20, asked_by, question, 400, "bank"))][:7])
    expected = [row["expected"] for row in values(overlap_chart(20, asked_by, question, 400, "bank"))]
    assert np.allclose(np.mean(rounds, axis=0), expected, atol=2)
    assert sum(expected) == pytest.approx(400, abs=0.5)
    shards = overlap_chart(20, np.repeat(np.arange(20), 20), np.arange(400), 400, "bank")
    assert [row["seen"] for row in values(shards)][:3] == [0, 400, 0]


def test_turns_and_relays_are_seen() -> None:
    """b calls when a does not, c begins where both stop; of three rows the first comer is the topmost."""
    account = np.array([1, 0, 1, 0, 2])
    day, hour = np.array([10, 10, 11, 11, 12]), np.array([0, 8, 0, 8, 23])
    spec = activity_chart(["a", "b", "c"], account, day, hour, np.array([5, 9, 5, 4, 1]), (10, 13))
    assert spec["encoding"]["y"]["scale"]["domain"] == ["b", "a", "c"]
    hour_ms = 3_600_000
    assert [(cell["row"], cell["from"] // hour_ms, cell["calls"], cell["share"]) for cell in values(spec)] == [
        ("b", 240, 5, 1.0),
        ("b", 264, 5, 1.0),
        ("a", 248, 9, 1.0),
        ("a", 272, 4, 0.667),
        ("c", 311, 1, 1.0),
    ]


@pytest.mark.parametrize(("days", "hours"), [(1, 1), (7, 1), (8, 2), (28, 4), (84, 12), (168, 24), (400, 72)])
def test_columns_are_whole_hours(days: int, hours: int) -> None:
    day, hour = np.repeat(np.arange(days), 24), np.tile(np.arange(24), days)
    spec = activity_chart(["a"], np.zeros(days * 24, int), day, hour, np.ones(days * 24, int), (0, days))
    drawn = values(spec)
    assert len(drawn) <= COLUMNS
    assert drawn[0]["to"] == hours * 3_600_000
    assert drawn[-1]["to"] == days * 86_400_000
    assert sum(cell["calls"] for cell in drawn) == days * 24


def test_the_order_of_a_bank_is_a_line() -> None:
    at = np.arange(0, 10 * POINTS) * 1_000_000
    drawn = values(order_chart(np.arange(10 * POINTS), at, 20_000, "bank"))
    assert len(drawn) == POINTS
    assert all(point["at"] // 1_000 == point["question"] - 1 for point in drawn)


def test_scores() -> None:
    spec = score_chart([(1_000_000, 3.25), (2_000_000, 4.0)], threshold=3.5)
    assert values(spec) == [{"at": 1_000, "score": 3.25}, {"at": 2_000, "score": 4.0}]
    assert spec["layer"][-1]["data"]["values"] == [{"line": 3.5}]
    assert "line is where findings begin" in spec["description"]
    assert len(score_chart([(1, 1.0)])["layer"]) == 2


def test_nothing_is_drawn_of_nothing() -> None:
    assert values(coverage_chart(["a"], NOBODY, NOBODY, 10, "bank")) == []
    assert values(activity_chart(["a"], NOBODY, NOBODY, NOBODY, NOBODY, (0, 1))) == []
    assert values(order_chart(NOBODY, NOBODY, 10, "bank")) == []
    assert [row["seen"] for row in values(overlap_chart(1, NOBODY, NOBODY, 10, "bank"))] == [10, 0, 0]


def test_accounts_that_begin_alike_keep_their_names() -> None:
    spec = activity_chart(["x" * 30 + "1", "x" * 30 + "2"], *(np.array([0, 1]),) * 4, (0, 2))
    assert spec["encoding"]["y"]["scale"]["domain"] == ["x" * 30 + "2", "x" * 30 + "1"]
