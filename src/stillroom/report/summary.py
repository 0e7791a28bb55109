"""summary.json and what the terminal shows of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from stillroom import __version__
from stillroom.report.run_files import ExamPart, RunFiles, read_run
from stillroom.report.warnings import warnings_of
from stillroom.report.words import (
    TESTS,
    compare_names,
    count,
    counted,
    duration,
    headline,
    in_order,
    interval,
    is_taker,
    money,
    p_value,
    percent,
    points,
    reason,
    short,
    taker_name,
    visible,
)
from stillroom.store.files import write_json

SUMMARY = "summary.json"
SETS_SHOWN = 4
"""Columns that a terminal has room for; exam.html shows every set."""
TAKER_KEYS = {"accuracy", "low", "high", "n", "truncated_share"}


def summarise(folder: Path) -> dict[str, Any]:
    """Gather the stages' figures into `summary.json` and return them.

    A stage that has not run leaves its figures None, and a taker that was not examined is not there.
    Raises DataError where there is no such folder, StoreError for a damaged file.
    """
    summary = summary_of(read_run(folder))
    write_json(folder / SUMMARY, summary)
    return summary


def summary_of(run: RunFiles) -> dict[str, Any]:
    asked, checked, examined = run.asked, run.checked, run.examined
    seconds = {
        "ask": asked.seconds if asked else None,
        "check": checked.seconds if checked else None,
        **{f"train/{method}": training.seconds for method, training in run.trained.items()},
        "exam": examined.seconds if examined else None,
    }
    summary: dict[str, Any] = {
        "name": run.name,
        "recipe_digest": run.recipe.digest if run.recipe else None,
        "stillroom": __version__,
        "stages": list(run.recipe.stages) if run.recipe else None,
        "asked": asked.asked if asked else None,
        "replies": asked.replies if asked else None,
        "kept": checked.kept if checked else None,
        "rejected": dict(checked.rejected) if checked else None,
        "cost_usd": asked.cost_usd if asked else None,
        "price_id": asked.price_id if asked else None,
        "terms": run.granted.terms_id if run.granted else None,
        "seconds": {stage: value for stage, value in seconds.items() if value is not None},
        "sets": _sets(examined.sets) if examined else None,
        "comparisons": [comparison.model_dump() for comparison in examined.comparisons] if examined else None,
        "ship": examined.ship.model_dump() if examined and examined.ship else None,
        "warnings": warnings_of(run),
    }
    takers = examined.takers if examined else {}
    for name in in_order(list(takers)):
        # setdefault: a taker that is called like one of the keys above does not replace it. exam.json holds it.
        summary.setdefault(name, takers[name].model_dump(include=TAKER_KEYS))
    return summary


def _sets(sets: Mapping[str, ExamPart]) -> list[dict[str, Any]]:
    """Everybody's accuracy in each set of the examination."""
    return [
        {"name": name, "n": part.n, "accuracy": {taker: found.accuracy for taker, found in part.takers.items()}}
        for name, part in sets.items()
    ]


def print_summary(summary: dict[str, Any], console: Console, report: Path | None = None) -> None:
    """Print the result, the examination's table, what was kept and what it cost, warnings, and where `report` lies.

    Of the comparisons only the student's are printed, where there is one: exam.json and the page have them all.
    """
    console.print()
    console.print(Text(visible(headline(summary)), style="bold"))
    takers = in_order([key for key, value in summary.items() if is_taker(value)])
    if takers:
        console.print()
        console.print(_exam_table(summary, takers))
        for comparison in _asked_for(summary["comparisons"] or []):
            console.print(_comparison_line(comparison))
        console.print()
    for line in _account(summary):
        console.print(Text(line))
    if summary["ship"] is not None:
        console.print(_ship(summary["ship"]))
    if summary["warnings"]:
        console.print(_warnings(summary["warnings"]))
    if report is not None:
        dataset = report.parent / "dataset"
        if dataset.is_dir():
            console.print(Text.assemble("Data set  ", (str(dataset), "bold")), soft_wrap=True)
        console.print(Text.assemble("Report    ", (str(report), "bold")), soft_wrap=True)


def _exam_table(summary: dict[str, Any], takers: list[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("taker")
    table.add_column("right", justify="right")
    table.add_column("95 % interval", justify="right")
    table.add_column("questions", justify="right")
    several = len(summary["sets"] or ()) > 1
    sets = summary["sets"][:SETS_SHOWN] if several else []
    for each in sets:
        table.add_column(Text(visible(short(each["name"], 20))), justify="right")
    some_are_cut = any(summary[name]["truncated_share"] for name in takers)
    if some_are_cut:
        table.add_column("cut", justify="right")
    for name in takers:
        row = summary[name]
        cells = [percent(row["accuracy"]), interval(row["low"], row["high"]), count(row["n"])]
        cells += [percent(each["accuracy"][name]) for each in sets]
        if some_are_cut:
            cells.append(percent(row["truncated_share"]))
        table.add_row(Text(visible(short(taker_name(name)))), *cells, style="bold" if name == "student" else "")
    return table


def _asked_for(comparisons: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The student against each of the others; where no student was examined, every pair."""
    return [one for one in comparisons if "student" in (one["a"], one["b"])] or comparisons


def _ship(ship: dict[str, Any]) -> Table:
    """Whether the student is called better than its base, and why."""
    table = Table.grid(padding=(0, 2))
    verdict = Text(
        f"{ship['verdict'].replace('_', ' ')}.", style="bold" if ship["verdict"] == "better" else "bold yellow"
    )
    table.add_row(Text("Ship?   "), Text.assemble(verdict, f" {visible(ship['why'])}"))
    return table


def _warnings(warnings: list[str]) -> Table:
    table = Table.grid(padding=(0, 3))
    for warning in warnings:
        table.add_row(Text("Warning", style="bold yellow"), Text(visible(warning)))
    return table


def _comparison_line(comparison: dict[str, Any]) -> Text:
    names = compare_names(comparison["a"], comparison["b"])
    figures = f"{points(comparison['difference'])}, {p_value(comparison['p_value'])}"
    test = TESTS.get(comparison["test"], comparison["test"])
    return Text(visible(f"{names}: {figures} ({test})"), style="dim")


def _account(summary: dict[str, Any]) -> list[str]:
    """Rows in, rows kept, rows rejected and why; money; time."""
    lines = []
    if summary["asked"] is not None:
        replies = counted(summary["replies"], "reply", "replies")
        lines.append(f"Asked     {counted(summary['asked'], 'question', 'questions')}, {replies}")
    if summary["kept"] is not None:
        reasons = sorted(summary["rejected"].items(), key=lambda item: (-item[1], item[0]))
        why = ", ".join(f"{visible(reason(name))} {count(number)}" for name, number in reasons)
        rejected = count(sum(summary["rejected"].values()))
        lines.append(f"Kept      {count(summary['kept'])}, rejected {rejected}" + (f" ({why})" if why else ""))
    if summary["asked"] is not None:
        lines.append(f"Cost      {money(summary['cost_usd'], summary['price_id'])}")
    if summary["seconds"]:
        lines.append("Time      " + ", ".join(f"{stage} {duration(s)}" for stage, s in summary["seconds"].items()))
    return lines
