"""Charts, samples, words and the bundled library."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from stillroom.report import charts, words
from stillroom.report.rendering import SCRIPTS
from stillroom.report.run_files import Accuracy, Comparison, Taker
from stillroom.report.samples import choose, excerpt, read_samples
from stillroom.store.schemas import EXAM_ANSWERS
from stillroom.store.tables import read_rows, write_table


def _taker(accuracy: float, families: int = 2) -> Taker:
    part = Accuracy(accuracy=accuracy, low=accuracy - 0.1, high=accuracy + 0.1, n=50)
    names = [f"family {number}" for number in range(families)]
    return Taker(**part.model_dump(), families=dict.fromkeys(names, part))


def test_a_chart_of_accuracy_lists_takers_in_the_reports_order() -> None:
    spec = charts.accuracy_chart(
        {"gpt-x": _taker(0.2), "base": _taker(0.1), "student": _taker(0.8), "teacher": _taker(0.9)}
    )
    assert [row["taker"] for row in spec["data"]["values"]] == ["teacher", "student", "base", "gpt-x"]
    assert "student 80.0\N{NO-BREAK SPACE}% (70.0 to 90.0\N{NO-BREAK SPACE}%, n = 50)" in spec["description"]


def test_families_are_drawn_where_there_are_some_and_not_too_many() -> None:
    spec = charts.family_chart({"student": _taker(0.8, 3), "base": _taker(0.1, 2)})
    assert spec is not None
    assert len(spec["data"]["values"]) == 5
    assert charts.family_chart({"student": _taker(0.8, 1)}) is None
    assert charts.family_chart({"student": _taker(0.8, 17)}) is None


def _rights(outcomes: dict[str, int]) -> dict[str, tuple[str, dict[str, bool]]]:
    pairs = {"both": (True, True), "first": (True, False), "second": (False, True), "neither": (False, False)}
    return {
        f"{outcome} {number}": (f"family {number % 3}", dict(zip(("teacher", "student"), pairs[outcome], strict=True)))
        for outcome, count in outcomes.items()
        for number in range(count)
    }


@pytest.mark.parametrize(
    ("there", "chosen"),
    [
        ({"both": 50, "first": 50, "second": 50, "neither": 50}, {"both": 4, "first": 4, "second": 1, "neither": 1}),
        ({"both": 50, "first": 2, "second": 0, "neither": 1}, {"both": 7, "first": 2, "second": 0, "neither": 1}),
        ({"both": 0, "first": 0, "second": 0, "neither": 50}, {"both": 0, "first": 0, "second": 0, "neither": 10}),
        ({"both": 2, "first": 1, "second": 0, "neither": 0}, {"both": 2, "first": 1, "second": 0, "neither": 0}),
    ],
)
def test_samples_are_chosen_by_outcome_and_made_up_to_ten(there: dict[str, int], chosen: dict[str, int]) -> None:
    ids = choose(_rights(there), ["teacher", "student"])
    assert len(set(ids)) == len(ids)
    assert {outcome: sum(name.startswith(outcome) for name in ids) for outcome in there} == chosen


def test_families_take_turns_among_the_samples() -> None:
    rights = _rights({"both": 30})
    ids = choose(rights, ["teacher", "student"])
    families = [rights[question_id][0] for question_id in ids]
    assert sorted(families[:3]) == ["family 0", "family 1", "family 2"]
    assert max(map(families.count, families)) - min(map(families.count, families)) <= 1


def test_samples_do_not_depend_on_the_order_of_the_file(run_folder: Path) -> None:
    path = run_folder / "exam/answers.parquet"
    first = read_samples(path)
    write_table(path, EXAM_ANSWERS, reversed(list(read_rows(path))))
    assert read_samples(path) == first
    assert [reply.taker for reply in first[0].replies] == ["teacher", "student"]


def test_a_reply_says_why_it_is_not_right(tmp_path: Path) -> None:
    row = dict.fromkeys(EXAM_ANSWERS.names) | {"taker": "student", "question_id": "q", "question": "1 + 1?"}
    row |= {"expected": "2", "answer": "It is three", "verdict": "wrong", "status": "truncated"}
    row |= {"reason": "another number", "extracted": "3"}
    write_table(tmp_path / "answers.parquet", EXAM_ANSWERS, [row])
    (sample,) = read_samples(tmp_path / "answers.parquet")
    (reply,) = sample.replies
    assert sample.outcome == "not right"
    assert reply.remark == "another number; read as 3"
    assert reply.truncated
    assert reply.reasoning is None


def test_a_long_text_keeps_its_beginning_and_its_end() -> None:
    text = "".join(f"{number:05}" for number in range(4000))
    shown = excerpt(text)
    assert text.startswith(shown.head)
    assert text.endswith(shown.tail)
    assert len(shown.head) + shown.left_out + len(shown.tail) == len(text)
    assert excerpt("short").head == "short"


def test_a_comparison_is_said_in_words() -> None:
    counts: dict[str, Any] = {"only_a": 60, "only_b": 20, "both_right": 400, "both_wrong": 120}
    clear = Comparison(a="base", b="student", difference=-0.4, low=-0.5, high=-0.3, p_value=1e-9, **counts)
    found = words.compare(clear)
    assert found.verdict == "Student does better than base"
    assert found.difference == "+40.0\N{NO-BREAK SPACE}points (+30.0 to +50.0)"
    assert "less than once in a million" in found.meaning
    unclear = Comparison(a="student", b="teacher", difference=0.01, low=-0.02, high=0.04, p_value=0.42, **counts)
    assert words.compare(unclear).difference == "+1.0\N{NO-BREAK SPACE}points (−2.0 to +4.0)"
    assert words.compare(unclear).verdict == "No difference shown between student and teacher"
    assert "about 42 times in 100" in words.compare(unclear).meaning
    assert words.chance(0.004) == "about once in 250 times"


@pytest.mark.parametrize(
    ("seconds", "said"), [(None, "–"), (4.26, "4.3 s"), (59.99, "60.0 s"), (75, "1 min 15 s"), (7322, "2 h 2 min")]
)
def test_a_duration_in_words(seconds: float | None, said: str) -> None:
    assert words.duration(seconds).replace("\N{NO-BREAK SPACE}", " ") == said


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_bundled_script_can_stand_in_a_page(name: str) -> None:
    """Its bytes must survive an HTML parser, or its digest in the page's policy would not fit."""
    data = resources.files("stillroom.report").joinpath(name).read_bytes()
    text = data.decode("utf-8").lower()
    assert not [mark for mark in ("</script", "<script", "<!--", "\r", "\0") if mark in text]


def test_the_bundled_library_keeps_its_licences() -> None:
    vendor = resources.files("stillroom.report") / "vendor"
    for package in ("vega", "vega-lite", "vega-embed"):
        assert "Redistribution and use" in (vendor / f"LICENSE.{package}").read_text(encoding="utf-8")
    assert "d3-scale" in (vendor / "LICENSES.bundled").read_text(encoding="utf-8")
