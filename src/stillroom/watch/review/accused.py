"""What an organisation that stands in a finding is told: its own figures, and nobody else's.

Of a group's finding nothing is said that counts or names others: no sentence of the finding itself, but ones made from
the organisation's own accounts. No score, no threshold, no place among other customers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from stillroom.base.errors import UsageError
from stillroom.base.records import Finding
from stillroom.text.counted import counted, listed
from stillroom.watch.review.found import Member
from stillroom.watch.review.store import KeptFinding

LINKS = {
    "network": "Calls came from a network (the first three parts of an internet address) that accounts of other "
    "organisations also used.",
    "payment": "A means of payment is also that of accounts of other organisations.",
    "client": "Calls came from a client that looks like that of accounts of other organisations.",
    "content": "What was asked fits together with what accounts of other organisations asked.",
    "time": "The hours of the calls fit together with those of accounts of other organisations.",
}
"""What a link of each family is called, to somebody who must not learn whom it links."""
ANSWERS = (
    "If the accounts belong together for a reason that you can give, or only look as if they did, say so.",
    "If what was asked is a benchmark, your own data or your own product's traffic, say which.",
    "If you have a permit for this use, name it.",
    "If somebody else may have used your accounts, say since when.",
)


def export_for(kept: KeptFinding, organisation: str, contact: str) -> dict[str, Any]:
    """What `organisation` is told of a finding that it stands in; `contact`: where it answers to.

    Raises UsageError where it does not stand in it, where the finding was kept without its accounts' own figures, and
    for an empty contact.
    """
    finding = kept.finding
    if organisation not in finding.organisations:
        raise UsageError(f"{organisation!r} is no organisation of {finding.id}.", "stillroom watch show lists them.")
    if not contact.strip():
        raise UsageError("There is nowhere to answer to.", "Name an address: --contact appeals@example.com.")
    own = [member for member in kept.members if member.organisation == organisation]
    if not own:
        raise UsageError(
            f"{finding.id} holds no figures of {organisation} alone.", "Run the detectors again over the same calls."
        )
    others = _names_of_others(finding, own)
    own = [replace(member, bank_questions=_without_names(member.bank_questions, others)) for member in own]
    return {
        "finding": finding.id,
        "organisation": organisation,
        "since": _day(finding.since_at),
        "until": _day(finding.until_at),
        "status": finding.status,
        "decided": None if kept.decision is None else _moment(kept.decision.at),
        "summary": _summary(finding, own),
        "reasons": [reason for reason in _reasons(finding, own) if not others.search(reason)],
        "explanations_tested": [{"name": each.name, "ruled_out": each.is_ruled_out} for each in finding.explanations],
        "accounts": [_own_figures(member) for member in own],
        "what_helps": list(ANSWERS),
        "contact": contact.strip(),
        "appeal": (
            f"A person decides about this, and no program. To answer, write to {contact.strip()} and name "
            f"{finding.id}. A person reads what you write; no detector does."
        ),
    }


def _summary(finding: Finding, own: Sequence[Member]) -> str:
    accounts = counted(len(own), "account")
    calls = counted(sum(member.calls for member in own), "call")
    together = ", seen together with other accounts," if len(finding.organisations) > 1 else ""
    return (
        f"The {calls} of your {accounts} between {_day(finding.since_at)} and {_day(finding.until_at)}{together} "
        "look like the collection of a model's answers for training another model. This is a question, and no verdict."
    )


def _reasons(finding: Finding, own: Sequence[Member]) -> list[str]:
    reasons = []
    if len(finding.organisations) == 1:
        reasons += [signal.sentence for signal in finding.signals]
    for member in own:
        for bank, questions in sorted(member.bank_questions.items()):
            asked = counted(questions, "different question")
            reasons.append(f"{member.account} asked {asked} of the known collection {bank}.")
    if len(finding.organisations) > 1:
        held = {link.family for link in finding.links if any(_holds(link.kind, member) for member in own)}
        reasons += [LINKS[family] for family in sorted(held)]
    return reasons


def _holds(kind: str, member: Member) -> bool:
    """What is not known of one account by itself is not said of it."""
    return member.links is not None and kind in member.links


def _own_figures(member: Member) -> dict[str, Any]:
    facts = asdict(member)
    return {
        "account": facts["account"],
        "calls": facts["calls"],
        "calls_with_a_permit": facts["permitted_calls"],
        "first_call": _moment(member.first_at),
        "last_call": _moment(member.last_at),
        "questions_of_known_collections": dict(member.bank_questions),
    }


def _names_of_others(finding: Finding, own: Sequence[Member]) -> re.Pattern[str]:
    """The ids that must not leave: of every account and organisation of the finding that is not the reader's own."""
    ours = {each for member in own for each in (member.account, member.organisation)}
    ours |= set(finding.accounts) if len(finding.organisations) == 1 else set()
    others = {each for each in (*finding.accounts, *finding.organisations) if each and each not in ours}
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, sorted(others)))})(?!\w)" if others else "(?!)")


def _without_names(bank_questions: Mapping[str, int], others: re.Pattern[str]) -> dict[str, int]:
    """Whoever called a bank after a customer does not tell others of them by it."""
    return {"(not named)" if others.search(bank) else bank: number for bank, number in bank_questions.items()}


def _day(at_us: int) -> str:
    return f"{datetime.fromtimestamp(at_us / 1e6, UTC):%Y-%m-%d}"


def _moment(at_us: int) -> str:
    return f"{datetime.fromtimestamp(at_us / 1e6, UTC):%Y-%m-%d %H:%M} UTC"


def in_words(told: dict[str, Any]) -> str:
    """As plain text, to be sent."""
    tested = listed(each["name"] for each in told["explanations_tested"]) if told["explanations_tested"] else ""
    lines = [
        f"{told['finding']}: what {told['organisation']} is told",
        "",
        told["summary"],
        "",
        *(f"- {reason}" for reason in told["reasons"]),
        *(["", f"Innocent explanations that were tested: {tested}."] if tested else []),
        "",
        *(f"- {sentence}" for sentence in told["what_helps"]),
        "",
        told["appeal"],
    ]
    return "\n".join(lines)
