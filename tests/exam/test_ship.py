"""The verdict on a student, from answers made by hand: what it gained, what it kept, what it lost."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from stillroom.base.records import Status
from stillroom.client.settings import Sampling
from stillroom.exam.comparison import comparisons
from stillroom.exam.marking import Mark, Marks
from stillroom.exam.settings import ExamSettings, Paper
from stillroom.exam.ship import ship

PAIRS = {"both": "rr", "student": "rw", "base": "wr", "neither": "ww"}
"""How student and base answered a question: right or wrong."""


def answers(**counts: int) -> dict[str, str]:
    """So many questions that only the student had right, only the base, both and neither."""
    table = "".join(PAIRS[who] * number for who, number in counts.items())
    return {"student": table[::2], "base": table[1::2]}


def compared(table: dict[str, str]) -> dict[str, Any]:
    """The part of exam.json for a set. `r` is a right reply, `w` a wrong one, `f` a call that failed."""
    return {"comparisons": comparisons({taker: [marks(taker, replies)] for taker, replies in table.items()})}


def marks(taker: str, replies: str) -> Marks:
    made = Marks(taker, taker, Paper(None, 1, Sampling()))
    for reply in replies:
        status: Status = "failed" if reply == "f" else "ok"
        made.marks.append(Mark("right" if reply == "r" else "wrong", status, None, None, 100, None, 2_000_000))
    return made


def verdict(tables: dict[str, dict[str, str]], keep: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    """`tables`: by set, each taker's marks."""
    exam = ExamSettings.model_validate({"sets": [{"name": name, "keep": name in keep} for name in tables], **more})
    sets = {name: compared(table) for name, table in tables.items()}
    takers = {taker for table in tables.values() for taker in table}
    found = ship({"takers": dict.fromkeys(takers), "sets": sets}, exam)
    assert found is not None
    return found


GAINS = answers(both=40, student=50, base=5, neither=105)
SAME = answers(both=1500, neither=500)
LOSES = answers(both=1000, student=10, base=150, neither=40)
HARDLY_ASKED = answers(both=25, student=1, base=1, neither=3)
"""Nothing was lost here, and nobody can know with so few questions."""


def test_a_gain_with_all_else_kept_is_better() -> None:
    found = verdict({"task": GAINS, "general": SAME}, keep=("general",))
    assert found["verdict"] == "better"
    assert [(one["name"], one["keep"], one["outcome"]) for one in found["sets"]] == [
        ("task", False, "gained"),
        ("general", True, "kept"),
    ]
    assert found["sets"][0]["difference"] == pytest.approx(45 / 200)
    assert found["sets"][1]["p_holm"] is None
    why = found["why"].replace("\N{NO-BREAK SPACE}", " ")
    assert why.startswith("The student is better than its base. Gained on task: +22.5 points (+")
    assert "Kept, where a loss of 2 points is allowed: general: +0.0 points (" in why


def test_a_gain_with_a_loss_elsewhere_is_not_better() -> None:
    found = verdict({"task": GAINS, "general": LOSES, "safety": SAME}, keep=("general", "safety"))
    assert found["verdict"] == "lost"
    assert "not called better than its base: it lost. Lost on general: −11.7" in found["why"]
    assert "Gained on task" in found["why"]


def test_a_kept_set_with_too_few_questions_is_undecided() -> None:
    found = verdict({"task": GAINS, "general": HARDLY_ASKED}, keep=("general",))
    assert (found["verdict"], found["sets"][1]["outcome"]) == ("undecided", "not_shown")
    assert "It is not shown to have kept general: +0.0" in found["why"]
    assert "more questions would tell" in found["why"]


def test_a_gain_that_is_not_shown_is_not_better() -> None:
    found = verdict({"task": HARDLY_ASKED, "general": SAME}, keep=("general",))
    assert found["verdict"] == "not_better"
    assert found["why"].startswith("The student is not shown to be better than its base. No gain is shown on task")


def test_a_loss_within_the_margin_is_kept_and_the_margin_is_the_recipes() -> None:
    a_little = answers(both=5000, student=20, base=60, neither=1000)
    tables = {"task": GAINS, "general": a_little}
    (_, general) = verdict(tables, keep=("general",))["sets"]
    assert general["high"] < 0  # shown to have lost, by less than is allowed
    assert verdict(tables, keep=("general",))["verdict"] == "better"
    assert verdict(tables, keep=("general",), margin=0.001)["verdict"] == "lost"
    assert verdict({"task": GAINS, "general": SAME}, keep=("general",), margin=0)["verdict"] == "undecided"


