"""`stillroom look`: what a run asked, what came, what was kept and why; or the runs that there are."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from stillroom.base.errors import UsageError
from stillroom.base.interrupts import ends_at_once
from stillroom.check.reasons import REASONS
from stillroom.cli_arguments import FLAG, Json, run_folder_of
from stillroom.cli_output import print_json, visible
from stillroom.recipe import RUNS
from stillroom.text.columns import nearest

if TYPE_CHECKING:
    from stillroom.train.preview import Preview

ALL_OF_A_QUESTION = 10_000
"""As many replies as a recipe can ask for."""


def look(
    run: Annotated[
        str | None, typer.Argument(metavar="RUN", help="A run's name, its folder or its recipe; none: list the runs.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="How many replies to show.")] = 4,
    kept: Annotated[
        bool | None, typer.Option("--kept/--rejected", metavar=FLAG, help="Only those that were kept, or were not.")
    ] = None,
    verdict: Annotated[
        Literal["right", "wrong", "unsure", "unverifiable"] | None, typer.Option(help="Only those judged so.")
    ] = None,
    reason: Annotated[str | None, typer.Option(metavar="REASON", help="Only those rejected for this reason.")] = None,
    source: Annotated[str | None, typer.Option(metavar="SOURCE", help="Only questions from this source.")] = None,
    search: Annotated[str | None, typer.Option(metavar="TEXT", help="Only where this stands, in any case.")] = None,
    min_length: Annotated[int | None, typer.Option(min=0, help="Characters of reasoning and answer, at least.")] = None,
    max_length: Annotated[int | None, typer.Option(min=0, help="Characters of reasoning and answer, at most.")] = None,
    question: Annotated[
        str | None, typer.Option(metavar="ID", help="All replies to this question, in full; its id may be cut short.")
    ] = None,
    in_full: Annotated[bool, typer.Option("--full", metavar=FLAG, help="Show long texts without a gap.")] = False,
    mask: Annotated[
        bool, typer.Option("--mask", metavar=FLAG, help="Show kept replies as tokens, and which of them are trained.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show a few questions, replies and verdicts of a run, kept ones and rejected ones; or list the runs there are."""
    with ends_at_once():
        from stillroom import pipeline
        from stillroom.report.look import as_json as row_as_json
        from stillroom.report.look import print_rows
        from stillroom.report.rows import RowFilter

    if run is None:
        _list_runs(RUNS, as_json)
        return
    wanted = RowFilter(kept, verdict, _reason(reason), source, question, search, min_length, max_length)
    most = ALL_OF_A_QUESTION if question is not None else count
    folder = run_folder_of(run)
    if mask:
        _show_masks(pipeline.look_at_masks(folder, most, wanted), in_full or question is not None, as_json)
        return
    looked = pipeline.look(folder, most, wanted)
    if as_json:
        print_json([row_as_json(row) for row in looked.rows])
    else:
        print_rows(looked, Console(highlight=False), in_full=in_full or question is not None)


def _reason(name: str | None) -> str | None:
    """A reason's code, from that or from the words for it that are shown."""
    code = name and name.strip().replace(" ", "_")
    if code and code not in REASONS:
        remedy = f"{nearest(code, REASONS, 'reasons')} docs/check.md has them all."
        raise UsageError(f"--reason: no reply is rejected as {name!r}.", remedy)
    return code


def _show_masks(shown: list[Preview], in_full: bool, as_json: bool) -> None:
    from stillroom.train.preview import as_json as preview_as_json
    from stillroom.train.preview import print_previews

    if as_json:
        print_json([preview_as_json(each) for each in shown])
    else:
        print_previews(shown, Console(highlight=False), in_full=in_full)


def _list_runs(folder: Path, as_json: bool) -> None:
    from stillroom.report.runs import list_runs

    runs = list_runs(folder)
    if as_json:
        print_json(runs)
    elif not runs:
        sys.stdout.write(f"There are no runs in {folder}/ yet. stillroom demo makes one.\n")
    else:
        table = Table("run", "last changed", "done", "to do", box=None, padding=(0, 2))
        for run in runs:
            changed = datetime.fromtimestamp(run["changed_at"] / 1e6).astimezone()
            stages = (", ".join(run[state]) or "-" for state in ("done", "to_do"))
            table.add_row(Text(visible(run["name"])), f"{changed:%Y-%m-%d %H:%M}", *stages)
        Console(highlight=False).print(table)
