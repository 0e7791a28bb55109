"""`stillroom probe test`, `give` and `verify`: opening the coins, and what anybody can compute again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stillroom.base.interrupts import ends_at_once
from stillroom.cli_arguments import Json, Roots, person_of, roots_of
from stillroom.cli_guard import command
from stillroom.cli_output import print_json, print_result
from stillroom.cli_probe_arguments import By, Config, Given, Name, Probe, To, Tsa, signer_of
from stillroom.display import live_progress
from stillroom.text.counted import counted

if TYPE_CHECKING:
    from stillroom.base.signatures import PublicKeys
    from stillroom.probe.verification import Verified

_SHOWN = 20

Answers = Annotated[Path, typer.Option("--answers", metavar="DIR", help="The folder that stillroom probe ask wrote.")]


def register(app: typer.Typer) -> None:
    """Make them commands of `app`."""
    command(app, "test", "stillroom probe test PROBE first --answers answers --config gateway.yaml")(open_coins)
    command(app, "give", "stillroom probe give PROBE first --to 'the court' --out bundle --config gateway.yaml")(give)
    command(app, "verify", "stillroom probe verify BUNDLE --keys https://gateway.example/.well-known/jwks.json")(verify)


def open_coins(
    probe: Probe,
    name: Name,
    answers: Answers,
    config: Config = None,
    tsa: Tsa = None,
    roots: Roots = None,
    by: By = None,
    as_json: Json = False,
) -> None:
    """Open the coins of a plan, once, say what was found, and write the bundle that others can verify.

    The plan's pairs are spent then: no later plan takes them.
    """
    with ends_at_once():
        from stillroom.probe.opening import open_plan
        from stillroom.probe.words import sentences

    signer, trusted = signer_of(probe, config), roots_of(roots)
    with live_progress() as progress:
        opened = open_plan(probe, name, answers, signer, person_of(by), tsa=tsa, roots=trusted, progress=progress)
    if as_json:
        facts = {"bundle": str(opened.bundle), "digest": opened.digest, "notes": opened.notes}
        print_json({**facts, "statement": _as_json(opened.statement)})
        return
    print_result(*sentences(opened.statement), *opened.notes)
    print_result("", f"The bundle: {opened.bundle} ({opened.digest})", f"Its page: {opened.bundle / 'report.html'}")


def give(
    probe: Probe,
    name: Name,
    to: To,
    out: Given,
    config: Config = None,
    by: By = None,
    as_json: Json = False,
) -> None:
    """Copy a plan's bundle for somebody; the log says to whom it went."""
    with ends_at_once():
        from stillroom.probe.opening import give_bundle

    digest = give_bundle(probe, name, out, to, signer_of(probe, config), person_of(by))
    if as_json:
        print_json({"bundle": str(out), "digest": digest})
    else:
        print_result(f"{out} is for {to} ({digest}). To check it: stillroom probe verify {out}")


def verify(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="The folder of a bundle.")],
    keys: Annotated[
        list[str] | None,
        typer.Option("--keys", metavar="URL|FILE", help="The owner's public keys: a JWK set. May be repeated."),
    ] = None,
    roots: Roots = None,
    answers: Annotated[
        Path | None,
        typer.Option("--answers", metavar="DIR", help="If you asked: your answers, to see that they were used."),
    ] = None,
    pack: Annotated[
        Path | None,
        typer.Option("--pack", metavar="DIR", help="If you asked: the pack that you were given."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Compute everything of a bundle again, without a network, and name whatever is not as it should be."""
    with ends_at_once():
        from stillroom.probe.verification import verify_bundle

    trusted, certificates = _keys(keys), roots_of(roots)
    with live_progress() as progress:
        verified = verify_bundle(bundle, trusted, roots=certificates, answers=answers, pack=pack, progress=progress)
    if as_json:
        print_json(_verified_as_json(verified))
    else:
        print_result(*_in_words(verified, answers))
    if verified.problems:
        raise SystemExit(1)


def _keys(named: list[str] | None) -> PublicKeys | None:
    """Of all the sets that were named."""
    if not named:
        return None
    import orjson

    from stillroom.base.signatures import PublicKeys
    from stillroom.check.receipts.run import read_keys

    entries = []
    for each in named:
        data = read_keys(each)
        PublicKeys.from_jwks(data, each)  # whatever is wrong with it is told of the set that has it
        entries += orjson.loads(data)["keys"]
    by_kid = {entry.get("kid"): entry for entry in entries if isinstance(entry, dict)}
    return PublicKeys.from_jwks(orjson.dumps({"keys": [*by_kid.values()]}), ", ".join(named))


def _in_words(verified: Verified, answers: Path | None) -> list[str]:
    from stillroom.probe.words import sentences

    if verified.problems:
        shown = verified.problems[:_SHOWN]
        more = len(verified.problems) - len(shown)
        return [
            f"{counted(len(verified.problems), 'problem')}: this bundle is no evidence.",
            *shown,
            *([f"And {more:,} more; --json names all."] if more else []),
        ]
    assert verified.statement is not None
    used = ["The answers are those that you have, unchanged."] if answers is not None else []
    return [
        f"All of it holds: every byte is as signed ({verified.digest}), and all was computed again.",
        f"Signed by key {verified.signed_by}.",
        *used,
        *verified.notes,
        "",
        *sentences(verified.statement),
    ]


def _verified_as_json(verified: Verified) -> dict[str, object]:
    return {
        "problems": verified.problems,
        "notes": verified.notes,
        "manifest": verified.manifest.model_dump(mode="json"),
        "digest": verified.digest,
        "signed_by": verified.signed_by,
        "statement": None if verified.statement is None else _as_json(verified.statement),
    }


def _as_json(statement: object) -> object:
    import orjson

    from stillroom.probe.statement import Statement, statement_bytes

    assert isinstance(statement, Statement)
    return orjson.loads(statement_bytes(statement))
