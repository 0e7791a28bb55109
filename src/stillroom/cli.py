"""The commands: parse, call the pipeline, print. Nobody imports this.

The pipeline is imported inside the commands, after the recipe is read: `--help` loads nothing heavy, and a mistake in a
recipe is told at once.

Exit codes: 0 done, 1 stopped by a problem that is named, 2 wrong usage, 3 stopped but the same command goes on.
"""

from __future__ import annotations

import functools
import shlex
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Annotated, Literal, ParamSpec

import typer
from rich.console import Console

from stillroom import __version__
from stillroom.base.errors import UsageError
from stillroom.base.interrupts import ends_at_once
from stillroom.cli_accounts import accounts, organisations
from stillroom.cli_arguments import FLAG, Json, Recipe, Set
from stillroom.cli_calls import calls
from stillroom.cli_escrow import escrow
from stillroom.cli_export import export
from stillroom.cli_guard import command as command_of
from stillroom.cli_guard import say_stopped
from stillroom.cli_keys import admins, keys
from stillroom.cli_look import look
from stillroom.cli_output import print_json, print_result
from stillroom.cli_permits import permits
from stillroom.cli_probe import probe_commands
from stillroom.cli_signing_keys import signing_keys
from stillroom.cli_terms import terms
from stillroom.cli_verify import verify
from stillroom.cli_watch import watch_commands
from stillroom.display import live_progress
from stillroom.recipe import RUNS, load_recipe
from stillroom.results import asked_in_words, checked_in_words, estimate_in_words, swept_in_words, trained_in_words
from stillroom.text.counted import counted

P = ParamSpec("P")

DEMO = Path(__file__).parent / "classroom" / "demo.yaml"

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


command = functools.partial(command_of, app)


def main() -> None:
    """The `stillroom` command."""
    # As Ctrl-C does, so that both stop in one way, asyncio's included. A script's shell has Ctrl-C ignored in what it
    # starts in the background: then it is heard again, since SIGTERM would be ignored with it.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # the terminal was closed; nohup has it ignored
        signal.signal(signal.SIGHUP, _interrupt)
    try:
        app()
    except KeyboardInterrupt as stop:  # before a command began, which says this itself
        say_stopped(stop)


def _interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature of a handler
    signal.raise_signal(signal.SIGINT)


def _version(asked: bool) -> None:
    if asked:
        sys.stdout.write(f"stillroom {__version__}\n")
        raise typer.Exit


@app.callback()
def _stillroom(
    version: Annotated[
        bool,
        typer.Option("--version", metavar=FLAG, callback=_version, is_eager=True, help="Say which version this is."),
    ] = False,
) -> None:
    """Distil language models openly: ask a teacher, check its replies, train a student, examine them all.

    Begin with `stillroom demo`.
    """


@command("run", "stillroom run recipes/own-teacher.yaml --set ask.samples=2")
def run(recipe: Recipe, override: Set = None, as_json: Json = False) -> None:
    """Ask, check, train, examine, report: whatever the recipe has. Goes on where an earlier run stopped."""
    _run(recipe, override, as_json)


@command("demo", "stillroom demo --seed 7")
def demo(
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="Other questions, and another order of training.")
    ] = None,
    override: Set = None,
    as_json: Json = False,
    print_recipe: Annotated[
        bool, typer.Option("--print-recipe", metavar=FLAG, help="Show the recipe instead of running it.")
    ] = False,
) -> None:
    """The whole story on what is embedded in the package: two small models and their questions. No key, no network."""
    if print_recipe:
        sys.stdout.write(DEMO.read_text(encoding="utf-8"))
    else:
        places = () if seed is None else ("questions.0.seed", "exam.questions.0.seed", "train.seed")
        _run(DEMO, [*(f"{place}={seed}" for place in places), *(override or ())], as_json)


def _run(recipe: Path, override: list[str] | None, as_json: bool) -> None:
    loaded = load_recipe(recipe, override or ())
    with ends_at_once():
        from stillroom import pipeline
        from stillroom.report.page import print_summary

    with live_progress() as progress:
        summary = pipeline.run(loaded, progress=progress)
    if as_json:
        print_json(summary)
    else:
        print_summary(summary, Console(), RUNS / loaded.name / "report.html")


