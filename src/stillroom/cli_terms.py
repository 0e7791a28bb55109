"""`stillroom terms`: the ledger of what teachers' licences and terms allow, and the written permissions of the user."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from stillroom.base.errors import UsageError
from stillroom.cli_arguments import FLAG, Json
from stillroom.cli_guard import command as command_of
from stillroom.cli_output import print_json, print_result, visible
from stillroom.cli_rows import group_of_commands
from stillroom.terms.granting import not_in_the_ledger
from stillroom.terms.ledger import OWN, Entry, read_ledger
from stillroom.terms.permissions import Permission, permissions_file, read_permissions, record_permission
from stillroom.terms.table import markdown_table

terms = group_of_commands(
    "What a teacher's licence or terms allow; record a written permission. This is not legal advice."
)
command = functools.partial(command_of, terms)

_WIDE = 400
"""A file or a pipe has no width of its own."""

TermsId = Annotated[str, typer.Argument(metavar="ENTRY", help="An entry's id, as stillroom terms list names it.")]


@command("list", "stillroom terms list")
def list_terms(
    as_json: Json = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", metavar=FLAG, help="Print the table as docs/terms.md holds it.")
    ] = False,
) -> None:
    """List the ledger: licences of model families and terms of hosted APIs, and whether outputs may train a model."""
    if markdown:
        sys.stdout.write(markdown_table(read_ledger().values()))
        return
    permitted = {each.terms: each for each in read_permissions(permissions_file())}
    if as_json:
        print_json([_as_json(entry, permitted.get(entry.id)) for entry in read_ledger().values()])
        return
    table = Table(box=None, padding=(0, 1))
    for heading in ("entry", "outputs may train"):
        table.add_column(heading, no_wrap=heading == "entry")
    table.add_column("name", overflow="fold")
    for entry in read_ledger().values():
        yours = "; you have a permission" if entry.id in permitted else ""
        table.add_row(entry.id, f"{entry.outputs_may_train}{yours}", Text(entry.name))
    Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE).print(table)
    for other in sorted(permitted.keys() - read_ledger().keys()):
        print_result(f"{other} is not in the ledger; you have a permission.")
    print_result("This is not legal advice: the documents decide. stillroom terms show ENTRY says more.")


@command("show", "stillroom terms show llama-3.3")
def show(terms_id: TermsId, as_json: Json = False) -> None:
    """Show an entry: its document and when it was read, the verdict and why, the conditions, and your permission."""
    permission = {each.terms: each for each in read_permissions(permissions_file())}.get(terms_id)
    entry = read_ledger().get(terms_id)
    if entry is None and permission is None:
        if terms_id == OWN:
            what = "own is no entry: a recipe says it of a model that is yours, and nothing is asked of its student."
            raise UsageError(what, "stillroom terms list names the entries.")
        raise UsageError(f"The ledger has no entry {terms_id}.", not_in_the_ledger(terms_id))
    if as_json:
        print_json(_as_json(entry, permission))
    else:
        print_result(*(_entry_in_words(entry) if entry else [f"{terms_id} is not in the ledger."]))
        if permission is not None:
            print_result(*_permission_in_words(permission))


@command("allow", "stillroom terms allow openai-api --document letter.pdf --by 'Jane Doe, OpenAI'")
def allow(
    terms_id: Annotated[
        str, typer.Argument(metavar="ENTRY", help="An entry's id; or a name of your own, for terms it has not.")
    ],
    document: Annotated[
        Path, typer.Option("--document", metavar="FILE", help="The permission. Its digest is recorded; keep the file.")
    ],
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="Who gave it.")],
    note: Annotated[str | None, typer.Option("--note", metavar="TEXT", help="What it covers.")] = None,
    as_json: Json = False,
) -> None:
    """Record that a written permission allows what an entry does not: recipes with these terms are then let through."""
    path = permissions_file()
    permission = record_permission(path, terms_id, document, by, note, datetime.now(UTC).replace(microsecond=0))
    entry = read_ledger().get(terms_id)
    if as_json:
        print_json(_as_json(entry, permission))
        return
    print_result(*_permission_in_words(permission), f"It is recorded in {path}.")
    if entry is None:
        print_result(f"The ledger has no entry {terms_id}: it is a name of your own from now on.")


def _as_json(entry: Entry | None, permission: Permission | None) -> dict[str, Any]:
    return {
        "entry": entry.model_dump(mode="json") if entry else None,
        "permission": permission.model_dump(mode="json") if permission else None,
    }


def _entry_in_words(entry: Entry) -> Iterator[str]:
    covers = f" ({', '.join(entry.covers)})" if entry.covers else ""
    yield f"{entry.id}: {entry.name}{covers}"
    yield f"Outputs may train another model: {entry.outputs_may_train}"
    yield f"Why: {entry.why}"
    yield from (f"Condition: {words}" for words in entry.conditions.in_words())
    if entry.model_terms_apply:
        yield f"Condition: the terms of the model that is asked hold too; write both: terms: {entry.id} + ITS-ENTRY"
    if entry.hosts:
        yield f"Asked at: {', '.join(entry.hosts)}"
    if entry.source:
        yield f"Document: {entry.source}{f' ({entry.document_date})' if entry.document_date else ''}"
    if entry.read_on:
        yield f"Read on {entry.read_on}{f' in {entry.copy_read}' if entry.copy_read else ''}"


def _permission_in_words(permission: Permission) -> Iterator[str]:
    yield visible(f"Permission for {permission.terms}, given by {permission.by}")
    yield visible(f"Document: {permission.document}, {permission.digest}")
    yield f"Recorded: {permission.recorded_at:%Y-%m-%d %H:%M} UTC"
    if permission.note:
        yield visible(f"Note: {permission.note}")
