"""`stillroom export`: a run's data set or its student, for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from stillroom.base.interrupts import ends_at_once
from stillroom.cli_arguments import Json, run_folder_of
from stillroom.cli_output import print_json, print_result
from stillroom.display import live_progress
from stillroom.export.settings import Reasoning, Target
from stillroom.text.counted import counted


def export(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's name, its folder or its recipe.")],
    to: Annotated[Target, typer.Option("--to", help="The tool; or the student: `gguf`, or its `merged` weights.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="DIR", help="A folder to write, in place of an earlier export; runs/NAME/export/TO."
        ),
    ] = None,
    reasoning: Annotated[
        Reasoning, typer.Option("--reasoning", help="Of a data set's replies: keep it in a think block, or drop it.")
    ] = "keep",
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            metavar="NAME",
            help="What the student is given away as; the run's name.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a run's data set for TRL, Axolotl, LLaMA-Factory or OpenAI fine-tuning, or its student."""
    with ends_at_once():
        from stillroom import pipeline

    folder = run_folder_of(run)
    with live_progress() as progress:
        facts = pipeline.export(folder, to, out, reasoning=reasoning, name=name, progress=progress)
    if as_json:
        print_json(facts)
    else:
        print_result(*exported_in_words(facts))


def exported_in_words(facts: dict[str, Any]) -> list[str]:
    """What `pipeline.export` returned."""
    lines = []
    for split, counts in facts.get("splits", {}).items():
        written = counts["written"]
        several = f", {counted(counts['lines'], 'line')}" if counts["lines"] != written else ""
        lines.append(f"{split}: {counted(written, 'trace')} of {counts['traces']:,}{several}.")
        left_out: dict[str, int] = counts["left_out"]
        if left_out:
            reasons = ", ".join(f"{reason.replace('_', ' ')} {number:,}" for reason, number in left_out.items())
            lines.append(f"Left out: {sum(left_out.values()):,} ({reasons}); left_out.jsonl names them.")
    how = ", with a README that says how to load it" if lines else ""
    return [*lines, f"It lies in {facts['folder']}{how}."]
