"""Takers against each other, and models that differ by a seed, from marks made by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from scipy.stats import ttest_1samp, ttest_ind

from stillroom.base.records import Status
from stillroom.client.settings import Sampling
from stillroom.exam.comparison import comparisons, group_comparisons, groups
from stillroom.exam.figures import figures, mean_of_sets
from stillroom.exam.marking import Mark, Marks
from stillroom.exam.settings import Paper


def marks(taker: str, replies: Sequence[str], samples: int = 1, name: str | None = None) -> Marks:
    """`r` is right, `w` wrong, `u` unsure, `f` a failed call, `c` cut though right so far, `x` cut and wrong."""
    made = Marks(taker, taker, Paper(name, samples, Sampling()))
    for reply in "".join(replies):
        status: Status = {"f": "failed", "c": "truncated", "x": "truncated"}.get(reply, "ok")  # type: ignore[assignment]
        made.marks.append(
            Mark(
                verdict={"r": "right", "u": "unsure", "f": "unsure"}.get(reply, "wrong"),  # type: ignore[arg-type]
                status=status,
                family=None,
                cut_verdict={"c": "right", "x": "wrong"}.get(reply),  # type: ignore[arg-type]
                completion_tokens=100,
                cost_usd="0.001",
                latency_us=2_000_000,
            )
        )
    return made


def test_p_values_are_corrected_by_holms_rule() -> None:
    takers = {
        "a": [marks("a", ["r" * 40])],
        "b": [marks("b", ["r" * 33 + "w" * 7])],
        "c": [marks("c", ["r" * 20 + "w" * 20])],
    }
    found = comparisons(takers)
    assert [(one["a"], one["b"]) for one in found] == [("a", "b"), ("a", "c"), ("b", "c")]
    raw = [one["p_value"] for one in found]
    assert raw == pytest.approx([2 / 2**7, 2 / 2**20, 2 / 2**13])
    assert [one["p_holm"] for one in found] == pytest.approx([raw[0], 3 * raw[1], 2 * raw[2]])


def test_a_question_whose_call_failed_is_left_out_of_the_pair() -> None:
    (one,) = comparisons({"a": [marks("a", ["rrrf"])], "b": [marks("b", ["wrfr"])]})
    assert (one["n"], one["left_out"], one["only_a"], one["only_b"], one["both_right"]) == (2, 2, 1, 0, 1)
    assert comparisons({"a": [marks("a", ["ff"])], "b": [marks("b", ["rr"])]}) == []


def test_failed_calls_make_the_accuracy_a_range() -> None:
    whole, holed = figures([marks("a", ["r" * 15 + "w" * 5])]), figures([marks("a", ["r" * 15 + "w" * 3 + "ff"])])
    assert (holed["accuracy"], holed["accuracy_at_most"]) == (0.75, 0.85)
    assert (holed["failed"], holed["unsure"], holed["wrong"]) == (2, 2, 3)
    assert holed["low"] == whole["low"]
    assert holed["high"] == figures([marks("a", ["r" * 17 + "w" * 3])])["high"]
    sampled = figures([marks("a", ["rrff", "wwww", "rwrw"], samples=4)])
    assert (sampled["accuracy"], sampled["accuracy_at_most"]) == (pytest.approx(4 / 12), 0.5)
    assert sampled["high"] > figures([marks("a", ["rrww", "wwww", "rwrw"], samples=4)])["high"]


def test_what_was_cut_is_told_apart_and_counts_as_wrong() -> None:
    found = figures([marks("a", ["rrrw", "ccxx", "ffff"], samples=4)])
    assert (found["right"], found["replies"], found["truncated_share"]) == (3, 12, pytest.approx(4 / 12))
    assert (found["complete"]["replies"], found["complete"]["accuracy"]) == (4, 0.75)
    assert (found["cut"]["replies"], found["cut"]["accuracy"]) == (4, 0.5)
    assert found["cut"]["low"] < 0.5 < found["cut"]["high"]
    assert figures([marks("a", ["rw"])])["cut"] is None


def test_tokens_and_cost_of_a_right_answer() -> None:
    found = figures([marks("a", ["r" * 4 + "w" * 16])])
    assert (found["tokens_per_right"], found["cost_usd_per_right"], found["cost_usd_per_1000"]) == (500, "0.005", "1")
    assert (found["latency_median_s"], found["latency_p95_s"]) == (2.0, 2.0)
    nothing = figures([marks("a", ["wwff"])])
    assert (nothing["tokens_per_right"], nothing["cost_usd_per_right"]) == (None, None)
    assert figures([marks("a", ["ff"])])["latency_median_s"] is None


def test_pass_at_k_of_several_samples() -> None:
    found = figures([marks("a", ["rwww", "wwww", "rrrr"], samples=4)])["pass_at"]
    assert {k: value["accuracy"] for k, value in found.items()} == {
        "1": pytest.approx((0.25 + 0 + 1) / 3),
        "2": pytest.approx((0.5 + 0 + 1) / 3),
        "4": pytest.approx(2 / 3),
    }
    assert figures([marks("a", ["rw"])])["pass_at"] is None


def test_several_samples_are_compared_by_question() -> None:
    takers = {
        "a": [marks("a", ["rrrw", "rrww", "wwww"], samples=4)],
        "b": [marks("b", ["rwww", "rrww", "wwww"], samples=4)],
    }
    (one,) = comparisons(takers)
    assert one["difference"] == pytest.approx(2 / 12)
    assert (one["better_a"], one["better_b"], one["only_a"], one["test"]) == (1, 0, None, "sign_flip")
    assert one["p_value"] == 1.0
    assert one["low"] < 2 / 12 < one["high"]


def test_sets_with_different_numbers_of_samples_are_one_comparison() -> None:
    takers = {
        "a": [marks("a", ["r" * 12], name="once"), marks("a", ["rrrr"] * 6, samples=4, name="often")],
        "b": [marks("b", ["w" * 12], name="once"), marks("b", ["rrww"] * 6, samples=4, name="often")],
    }
    (one,) = comparisons(takers)
    assert one["difference"] == pytest.approx((12 + 3) / 18)
    assert one["p_value"] == pytest.approx(2 / 2**18)
    assert one["n"] == 18


def test_the_mean_of_sets_weighs_each_the_same() -> None:
    parts = [figures([marks("a", ["r" * 90 + "w" * 10])]), figures([marks("a", ["r" * 5 + "w" * 5])])]
    found = mean_of_sets(parts)
    assert (found["accuracy"], found["n"]) == (pytest.approx(0.7), 110)
    # Chances 0.9 and 0.5 in sets of 100 and 10: how often the interval holds 0.7.
    draw, covered = np.random.default_rng(4), 0
    for _ in range(300):
        one, other = draw.binomial(100, 0.9), draw.binomial(10, 0.5)
        interval = mean_of_sets(
            [figures([marks("a", ["r" * hits + "w" * (n - hits)])]) for hits, n in ((one, 100), (other, 10))]
        )
        covered += interval["low"] <= 0.7 <= interval["high"]
    assert 0.92 <= covered / 300 <= 0.99


# Seeds


def seeds(accuracies: dict[str, float], n: int = 100) -> dict[str, list[Marks]]:
    return {
        name: [marks(name, ["r" * round(n * accuracy) + "w" * round(n * (1 - accuracy))])]
        for name, accuracy in accuracies.items()
    }


GROUPS = {"s1": "sft", "s2": "sft", "s3": "sft", "a1": "answers", "a2": "answers", "alone": "one"}


def test_a_group_is_its_mean_with_an_interval_over_seeds() -> None:
    takers = seeds({"s1": 0.8, "s2": 0.84, "s3": 0.85, "a1": 0.5, "a2": 0.6, "alone": 0.4, "other": 0.1})
    found = groups(takers, GROUPS)
    theirs = ttest_1samp([0.8, 0.84, 0.85], 0).confidence_interval(0.95)
    assert found["sft"]["takers"] == ["s1", "s2", "s3"]
    assert found["sft"]["accuracy"] == pytest.approx(0.83)
    assert (found["sft"]["low"], found["sft"]["high"]) == pytest.approx((theirs.low, theirs.high))
    assert found["sft"]["deviation"] == pytest.approx(np.std([0.8, 0.84, 0.85], ddof=1))
    assert (found["one"]["low"], found["one"]["deviation"]) == (None, None)
    assert "other" not in found


def test_groups_are_compared_by_welchs_test() -> None:
    takers = seeds({"s1": 0.8, "s2": 0.84, "s3": 0.85, "a1": 0.5, "a2": 0.6, "alone": 0.4})
    (one,) = group_comparisons(takers, GROUPS)
    theirs = ttest_ind([0.8, 0.84, 0.85], [0.5, 0.6], equal_var=False)
    assert (one["a"], one["b"], one["p_value"]) == ("sft", "answers", pytest.approx(theirs.pvalue))
    assert one["difference"] == pytest.approx(0.28)
    assert one["low"] < 0.28 < one["high"]


def test_seeds_that_all_came_out_the_same_cannot_be_tested() -> None:
    takers = seeds({"s1": 0.8, "s2": 0.8, "s3": 0.8, "a1": 0.5, "a2": 0.5})
    (one,) = group_comparisons(takers, GROUPS)
    assert (one["difference"], one["p_value"], one["p_holm"]) == (pytest.approx(0.3), None, None)


def test_the_interval_over_seeds_covers_as_often_as_it_says() -> None:
    draw, covered = np.random.default_rng(9), 0
    for _ in range(300):
        accuracies = {f"s{number}": float(np.clip(draw.normal(0.7, 0.04), 0, 1)) for number in (1, 2, 3)}
        found = groups(seeds(accuracies, n=200), GROUPS)["sft"]
        covered += found["low"] <= 0.7 <= found["high"]
    assert 0.92 <= covered / 300 <= 0.98
