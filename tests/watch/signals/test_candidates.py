from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.watch.signals.windows import BANK, TEST_BANK, UNTIL, day, days, hits, ordinary, repeats, template, window

from stillroom.base.errors import DataError
from stillroom.watch.signals.candidates import AccountCandidate, candidates_of
from stillroom.watch.signals.measure import signals_of
from stillroom.watch.signals.standing import Standings, fit_standings

EARLIER = fit_standings(signals_of(window(**ordinary(400, seed=1))))


def candidates(activity: list[dict[str, Any]], standings: Standings = EARLIER, **parts: Any) -> list[AccountCandidate]:
    """Of these beside two hundred ordinary organisations."""
    others = ordinary(200, seed=2)
    sampled = others["repeats"] + parts.pop("repeats", [])
    return candidates_of(signals_of(window(others["activity"] + activity, repeats=sampled, **parts)), standings)


def distiller(name: str = "a", calls: int = 60, **columns: Any) -> dict[str, Any]:
    questions = [int(each) for each in np.random.default_rng(0).permutation(BANK.questions)[:800]]
    return {
        "activity": days(name, calls, **({"single_turn": calls} | columns)),
        "bank_hits": hits(name, questions),
        "repeats": [repeats(name, 100, 100)],
    }


def test_who_works_off_a_bank_comes_first_with_reasons() -> None:
    first, *others = candidates(**distiller())
    assert first.organisation == "org a"
    assert first.accounts == ("a",)
    assert first.score > 2 + max((each.score for each in others), default=0)
    assert {signal.name for signal in first.signals} >= {"bank_coverage", "bank_evenness", "volume"}
    assert {signal.family for signal in first.signals} == {"content", "time"}
    assert all(signal.standing is not None and signal.standing > 0.9 for signal in first.signals)
    assert {each.name: each.is_ruled_out for each in first.explanations}["tutoring"]
    assert (first.calls, first.questions) == (1680, 800)


def test_volume_alone_is_no_finding() -> None:
    largest = days("giant", 100_000, single_turn=50_000)
    assert "org giant" not in {each.organisation for each in candidates(largest, repeats=[repeats("giant", 200, 100)])}


def test_content_alone_is_no_finding() -> None:
    quiet = distiller(calls=13)
    assert "org a" not in {each.organisation for each in candidates(**quiet)}


def test_chunks_of_ones_own_lecture_made_into_json_are_no_finding() -> None:
    lecture = [day("a", 12, 150, single_turn=150, prompt_tokens=150 * 2_500, long_replies=0)]
    parts: dict[str, Any] = {"templates": [template("a", 150)], "repeats": [repeats("a", 10, 10)]}
    assert "org a" not in {each.organisation for each in candidates(lecture, **parts)}


def test_a_greeting_is_no_finding() -> None:
    assert "org a" not in {each.organisation for each in candidates([day("a", 3, 1)])}


def test_volume_adds_no_more_than_content_does() -> None:
    activity = days("giant", 100_000, single_turn=95_000)
    found = {each.organisation: each for each in candidates(activity, repeats=[repeats("giant", 1000, 990)])}
    giant = found["org giant"]
    assert giant.score == pytest.approx(2 * giant.evidence["content"])
    assert giant.evidence["time"] > giant.evidence["content"]


@pytest.mark.parametrize(
    ("activity", "parts"),
    [
        (days("a", 60, single_turn=60), {"bank_hits": hits("a", range(500), TEST_BANK.name, calls=3)}),
        (days("a", 60, single_turn=60), {"templates": [template("a", 1600)]}),
        (days("a", 60, single_turn=6, asks_reasoning=60), {}),
        ([row for at in range(6) for row in days(f"a{at}", 60, "org a", asks_grading=50)], {}),
    ],
    ids=["benchmark run", "batch job", "agent", "labelling firm"],
)
def test_what_a_benign_explanation_covers_is_no_finding(activity: list[dict[str, Any]], parts: dict[str, Any]) -> None:
    assert "org a" not in {each.organisation for each in candidates(activity, repeats=[repeats("a", 90, 90)], **parts)}


def test_looking_like_an_agent_or_a_reseller_hides_no_bank() -> None:
    dressed = distiller(single_turn=0, asks_grading=60) | {"users": [{"account": "a", "users": 300}]}
    first = candidates(**dressed)[0]
    assert first.organisation == "org a"
    assert {"bank_coverage", "bank_evenness"} <= {signal.name for signal in first.signals}
    assert any("It may be an agent." in said for said in first.against)


def test_a_benchmark_run_beside_it_hides_no_bank() -> None:
    both = distiller()
    both["bank_hits"] = both["bank_hits"] + hits("a", range(500), TEST_BANK.name)
    assert candidates(**both)[0].organisation == "org a"


def test_what_a_permit_covers_is_outside() -> None:
    covered = days("a", 0, permitted_calls=60)
    found = candidates(covered)
    assert "org a" not in {each.organisation for each in found}
    beyond = distiller(permitted_calls=40)
    first = candidates(**beyond)[0]
    assert first.permitted_calls == 28 * 40
    assert "1,120 more of its calls carried a permit." in first.against


def test_unknown_columns_are_said_and_are_no_evidence() -> None:
    first = candidates(**distiller(), missing=frozenset({"asks_grading", "turns"}))[0]
    assert any("Not known" in said and "asks grading" in said for said in first.against)
    assert "breadth" not in {signal.name for signal in first.signals}


def test_no_sentence_names_another_customer() -> None:
    first = candidates(**distiller())[0]
    said = [signal.sentence for signal in first.signals] + [each.sentence for each in first.explanations]
    assert not [each for each in (*said, *first.against) if "client 0" in each]


def test_who_was_there_in_the_fit_weeks_is_not_hidden_by_itself() -> None:
    others, own = ordinary(400, seed=1), distiller()
    earlier = window(
        others["activity"] + own["activity"], repeats=others["repeats"] + own["repeats"], bank_hits=own["bank_hits"]
    )
    standings = fit_standings(signals_of(earlier))
    for found in (candidates_of(signals_of(earlier), standings), candidates(**own, standings=standings)):
        assert found[0].organisation == "org a"
        assert found[0].evidence["content"] > 4


def test_nobody_there_and_nobody_to_compare_with() -> None:
    assert candidates_of(signals_of(window([])), EARLIER) == []
    nobody = fit_standings(signals_of(window([])))
    assert candidates(**distiller(), standings=nobody) == []


def test_windows_of_another_length_are_refused() -> None:
    with pytest.raises(DataError, match="The window has 29 days"):
        candidates_of(signals_of(window(days("a", 10), until_day=UNTIL + 1)), EARLIER)


def test_most_ordinary_organisations_are_no_candidates() -> None:
    assert len(candidates([])) <= 10  # of two hundred
