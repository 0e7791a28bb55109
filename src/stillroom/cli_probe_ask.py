"""`stillroom probe ask`: what a suspect says to the questions of a pack. Whoever asks needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stillroom.base.errors import UsageError
from stillroom.base.interrupts import ends_at_once
from stillroom.cli_arguments import Json
from stillroom.cli_guard import command
from stillroom.cli_output import print_json, print_result
from stillroom.cli_probe_model import (
    ApiKeyEnv,
    AskedModel,
    BaseUrl,
    Budget,
    Concurrency,
    PerMinute,
    Price,
    Stream,
    asking_settings,
)
from stillroom.display import live_progress
from stillroom.text.counted import counted

if TYPE_CHECKING:
    from stillroom.base.progress import Progress
    from stillroom.probe.asked import Asked
    from stillroom.probe.asking import AskingSettings
    from stillroom.probe.likelihood import Which
    from stillroom.probe.pack import Pack
    from stillroom.store.siblings import Likelihood


def register(app: typer.Typer) -> None:
    """Make `ask` a command of `app`."""
    command(app, "ask", "stillroom probe ask pack --model abacus-7b --base-url https://host/v1 --out answers")(ask)


def ask(
    pack: Annotated[Path, typer.Argument(metavar="PACK", help="The folder that the owner gave you.")],
    model: Annotated[
        str, typer.Option("--model", metavar="NAME", help="The suspect: by its API's name, or its folder or GGUF file.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="ANSWERS", help="Where the answers go: what you give back.")],
    base_url: BaseUrl = None,
    base: Annotated[
        str | None,
        typer.Option("--base", metavar="NAME", help="Where the plan names one: what the suspect was trained from."),
    ] = None,
    tokenizer: Annotated[
        Path | None,
        typer.Option(
            "--tokenizer", metavar="DIR", help="For likelihoods by an address: the folder of the suspect's tokenizer."
        ),
    ] = None,
    api_key_env: ApiKeyEnv = None,
    price: Price = None,
    budget_usd: Budget = None,
    concurrency: Concurrency = 16,
    requests_per_minute: PerMinute = None,
    stream: Stream = False,
    by: Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who asks, for the record.")] = None,
    as_json: Json = False,
) -> None:
    """Ask a suspect the questions of a pack, as its plan says. You need no secret, and learn none.

    Nothing here says which of two replies was served. Stopped, the same command goes on; no answer is paid for twice.
    """
    with ends_at_once():
        from stillroom.probe.pack import read_pack

    given = read_pack(pack)
    _refuse_other_plan(out, given)
    suspect = AskedModel.of(model, base_url, api_key_env, price, stream)
    if given.plan.needs_likelihood:
        _refuse_unscorable(given, suspect, base, tokenizer)
    elif base is not None:
        raise UsageError("The plan looks at no likelihood: a base is not asked.", "Leave out --base.")
    settings = asking_settings(concurrency, requests_per_minute, budget_usd)
    with live_progress() as progress:
        asked = _answers(given, suspect, out, settings, by, progress) if given.plan.samples else None
        if given.plan.needs_likelihood:
            asked = _likelihoods(given, suspect, base, tokenizer, out, asked, by, progress)
    assert asked is not None, "a plan without samples is one of likelihoods"
    if as_json:
        print_json(asked.model_dump(mode="json"))
    else:
        print_result(*_in_words(asked, given, out))


def _refuse_other_plan(out: Path, given: Pack) -> None:
    """What was asked for another plan was asked before this one, perhaps, and would be refused for that."""
    from stillroom.probe.asked import ASKED, read_asked

    if (out / ASKED).exists() and read_asked(out).plan != given.plan.digest:
        raise UsageError(f"{out} holds what was asked for another plan.", "Name another folder with --out.")


def _answers(
    given: Pack, suspect: AskedModel, out: Path, settings: AskingSettings, by: str | None, progress: Progress
) -> Asked:
    from stillroom.probe.asked import read_asked
    from stillroom.probe.asking import ask_suspect, questions_of
    from stillroom.probe.plan import sampling_of

    with suspect.served(progress) as endpoint:
        ask_suspect(
            questions_of(given.pairs),
            endpoint,
            out,
            samples=given.plan.samples,
            sampling=sampling_of(given.plan),
            settings=settings,
            plan=given.plan.digest,
            by=by,
            is_local=suspect.folder is not None,
            progress=progress,
        )
    return read_asked(out)


def _likelihoods(
    given: Pack,
    suspect: AskedModel,
    base: str | None,
    tokenizer: Path | None,
    out: Path,
    asked: Asked | None,
    by: str | None,
    progress: Progress,
) -> Asked:
    from stillroom.probe.asked import read_asked
    from stillroom.probe.asking import questions_of
    from stillroom.probe.plan import sampling_of
    from stillroom.probe.scoring import asked_for_likelihoods, write_likelihoods

    if asked is None:
        address = None if suspect.endpoint is None else suspect.endpoint.base_url
        questions = len(questions_of(given.pairs))
        plan = given.plan
        asked = asked_for_likelihoods(suspect.name, address, sampling_of(plan), questions, plan=plan.digest, by=by)
    rows = _scored(given, suspect, "suspect", tokenizer, out, progress)
    models = {"suspect": suspect.name}
    if base is not None:
        its_base = _base(base, suspect)
        rows += _scored(given, its_base, "base", tokenizer, out, progress)
        models["base"] = its_base.name
    write_likelihoods(out, rows, models, asked)
    return read_asked(out)


def _scored(
    given: Pack, model: AskedModel, which: Which, tokenizer: Path | None, out: Path, progress: Progress
) -> list[Likelihood]:
    from stillroom.base.progress import loading
    from stillroom.run_folder import importing_extra

    def tell(done: int, total: int) -> None:
        progress.update(f"likelihood ({which})", done, total)

    with loading(progress, model.name if model.folder is not None else "tokenizer"):
        with importing_extra("serve"):
            from stillroom.generate.load import load_model
            from stillroom.probe.likelihood import likelihoods
            from stillroom.probe.scoring_api import api_likelihoods
        local = None if model.folder is None else load_model(model.folder)
    if local is not None:
        return likelihoods(given.pairs, local, which, tell)
    assert model.endpoint is not None
    assert tokenizer is not None
    return api_likelihoods(given.pairs, model.endpoint, tokenizer, which, out, on_progress=tell)


def _base(base: str, suspect: AskedModel) -> AskedModel:
    """A folder, or another model at the suspect's address."""
    if suspect.endpoint is None or Path(base).exists():
        return AskedModel.of(base, None, None, None, stream=False)
    return AskedModel(base, suspect.endpoint.model_copy(update={"model": base}), None)


