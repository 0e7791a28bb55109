"""`stillroom organisation` and `stillroom account`: who may call a gateway's models, and how much."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from stillroom.admin_api import AdminApi
from stillroom.base.errors import UsageError
from stillroom.cli_arguments import FLAG, Json
from stillroom.cli_guard import command as command_of
from stillroom.cli_output import print_json
from stillroom.cli_rows import (
    account_id,
    count_or_nothing,
    group_of_commands,
    organisation_id,
    show_events,
    show_row,
    show_rows,
    text_or_nothing,
)

organisations = group_of_commands("The organisations whose accounts call a gateway's models.")
accounts = group_of_commands("The accounts that call a gateway's models, and what each of them may do.")
organisation_command = functools.partial(command_of, organisations)
account_command = functools.partial(command_of, accounts)

Organisation = Annotated[str, typer.Argument(metavar="ORGANISATION", help="Its name or its id.")]
Account = Annotated[str, typer.Argument(metavar="ACCOUNT", help="Its name, if no other one has it, or its id.")]

RequestsPerMinute = Annotated[str | None, typer.Option(metavar="NUMBER", help="Calls begun in a minute.")]
TokensPerMinute = Annotated[str | None, typer.Option(metavar="NUMBER", help="Tokens in a minute, such as 100k.")]
Concurrent = Annotated[str | None, typer.Option(metavar="NUMBER", help="Calls in flight at once.")]
UsdPerDay = Annotated[str | None, typer.Option(metavar="USD", help="Budget of a day (UTC).")]
UsdPerMonth = Annotated[str | None, typer.Option(metavar="USD", help="Budget of a month (UTC).")]
Model = Annotated[
    list[str] | None, typer.Option("--model", metavar="NAME", help="A model it may ask for. May be repeated.")
]
Retention = Annotated[
    bool | None,
    typer.Option(metavar=FLAG, help="Whether it agreed to texts of its calls being kept for a while."),
]
Billing = Annotated[
    str | None,
    typer.Option("--billing", metavar="TEXT", help="How it is paid for: only a keyed print of this is kept."),
]


@organisation_command("create", "stillroom organisation create Acme")
def create_organisation(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name that no other one has.")], as_json: Json = False
) -> None:
    """Make an organisation."""
    show_row(AdminApi.from_environment().post("/v1/organisations", {"name": name}), as_json)


@organisation_command("list", "stillroom organisation list")
def list_organisations(as_json: Json = False) -> None:
    """List the organisations."""
    rows = AdminApi.from_environment().rows("/v1/organisations")
    show_rows(rows, ("id", "name", "created_at", "closed_at"), as_json, "There are no organisations yet.")


@organisation_command("close", "stillroom organisation close Acme")
def close_organisation(organisation: Organisation, as_json: Json = False) -> None:
    """Close an organisation: the keys of all its accounts stop, for good."""
    api = AdminApi.from_environment()
    show_row(api.post(f"/v1/organisations/{organisation_id(api, organisation)}/close"), as_json)


@account_command("create", "stillroom account create research --organisation Acme --usd-per-day 5")
def create_account(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name that no other one of its organisation has.")],
    organisation: Annotated[str, typer.Option("--organisation", metavar="NAME|ID", help="Where it belongs.")],
    requests_per_minute: RequestsPerMinute = None,
    tokens_per_minute: TokensPerMinute = None,
    concurrent: Concurrent = None,
    usd_per_day: UsdPerDay = None,
    usd_per_month: UsdPerMonth = None,
    model: Model = None,
    retention: Retention = None,
    terms: Annotated[
        str | None, typer.Option("--terms", metavar="VERSION", help="The version of the terms it has accepted.")
    ] = None,
    billing: Billing = None,
    as_json: Json = False,
) -> None:
    """Make an account. What is not given is not limited; texts are not kept."""
    limits = _limits(requests_per_minute, tokens_per_minute, concurrent, usd_per_day, usd_per_month)
    api = AdminApi.from_environment()
    body = {
        "organisation": organisation_id(api, organisation),
        "name": name,
        "limits": limits,
        "models": model or None,
        "retention": bool(retention),
        "terms_version": terms,
        "billing_reference": billing,
    }
    _show_account(api.post("/v1/accounts", body), as_json)


@account_command("list", "stillroom account list --json")
def list_accounts(
    organisation: Annotated[
        str | None, typer.Option("--organisation", metavar="NAME|ID", help="Only those of one organisation.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List the accounts."""
    api = AdminApi.from_environment()
    within = None if organisation is None else organisation_id(api, organisation)
    rows = api.rows("/v1/accounts", organisation=within)
    columns = ("id", "organisation", "name", "state", "terms_version", "retention", "created_at")
    show_rows(rows, columns, as_json, "There are no accounts yet.")


