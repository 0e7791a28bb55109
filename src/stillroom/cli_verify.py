"""`stillroom verify`: whether a data set is what was written and, by an owner's keys, what was signed and permitted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from stillroom.base.errors import UsageError
from stillroom.base.interrupts import ends_at_once
from stillroom.check.receipts.reasons import REASONS
from stillroom.cli_arguments import Json
from stillroom.cli_output import print_json, print_result
from stillroom.display import live_progress
from stillroom.recipe import RUNS
from stillroom.text.counted import counted
from stillroom.text.one_line import one_line

_LONGEST = 200
"""Characters of what a data set's maker may have written as they liked."""


def verify(
    dataset: Annotated[
        str,
        typer.Argument(
            metavar="DATASET", help="A data set's folder; or the run that it was made by, its name or folder."
        ),
    ],
    keys: Annotated[
        str | None,
        typer.Option(
            "--keys", metavar="URL|FILE", help="The model owner's public keys: hold each row against its receipt, too."
        ),
    ] = None,
    permit: Annotated[
        list[Path] | None,
        typer.Option("--permit", metavar="FILE", help="A permit beside those in the data set. May be repeated."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write every bad row to it, a line of JSON each.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare a data set's files with its manifest and, with --keys, each row with the receipt its owner signed."""
    if keys is None and (permit or out is not None):
        raise UsageError("--permit and --out go with --keys.", "Name the owner's keys: --keys URL.")
    with ends_at_once():
        from stillroom import pipeline

    path = Path(dataset)
    places = (path, path / "dataset", RUNS / path / "dataset", path.parent)
    folder = next((place for place in places if (place / "manifest.json").is_file()), path)
    if out is not None and out.resolve().is_relative_to(folder.resolve()):
        raise UsageError(
            f"{out} lies in the data set, which is looked at and not written to.", "Name a file elsewhere."
        )
    differences = pipeline.verify_dataset(folder)
    facts: dict[str, Any] = {"differences": differences}
    if keys is not None:
        with live_progress() as progress:
            facts |= pipeline.verify_receipts(folder, keys, permit or (), out=out, progress=progress)
    if as_json:
        print_json(facts)
    else:
        print_result(*(differences or ["Every file is what the manifest says."]))
        print_result(*(verified_in_words(facts) if keys is not None else ()))
    if differences or facts.get("bad"):
        raise SystemExit(1)


def verified_in_words(facts: Mapping[str, Any]) -> Iterator[str]:
    """What `pipeline.verify_receipts` returned."""
    rows, bad = facts["rows"], facts["bad"]
    yield from (one_line(note, _LONGEST) for note in facts["notes"])
    if not bad:
        words = "is what its receipt says, and was made under its permit"
        yield f"{counted(rows, 'row')} looked at: each {words}." if rows != 1 else f"The one row {words}."
    else:
        yield f"{counted(bad, 'bad row')} of {rows:,}:"
        yield from (f"{number:>9,} {REASONS[reason]}" for reason, number in facts["reasons"].items())
        yield f"The first {len(facts['first'])} of them:" if bad > len(facts["first"]) else "They are:"
        for row in facts["first"]:
            named = f" (question {one_line(row['question_id'], _LONGEST)})" if row["question_id"] else ""
            yield f"  {row['file']}, row {row['row']}{named}: {one_line(row['detail'], _LONGEST)}."
    for permit in facts["permits"]:
        yield _permit(permit)
    if facts["read_more"]:
        words = f"Of {counted(facts['read_more'], 'row')} the teacher read more than it holds, such as a system prompt"
        yield f"{words}: there, the user's last message is what the receipt speaks for."
    if facts["earlier_turns"]:
        holds = "holds" if facts["earlier_turns"] == 1 else "hold"
        yield f"{facts['earlier_turns']:,} of them {holds} earlier turns, which nobody has signed."


def _permit(permit: Mapping[str, Any]) -> str:
    used = permit["used"]
    calls = f"{used['calls']:,}" + ("" if permit["calls"] is None else f" of {permit['calls']:,}")
    tokens = f"{used['tokens']:,}" + ("" if permit["tokens"] is None else f" of {permit['tokens']:,}")
    revoked = " It is revoked." if permit["revoked"] else ""
    return (
        f"Permit {permit['jti']} of {permit['iss']} for {permit['organisation']}: {counted(used['rows'], 'row')} in"
        f" {calls} calls and {tokens} tokens, to train {permit['student']}.{revoked}"
    )
