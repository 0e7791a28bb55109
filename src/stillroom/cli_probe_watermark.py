"""`stillroom probe watermark`: is a text marked, did a suspect learn from marked replies, and can others check that?"""

from __future__ import annotations

import functools
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stillroom.base.errors import DataError, UsageError
from stillroom.base.interrupts import ends_at_once
from stillroom.cli_arguments import FLAG, Config, Json
from stillroom.cli_guard import command as command_of
from stillroom.cli_output import print_json, print_result
from stillroom.cli_rows import account_id_itself, group_of_commands
from stillroom.display import live_progress
from stillroom.text.counted import counted
from stillroom.text.moments import to_the_second

if TYPE_CHECKING:
    from collections.abc import Callable

    from stillroom.base.progress import Progress
    from stillroom.marked_model import MarkedModel
    from stillroom.probe.watermark.green_test import GreenTest

watermark = group_of_commands(
    "The marks in replies of a gateway's own models: in a text, and in what a suspect learned."
)
command = functools.partial(command_of, watermark)

Model = Annotated[str, typer.Option("--model", metavar="NAME", help="Whose replies are marked: a model of that file.")]
Account = Annotated[
    list[str] | None,
    typer.Option("--account", metavar="ACCOUNT", help="Whose mark is looked for: an id. Repeatable; else everybody's."),
]
Seed = Annotated[int, typer.Option(min=0, help="Of the random keys that the real ones are compared with.")]


def register(app: typer.Typer) -> None:
    """Make `watermark` a group of commands of `app`."""
    app.add_typer(watermark, name="watermark")


