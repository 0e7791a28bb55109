from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.watch.signals.windows import BANK, TEST_BANK, days, hits, model, repeats, template, window

from stillroom.watch.signals import explanations
from stillroom.watch.signals.measure import signals_of
from stillroom.watch.window import Bank


def explained(activity: list[dict[str, Any]], **parts: Any) -> dict[str, explanations.Tested]:
    """Of the first organisation, by name."""
    return {each.name: each for each in explanations.explanations_of(signals_of(window(activity, **parts)).seen(0))}


def test_a_benchmarks_test_split_asked_whole_is_a_benchmark_run() -> None:
    parts = {"bank_hits": hits("a", range(500), TEST_BANK.name, calls=3), "repeats": [repeats("a")]}
    models = [model(account, name, 500) for account in "ab" for name in ("one", "two", "three")]
    activity = days("a", 60, "firm") + days("b", 60, "firm")
    found = explained(activity, models=models, **parts)["benchmark run"]
    assert found.holds
    assert not found.is_ruled_out
    assert found.sentence == (
        "For it: it asked 100 % of the test split gsm8k test, each question 3.0 times, of 3 models."
    )


def test_a_training_bank_is_no_benchmark_run_however_it_is_asked() -> None:
    asked = hits("a", range(1000), calls=3)
    found = explained(days("a", 120), bank_hits=asked, repeats=[repeats("a")])["benchmark run"]
    assert found.is_ruled_out
    assert not found.holds
    beside = hits("a", range(500), TEST_BANK.name)
    found = explained(days("a", 120), bank_hits=asked + beside, repeats=[repeats("a")])["benchmark run"]
    assert not found.holds
    assert "Against it: 1,000 questions of the bank gsm8k, which is not a test split." in found.sentence


def test_of_a_bank_whose_split_nobody_said_it_stays_open() -> None:
    bank = Bank("unnamed", 500, None)
    found = explained(
        days("a", 60), bank_hits=hits("a", range(500), bank.name, 3), repeats=[repeats("a")], banks=(bank,)
    )["benchmark run"]
    assert not found.holds
    assert not found.is_ruled_out
    assert "nobody said whether it is a test split" in found.sentence


def _popular(account: str, calls: int, seed: int = 0) -> list[dict[str, Any]]:
    random = np.random.default_rng(seed)
    drawn = np.minimum(random.zipf(1.3, calls) - 1, BANK.questions - 1)
    questions, counts = np.unique(drawn, return_counts=True)
    order = random.permutation(len(questions))
    return [
        row | {"first_at": int(place)}
        for question, count, place in zip(questions, counts, order, strict=True)
        for row in hits(account, [int(question)], calls=int(count))
    ]


def test_pupils_who_meet_the_same_questions_are_a_tutoring_service() -> None:
    users = [{"account": "a", "users": 300}]
    found = explained(days("a", 200), bank_hits=_popular("a", 3000), users=users, repeats=[repeats("a")])["tutoring"]
    assert found.holds
    assert "bank_coverage" in found.covers


def test_user_labels_do_not_make_a_bank_that_is_worked_off_a_tutoring_service() -> None:
    users = [{"account": "a", "users": 300}]
    found = explained(days("a", 60), bank_hits=hits("a", range(900)), users=users, repeats=[repeats("a")])["tutoring"]
    assert found.is_ruled_out
    assert not found.holds


def test_several_samples_of_each_question_are_no_pupils() -> None:
    asked = hits("a", [int(each) for each in np.random.default_rng(7).permutation(1000)[:300]], calls=4)
    signals = signals_of(window(days("a", 60), bank_hits=asked, repeats=[repeats("a")]))
    found = {each.name: each for each in explanations.explanations_of(signals.seen(0))}["tutoring"]
    assert found.is_ruled_out
    assert signals.values["bank_evenness"][0] > 3
    assert "300 different ones about equally often, 4.0 times each" in signals.sentence("bank_evenness", 0)