def test_where_nothing_was_marked_to_be_kept_it_is_said() -> None:
    found = verdict({"task": GAINS})
    assert found["verdict"] == "better"
    assert found["why"].endswith("Whether it lost anything else was not looked at: no set is marked keep.")


def test_several_sets_to_gain_on_are_corrected_for_and_none_may_be_lost() -> None:
    slight = answers(both=100, student=14, base=4, neither=82)  # p = 0.031 alone
    alone = verdict({"one": slight})
    assert (alone["verdict"], alone["sets"][0]["p_value"]) == ("better", pytest.approx(0.0309, abs=1e-4))
    beside = verdict({"one": slight, "two": HARDLY_ASKED})
    assert beside["verdict"] == "not_better"
    assert beside["sets"][0]["p_holm"] == pytest.approx(2 * beside["sets"][0]["p_value"])
    assert verdict({"one": GAINS, "two": HARDLY_ASKED})["verdict"] == "better"
    assert verdict({"one": GAINS, "two": LOSES})["verdict"] == "lost"


def test_calls_that_failed_leave_it_undecided() -> None:
    holed = {**GAINS, "student": "f" + GAINS["student"][1:]}
    assert verdict({"task": holed})["verdict"] == "undecided"
    assert "Calls failed on task: run the examination again." in verdict({"task": holed})["why"]
    nobody = {"student": "fff", "base": "rrr"}
    found = verdict({"task": GAINS, "general": nobody}, keep=("general",))
    assert (found["verdict"], found["sets"][1]["n"], found["sets"][1]["difference"]) == ("undecided", 0, None)


def test_questions_without_sets_are_what_is_to_be_gained_on() -> None:
    results = {
        "takers": {"student": {}, "base": {}},
        "sets": {},
        **compared(GAINS),
    }
    found = ship(results, ExamSettings())
    assert found is not None
    assert (found["verdict"], found["sets"][0]["name"]) == ("better", None)
    assert "Gained on the questions: +22.5" in found["why"]


def test_without_a_student_there_is_no_verdict_and_without_a_base_none_that_says_anything() -> None:
    assert ship({"takers": {"teacher": {}, "base": {}}, "sets": {}}, ExamSettings()) is None
    found = ship({"takers": {"student": {}}, "sets": {}}, ExamSettings())
    assert found is not None
    assert found["verdict"] == "undecided"
    assert "add base to exam.compare" in found["why"]


def test_a_recipe_in_which_nothing_is_to_be_gained_is_refused() -> None:
    with pytest.raises(ValidationError, match="leave at least one"):
        ExamSettings.model_validate({"sets": [{"name": "general", "keep": True}]})


counts = st.integers(0, 150)
tables = st.builds(lambda b, s, o, n: answers(both=b, student=s, base=o, neither=n), counts, counts, counts, counts)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(tables.filter(lambda table: table["student"] != ""), min_size=1, max_size=3),
    st.sampled_from([0, 0.02, 0.1]),
)
def test_no_student_is_better_with_a_kept_set_that_may_have_lost_more_than_the_margin(
    kept: list[dict[str, str]], margin: float
) -> None:
    names = tuple(f"kept-{number}" for number in range(len(kept)))
    found = verdict({"task": GAINS, **dict(zip(names, kept, strict=True))}, keep=names, margin=margin)
    lowest = min(one["low"] for one in found["sets"] if one["keep"])
    assert (found["verdict"] == "better") == (lowest >= -margin)
    if found["verdict"] == "lost":
        assert any(one["high"] < 0 for one in found["sets"] if one["keep"])


@pytest.mark.parametrize(
    ("questions", "margin", "is_kept"), [(1000, 0.02, True), (900, 0.02, False), (100, 0.07, True)]
)
def test_how_many_questions_docs_exam_says_it_takes_to_show_that_a_skill_was_kept(
    questions: int, margin: float, is_kept: bool
) -> None:
    differ = questions // 20
    both = questions // 2 - differ
    kept = answers(both=both, student=differ, base=differ, neither=questions - both - 2 * differ)
    found = verdict({"task": GAINS, "general": kept}, keep=("general",), margin=margin)
    assert (found["sets"][1]["outcome"] == "kept") == is_kept
