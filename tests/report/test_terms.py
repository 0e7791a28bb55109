"""What the run was granted, in the report and in summary.json."""

from __future__ import annotations

from pathlib import Path

from tests.terms.grants import GRANT

from stillroom.report.page import summarise, write_report
from stillroom.terms.grants import keep_grant


def test_the_report_says_what_lets_the_teacher_be_learned_from(run_folder: Path) -> None:
    assert summarise(run_folder)["terms"] is None
    write_report(run_folder)
    assert "under the terms" not in (run_folder / "report.html").read_text(encoding="utf-8")
    keep_grant(run_folder, GRANT)
    assert summarise(run_folder)["terms"] == "oracle-api"
    write_report(run_folder)
    page = (run_folder / "report.html").read_text(encoding="utf-8")
    assert "<dt>under the terms</dt><dd><bdi>oracle-api</bdi>" in page
    assert "its name begins with Oracle" in page
    assert "the name of the student has to begin with Oracle" in page
    assert "<b>The oracle" not in page
    assert "&lt;b&gt;The oracle" in page
