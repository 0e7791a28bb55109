"""The pages of the review, from the store. What a finding says is escaped, and no script runs but the ones named."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FunctionLoader
from markupsafe import Markup

from stillroom import __version__
from stillroom.base.records import Finding
from stillroom.report import rendering as report
from stillroom.report.charts import Spec
from stillroom.report.words import SPACE
from stillroom.text.counted import counted
from stillroom.watch.review.charts import score_chart
from stillroom.watch.review.store import Delivery, FindingStore, KeptFinding

MOST_ACCOUNTS = 2_000
"""In the table of a finding's accounts on a page. `stillroom watch show --json` has them all."""
CHOICES = (
    ("confirm", "Confirm", "It is a campaign, as far as a person can tell."),
    ("dismiss", "Dismiss", "It is innocent, or cannot be told from innocent use."),
    ("ask", "Ask the customer", "What they say decides."),
)


def findings_page(store: FindingStore) -> str:
    """The page that lists them."""
    kept = store.list()
    return _render(
        "findings.html.j2",
        [],
        link_to=lambda name: f"findings/{quote(name, safe='')}",
        whole=[],
        written_at=None,
        **_groups(kept),
    )


def written_findings(store: FindingStore, now_us: int) -> str:
    """All findings on one page that needs no server, with nothing to decide on."""
    kept = store.list()
    whole = [
        (each, store.charts(name := each.finding.id), store.history(name), store.deliveries(name)) for each in kept
    ]
    drawn = [spec for _, charts, _, _ in whole for spec in charts]
    return _render(
        "findings.html.j2",
        drawn,
        link_to=lambda name: f"#{quote(name)}",
        whole=whole,
        written_at=now_us,
        **_groups(kept),
    )


def finding_page(
    store: FindingStore,
    name: str,
    *,
    by: str,
    form_token: str,
    problem: str | None = None,
    chosen: str | None = None,
    reason: str = "",
) -> str:
    """One finding, and the form to decide on it: with what was written into it where that came to nothing.

    Raises UsageError where there is none of this id.
    """
    kept = store.get(name)
    scores = store.scores(name)
    scores_drawn = score_chart(scores) if len(scores) > 1 else None
    charts = store.charts(name)
    return _render(
        "finding.html.j2",
        [*charts, *([scores_drawn] if scores_drawn else [])],
        kept=kept,
        finding=kept.finding,
        charts=charts,
        scores=scores_drawn,
        steps=store.history(name),
        deliveries=store.deliveries(name),
        others=_others(store, kept.finding),
        by=by,
        form_token=form_token,
        problem=problem,
        chosen=chosen,
        reason=reason,
        choices=CHOICES,
    )


def problem_page(what: str, remedy: str) -> str:
    return _render("problem.html.j2", [], what=what, remedy=remedy)


def told_page(told: dict[str, Any]) -> str:
    """What an organisation is told, see `accused.export_for`."""
    return _render("told.html.j2", [], told=told)


def headline(finding: Finding) -> str:
    """The finding in one sentence: what was seen, or what links its accounts."""
    for sentence in (*(each.sentence for each in finding.signals), *(each.sentence for each in finding.links)):
        return sentence
    whose = counted(len(finding.organisations), "organisation")
    return f"{counted(len(finding.accounts), 'account')} of {whose}, seen together."


def families(finding: Finding) -> list[str]:
    return sorted({each.family for each in finding.signals} | {each.family for each in finding.links})


def standing(share: float, kind: str) -> str:
    """0.99953 as `Higher than 99.95 % of the accounts`, never rounded up to all of them."""
    others = "the organisations" if kind == "account" else "what is seen otherwise"
    if share >= 1:
        return f"Higher than any of {others}." if kind == "account" else f"Higher than {others}."
    return f"Higher than {math.floor(share * 10_000) / 100:g}{SPACE}% of {others}."


def word_of(delivery: Delivery) -> str:
    """Whether the operator's own systems have taken a step."""
    attempts = counted(delivery.attempts, "attempt")
    if not delivery.is_done:
        return f"The webhook has not taken it in {attempts}: {delivery.answer}."
    if not delivery.answer.isdecimal():
        return f"The webhook did not take it in {counted(delivery.attempts - 1, 'attempt')}: let go."
    return f"The webhook took it, {_utc(delivery.at):%Y-%m-%d %H:%M} UTC."


def _others(store: FindingStore, finding: Finding) -> list[KeptFinding]:
    """Other findings of the same accounts: what was decided on them may say something of this one."""
    accounts = set(finding.accounts)
    kept = (each for each in store.list() if each.finding.id != finding.id)
    return [each for each in kept if not accounts.isdisjoint(each.finding.accounts)]


def _groups(kept: Sequence[KeptFinding]) -> dict[str, Any]:
    waiting = [each for each in kept if each.needs_decision]
    drills = [each for each in kept if each.finding.status == "drill"]
    asked = [each for each in kept if each.finding.status == "asked" and not each.needs_decision]
    decided = [each for each in kept if not each.needs_decision and each.finding.status in ("confirmed", "dismissed")]
    said = f"{counted(len(waiting), 'finding needs', 'findings need')} a decision" if waiting else "Nothing to decide"
    groups = (("To decide", waiting), ("Customers asked", asked), ("Decided", decided), ("Drills", drills))
    return {"headline": said, "groups": groups, "version": __version__}


def _render(template: str, drawn: Sequence[Spec], **facts: Any) -> str:
    scripts = [report.script(name) for name in report.SCRIPTS] if drawn else []
    return (
        _environment()
        .get_template(template)
        .render(
            style=Markup(report.text_of("page.css") + _text_of("review.css")),
            scripts=[each.text for each in scripts],
            script_sources=" ".join(each.source for each in scripts) or "'none'",
            **facts,
        )
    )


@cache
def _environment() -> Environment:
    made = report.environment().overlay(loader=FunctionLoader(_text_of))
    words = {
        "moment": lambda at: f"{_utc(at):%Y-%m-%d %H:%M} UTC",
        "day": lambda at: f"{_utc(at):%Y-%m-%d}",
        "iso": lambda at: _utc(at).isoformat(),
        "rate": lambda rate: f"{rate:.2g}",
        "headline": headline,
        "families": families,
        "standing": standing,
        "word_of": word_of,
    }
    made.globals = {**made.globals, "MOST_ACCOUNTS": MOST_ACCOUNTS}
    made.filters = {**made.filters, **words}
    return made


def _text_of(name: str) -> str:
    return resources.files("stillroom.watch.review").joinpath(name).read_text(encoding="utf-8")


def _utc(at_us: int) -> datetime:
    return datetime.fromtimestamp(at_us / 1e6, UTC)
