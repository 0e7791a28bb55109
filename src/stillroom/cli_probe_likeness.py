"""`stillroom probe likeness`: how near a suspect is to the teacher among models that have nothing to do with it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from stillroom.base.errors import UsageError
from stillroom.base.interrupts import ends_at_once
from stillroom.cli_arguments import Json
from stillroom.cli_guard import command
from stillroom.cli_output import print_json, print_result

TEACHER, SUSPECT = "teacher", "suspect"

Folder = Annotated[
    Path, typer.Argument(metavar="FOLDER", help="Holds pairs.parquet: the folder of probe pairs, or a pack.")
]
Suspect = Annotated[
    Path, typer.Option("--suspect", metavar="ANSWERS", help="What the suspect says: a folder that probe ask wrote.")
]
Panel = Annotated[
    list[str] | None,
    typer.Option(
        "--panel",
        metavar="NAME=ANSWERS",
        help="A model that has nothing to do with either, asked the same way. May be repeated; five are the fewest.",
    ),
]


def register(app: typer.Typer) -> None:
    """Make `likeness` a command of `app`."""
    command(app, "likeness", "stillroom probe likeness PROBE --suspect answers/suspect --panel crow=answers/crow ...")(
        likeness
    )


def likeness(folder: Folder, suspect: Suspect, panel: Panel = None, as_json: Json = False) -> None:
    """Rank a suspect and unrelated models by how near they are to the teacher. It is a ranking, and no test.

    It abstains where fewer than five models of the panel write at the suspect's length and in its form.
    """
    with ends_at_once():
        from stillroom.probe.likeness import ranking
        from stillroom.probe.likeness.reading import read_answers, read_questions
        from stillroom.probe.likeness.words import NOT_A_TEST, sentences, table

    folders = _panel(panel or [])
    texts, replies = read_questions(folder)
    answers = {TEACHER: replies, SUSPECT: read_answers(suspect)}
    answers |= {name: read_answers(path) for name, path in folders.items()}
    found = ranking.likeness(answers, TEACHER, SUSPECT, list(folders), questions=texts)
    if as_json:
        print_json({**asdict(found), "note": NOT_A_TEST})
        return
    print_result(*sentences(found))
    for title, rows in (("To the teacher:", found.to_teacher), ("To the suspect:", found.to_suspect)):
        if rows:
            print_result("", title, *table(rows))


def _panel(given: list[str]) -> dict[str, Path]:
    """The panel's folders by name."""
    found: dict[str, Path] = {}
    for each in given:
        name, equals, path = each.partition("=")
        if not (name and equals and path):
            raise UsageError(f"{each!r} is no NAME=ANSWERS.", "Write --panel crow=answers/crow.")
        if name in found or name in (TEACHER, SUSPECT):
            raise UsageError(f"The name {name} is taken.", "Give each model of the panel a name of its own.")
        found[name] = Path(path)
    return found
