"""What a detector hands over with a finding, and the written form of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from stillroom.base.errors import StoreError
from stillroom.base.records import Explanation, Finding, FindingLink, FindingSignal
from stillroom.report.charts import Spec


@dataclass(frozen=True, slots=True)
class Member:
    """One account of a finding by itself: all that its own organisation is ever told of the finding."""

    account: str
    organisation: str
    calls: int
    """In the finding's window, those that carry a permit left out."""
    permitted_calls: int
    first_at: int
    last_at: int
    """UTC in microseconds."""
    bank_questions: Mapping[str, int]
    """How many different questions of each bank it asked."""
    links: frozenset[str] | None
    """The kinds of the finding's links that hold for this account; None where nobody said."""


@dataclass(frozen=True, slots=True)
class Found:
    """A finding as a run of the detectors hands it over."""

    finding: Finding
    charts: tuple[Spec, ...] = ()
    members: tuple[Member, ...] = ()
    link_values: frozenset[str] = frozenset()
    """`FAMILY:KIND:VALUE` of what links its accounts and few others share, such as `payment:billing:HEX`. By these a
    campaign is known again after its accounts were replaced, so a bank's name, which anyone may ask, is none."""


def finding_as_json(finding: Finding) -> dict[str, Any]:
    return asdict(finding)


def finding_from_json(written: Mapping[str, Any]) -> Finding:
    """Raises StoreError for what was not written by `finding_as_json`."""
    try:
        return Finding(
            **{
                **written,
                "accounts": tuple(written["accounts"]),
                "organisations": tuple(written["organisations"]),
                "signals": tuple(FindingSignal(**each) for each in written["signals"]),
                "links": tuple(FindingLink(**each) for each in written["links"]),
                "explanations": tuple(Explanation(**each) for each in written["explanations"]),
                "against": tuple(written["against"]),
                "permits": tuple(written["permits"]),
            }
        )
    except (KeyError, TypeError) as error:
        raise StoreError(f"A finding cannot be read: {error}.", "Restore it from a backup.") from error


def member_as_json(member: Member) -> dict[str, Any]:
    links = None if member.links is None else sorted(member.links)
    return {**asdict(member), "links": links}


def member_from_json(written: Mapping[str, Any]) -> Member:
    """Raises StoreError for what was not written by `member_as_json`."""
    try:
        links = None if written["links"] is None else frozenset(written["links"])
        return Member(**{**written, "links": links})
    except (KeyError, TypeError) as error:
        raise StoreError(f"An account of a finding cannot be read: {error}.", "Restore it from a backup.") from error
