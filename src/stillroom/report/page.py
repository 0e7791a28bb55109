"""The report of one run: a single HTML page that holds its styles, its charts and its data, and loads nothing.

Whatever comes from a model or a file is untrusted: `rendering` says what is done about it.
"""

from __future__ import annotations

import platform
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from markupsafe import Markup

from stillroom import __version__
from stillroom.report import charts, words
from stillroom.report.rendering import SCRIPTS, environment, script, text_of
from stillroom.report.run_files import Comparison, RunFiles, read_run
from stillroom.report.samples import read_samples
from stillroom.report.summary import print_summary, summarise, summary_of
from stillroom.store.files import write_atomically

__all__ = ["print_summary", "summarise", "write_report"]

REPORT = "report.html"
VERSIONS_OF = ("torch", "transformers", "math-verify", "reasoning-gym", "pyarrow", "duckdb", "pydantic")


def write_report(folder: Path) -> Path:
    """Write `report.html` from whatever files the stages have left in the folder; the same files give the same page.

    Raises DataError where there is no such folder, StoreError for a damaged file.
    """
    path = folder / REPORT
    write_atomically(path, render(read_run(folder)))
    return path


def render(run: RunFiles) -> str:
    answers = run.folder / "exam" / "answers.parquet"
    examined = run.examined
    takers = {name: examined.takers[name] for name in words.in_order(list(examined.takers))} if examined else {}
    scripts = [script(name) for name in SCRIPTS] if takers or run.trained else []
    summary = summary_of(run)
    page = environment().get_template("page.html.j2")
    return page.render(
        run=run,
        summary=summary,
        headline=words.headline(summary),
        sentence=words.result_sentence(summary),
        takers=takers,
        families=list(dict.fromkeys(family for taker in takers.values() for family in taker.families)),
        findings=_findings(examined.comparisons) if examined else [],
        charts=_charts(run),
        samples=read_samples(answers) if examined and answers.exists() else [],
        absent=_absent(run),
        versions=_versions(),
        style=Markup(text_of("page.css")),
        scripts=[each.text for each in scripts],
        script_sources=" ".join(each.source for each in scripts) or "'none'",
    )


def _charts(run: RunFiles) -> dict[str, charts.Spec]:
    takers = run.examined.takers if run.examined else {}
    drawn = {
        "accuracy": charts.accuracy_chart(takers) if takers else None,
        "families": charts.family_chart(takers) if takers else None,
        "curves": charts.curve_chart(run.trained),
    }
    return {name: spec for name, spec in drawn.items() if spec is not None}


def _findings(comparisons: tuple[Comparison, ...]) -> list[tuple[str | None, list[dict[str, Any]]]]:
    """The comparisons with what they mean: those of the student in plain view, the others behind a title."""
    counted = [one for one in comparisons if one.only_a is not None]  # the examination's page has those of samples
    with_student = [one for one in counted if "student" in (one.a, one.b)]
    others = [one for one in counted if one not in with_student]
    groups = [(None, with_student), ("The other pairs", others)] if with_student else [(None, others)]
    return [(title, [_finding(comparison) for comparison in group]) for title, group in groups if group]


def _finding(comparison: Comparison) -> dict[str, Any]:
    return {"counts": comparison, "n": comparison.questions, "said": words.compare(comparison)}


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
