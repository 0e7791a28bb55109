from __future__ import annotations

import numpy as np
import pytest
from tests.watch.signals.test_activity import value
from tests.watch.signals.windows import days, repeats, template, window

from stillroom.watch.signals.measure import signals_of


def test_single_questions_that_never_come_again() -> None:
    activity = (
        days("asker", 10, single_turn=10) + days("talker", 10, single_turn=1) + days("repeater", 10, single_turn=10)
    )
    sampled = [repeats("asker", 20, 20), repeats("talker", 20, 20), repeats("repeater", 20, 2)]
    signals = signals_of(window(activity, repeats=sampled))
    assert value(signals, "never_repeated", "org asker") == 1
    assert value(signals, "never_repeated", "org talker") == pytest.approx(0.1)
    assert value(signals, "never_repeated", "org repeater") == pytest.approx(0.1)
    assert signals.sentence("never_repeated", 0).endswith("20 of 20 sampled prompts were asked once only.")


def test_a_template_filled_again_and_again_is_told_from_one_text_sent_again_and_again() -> None:
    activity = (
        days("filler", 10, single_turn=10) + days("repeater", 10, single_turn=10) + days("other", 10, single_turn=10)
    )
    signals = signals_of(
        window(
            activity,
            templates=[template("filler", 270), template("repeater", 21, 270), template("other", 19, 19, "rare")],
            repeats=[repeats("filler", 18, 18), repeats("repeater", 18, 1), repeats("other", 18, 18)],
        )
    )
    assert value(signals, "template_concentration", "org filler") == pytest.approx(270 / 280)
    assert value(signals, "template_fillings", "org filler") == pytest.approx(270 / 280)
    assert value(signals, "template_concentration", "org repeater") == pytest.approx(270 / 280)
    assert value(signals, "template_fillings", "org repeater") == pytest.approx(21 / 280)
    assert value(signals, "template_fillings", "org other") == 0  # too few fillings to be a template of its own
    assert value(signals, "breadth", "org filler") == pytest.approx(10 / 280)
    assert value(signals, "breadth", "org other") == 1
    assert signals.facts["template_others"][signals.organisations.names.index("org filler")] == 1
    assert signals.sentence("template_fillings", 0) == (
        "It filled one template in 270 different ways, which makes 96.4 % of its calls."
    )


def test_only_the_three_most_filled_templates_count_as_narrow() -> None:
    templates = [template("a", prompts, skeleton=f"t{prompts}") for prompts in (70, 60, 50, 40, 30)]
    signals = signals_of(window(days("a", 10), templates=templates, repeats=[repeats("a")]))
    assert value(signals, "template_concentration", "org a") == pytest.approx(180 / 280)
    assert signals.facts["templates"][0] == 5
    assert signals.sentence("template_concentration", 0) == "64.3 % of its calls were made from 3 templates."


def test_the_templates_of_an_organisations_accounts_are_added_up() -> None:
    activity = days("a", 10, "firm") + days("b", 10, "firm")
    parts = [template("a", 12), template("b", 13)]
    signals = signals_of(window(activity, templates=parts, repeats=[repeats("a")]))
    assert value(signals, "template_fillings", "firm") == pytest.approx(25 / 560)


def test_requests_are_shares_of_the_calls_of_which_they_are_known() -> None:
    asking = days("a", 10, asks_known=4, asks_reasoning=2, asks_grading=1, asks_logprobs=4, n_known=5, many_samples=5)
    signals = signals_of(window(asking + days("quiet", 10, long_replies=7)))
    found = {name: value(signals, name, "org a") for name in signals.values if name.startswith("asks")}
    assert found == {"asks_reasoning": 0.5, "asks_logprobs": 1, "asks_grading": 0.25}
    assert value(signals, "many_samples", "org a") == 0.5  # a call that does not say `n` asks for one
    assert value(signals, "long_replies", "org quiet") == pytest.approx(0.7)
    assert "on average 300 tokens of prompt and 200 of reply" in signals.sentence("long_replies", 1)


def test_what_is_known_of_too_few_calls_is_absent() -> None:
    signals = signals_of(
        window(days("a", 10, asks_known=1, turns_known=1, single_turn=1), repeats=[repeats("a", 5, 5)])
    )
    for name in ("asks_reasoning", "never_repeated", "breadth"):
        assert np.isnan(value(signals, name, "org a"))


def test_templates_and_banks_are_absent_of_an_organisation_whose_prompts_have_no_prints() -> None:
    signals = signals_of(window(days("a", 10) + days("b", 10), repeats=[repeats("a")]))
    for name in ("template_fillings", "template_concentration", "bank_coverage", "bank_evenness"):
        assert value(signals, name, "org a") == 0
        assert np.isnan(value(signals, name, "org b"))


@pytest.mark.parametrize(
    ("missing", "absent"),
    [
        ("turns", {"never_repeated", "breadth"}),
        (
            "prompt_print",
            {"never_repeated", "breadth", "template_concentration", "template_fillings", "bank_coverage", "bank_share"}
            | {"bank_evenness", "bank_order", "test_bank_coverage"},
        ),
        ("skeleton_print", {"template_concentration", "template_fillings", "breadth"}),
        ("completion_tokens", {"long_replies"}),
        ("n", {"many_samples"}),
        ("asks_reasoning", {"asks_reasoning"}),
        ("asks_logprobs", {"asks_logprobs"}),
        ("asks_grading", {"asks_grading"}),
        ("ip_print", set()),
    ],
)
def test_a_signal_whose_column_is_missing_is_absent_and_never_zero(missing: str, absent: set[str]) -> None:
    known = signals_of(window(days("a", 10), repeats=[repeats("a")])).values
    found = signals_of(window(days("a", 10), repeats=[repeats("a")], missing=frozenset({missing}))).values
    without = {"new_model"}  # nothing was launched
    assert {name for name, column in known.items() if np.isnan(column[0])} == without
    assert {name for name, column in found.items() if np.isnan(column[0])} == without | absent
