"""The verdict on a student, wherever a person reads it: nowhere is one better that the gate does not call so."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from stillroom.report import words
from stillroom.report.page import print_summary, summarise, write_report
from stillroom.report.run_files import Comparison, Ship

WHY = "The student is not called better than its base: it lost. Lost on general: −11.7 points (−13.3 to −10.2)."
SETS = [
    {"name": "task", "keep": False, "outcome": "gained", "n": 200, "difference": 0.225, "low": 0.16, "high": 0.29},
    {"name": "general", "keep": True, "outcome": "lost", "n": 1200, "difference": -0.117, "low": -0.14, "high": -0.1},
]


def examined(folder: Path, **ship: Any) -> dict[str, Any]:
    """The run's folder with a verdict in its exam.json."""
    path = folder / "exam.json"
    found = json.loads(path.read_text())
    found["ship"] = {"verdict": "lost", "why": WHY, "margin": 0.02, "sets": SETS, **ship}
    path.write_text(json.dumps(found))
    return summarise(folder)


def printed(summary: dict[str, Any]) -> str:
    file = io.StringIO()
    print_summary(summary, Console(file=file, width=300))
    return file.getvalue().replace("\N{NO-BREAK SPACE}", " ")


def test_a_loss_stands_in_the_headline_and_on_every_page(run_folder: Path, read_page: Any) -> None:
    summary = examined(run_folder)
    headline = "The student answers 91.0 % right, its teacher 95.2 %. "
    headline += "The student is not called better than its base: it lost on general."
    assert words.headline(summary).replace("\N{NO-BREAK SPACE}", " ") == headline
    assert summary["ship"]["verdict"] == "lost"
    assert f"Ship?     lost. {WHY}" in printed(summary)
    write_report(run_folder)
    report, exam = read_page(run_folder / "report.html"), read_page(run_folder / "exam.html")
    for page in (report, exam):
        assert "it lost on general" in page.text
        assert WHY in page.text
        assert "Student does better than base" not in page.text
    assert "Student has more right than base, and is not called better" in report.text
    assert "−11.7\N{NO-BREAK SPACE}points (−14.0 to −10.0)" in exam.text
    assert "to be kept" in exam.text


@pytest.mark.parametrize("verdict", ["not_better", "undecided", "lost"])
def test_no_verdict_but_better_lets_a_student_be_called_so(verdict: str) -> None:
    ship = Ship(verdict=verdict, why="", margin=0.02)
    counts: dict[str, Any] = {"only_a": 60, "only_b": 20, "both_right": 400, "both_wrong": 120}
    shown = Comparison(a="student", b="base", difference=0.4, low=0.3, high=0.5, p_value=1e-9, **counts)
    assert "does better" not in words.compare(shown, ship).verdict
    assert (
        words.compare(shown, ship.model_copy(update={"verdict": "better"})).verdict == "Student does better than base"
    )
    other = shown.model_copy(update={"b": "answers_only"})
    assert words.compare(other, ship).verdict == "Student does better than answers only"


def test_a_student_that_is_better_is_said_to_be(run_folder: Path, read_page: Any) -> None:
    why = "The student is better than its base. Gained on task: +22.5 points (+16.0 to +29.0)."
    summary = examined(run_folder, verdict="better", why=why, sets=SETS[:1])
    assert words.headline(summary).endswith("its teacher 95.2\N{NO-BREAK SPACE}%.")
    assert f"Ship?     better. {why}" in printed(summary)
    write_report(run_folder)
    page = read_page(run_folder / "report.html")
    assert why in page.text
    assert "Student does better than base" in page.text


def test_a_set_that_could_not_be_compared_has_dashes(run_folder: Path, read_page: Any) -> None:
    nothing = {**SETS[1], "outcome": "calls_failed", "n": 0, "difference": None, "low": None, "high": None}
    summary = examined(run_folder, verdict="undecided", why="Calls failed.", sets=[SETS[0], nothing])
    assert words.headline(summary).endswith("Whether the student is better than its base is undecided.")
    write_report(run_folder)
    assert "calls failed" in read_page(run_folder / "exam.html").text


def test_a_name_in_the_verdict_is_text(run_folder: Path) -> None:
    hostile = "<script>alert(1)</script>{}\x1b[31m"
    examined(run_folder, why=hostile, sets=[{**SETS[1], "name": hostile}])
    write_report(run_folder)
    for name in ("report.html", "exam.html"):
        assert "<script>alert(1)" not in (run_folder / name).read_text(encoding="utf-8")
        assert "\x1b" not in (run_folder / name).read_text(encoding="utf-8")
    assert "\x1b" not in printed(summarise(run_folder))
