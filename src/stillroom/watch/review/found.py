"""What a detector hands over with a finding, and the written form of both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import orjson
from pydantic import TypeAdapter, ValidationError

from stillroom.base.errors import StoreError
from stillroom.base.records import Finding
from stillroom.base.validation import first_problem
from stillroom.report.charts import Spec

Record = TypeVar("Record")
END_US = 253_402_300_800_000_000
"""The year 10000: what is later cannot be shown as a date."""


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
    finding = _FINDING(written, "A finding")
    if not all(0 <= at < END_US for at in (finding.since_at, finding.until_at, finding.found_at)):
        raise _unreadable("A finding", "it is of no time that there is")
    return finding


def member_as_json(member: Member) -> dict[str, Any]:
    links = None if member.links is None else sorted(member.links)
    return {**asdict(member), "links": links}


def member_from_json(written: Mapping[str, Any]) -> Member:
    """Raises StoreError for what was not written by `member_as_json`."""
    member = _MEMBER(written, "An account of a finding")
    if not all(0 <= at < END_US for at in (member.first_at, member.last_at)):
        raise _unreadable("An account of a finding", "it is of no time that there is")
    return member


def parsed(text: str) -> Any:
    """What the store keeps as JSON. Raises StoreError."""
    try:
        return orjson.loads(text)
    except (orjson.JSONDecodeError, TypeError) as error:
        raise _unreadable("What is kept of a finding", "it is no JSON") from error


def _reader(kind: type[Record]) -> Callable[[Mapping[str, Any], str], Record]:
    adapter = TypeAdapter(kind)

    def read(written: Mapping[str, Any], what: str) -> Record:
        try:
            return adapter.validate_python(written)
        except ValidationError as error:
            raise _unreadable(what, first_problem(error)) from error

    return read


_FINDING, _MEMBER = _reader(Finding), _reader(Member)


def _unreadable(what: str, why: str) -> StoreError:
    return StoreError(f"{what} cannot be read: {why}.", "Restore review.sqlite from a backup.")
