"""`stillroom probe ask`: what a suspect says to the questions of a pack. Whoever asks needs nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import typer

from stillroom.base.errors import RecipeError, UsageError
from stillroom.base.interrupts import ends_at_once
from stillroom.cli_arguments import FLAG, Json
from stillroom.cli_guard import command
from stillroom.cli_output import print_json, print_result
from stillroom.display import live_progress
from stillroom.text.counted import counted

if TYPE_CHECKING:
    from stillroom.base.progress import Progress
    from stillroom.client.settings import Endpoint, Price
    from stillroom.probe.asked import Asked
    from stillroom.probe.asking import AskingSettings
    from stillroom.probe.likelihood import Which
    from stillroom.probe.pack import Pack
    from stillroom.store.siblings import Likelihood

Made = TypeVar("Made")


def register(app: typer.Typer) -> None:
    """Make `ask` a command of `app`."""
    command(app, "ask", "stillroom probe ask pack --model abacus-7b --base-url https://host/v1 --out answers")(ask)


def ask(
    pack: Annotated[Path, typer.Argument(metavar="PACK", help="The folder that the owner gave you.")],
    model: Annotated[
        str, typer.Option("--model", metavar="NAME", help="The suspect: by its API's name, or its folder or GGUF file.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="ANSWERS", help="Where the answers go: what you give back.")],
    base_url: Annotated[
        str | None, typer.Option("--base-url", metavar="URL", help="Where it is reached, up to /v1; not for a folder.")
    ] = None,
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
    api_key_env: Annotated[
        str | None, typer.Option("--api-key-env", metavar="VARIABLE", help="The variable that holds the key.")
    ] = None,
    price: Annotated[
        str | None,
        typer.Option(
            "--price",
            metavar="IN/OUT",
            help="USD for a million tokens, such as 0.15/0.60, or `none`; else the price list has to know it.",
        ),
    ] = None,
    budget_usd: Annotated[
        float | None, typer.Option("--budget-usd", min=0, metavar="USD", help="What the answers may cost at most.")
    ] = None,
    concurrency: Annotated[int, typer.Option("--concurrency", min=1, help="Calls at the same time, at most.")] = 16,
    requests_per_minute: Annotated[int | None, typer.Option("--requests-per-minute", min=1)] = None,
    stream: Annotated[
        bool, typer.Option("--stream", metavar=FLAG, help="Have answers sent as they are written: for long reasoning.")
    ] = False,
    by: Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who asks, for the record.")] = None,
    as_json: Json = False,
) -> None:
    """Ask a suspect the questions of a pack, as its plan says. You need no secret, and learn none.

    Nothing here says which of two replies was served. Stopped, the same command goes on; no answer is paid for twice.
    """
    with ends_at_once():
        from stillroom.probe.pack import read_pack

    given = read_pack(pack)
    suspect = _Model.of(model, base_url, api_key_env, price, stream)
    if given.plan.needs_likelihood:
        _refuse_unscorable(given, suspect, base, tokenizer)
    settings = _settings(concurrency, requests_per_minute, budget_usd)
    with live_progress() as progress:
        asked = _answers(given, suspect, out, settings, by, progress) if given.plan.samples else None
        if given.plan.needs_likelihood:
            asked = _likelihoods(given, suspect, base, tokenizer, out, asked, by, progress)
    assert asked is not None, "a plan without samples is one of likelihoods"
    if as_json:
        print_json(asked.model_dump(mode="json"))
    else:
        print_result(*_in_words(asked, given, out))


@dataclass(frozen=True, slots=True)
class _Model:
    """A model behind an address, or one in a folder."""

    name: str
    """As its API calls it; of a folder, the folder's with the first digits of its digest."""
    endpoint: Endpoint | None
    folder: Path | None

    @classmethod
    def of(cls, model: str, base_url: str | None, api_key_env: str | None, price: str | None, stream: bool) -> _Model:
        from stillroom.client.price import pricing
        from stillroom.client.settings import Endpoint
        from stillroom.local_models import served_name

        if base_url is None:
            folder = Path(model)
            if not folder.exists():
                raise UsageError(
                    f"There is no folder or file {model}.", "Name one, or say with --base-url where the model is asked."
                )
            return cls(served_name(folder.resolve().name, folder), None, folder)
        endpoint = _checked(
            lambda: Endpoint(
                model=model, base_url=base_url, api_key_env=api_key_env, price=_price(price), stream=stream
            )
        )
        try:
            pricing(endpoint)
        except RecipeError as error:
            raise UsageError(error.what, "Give --price 0.15/0.60, or --price none if it costs nothing.") from error
        return cls(model, endpoint, None)

    @contextmanager
    def served(self) -> Iterator[Endpoint]:
        """Where it is asked while the body runs."""
        if self.endpoint is not None:
            yield self.endpoint
            return
        assert self.folder is not None
        from stillroom.client.settings import Endpoint
        from stillroom.run_folder import importing_extra

        with importing_extra("serve"):
            from stillroom.serve.spawn import serving
        with serving({self.name: self.folder}) as url:
            yield Endpoint(model=self.name, base_url=url, price="none")


