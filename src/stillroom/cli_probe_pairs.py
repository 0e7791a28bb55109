"""`stillroom probe pairs`, `import` and `thirds`: the replies that a test of a suspect is about."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stillroom.base.errors import UsageError
from stillroom.base.interrupts import ends_at_once
from stillroom.cli_arguments import By, Config, Json, person_of
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
    checked,
)
from stillroom.cli_rows import account_id_itself
from stillroom.display import live_progress
from stillroom.text.counted import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stillroom.probe.balance import Balance
    from stillroom.probe.pairs import Gathered
    from stillroom.store.siblings import Pair

SUSPICIOUS = 0.01
"""Lengths that fair coins would make as uneven so rarely are told of."""
_THIRDS, _JOURNAL = "thirds.parquet", "thirds.sqlite"

Out = Annotated[Path, typer.Option("--out", metavar="PROBE", help="A new folder, for you alone: tests start from it.")]


def register(app: typer.Typer) -> None:
    """Make these commands of `app`."""
    command(app, "pairs", "stillroom probe pairs --config gateway.yaml --account acct_7Qm2 --out probe")(pairs)
    command(app, "import", "stillroom probe import drawn.jsonl --out probe")(import_file)
    command(
        app, "thirds", "stillroom probe thirds probe --model abacus --base-url http://127.0.0.1:8080/v1 --price none"
    )(thirds)


def pairs(
    config: Config,
    out: Out,
    account: Annotated[
        list[str] | None,
        typer.Option("--account", metavar="ACCOUNT", help="Whose replies: an account's id. May be repeated; else all."),
    ] = None,
    most: Annotated[int, typer.Option("--most", min=1, help="Pairs of each account.")] = 5000,
    by: By = None,
    as_json: Json = False,
) -> None:
    """Open a gateway's sealed replies, and lay out what can be compared. That you did is noted."""
    _refuse_existing(out)
    with ends_at_once():
        from stillroom.escrow_pairs import gather_pairs
        from stillroom.probe.pairs import write_gathered
        from stillroom.serve.settings import read_settings

    accounts = sorted(set(map(account_id_itself, account))) if account else None
    settings = read_settings(config)
    with live_progress() as progress:
        gathered = gather_pairs(settings.state, settings, accounts, person_of(by), most, progress)
    if not gathered.pairs:
        raise UsageError(f"There is nothing to compare. {' '.join(_in_words(gathered))}", "docs/escrow.md says why.")
    write_gathered(out, gathered)
    _say(gathered, out, as_json)


def import_file(
    source: Annotated[
        Path, typer.Argument(metavar="FILE", help="JSON lines or Parquet: messages, served, sealed in each row.")
    ],
    out: Out,
    as_json: Json = False,
) -> None:
    """Take in second replies that were drawn later, without a coin. What they show is graded `assumed`."""
    _refuse_existing(out)
    with ends_at_once():
        from stillroom.probe.importing import import_pairs
        from stillroom.probe.pairs import write_gathered

    gathered = import_pairs(source)
    if not gathered.pairs:
        raise UsageError(f"There is nothing to compare. {' '.join(_in_words(gathered))}", "Draw other replies.")
    write_gathered(out, gathered)
    _say(gathered, out, as_json)
    if not as_json:
        print_result(
            "No coin said which reply was served: that it makes no difference when, and on which machine, a reply is",
            "drawn is assumed. A test of these pairs says so.",
            *_uneven(gathered),
        )