@command("ask", "stillroom ask recipe.yaml --estimate")
def ask(
    recipe: Recipe,
    override: Set = None,
    as_json: Json = False,
    estimate: Annotated[
        bool, typer.Option("--estimate", metavar=FLAG, help="Ask a few, and say what the others will cost and take.")
    ] = False,
    reask: Annotated[
        Literal["truncated", "failed", "refused", "empty"] | None,
        typer.Option("--reask", help="Ask again what has such a reply; truncated ones with a larger limit, in steps."),
    ] = None,
    limits: Annotated[str, typer.Option(metavar="TOKENS,...", help="The steps of --reask truncated.")] = "4k,16k,32k",
) -> None:
    """Ask the teacher the recipe's questions. Each reply is kept the moment it comes, and asked for once."""
    loaded = load_recipe(recipe, override or ())
    steps = [_tokens(step) for step in limits.split(",")]
    with ends_at_once():
        from stillroom import pipeline

    with live_progress() as progress:
        if estimate:
            facts = pipeline.estimate(loaded, progress=progress)
        else:
            facts = pipeline.ask(loaded, progress=progress, again=reask, longer_limits=steps)
    if as_json:
        print_json(facts)
    elif estimate:
        print_result(estimate_in_words(facts))
    else:
        tried = [loaded.ask.max_tokens or 0, *(steps if reask == "truncated" else [])]
        beyond = 2 * max(tried) if max(tried) >= max(steps) else None
        again = ["stillroom", "ask", str(recipe), *(word for value in override or [] for word in ("--set", value))]
        to_do = _to_ask_again(facts["by_status"], again, beyond, is_limited=bool(loaded.ask.max_tokens))
        print_result(asked_in_words(facts), f"All of it lies in {RUNS / loaded.name}/.", *to_do)


def _to_ask_again(
    by_status: dict[str, int], command: list[str], beyond: int | None, *, is_limited: bool
) -> Iterator[str]:
    """A line for what failed and one for what was cut. `beyond`: the token limit to name where the usual ones are used
    up. Without a limit of ours (`is_limited`), it is the model's own that cut, and no other helps.
    """
    if failed := by_status.get("failed"):
        yield f"{counted(failed, 'sample')} failed. To ask again: {shlex.join([*command, '--reask', 'failed'])}"
    if truncated := by_status.get("truncated"):
        words = [*command, "--reask", "truncated", *(["--limits", str(beyond)] if beyond else [])]
        remedy = f"To ask with a larger one: {shlex.join(words)}" if is_limited else "It is the model's own."
        cut = counted(truncated, "sample was", "samples were")
        yield f"{cut} cut by the token limit. {remedy}"


def _tokens(text: str) -> int:
    """4096, or 4k for it."""
    number = text.strip().lower()
    digits, factor = (number[:-1], 1024) if number.endswith("k") else (number, 1)
    if not (digits.isdecimal() and len(digits) < 8 and int(digits) > 0):
        raise UsageError(f"--limits: {text!r} is not a number of tokens.", "Write --limits 4k,16k or 4096,16384.")
    return int(digits) * factor


@command("check", "stillroom check recipe.yaml --json")
def check(recipe: Recipe, override: Set = None, as_json: Json = False) -> None:
    """Judge the replies, and keep as traces those that passed; each rejected one has a reason."""
    loaded = load_recipe(recipe, override or ())
    with ends_at_once():
        from stillroom import pipeline

    with live_progress() as progress:
        facts = pipeline.check(loaded, progress=progress)
    dataset = RUNS / loaded.name / "dataset"
    print_json(facts) if as_json else print_result(checked_in_words(facts), f"The data set, with its card: {dataset}")


@command("train", "stillroom train recipe.yaml --set train.epochs=5")
def train(
    recipe: Recipe,
    override: Set = None,
    as_json: Json = False,
    sweep: Annotated[
        Literal["lr"] | None,
        typer.Option("--sweep", help="Train no student to keep: try learning rates on a share of the traces."),
    ] = None,
) -> None:
    """Train the student on the traces. Interrupted, it goes on from its newest checkpoint."""
    loaded = load_recipe(recipe, override or ())
    with ends_at_once():
        from stillroom import pipeline

    with live_progress() as progress:
        facts = pipeline.sweep(loaded, progress=progress) if sweep else pipeline.train(loaded, progress=progress)
    if as_json:
        print_json(facts)
    elif sweep:
        print_result(*swept_in_words(facts).split("\n"))
    else:
        print_result(*(trained_in_words(method, of_method) for method, of_method in facts.items()))


