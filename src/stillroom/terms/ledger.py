"""The ledger: `teachers.toml`, an entry for each licence of model families and for the terms of each hosted API."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from datetime import date
from functools import cache
from importlib import resources
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from stillroom.terms.conditions import Conditions

OutputsMayTrain = Literal["allowed", "conditions", "forbidden", "unknown"]
STRICTNESS: dict[OutputsMayTrain, int] = {"allowed": 0, "conditions": 1, "unknown": 2, "forbidden": 3}
"""Where several terms meet, the one with the largest number stands."""
OWN = "own"
"""The terms of a model that belongs to whoever uses it. No entry of the ledger."""
TOGETHER = "+"
"""Between the ids of terms that hold together: a provider's, and the licence of the model that it serves."""
_ID = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}")


def _terms_id(value: str) -> str:
    if not _ID.fullmatch(value) or value == OWN:
        raise ValueError("an id is up to 64 small letters, digits, dots and hyphens, and not own")
    return value


TermsId = Annotated[str, AfterValidator(_terms_id)]


class Entry(BaseModel):
    """One licence or one provider's terms."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: TermsId
    name: str = Field(min_length=1)
    kind: Literal["licence", "api"]
    covers: tuple[str, ...] = ()
    """Which models: families by name, for people."""
    hosts: tuple[str, ...] = ()
    """Of an API: the hosts that it is asked at."""
    source: str | None = None
    """The document's own address."""
    copy_read: str | None = None
    """Where the copy lies that was read, where that is not `source`: a repository and a commit, or a package."""
    document_date: str | None = None
    """The date or version that the document states."""
    read: bool = True
    """Whether the document was read for this entry."""
    read_on: date | None = None
    outputs_may_train: OutputsMayTrain
    """Whether its outputs may train another model, as far as the document says."""
    conditions: Conditions = Conditions()
    model_terms_apply: bool = False
    """Of an API that serves models of others: their licences decide too, and have to be named beside it."""
    why: str = Field(min_length=1)
    """How the verdict follows from the document, in our own words."""

    @field_validator("source")
    @classmethod
    def _is_an_address(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith("https://"):
            raise ValueError("a source is an https address")
        return value

    @model_validator(mode="after")
    def _no_verdict_without_a_reading(self) -> Self:
        if self.read != (self.read_on is not None):
            raise ValueError("read_on is the day of the reading: where nothing was read there is none")
        if self.read and self.source is None:
            raise ValueError("what was read has a source")
        if not self.read and self.outputs_may_train != "unknown":
            raise ValueError("no text read, no verdict: it is unknown")
        asks_something = not self.conditions.is_empty or self.model_terms_apply
        if self.outputs_may_train == "conditions" and not asks_something:
            raise ValueError("the verdict `conditions` has some")
        if not self.conditions.is_empty and self.outputs_may_train != "conditions":
            raise ValueError("conditions stand beside the verdict `conditions`, and no other")
        if self.outputs_may_train == "allowed" and self.model_terms_apply:
            raise ValueError("where the model's own terms decide, the verdict is `conditions`")
        if self.kind == "licence" and (self.hosts or self.model_terms_apply):
            raise ValueError("hosts and model_terms_apply are of an api")
        return self


class _Ledger(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    entry: tuple[Entry, ...]

    @model_validator(mode="after")
    def _ids_are_unique(self) -> Self:
        ids = [each.id for each in self.entry]
        hosts = [host for each in self.entry for host in each.hosts]
        for what, names in (("id", ids), ("host", hosts)):
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(f"the {what} {twice[0]} stands in two entries")
        return self


def parse_ledger(text: str) -> dict[str, Entry]:
    """The entries by id, in the order of the file. Raises ValueError for a file that is no ledger."""
    return {each.id: each for each in _Ledger.model_validate(tomllib.loads(text)).entry}


@cache
def read_ledger() -> dict[str, Entry]:
    """The ledger of this package, by id."""
    return parse_ledger((resources.files("stillroom.terms") / "teachers.toml").read_text(encoding="utf-8"))


def split_terms(terms: str) -> list[str]:
    """The ids of terms that hold together: `together + llama-3.3`. Each of them once."""
    return list(dict.fromkeys(part.strip() for part in terms.split(TOGETHER) if part.strip()))


def join_terms(ids: list[str]) -> str:
    return f" {TOGETHER} ".join(ids)


def entry_of_host(host: str) -> Entry | None:
    """The API that is asked at this host, or at one below it."""
    host = host.lower().rstrip(".")
    for entry, known in _hosts():
        if host == known or host.endswith(f".{known}"):
            return entry
    return None


def _hosts() -> Iterator[tuple[Entry, str]]:
    for entry in read_ledger().values():
        yield from ((entry, host) for host in entry.hosts)
