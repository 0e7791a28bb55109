"""The report of one run: a single HTML page that holds its styles, its charts and its data, and loads nothing.

Whatever comes from a model or a file is untrusted: `rendering` says what is done about it.
"""

from __future__ import annotations

import platform
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup

from stillroom import __version__
from stillroom.report import charts, training_charts, words
from stillroom.report.exam_page import write_exam_page
from stillroom.report.looks import looks_of
from stillroom.report.rendering import SCRIPTS, environment, script, text_of
from stillroom.report.rows import Found, Shown
from stillroom.report.rows_page import ROWS, read_checked_rows, render_rows
from stillroom.report.run_files import Comparison, Examined, RunFiles, Ship, read_run
from stillroom.report.samples import excerpt, read_samples
from stillroom.report.summary import print_summary, summarise, summary_of
from stillroom.report.training_figures import figures, method_name
from stillroom.store.files import write_atomically

__all__ = ["print_summary", "summarise", "write_report"]

REPORT = "report.html"
EXAMPLES = 2
"""Of each reason for which replies were rejected."""
EXAMPLE_SHOWN = 400
"""Characters of each text of an example."""
VERSIONS_OF = ("torch", "transformers", "math-verify", "reasoning-gym", "pyarrow", "duckdb", "pydantic")


def write_report(folder: Path) -> Path:
    """Write `report.html` from whatever files the stages have left in the folder; the same files give the same page.

    Where the replies are checked, `rows.html` is written beside it; after an examination, `exam.html`. Raises DataError
    where there is no such folder, StoreError for a damaged file.
    """
    run, path = read_run(folder), folder / REPORT
    rows = read_checked_rows(folder)
    if rows is not None and run.checked is not None:
        write_atomically(folder / ROWS, render_rows(run.name, rows, run.checked.why))
    else:
        (folder / ROWS).unlink(missing_ok=True)  # of an earlier check
    write_exam_page(folder)
    write_atomically(path, render(run, rows))
    return path


def render(run: RunFiles, rows: Found | None = None) -> str:
    answers = run.folder / "exam" / "answers.parquet"
    examined = run.examined
    takers = {name: examined.takers[name] for name in words.in_order(list(examined.takers))} if examined else {}
    samples = read_samples(answers) if examined and answers.exists() else []
    in_pairs = [name for pair in (examined.comparisons if examined else ()) for name in (pair.a, pair.b)]
    in_samples = [reply.taker for sample in samples for reply in sample.replies]
    scripts = [script(name) for name in SCRIPTS] if takers or run.trained else []
    summary = summary_of(run)
    page = environment().get_template("page.html.j2")
    return page.render(
        run=run,
        summary=summary,
        headline=words.headline(summary),
        sentence=words.result_sentence(summary),
        takers=takers,
        looks=looks_of(list(dict.fromkeys([*takers, *in_pairs, *in_samples]))),
        several=any((taker.replies or 0) > taker.n for taker in takers.values()),
        families=list(dict.fromkeys(family for taker in takers.values() for family in taker.families)),
        findings=_findings(examined) if examined else [],
        charts=_charts(run),
        rejected=_rejected(run, rows) if rows is not None and run.checked is not None else [],
        samples=samples,
        training=figures(run.trained),
        trainings=[method_name(method) for method in run.trained],
        absent=_absent(run),
        versions=_versions(),
        style=Markup(text_of("page.css")),
        scripts=[each.text for each in scripts],
        script_sources=" ".join(each.source for each in scripts) or "'none'",
    )


def _rejected(run: RunFiles, rows: Found) -> list[dict[str, Any]]:
    """Each reason with what it means and a few examples, the most frequent first."""
    assert run.checked is not None
    return [
        {
            "reason": group.reason,
            "rows": group.rows,
            "why": run.checked.why.get(group.reason, ""),
            "may_be_wrong": group.reason in run.checked.may_be_wrong,
            "place": urlencode({"reason": group.reason}),
            "examples": [_example(row) for row in group.shown[:EXAMPLES]],
        }
        for group in rows.groups
        if group.reason is not None
    ]


def _example(row: Shown) -> dict[str, Any]:
    texts = {name: getattr(row, name) for name in ("question", "reasoning", "answer", "expected")}
    return {
        "verdict": row.verdict,
        "detail": row.detail,
        **{name: excerpt(said, EXAMPLE_SHOWN) if said else None for name, said in texts.items()},
    }


def _charts(run: RunFiles) -> dict[str, charts.Spec]:
    takers = run.examined.takers if run.examined else {}
    drawn = {
        "accuracy": charts.accuracy_chart(takers) if takers else None,
        "families": charts.family_chart(takers) if takers else None,
        "loss": training_charts.loss_chart(run.trained),
        "held-out": training_charts.held_out_chart(run.trained),
        "learning-rate": training_charts.rate_chart(run.trained),
    }
    return {name: spec for name, spec in drawn.items() if spec is not None}


def _findings(examined: Examined) -> list[tuple[str | None, list[dict[str, Any]]]]:
    """The comparisons with what they mean: those of the student in plain view, the others behind a title."""
    comparisons, ship = examined.comparisons, examined.ship
    with_student = [one for one in comparisons if "student" in (one.a, one.b)]
    others = [one for one in comparisons if one not in with_student]
    groups = [(None, with_student), ("The other pairs", others)] if with_student else [(None, others)]
    return [(title, [_finding(comparison, ship) for comparison in group]) for title, group in groups if group]


def _finding(comparison: Comparison, ship: Ship | None) -> dict[str, Any]:
    return {"counts": comparison, "n": comparison.questions, "said": words.compare(comparison, ship)}


def _absent(run: RunFiles) -> list[tuple[str, str]]:
    """The parts that this page cannot have yet, each with the file that it would be read from."""
    method = run.recipe.method if run.recipe else "sft"
    parts = [
        ("what was asked", "ask.json", run.asked or not run.has("ask")),
        ("what was kept", "check.json", run.checked or not run.has("check")),
        ("the training", f"train/{method}/train.json", run.trained or not run.has("train")),
        ("the examination", "exam.json", run.examined or not run.has("exam")),
        ("the recipe", "recipe.yaml", run.recipe),
    ]
    return [(part, file) for part, file, there in parts if not there]


def _versions() -> dict[str, str]:
    """Of the installation that writes this page. A library that is not installed is left out."""
    found = {"stillroom": __version__, "Python": platform.python_version()}
    for name in VERSIONS_OF:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found