def _answers(
    given: Pack, suspect: _Model, out: Path, settings: AskingSettings, by: str | None, progress: Progress
) -> Asked:
    from stillroom.probe.asked import read_asked
    from stillroom.probe.asking import ask_suspect, questions_of
    from stillroom.probe.plan import sampling_of

    with suspect.served() as endpoint:
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
    suspect: _Model,
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
    given: Pack, model: _Model, which: Which, tokenizer: Path | None, out: Path, progress: Progress
) -> list[Likelihood]:
    from stillroom.run_folder import importing_extra

    with importing_extra("serve"):
        from stillroom.generate.load import load_model
        from stillroom.probe.likelihood import likelihoods
        from stillroom.probe.scoring_api import api_likelihoods

    def tell(done: int, total: int) -> None:
        progress.update(f"likelihood ({which})", done, total)

    if model.folder is not None:
        return likelihoods(given.pairs, load_model(model.folder), which, tell)
    assert model.endpoint is not None
    assert tokenizer is not None
    return api_likelihoods(given.pairs, model.endpoint, tokenizer, which, out, on_progress=tell)


def _base(base: str, suspect: _Model) -> _Model:
    """A folder, or another model at the suspect's address."""
    if suspect.endpoint is None or Path(base).exists():
        return _Model.of(base, None, None, None, stream=False)
    return _Model(base, suspect.endpoint.model_copy(update={"model": base}), None)


def _refuse_unscorable(given: Pack, suspect: _Model, base: str | None, tokenizer: Path | None) -> None:
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


def _settings(concurrency: int, requests_per_minute: int | None, budget_usd: float | None) -> AskingSettings:
    from stillroom.client.budget import BudgetLimits
    from stillroom.client.pacing import PaceLimits
    from stillroom.probe.asking import AskingSettings

    budget = None if budget_usd is None else Decimal(str(budget_usd))
    limits = _checked(lambda: BudgetLimits(budget_usd=budget))
    return AskingSettings(PaceLimits(concurrency, requests_per_minute), limits)


def _price(text: str | None) -> Literal["none"] | Price | None:
    from stillroom.client.settings import Price

    if text is None or text == "none":
        return None if text is None else "none"
    given, _, written = text.partition("/")
    try:
        return Price(input_per_million=Decimal(given), output_per_million=Decimal(written))
    except InvalidOperation as error:
        raise UsageError(f"{text!r} is no price.", "Write USD for a million tokens in and out: 0.15/0.60.") from error


def _checked(make: Callable[[], Made]) -> Made:
    """Raises UsageError where a value is one that settings refuse."""
    from pydantic import ValidationError

    from stillroom.base.validation import first_problem

    try:
        return make()
    except ValidationError as error:
        raise UsageError(f"{first_problem(error)}.", "stillroom probe ask --help says what each takes.") from error


def _in_words(asked: Asked, given: Pack, out: Path) -> Iterator[str]:
    if asked.samples:
        statuses = ", ".join(f"{number:,} {status}" for status, number in asked.by_status.items())
        yield f"{counted(sum(asked.by_status.values()), 'answer')} of {asked.model} ({statuses})."
    for which, name in asked.likelihoods.items():
        yield f"How likely the {which} {name} holds both replies of {counted(len(given.pairs), 'pair')}."
    yield f"Give {out} to whoever made the plan {given.plan.name}. A copy that you keep shows that none was changed."