def test_drawing_a_banks_questions_at_random_is_no_tutoring_service() -> None:
    drawn, counts = np.unique(np.random.default_rng(6).integers(0, BANK.questions, 2000), return_counts=True)
    asked = [
        row
        for question, count in zip(drawn, counts, strict=True)
        for row in hits("a", [int(question)], calls=int(count))
    ]
    at_random = [
        row | {"first_at": int(np.random.default_rng(place).integers(10**9))} for place, row in enumerate(asked)
    ]
    users = [{"account": "a", "users": 300}]
    found = explained(days("a", 120), bank_hits=at_random, users=users, repeats=[repeats("a")])["tutoring"]
    assert not found.holds
    assert not found.is_ruled_out


def test_a_few_questions_leave_it_open() -> None:
    random = np.random.default_rng(3)
    asked = hits("a", [int(each) for each in random.permutation(1000)[:60]])
    found = explained(days("a", 60), bank_hits=asked, repeats=[repeats("a")])["tutoring"]
    assert not found.holds
    assert not found.is_ruled_out


def test_a_template_with_short_replies_is_a_batch_job_and_with_long_ones_it_is_not() -> None:
    parts = {"templates": [template("a", 800)], "repeats": [repeats("a", 60, 60)]}
    job = explained(days("a", 30, single_turn=30), **parts)["batch job"]
    assert job.holds
    distilling = explained(days("a", 30, single_turn=30, long_replies=29), **parts)["batch job"]
    assert distilling.is_ruled_out
    asking = explained(days("a", 30, single_turn=30, asks_reasoning=30), **parts)["batch job"]
    assert not asking.holds
    unknown = explained(days("a", 30, lengths_known=0), **parts)["batch job"]
    assert not unknown.holds
    assert not unknown.is_ruled_out


def test_conversations_are_an_agents_and_explain_no_bank() -> None:
    agent = explained(days("a", 30, single_turn=3))["agent"]
    assert agent.holds
    assert not agent.covers & {"bank_coverage", "template_fillings"}
    assert explained(days("a", 30, single_turn=30))["agent"].is_ruled_out
    assert "agent" not in explained(days("a", 30, turns_known=0, single_turn=0))


@pytest.mark.parametrize(
    ("users", "holds", "is_ruled_out"), [(100, True, False), (400, False, False), (840, False, True)]
)
def test_a_reseller_has_customers_who_come_back(users: int, holds: bool, is_ruled_out: bool) -> None:
    found = explained(days("a", 30), users=[{"account": "a", "users": users}])["reseller"]
    assert (found.holds, found.is_ruled_out) == (holds, is_ruled_out)
    assert "the labels are what the client says" in found.sentence
    assert not found.covers & {"bank_coverage", "template_fillings"}


def test_a_labelling_firm_has_many_accounts_that_grade() -> None:
    firm = [row for place in range(6) for row in days(f"a{place}", 10, "firm", asks_grading=8)]
    assert explained(firm)["labelling firm"].holds
    assert not explained(days("a", 60, asks_grading=48))["labelling firm"].holds
    assert "labelling firm" not in explained(days("a", 60))


def test_a_template_of_many_customers_is_an_applications() -> None:
    activity = [row for place in range(30) for row in days(f"a{place:02}", 10)]
    parts = {"repeats": [repeats(f"a{place:02}") for place in range(30)]}
    many = explained(activity, templates=[template(f"a{place:02}", 100) for place in range(30)], **parts)
    assert many["application"].holds
    few = explained(activity, templates=[template(f"a{place:02}", 100) for place in range(6)], **parts)
    assert not few["application"].holds
    assert "application" not in explained(activity, templates=[template("a00", 100)], **parts)
    assert "29" not in many["application"].sentence  # how many others is not the accused's to know


def test_a_greeting_has_nothing_to_be_explained() -> None:
    assert explanations.explanations_of(signals_of(window([*days("a", 0)[:1]])).seen(0)) == ()