@command("detect", "stillroom probe watermark detect essay.txt --config gateway.yaml --model abacus")
def detect(
    texts: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Texts, each as a model wrote it (UTF-8).")],
    config: Config,
    model: Model,
    account: Account = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Look for marks in texts themselves: were they written by this model, for whom?"""
    with ends_at_once():
        from stillroom.marked_model import MarkedModel
        from stillroom.probe.watermark.answer_tokens import pairs_of_texts
        from stillroom.probe.watermark.green_test import green_test
        from stillroom.probe.watermark.weights import each_once

    written, ids = [_read_text(path) for path in texts], _ids(account)
    with live_progress() as progress:
        marked = MarkedModel(config, model, ids, progress)
        pairs = pairs_of_texts(written, marked.tokenizer.encode)
        found = green_test(each_once(pairs), marked.marks(), seed, on_progress=_told(progress))
    _show(found, marked, as_json, "These texts", {})


@command(
    "radioactivity",
    "stillroom probe watermark radioactivity PROBE --answers answers/suspect --config gateway.yaml --model abacus "
    "--suspect abacus-7b --out evidence",
)
def radioactivity(
    questions: Annotated[
        Path, typer.Argument(metavar="QUESTIONS", help="Holds pairs.parquet with what was asked: PROBE, or a pack.")
    ],
    answers: Annotated[
        Path, typer.Option("--answers", metavar="DIR", help="What the suspect says: a folder that probe ask wrote.")
    ],
    config: Config,
    model: Model,
    suspect: Annotated[str, typer.Option("--suspect", metavar="TEXT", help="Which model it is about.")],
    account: Account = None,
    unmarked: Annotated[
        Path | None,
        typer.Option(
            "--unmarked",
            metavar="DIR",
            help="What a model says to such questions that was never marked, to compare with: probe ask wrote it.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="A new folder, from which others can check the result.")
    ] = None,
    reveal: Annotated[
        bool,
        typer.Option(
            "--reveal",
            metavar=FLAG,
            help="Show the key of the mark that is found best, so that figures can be checked. The mark is spent then.",
        ),
    ] = False,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Test whether a suspect learned from marked replies, by the words it favours in answers of its own."""
    with ends_at_once():
        from stillroom.marked_model import MarkedModel
        from stillroom.probe.asked import read_said
        from stillroom.probe.bounded import read_bounded_rows
        from stillroom.probe.pack import PAIRS
        from stillroom.probe.watermark.green_test import green_test
        from stillroom.probe.watermark.verification import compute
        from stillroom.store.siblings import Pair

    if reveal and out is None:
        raise UsageError("--reveal is for a folder that others check.", "Give --out, too.")
    if out is not None and out.exists():
        raise UsageError(f"{out} is there already.", "Name a new folder.")
    ids = _ids(account)
    asked = {pair.question_id: pair.messages for pair in read_bounded_rows(questions / PAIRS, Pair)}
    said, reference = read_said(answers), None if unmarked is None else read_said(unmarked)
    with live_progress() as progress:
        marked = MarkedModel(config, model, ids, progress)
        weights = compute(said, reference, asked, marked.tokenizer.encode)
        found = green_test(weights, marked.marks(), seed, on_progress=_told(progress))
    more: dict[str, Any] = {}
    if out is not None:
        from stillroom.probe.watermark.evidence import Material

        answered = {answer.question_id for answer in [*said, *(reference or [])]}
        shown = {each: asked[each] for each in sorted(answered & asked.keys())}
        marked.write_evidence(out, found, Material(shown, said, reference, marked.commitments, None), suspect, reveal)
        more["evidence"] = str(out)
    _show(found, marked, as_json, f"The answers of {suspect}", more)


@command("verify", "stillroom probe watermark verify evidence --tokenizer models/abacus --keys jwks.json")
def verify(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="What probe watermark radioactivity wrote.")],
    tokenizer: Annotated[
        Path | None,
        typer.Option(
            "--tokenizer", metavar="DIR", help="The folder of the model that the owner served, or its tokenizer."
        ),
    ] = None,
    keys: Annotated[
        str | None,
        typer.Option("--keys", metavar="URL|FILE", help="The owner's public keys (JWK set), from the owner."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Compute such a result again, offline. Exit code 1 where something is not as it says."""
    with ends_at_once():
        from stillroom.base.progress import loading
        from stillroom.base.signatures import PublicKeys
        from stillroom.check.receipts.run import read_keys
        from stillroom.marked_model import tokenizer_in
        from stillroom.probe.watermark import evidence, verification

    evidence.read_result(folder)  # before what takes longer: it may be another folder
    trusted = None if keys is None else PublicKeys.from_jwks(read_keys(keys), keys)
    with live_progress() as progress:
        with loading(progress, "tokenizer"):
            of_model = None if tokenizer is None else tokenizer_in(tokenizer)
        verified = verification.verify(folder, of_model, trusted, on_progress=_told(progress))
    if as_json:
        print_json({"problems": verified.problems, "not_looked_at": verified.not_looked_at})
    else:
        print_result(*(verified.problems or ["What was looked at is as the folder says."]))
        print_result(*(f"Not looked at: {each}" for each in verified.not_looked_at))
        print_result(f"It says of {verified.result.suspect}: p = {verified.result.p_value:g}.")
    if verified.problems:
        raise SystemExit(1)


@command("commitments", "stillroom probe watermark commitments --config gateway.yaml")
def commitments(config: Config, as_json: Json = False) -> None:
    """Say which keys were committed to, and whether the file is as it was written. Exit code 1 if it is not."""
    with ends_at_once():
        import json

        from stillroom.base.signatures import PublicKeys
        from stillroom.serve.keyring import Keyring
        from stillroom.serve.settings import read_settings
        from stillroom.text.mark_commitments import commitments_file, read_commitments, signature_problems

    state = read_settings(config).state
    lines = read_commitments(commitments_file(state))
    published = json.dumps(Keyring.open(state).jwks()).encode() if lines else b""
    problems = signature_problems(lines, PublicKeys.from_jwks(published, "the gateway's keys")) if lines else []
    if as_json:
        print_json({"problems": problems, "records": [line.record.model_dump(mode="json") for line in lines]})
    else:
        for line in lines:
            print_result(f"{line.record.index:6}  {to_the_second(line.record.at)}  {line.record.commitment}")
        print_result(*(problems or [f"{counted(len(lines), 'commitment')}, each as it was written."]))
        if lines:
            print_result(f"The last one's digest, to be kept elsewhere: {lines[-1].record.digest}")
    if problems:
        raise SystemExit(1)


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.", "Give files of UTF-8 text.") from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is no UTF-8 text: {error.reason}, byte {error.start:,}.", "Save it as UTF-8."
        ) from error


def _told(progress: Progress) -> Callable[[int, int], None]:
    return functools.partial(progress.update, "random keys")


def _show(found: GreenTest, marked: MarkedModel, as_json: bool, what: str, more: dict[str, Any]) -> None:
    from stillroom.probe.watermark.words import sentences

    if as_json:
        null = found.null
        told = {key: value for key, value in asdict(found).items() if key != "null"}
        print_json({**told, "null_95": null[int(0.95 * len(null))], "null_99": null[int(0.99 * len(null))], **more})
        return
    print_result(*sentences(found, what, {account: record.at for account, (_, record) in marked.committed.items()}))
    print_result(*(f"{name.capitalize()}: {value}" for name, value in more.items()))


def _ids(accounts: list[str] | None) -> list[str] | None:
    return None if not accounts else [account_id_itself(each) for each in sorted(set(accounts))]