@account_command("show", "stillroom account show research")
def show_account(account: Account, as_json: Json = False) -> None:
    """Show an account, its limits included, and what is used of its budgets."""
    api = AdminApi.from_environment()
    _show_account(api.get(f"/v1/accounts/{account_id(api, account)}"), as_json)


@account_command("set", "stillroom account set research --usd-per-day 20 --concurrent none")
def set_account(
    account: Account,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="Another name.")] = None,
    requests_per_minute: RequestsPerMinute = None,
    tokens_per_minute: TokensPerMinute = None,
    concurrent: Concurrent = None,
    usd_per_day: UsdPerDay = None,
    usd_per_month: UsdPerMonth = None,
    model: Model = None,
    all_models: Annotated[bool, typer.Option("--all-models", metavar=FLAG, help="Allow every model.")] = False,
    retention: Retention = None,
    billing: Billing = None,
    as_json: Json = False,
) -> None:
    """Change an account: what is given, and nothing else. `none` takes a limit away."""
    if model and all_models:
        raise UsageError("--model and --all-models contradict each other.", "Give one of them.")
    body: dict[str, Any] = {}
    if limits := _limits(requests_per_minute, tokens_per_minute, concurrent, usd_per_day, usd_per_month):
        body["limits"] = limits
    if name is not None:
        body["name"] = name
    if model or all_models:
        body["models"] = model or None
    if retention is not None:
        body["retention"] = retention
    if billing is not None:
        body["billing_reference"] = text_or_nothing(billing)
    if not body:
        raise UsageError("Nothing to change was given.", "stillroom account set --help shows what there is.")
    api = AdminApi.from_environment()
    _show_account(api.patch(f"/v1/accounts/{account_id(api, account)}", body), as_json)


@account_command("accept-terms", "stillroom account accept-terms research 2026-11")
def accept_terms(
    account: Account,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="The version of the terms.")],
    as_json: Json = False,
) -> None:
    """Record that an account has accepted a version of the terms."""
    api = AdminApi.from_environment()
    _show_account(api.post(f"/v1/accounts/{account_id(api, account)}/terms", {"version": version}), as_json)


@account_command("restrict", "stillroom account restrict research --reason 'Please call us.'")
def restrict_account(
    account: Account,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Told to whoever calls with its keys.")],
    as_json: Json = False,
) -> None:
    """Serve no call of an account until `stillroom account lift`."""
    api = AdminApi.from_environment()
    _show_account(api.post(f"/v1/accounts/{account_id(api, account)}/restrict", {"reason": reason}), as_json)


@account_command("lift", "stillroom account lift research")
def lift_restriction(account: Account, as_json: Json = False) -> None:
    """Lift the restriction of an account."""
    api = AdminApi.from_environment()
    _show_account(api.post(f"/v1/accounts/{account_id(api, account)}/lift"), as_json)


@account_command("close", "stillroom account close research")
def close_account(
    account: Account,
    replaced_by: Annotated[
        str | None, typer.Option("--replaced-by", metavar="ACCOUNT", help="The account that goes on in its place.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Close an account: its keys stop, for good."""
    api = AdminApi.from_environment()
    body = {"replaced_by": None if replaced_by is None else account_id(api, replaced_by)}
    _show_account(api.post(f"/v1/accounts/{account_id(api, account)}/close", body), as_json)


@account_command("events", "stillroom account events research")
def events(
    account: Annotated[
        str | None, typer.Argument(metavar="ACCOUNT", help="Only of this account; none: of all of them.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List what was changed, when, and by whom."""
    api = AdminApi.from_environment()
    rows = api.rows("/v1/events", account=None if account is None else account_id(api, account))
    show_events(rows, as_json)


def _show_account(row: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(row)
        return
    limits, used = row["limits"], row["used"]
    spent = {
        "used today": _of(used["usd_today"], limits["usd_per_day"]),
        "used this month": _of(used["usd_this_month"], limits["usd_per_month"]),
    }
    show_row({name: value for name, value in row.items() if name != "used"} | spent, as_json)


def _of(used: str | None, most: str | None) -> str | None:
    return None if used is None else f"{used} of {most} USD"


def _limits(
    requests_per_minute: str | None,
    tokens_per_minute: str | None,
    concurrent: str | None,
    usd_per_day: str | None,
    usd_per_month: str | None,
) -> dict[str, int | str | None]:
    """Those that were given."""
    counts = {
        "requests_per_minute": requests_per_minute,
        "tokens_per_minute": tokens_per_minute,
        "concurrent": concurrent,
    }
    limits: dict[str, int | str | None] = {
        name: count_or_nothing(text, f"--{name.replace('_', '-')}") for name, text in counts.items() if text is not None
    }
    money = {"usd_per_day": usd_per_day, "usd_per_month": usd_per_month}
    return limits | {name: text_or_nothing(text) for name, text in money.items() if text is not None}
