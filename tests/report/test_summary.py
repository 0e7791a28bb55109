from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console

from stillroom import __version__
from stillroom.base.errors import DataError
from stillroom.report.page import print_summary, summarise


def _printed(folder: Path, width: int = 100) -> str:
    file = io.StringIO()
    print_summary(summarise(folder), Console(file=file, width=width), folder / "report.html")
    return file.getvalue().replace("\N{NO-BREAK SPACE}", " ")


def test_a_summary_holds_the_stages_figures(run_folder: Path) -> None:
    summary = summarise(run_folder)
    assert json.loads((run_folder / "summary.json").read_text()) == summary
    assert summary["name"] == "abacus"
    assert summary["recipe_digest"].startswith("sha256:4c1f")
    assert summary["stillroom"] == __version__
    assert summary["replies"] == summary["kept"] + sum(summary["rejected"].values())
    assert summary["cost_usd"] is None
    assert list(summary["seconds"]) == ["ask", "train/sft", "train/answers_only", "exam"]
    exam = json.loads((run_folder / "exam.json").read_text())
    for name, taker in exam["takers"].items():
        assert summary[name] == {key: taker[key] for key in ("accuracy", "low", "high", "n", "truncated_share")}
    assert summary["stages"] == ["ask", "check", "train", "exam"]
    assert summary["comparisons"] == exam["comparisons"]


def test_a_summary_of_nothing_is_unknown_and_not_zero(tmp_path: Path) -> None:
    summary = summarise(tmp_path)
    assert summary["name"] == tmp_path.name
    assert [summary[key] for key in ("asked", "replies", "kept", "rejected", "cost_usd", "comparisons")] == [None] * 6
    assert "student" not in summary
    assert _printed(tmp_path, 500).split("\n") == [
        "",
        "Nothing has been asked yet.",
        f"Report    {tmp_path / 'report.html'}",
        "",
    ]


def test_a_taker_cannot_replace_a_figure_of_the_summary(run_folder: Path) -> None:
    path = run_folder / "exam.json"
    exam = json.loads(path.read_text())
    exam["takers"]["asked"] = exam["takers"]["base"]
    path.write_text(json.dumps(exam))
    assert summarise(run_folder)["asked"] == 3600


def test_the_terminal_shows_the_result_and_where_the_report_lies(run_folder: Path) -> None:
    shown = _printed(run_folder)
    assert "The student answers 91.0 % right, its teacher 95.2 %." in shown
    exam = json.loads((run_folder / "exam.json").read_text())
    for taker in exam["takers"].values():
        assert f"{100 * taker['accuracy']:.1f} %" in shown
        assert f"{100 * taker['low']:.1f} to {100 * taker['high']:.1f} %" in shown
    assert "Kept      3,388, rejected 212 (wrong 164, truncated 31, broken think block 17)" in shown
    assert "Cost      price: none" in shown
    assert str(run_folder / "report.html") in shown
    assert "answers only" in shown
    assert "Data set" not in shown
    (run_folder / "dataset").mkdir()
    assert f"Data set  {run_folder / 'dataset'}" in _printed(run_folder, 500)


def test_the_terminal_compares_the_student_with_the_others_and_the_files_hold_every_pair(run_folder: Path) -> None:
    shown = _printed(run_folder)
    assert [line.partition(":")[0] for line in shown.splitlines() if "McNemar" in line] == [
        "student against teacher",
        "student against answers only",
        "student against base",
    ]
    summary = json.loads((run_folder / "summary.json").read_text())
    assert len(summary["comparisons"]) == 6
    exam = json.loads((run_folder / "exam.json").read_text())
    del exam["takers"]["student"]
    exam["comparisons"] = [one for one in exam["comparisons"] if one["a"] != "student"]
    (run_folder / "exam.json").write_text(json.dumps(exam))
    assert len([line for line in _printed(run_folder).splitlines() if "McNemar" in line]) == 3


def test_the_terminal_says_what_was_cut_by_the_limit(run_folder: Path) -> None:
    path = run_folder / "exam.json"
    exam = json.loads(path.read_text())
    for taker in exam["takers"].values():
        taker["truncated_share"] = 0.0
    path.write_text(json.dumps(exam))
    assert "cut" not in _printed(run_folder).split("Asked")[0]
    exam["takers"]["base"]["truncated_share"] = 0.25
    path.write_text(json.dumps(exam))
    shown = _printed(run_folder, 200)
    assert re.search(r"taker +right +95 % interval +questions +cut", shown)
    assert re.search(r"base .* 600 +25.0 %", shown)
    assert re.search(r"student .* 600 +0.0 %", shown)
    assert (
        "Warning   Replies cut by exam.max_tokens (512) count as wrong (base 25.0 %). "
        "Raise it: --set exam.max_tokens=1024."
    ) in shown


def test_the_terminal_shows_a_hostile_name_as_text(run_folder: Path) -> None:
    path = run_folder / "exam.json"
    exam = json.loads(path.read_text())
    exam["takers"]["[red]\x1b[31mx[/red]"] = exam["takers"]["base"]
    path.write_text(json.dumps(exam))
    shown = _printed(run_folder)
    assert "\x1b" not in shown
    assert "[red]␛[31mx[/red]" in shown


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere"):
        summarise(tmp_path / "nowhere")
