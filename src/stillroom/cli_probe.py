"""`stillroom probe`: was a model trained on replies that were served here? Plans, askings, tests, bundles."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stillroom import cli_probe_ask, cli_probe_bundle, cli_probe_likeness, cli_probe_pairs, cli_probe_watermark
from stillroom.base.errors import UsageError
from stillroom.base.interrupts import ends_at_once
from stillroom.cli_arguments import FLAG, Json, Roots, person_of, roots_of
from stillroom.cli_guard import command as command_of
from stillroom.cli_output import print_json, print_result
from stillroom.cli_probe_arguments import By, Config, Given, Name, Probe, To, Tsa, check_gathered, signer_of
from stillroom.cli_probe_model import checked
from stillroom.cli_rows import group_of_commands, show_rows
from stillroom.text.counted import counted

if TYPE_CHECKING:
    from stillroom.probe.plan import Plan

probe_commands = group_of_commands(
    "Evidence, for or against, that a model was trained on replies that this gateway served. docs/probe.md says how."
)
command = functools.partial(command_of, probe_commands)
cli_probe_pairs.register(probe_commands)
cli_probe_ask.register(probe_commands)
cli_probe_bundle.register(probe_commands)
cli_probe_likeness.register(probe_commands)
cli_probe_watermark.register(probe_commands)


@command("plan", "stillroom probe plan PROBE --name first --suspect abacus-7b --config gateway.yaml")
def plan(
    probe: Probe,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="What the plan is to be called.")],
    suspect: Annotated[
        str, typer.Option("--suspect", metavar="TEXT", help="Which model it is about: a name, an address, a folder.")
    ],
    base: Annotated[
        str | None, typer.Option("--base", metavar="TEXT", help="What the suspect was trained from, if that is known.")
    ] = None,
    teacher: Annotated[
        str | None, typer.Option("--teacher", metavar="TEXT", help="The model whose replies were served.")
    ] = None,
    account: Annotated[
        list[str] | None,
        typer.Option("--account", metavar="ACCOUNT", help="Whose replies; if not given, all there are. Repeatable."),
    ] = None,
    question: Annotated[
        str | None, typer.Option("--question", metavar="TEXT", help="One sentence: what is to be found out.")
    ] = None,
    measure: Annotated[
        str | None,
        typer.Option(
            "--measure",
            metavar="NAME",
            help="The one that decides: combined (if not given), samples, ngrams, edit or start, of texts; or "
            "likelihood, where weights are open.",
        ),
    ] = None,
    also: Annotated[
        list[str] | None,
        typer.Option(
            "--also", metavar="NAME", help="Told beside it, corrected. Repeatable; if not given, all others of texts."
        ),
    ] = None,
    samples: Annotated[int, typer.Option(min=1, max=1000, help="Answers to each question.")] = 4,
    temperature: Annotated[float, typer.Option(min=0, help="Of the suspect's answers.")] = 0.7,
    top_p: Annotated[float | None, typer.Option("--top-p", help="If not given, the suspect's own.")] = None,
    max_tokens: Annotated[int, typer.Option(min=1, help="Of one answer.")] = 1024,
    level: Annotated[float, typer.Option(help="Innocent models that may be accused: 0.05 is one in twenty.")] = 0.05,
    number: Annotated[
        int | None, typer.Option(min=1, help="Of pairs: those whose replies differ most. If not given, all.")
    ] = None,
    pilot: Annotated[
        bool, typer.Option("--pilot", metavar=FLAG, help="To learn how many pairs are needed; no evidence by itself.")
    ] = False,
    no_references: Annotated[
        bool,
        typer.Option("--no-references", metavar=FLAG, help="Leave out the replies that probe thirds has drawn by now."),
    ] = False,
    config: Config = None,
    tsa: Tsa = None,
    roots: Roots = None,
    by: By = None,
    as_json: Json = False,
) -> None:
    """Fix what will be asked and how it is judged, before the suspect is asked, and write that into the log."""
    if not 0 < level < 0.5:
        raise UsageError(f"--level {level:g} is no level of a test.", "Give one between 0 and 0.5, such as 0.05.")
    if top_p is not None and not 0 < top_p <= 1:
        raise UsageError(f"--top-p {top_p:g} is no share.", "Give one above 0, and 1 at most.")
    with ends_at_once():
        from stillroom.client.settings import Sampling
        from stillroom.probe.measures import PRIMARY
        from stillroom.probe.planning import Wish, make_plan
        from stillroom.probe.recorded import make_pack
        from stillroom.probe.spent import escrow_missing
        from stillroom.probe.stamping import stamp_log
        from stillroom.probe.words import left_out_in_words

    trusted = roots_of(roots)
    if tsa is not None:
        from stillroom.store.time_stamps import check_address

        check_address(tsa)
    wish = Wish(
        name=name,
        suspect=suspect,
        question=question,
        base=base,
        teacher=teacher,
        accounts=tuple(account or ()),
        primary=measure or PRIMARY,
        others=None if also is None else tuple(also),
        samples=samples,
        sampling=checked(lambda: Sampling(temperature=temperature, top_p=top_p, max_tokens=max_tokens)),
        level=level,
        number=number,
        is_pilot=pilot,
        with_references=not no_references,
    )
    made = make_plan(probe, wish, signer_of(probe, config), person_of(by))
    if tsa is not None:
        stamp_log(probe, tsa, trusted)
        make_pack(probe, name)
    if as_json:
        print_json({"plan": made.plan.model_dump(mode="json"), "digest": made.plan.digest, "pack": str(made.pack)})
        return
    left_out = made.plan.left_out
    wanted = f" {number:,} were wanted: these are all that are left." if number and made.plan.pairs < number else ""
    print_result(
        f"Planned {name}: {counted(made.plan.pairs, 'pair')} of {counted(made.plan.questions, 'question')}; "
        f"{counted(sum(left_out.values()), 'was', 'were')} left out.{wanted}",
        *(f"  {number:,}: {left_out_in_words(reason)}" for reason, number in left_out.items()),
        _references_in_words(made.references, no_references, made.plan.samples == 0),
        f"The log has it as {made.plan.digest}, record {made.record.index}.",
        *_key_in_words(made.plan, config),
        *filter(None, [escrow_missing(probe)]),
        f"Have the suspect asked: {_asking(made.pack, made.plan)}",
    )


def _asking(pack: Path, plan: Plan) -> str:
    """The command of whoever asks."""
    return f"stillroom probe ask {pack} --model MODEL {'' if plan.base is None else '--base BASE '}--out ANSWERS"


def _key_in_words(plan: Plan, config: Path | None) -> Iterator[str]:
    """Of a plan over a gateway's pairs that the gateway's key did not sign: it is easily forgotten, and stays so."""
    if config is None and plan.grade == "recorded":
        yield (
            "A key of this folder signed that. Others know the gateway's: it signs where --config names its file, from "
            "the first plan of a folder on."
        )


def _references_in_words(references: int, are_left_out: bool, by_likelihood_alone: bool) -> str:
    if references:
        return (
            f"{counted(references, 'further reply', 'further replies')} of the served model are the references: what "
            "they foretell of a likeness is taken off it."
        )
    if are_left_out:
        return "References: none, as asked for."
    if by_likelihood_alone:
        return "References: none: for likelihoods, the suspect's base (--base) is what serves for one."
    return "References: none for these questions. stillroom probe thirds, before the plan, draws some: fewer pairs do."


@command("pack", "stillroom probe pack PROBE first --to 'Prof. Ito' --out for-ito --config gateway.yaml")
def pack(
    probe: Probe,
    name: Name,
    to: To,
    out: Given,
    config: Config = None,
    by: By = None,
    as_json: Json = False,
) -> None:
    """Give somebody else what is needed to ask the suspect. Nothing in it says which reply was served."""
    with ends_at_once():
        from stillroom.probe.pack import read_pack
        from stillroom.probe.recorded import give_pack

    give_pack(probe, name, out, to, signer_of(probe, config), person_of(by))
    if as_json:
        print_json({"pack": str(out)})
    else:
        print_result(
            f"{out} is for {to}. The log says that they have it.",
            f"They ask the suspect: {_asking(out, read_pack(out).plan)} --by NAME",
        )


@command("plans", "stillroom probe plans PROBE")
def plans(probe: Probe, as_json: Json = False) -> None:
    """List every plan that was ever made here, and what became of it."""
    with ends_at_once():
        from stillroom.probe.plan_log import FILE, read_log
        from stillroom.probe.stating import logged_plans

    check_gathered(probe)
    rows = [asdict(each) for each in logged_plans(read_log(probe / FILE))]
    if not as_json:
        rows = [{**row, "p_value": _rounded(row["p_value"])} for row in rows]
    columns = ("name", "suspect", "planned_at", "state", "is_pilot", "level", "p_value")
    show_rows(rows, columns, as_json, "No plan was made yet.")


def _rounded(p_value: float | None) -> str | None:
    return None if p_value is None else f"{p_value:.2g}"


@command("abandon", "stillroom probe abandon PROBE first --reason 'it was taken offline' --config gateway.yaml")
def abandon(
    probe: Probe,
    name: Name,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for the log.")],
    config: Config = None,
    by: By = None,
    as_json: Json = False,
) -> None:
    """Give up a plan that was not opened. It stays in the log; its pairs can be planned with again."""
    with ends_at_once():
        from stillroom.probe.recorded import abandon as give_up

    give_up(probe, name, reason, signer_of(probe, config), person_of(by))
    if as_json:
        print_json({"abandoned": name})
    else:
        print_result(f"{name} is given up. The log says so, and why.")