def thirds(
    probe: Annotated[Path, typer.Argument(metavar="PROBE", help="The folder that probe pairs or import wrote.")],
    model: Annotated[
        str, typer.Option("--model", metavar="NAME", help="The model that was served: its API's name, or its folder.")
    ],
    base_url: BaseUrl = None,
    plan: Annotated[str | None, typer.Option("--plan", metavar="NAME", help="Only the questions of this plan.")] = None,
    samples: Annotated[int, typer.Option(min=1, max=1000, help="Replies to each question.")] = 4,
    api_key_env: ApiKeyEnv = None,
    price: Price = None,
    budget_usd: Budget = None,
    concurrency: Concurrency = 16,
    requests_per_minute: PerMinute = None,
    stream: Stream = False,
    temperature: Annotated[
        float | None, typer.Option("--temperature", min=0, help="For imported pairs, which say no settings.")
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option("--max-tokens", min=1, help="For imported pairs, too: the most tokens of a reply.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Draw further replies of your own model to each question, before you plan: what anybody would say to it.

    It is asked as the recorded requests were. A plan that is made afterwards takes off a suspect's likeness what these
    replies foretell of it, so that fewer pairs are needed. A test also tells a suspect that did not learn from the
    served replies from one that is the model itself, or passes questions on to it. Stopped, the same command goes on.
    """
    with ends_at_once():
        from stillroom.client.settings import Sampling
        from stillroom.probe.pairs import read_gathered
        from stillroom.probe.third_draw import draw_again, statuses_of
        from stillroom.store.siblings import Answer, write_rows

    gathered = read_gathered(probe)
    chosen = _of_plan(gathered.pairs, probe, plan)
    asked = AskedModel.of(model, base_url, api_key_env, price, stream)
    settings = asking_settings(concurrency, requests_per_minute, budget_usd)
    has_default = temperature is not None or max_tokens is not None
    default = checked(lambda: Sampling(temperature=temperature, max_tokens=max_tokens)) if has_default else None
    with live_progress() as progress, asked.served(progress) as endpoint:
        drawn = draw_again(
            chosen,
            gathered.openings,
            endpoint,
            probe / _JOURNAL,
            samples=samples,
            default=default,
            settings=settings,
            progress=progress,
        )
    write_rows(probe / _THIRDS, Answer, drawn)
    statuses = statuses_of(drawn)
    if as_json:
        print_json({"drawn": len(drawn), "by_end": dict(statuses), "file": str(probe / _THIRDS)})
        return
    ends = ", ".join(f"{number:,} {name}" for name, number in statuses.most_common())
    print_result(f"{counted(len(drawn), 'reply', 'replies')} drawn ({ends}): {probe / _THIRDS}")


def _refuse_existing(out: Path) -> None:
    """Before sealed records are opened for it."""
    if out.exists():
        raise UsageError(f"{out} is there already.", "Name another folder: plans may have been made over this one.")


def _of_plan(pairs: list[Pair], probe: Path, plan: str | None) -> list[Pair]:
    if plan is None:
        return pairs
    from stillroom.store.siblings import Pair, read_rows

    path = probe / "plans" / plan / "pairs.parquet"
    if "/" in plan or not path.is_file():
        raise UsageError(f"There is no plan {plan} in {probe}.", "stillroom probe plans PROBE lists them.")
    return read_rows(path, Pair)


def _uneven(gathered: Gathered) -> Iterator[str]:
    """What shows already that it is wrong to assume it."""
    import numpy as np

    from stillroom.probe.balance import uneven_forms

    coins_N = np.array([opening.coin for opening in gathered.openings], dtype=np.int8)
    for each in uneven_forms(gathered.pairs, coins_N):
        yield (
            f"But {each.feature}: in {each.only_served:,} pairs only the served reply has it, in {each.only_sealed:,} "
            "only the sealed one. The two were not made in the same way, and an innocent may be nearer to either."
        )


def _say(gathered: Gathered, out: Path, as_json: bool) -> None:
    coins = _balance_of(gathered)
    if as_json:
        print_json({"folder": str(out), **gathered.counts(), "balance": asdict(coins)})
    else:
        are_recorded = all(opening.coin_from == "recorded" for opening in gathered.openings)
        said = (*_in_words(gathered), *_balance_in_words(coins, are_recorded))
        print_result(*said, f"They are in {out}. Which reply was served is in openings.parquet alone.")


def _balance_of(gathered: Gathered) -> Balance:
    import numpy as np

    from stillroom.probe.balance import balance
    from stillroom.probe.units import units_of

    coins_N = np.array([opening.coin for opening in gathered.openings], dtype=np.int8)
    return balance(gathered.pairs, coins_N, units_of(gathered.pairs))


def _balance_in_words(found: Balance, are_recorded: bool) -> Iterator[str]:
    """Without a coin, which of the two is called the first says nothing."""
    from stillroom.report.words import p_value

    if are_recorded:
        yield (
            f"The first of two replies was served {counted(found.first_served, 'time')} of {found.pairs:,} "
            f"(fair coins: {p_value(found.coins_p_value)})."
        )
    yield (
        f"The served one is the longer {counted(found.served_longer, 'time')}, the shorter {found.served_shorter:,} "
        f"(fair coins: {p_value(found.length_p_value)})."
    )
    if found.length_p_value <= SUSPICIOUS:
        yield "That is no chance: pairs may be missing by what was served, as when clients hang up on long replies."


def _in_words(gathered: Gathered) -> Iterator[str]:
    from stillroom.probe.exclusions import IN_WORDS
    from stillroom.probe.pairs import WITHOUT_IN_WORDS

    yield f"{counted(gathered.found, 'pair')} of replies found, {len(gathered.pairs):,} kept."
    for account, number in sorted(gathered.by_account.items()):
        yield f"  {number:,} of {account}"
    if gathered.left_out:
        yield "Left out:"
    for reason, number in gathered.left_out.most_common():
        yield f"  {number:,}: {IN_WORDS[reason]}"
    if gathered.without_sibling:
        yield "Calls of the same accounts without a second reply:"
    for why, number in gathered.without_sibling.most_common():
        yield f"  {number:,}: {WITHOUT_IN_WORDS[why]}"