def _refuse_unscorable(given: Pack, suspect: AskedModel, base: str | None, tokenizer: Path | None) -> None:
    """Before anything is asked."""
    plan = given.plan
    if suspect.endpoint is not None and tokenizer is None:
        raise UsageError(
            "The plan looks at how likely the suspect holds both replies, and an address does not say its tokens.",
            "Give --tokenizer: a folder with the suspect's tokenizer.json, tokenizer_config.json and config.json.",
        )
    if (plan.base is None) == (base is not None):
        if base is None:
            raise UsageError(f"The plan names a base, {plan.base}, and none was given.", "Name it with --base.")
        raise UsageError("The plan names no base.", "Leave out --base.")
    if base is not None:
        _base(base, suspect)


def _in_words(asked: Asked, given: Pack, out: Path) -> Iterator[str]:
    if asked.samples:
        statuses = ", ".join(f"{number:,} {status}" for status, number in asked.by_status.items())
        yield f"{counted(sum(asked.by_status.values()), 'answer')} of {asked.model} ({statuses})."
    for which, name in asked.likelihoods.items():
        yield f"How likely the {which} {name} holds both replies of {counted(len(given.pairs), 'pair')}."
    yield f"They are for the plan {given.plan.name}, {given.plan.digest}."
    yield f"Give {out} to whoever made it. A copy that you keep, and of the pack, shows that nothing was changed."
