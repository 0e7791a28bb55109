from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr
from tests.watch.signals.test_activity import value
from tests.watch.signals.windows import BANK, TEST_BANK, days, hits, repeats, window

from stillroom.watch.signals.measure import signals_of
from stillroom.watch.window import Bank


def shuffled(count: int, of: int = BANK.questions, seed: int = 0) -> list[int]:
    return [int(each) for each in np.random.default_rng(seed).permutation(of)[:count]]


def test_a_bank_that_is_worked_off_is_covered_evenly() -> None:
    signals = signals_of(window(days("a", 40), bank_hits=hits("a", shuffled(800)), repeats=[repeats("a")]))
    assert value(signals, "bank_coverage", "org a") == 0.8
    assert value(signals, "bank_share", "org a") == pytest.approx(800 / 1120)
    assert value(signals, "bank_evenness", "org a") > 20
    assert value(signals, "bank_order", "org a") < 0.1
    assert signals.sentence("bank_coverage", 0) == (
        "It asked 800 of the 1,000 questions of the bank gsm8k, 80 % of it, in 800 calls."
    )
    assert "asked 800 different ones, no question twice" in signals.sentence("bank_evenness", 0)


def test_popular_questions_that_come_again_are_not_even() -> None:
    random = np.random.default_rng(1)
    drawn = np.minimum(random.zipf(1.3, 3000) - 1, BANK.questions - 1)
    questions, counts = np.unique(drawn, return_counts=True)
    rows = [
        hits("pupils", [int(question)], calls=int(count))[0] | {"first_at": int(random.integers(10**6))}
        for question, count in zip(questions, counts, strict=True)
    ]
    signals = signals_of(window(days("pupils", 200), bank_hits=rows, repeats=[repeats("pupils")]))
    assert value(signals, "bank_coverage", "org pupils") > 0.1
    assert value(signals, "bank_evenness", "org pupils") == 0
    assert value(signals, "bank_order", "org pupils") < 0.2


def test_draws_at_random_are_as_even_as_chance() -> None:
    random = np.random.default_rng(2)
    rows, activity, sampled = [], [], []
    for place in range(200):
        drawn, counts = np.unique(random.integers(0, BANK.questions, 600), return_counts=True)
        rows += [
            row
            for question, count in zip(drawn, counts, strict=True)
            for row in hits(f"a{place:03}", [int(question)], calls=int(count))
        ]
        activity += days(f"a{place:03}", 40)
        sampled.append(repeats(f"a{place:03}"))
    evenness = signals_of(window(activity, bank_hits=rows, repeats=sampled)).values["bank_evenness"]
    assert np.mean(evenness > 2) < 0.06  # of a normal distribution: 0.023
    assert 0.35 < np.mean(evenness > 0) < 0.65


def test_a_bank_in_its_own_order_is_seen_also_backwards_and_in_part() -> None:
    activity = [row for name in ("forwards", "backwards", "tenth") for row in days(name, 40)]
    asked = hits("forwards", range(300)) + hits("backwards", range(300, 0, -1)) + hits("tenth", range(0, 1000, 10))
    sampled = [repeats(name) for name in ("forwards", "backwards", "tenth")]
    signals = signals_of(window(activity, bank_hits=asked, repeats=sampled))
    assert (signals.values["bank_order"] > 0.75).all()
    assert "in the bank's own order" in signals.sentence("bank_order", 0)


def test_several_accounts_of_one_organisation_cover_a_bank_together() -> None:
    activity = days("a", 40, "firm") + days("b", 40, "firm")
    asked = hits("a", range(500)) + hits("b", range(400, 900))
    signals = signals_of(window(activity, bank_hits=asked, repeats=[repeats("a")]))
    assert value(signals, "bank_coverage", "firm") == 0.9
    assert signals.facts["bank_calls"][0] == 1000


def test_a_test_split_is_told_apart_and_never_scores() -> None:
    asked = hits("a", range(500), TEST_BANK.name)
    signals = signals_of(window(days("a", 40), bank_hits=asked, repeats=[repeats("a")]))
    assert value(signals, "test_bank_coverage", "org a") == 1
    for name in ("bank_coverage", "bank_share", "bank_evenness", "bank_order"):
        assert value(signals, name, "org a") == 0
    assert "of the bank gsm8k test, 100 % of it" in signals.sentence("test_bank_coverage", 0)
    assert signals.sentence("bank_coverage", 0) == "It asked no bank's questions."


def test_a_few_questions_of_a_bank_are_none() -> None:
    signals = signals_of(window(days("a", 40), bank_hits=hits("a", range(15)), repeats=[repeats("a")]))
    assert value(signals, "bank_coverage", "org a") == 0


def test_without_a_bank_nothing_is_said_of_banks() -> None:
    signals = signals_of(window(days("a", 40), repeats=[repeats("a")], banks=()))
    assert np.isnan(value(signals, "bank_coverage", "org a"))


def test_hits_on_a_bank_that_has_since_become_smaller_fall_to_nobody_else() -> None:
    activity = days("a", 40) + days("b", 40)
    sampled = [repeats("a"), repeats("b")]
    signals = signals_of(
        window(activity, bank_hits=hits("a", range(500, 900)), repeats=sampled, banks=(Bank("gsm8k", 500, None),))
    )
    assert value(signals, "bank_coverage", "org b") == 0
    assert value(signals, "bank_coverage", "org a") == 0


def test_questions_that_were_asked_in_the_same_second_are_in_no_order() -> None:
    rows = [row | {"first_at": row["first_at"] // 100} for row in hits("a", shuffled(900))]
    signals = signals_of(window(days("a", 40), bank_hits=rows, repeats=[repeats("a")]))
    assert value(signals, "bank_order", "org a") < 0.1
    at_once = [row | {"first_at": 0} for row in hits("a", range(900))]
    signals = signals_of(window(days("a", 40), bank_hits=at_once, repeats=[repeats("a")]))
    assert value(signals, "bank_order", "org a") == 0


def test_an_order_is_spearmans() -> None:
    random = np.random.default_rng(4)
    rows, activity = [], []
    times = {name: random.integers(0, 60, 300) + np.arange(300) * random.uniform(0, 0.3) for name in "abcde"}
    for name, asked_at in times.items():
        rows += [row | {"first_at": int(at)} for row, at in zip(hits(name, range(300)), asked_at, strict=True)]
        activity += days(name, 40)
    found = signals_of(window(activity, bank_hits=rows, repeats=[repeats(name) for name in "abcde"])).values[
        "bank_order"
    ]
    expected = [abs(spearmanr(np.arange(300), asked_at.astype(int)).statistic) for asked_at in times.values()]
    assert found == pytest.approx(np.maximum(np.array(expected) - 2 / np.sqrt(299), 0))


def test_a_bank_of_questions_that_are_like_each_other_is_judged_by_exact_hits() -> None:
    random = np.random.default_rng(5)
    exact = hits("a", shuffled(600))
    # As many more calls, in other words, that were each counted to some question that is much like its own.
    alike, counts = np.unique(random.integers(0, BANK.questions, 600), return_counts=True)
    rows = [
        row | {"exact_calls": 0}
        for question, count in zip(alike, counts, strict=True)
        for row in hits("a", [int(question)], calls=int(count))
    ]
    signals = signals_of(window(days("a", 60), bank_hits=exact + rows, repeats=[repeats("a")]))
    alone = signals_of(window(days("a", 60), bank_hits=exact, repeats=[repeats("a")]))
    assert value(signals, "bank_evenness", "org a") == value(alone, "bank_evenness", "org a") > 10
    assert "Its 600 calls" in signals.sentence("bank_evenness", 0)