@command("exam", "stillroom exam recipe.yaml --set 'exam.compare=[teacher, student]'")
def exam(recipe: Recipe, override: Set = None, as_json: Json = False) -> None:
    """Ask models the same held-out questions, and say how sure their difference is. A recipe may be an exam alone."""
    loaded = load_recipe(recipe, override or ())
    with ends_at_once():
        from stillroom import pipeline
        from stillroom.report.page import print_summary

    with live_progress() as progress:
        facts = pipeline.exam(loaded, progress=progress)
    if as_json:
        print_json(facts)
    else:
        print_summary(pipeline.report(loaded), Console(), RUNS / loaded.name / "exam.html")


@command("report", "stillroom report recipe.yaml")
def report(recipe: Recipe, override: Set = None, as_json: Json = False) -> None:
    """Write the report's page and summary.json from whatever the stages have left."""
    loaded = load_recipe(recipe, override or ())
    with ends_at_once():
        from stillroom import pipeline
        from stillroom.report.page import print_summary

    summary = pipeline.report(loaded)
    if as_json:
        print_json(summary)
    else:
        print_summary(summary, Console(), RUNS / loaded.name / "report.html")


command("look", "stillroom look demo --reason wrong --search spiders")(look)


command("verify", "stillroom verify runs/demo/dataset --keys https://gateway.example/.well-known/jwks.json")(verify)

command("export", "stillroom export demo --to trl")(export)

app.add_typer(terms, name="terms")
app.add_typer(organisations, name="organisation")
app.add_typer(accounts, name="account")
app.add_typer(keys, name="key")
app.add_typer(admins, name="admin")
app.add_typer(permits, name="permit")
app.add_typer(signing_keys, name="signing-key")
app.add_typer(calls, name="calls")
app.add_typer(escrow, name="escrow")
app.add_typer(watch_commands, name="watch")
app.add_typer(probe_commands, name="probe")


@command("serve", "stillroom serve --model runs/demo/train/sft/student --port 8011")
def serve(
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            metavar="[NAME=]DIR",
            help="A model's folder, and the name it answers to; `classroom` is the embedded teacher. May be repeated.",
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE",
            help="A gateway's YAML file, see docs/serve.md. Without one, anybody who reaches the port may ask.",
        ),
    ] = None,
    host: Annotated[
        str | None, typer.Option(help="The address to listen on; if not given, the file's, or 127.0.0.1.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="If not given, the file's, or 8000; 0: any port that is free.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="With --config: processes that answer; if not given, the file's, or 1.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads of local models; all cores if not given.")
    ] = None,
) -> None:
    """Serve local models, or be the gateway in front of models: keys, limits, metering, receipts. Ctrl-C ends it."""
    if not model and config is None:
        raise UsageError("There is no model to serve.", "Name a folder: --model DIR; or a gateway: --config FILE.")
    if config is None and workers is not None:
        raise UsageError("--workers is for a gateway.", "Name its file with --config FILE.")
    with ends_at_once():
        from stillroom import pipeline

    models = _models(model or [])
    if config is not None:
        pipeline.serve_gateway(config, models, host, port, workers=workers, threads=threads)
    else:
        pipeline.serve(models, host or "127.0.0.1", 8000 if port is None else port, threads)


@command("teacher", "stillroom teacher --script faults.yaml --port 8012")
def teacher(
    script: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What it does wrong, see docs/testing.md; nothing if not given.")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any port that is free.")] = 0,
    ledger: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Append every call, with its cost, to this file as JSON.")
    ] = None,
    as_json: Json = False,
) -> None:
    """A stand-in for a model's API that misbehaves as told, to test a client. Ctrl-C ends it and shows the bill."""
    from stillroom.testing.command import run_teacher

    run_teacher(script, port=port, ledger=ledger, as_json=as_json)


def _models(named: list[str]) -> dict[str, Path]:
    models: dict[str, Path] = {}
    for entry in named:
        # A folder's own path may hold an equals sign: what exists is a folder.
        name, equals, folder = entry.partition("=") if not (entry and Path(entry).exists()) else ("", "", "")
        place = folder if equals else entry
        if not place.strip() or (equals and not name):
            raise UsageError(f"--model {entry!r} is not of the form NAME=DIR or DIR.", "Write --model student=DIR.")
        path = Path(place)
        name = name or path.resolve().name
        if name in models:
            raise UsageError(f"Two models are called {name}.", "Give them names: --model a=DIR --model b=DIR.")
        models[name] = path
    return models
