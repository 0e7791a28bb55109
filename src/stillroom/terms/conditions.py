"""What terms ask of a student that learned from a teacher's replies, as data, and which of it a name does not meet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Conditions(BaseModel):
    """Each that is None, or empty, asks nothing. All of them hold together."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name_must_be: str | None = Field(default=None, min_length=1)
    """The student's whole name."""
    name_must_begin_with: str | None = Field(default=None, min_length=1)
    """As it is written, capitals included."""
    name_must_contain: str | None = Field(default=None, min_length=1)
    """In any case."""
    pass_licence_on: str | None = Field(default=None, min_length=1)
    """The licence whose text, or whose restrictions of use, have to go along with the student."""
    notice: str | None = Field(default=None, min_length=1)
    """What a notice that goes along has to say, or where its words stand."""
    display: str | None = Field(default=None, min_length=1)
    """Words to be shown on the student's page, or in its documentation."""
    display_above: str | None = Field(default=None, min_length=1)
    """Only products beyond this have to show them."""
    users_below: int | None = Field(default=None, gt=0)
    """Monthly users of all products of whoever takes the licence: from there on, ask the owner first."""
    not_in: tuple[str, ...] = ()
    """Places for which nothing is granted."""
    not_for: tuple[str, ...] = ()
    """What the replies, or the student, must not be used for."""
    use_policy: str | None = Field(default=None, min_length=1)
    """The address of a policy that binds the use."""
    others: tuple[str, ...] = ()
    """What has no field of its own, a phrase each."""

    @model_validator(mode="after")
    def _display_has_words(self) -> Self:
        if self.display_above is not None and self.display is None:
            raise ValueError("display_above goes with display")
        return self

    @property
    def is_empty(self) -> bool:
        return self == Conditions()

    def unmet_by(self, name: str) -> Iterator[str]:
        """What a student of this name does not meet, in words that follow `the name`."""
        if self.name_must_be is not None and name != self.name_must_be:
            yield f"has to be {self.name_must_be}"
        if self.name_must_begin_with is not None and not name.startswith(self.name_must_begin_with):
            yield f"has to begin with {self.name_must_begin_with}"
        if self.name_must_contain is not None and self.name_must_contain.casefold() not in name.casefold():
            yield f"has to contain {self.name_must_contain}"

    def suggested_name(self, name: str) -> str:
        """A name that meets what is asked of one, made of `name` where that can be."""
        if self.name_must_be is not None:
            return self.name_must_be
        for part in (self.name_must_contain, self.name_must_begin_with):
            if part is not None and any(self.unmet_by(name)):
                name = f"{part}-{name}"
        return name

    def in_words(self) -> Iterator[str]:
        """A phrase for each, as it has to hold for the student."""
        if self.name_must_be is not None:
            yield f"its name is {self.name_must_be}"
        if self.name_must_begin_with is not None:
            yield f"its name begins with {self.name_must_begin_with}"
        if self.name_must_contain is not None:
            yield f"its name contains {self.name_must_contain}"
        if self.pass_licence_on is not None:
            yield f"the licence {self.pass_licence_on} goes along with it, its restrictions of use included"
        if self.notice is not None:
            yield f"a notice goes along with it: {self.notice}"
        if self.display is not None:
            above = f", by products above {self.display_above}" if self.display_above else ""
            yield f"the words {self.display} are shown{above}"
        if self.users_below is not None:
            yield f"whoever uses it has fewer than {self.users_below:,} monthly users, or asks the owner first"
        yield from (f"not in {place}" for place in self.not_in)
        yield from (f"not for {purpose}" for purpose in self.not_for)
        if self.use_policy is not None:
            yield f"its use keeps to the policy at {self.use_policy}"
        yield from self.others
