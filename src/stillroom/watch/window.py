"""What detectors look at: some weeks of the kept tables, added up, in memory. It grows with accounts, not calls."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from stillroom.store.schemas import schema_of

_text, _integer = pa.string(), pa.int64()


TEMPLATES = schema_of(
    account=_text, skeleton_print=_text, calls=_integer, prompts=_integer, first_day=_integer, last_day=_integer
)
"""Only templates that two accounts or more use, or that one account uses twenty times, and that are filled in with
different things: a text that is always the same is none."""
KEYS = schema_of(account=_text, kind=_text, value=_text, calls=_integer, first_day=_integer, last_day=_integer)
"""`user` is not among these: see `USERS`."""
USERS = schema_of(account=_text, users=_integer)
"""How many different `user` labels an account sent."""
MODELS = schema_of(account=_text, model=_text, calls=_integer, first_day=_integer)
BANK_HITS = schema_of(
    account=_text, bank=_text, question=_integer, calls=_integer, exact_calls=_integer, first_at=_integer
)
REPEATS = schema_of(account=_text, sampled=_integer, different=_integer, once=_integer)
"""Of the sampled prompts: their calls, how many different ones, how many that were asked once only."""


@dataclass(frozen=True, slots=True)
class Bank:
    """A known collection of questions, as detectors need to know it."""

    name: str
    questions: int
    split: str | None
    """`train`, `test` or another; None where nobody said."""


@dataclass(frozen=True, slots=True)
class Window:
    """All days `since_day` <= day < `until_day`. Prints of an earlier epoch are already those of the later one."""

    since_day: int
    until_day: int
    activity: pa.Table
    """One row per account and day: schema `tables.ACTIVITY`."""
    templates: pa.Table
    keys: pa.Table
    users: pa.Table
    models: pa.Table
    bank_hits: pa.Table
    repeats: pa.Table
    banks: tuple[Bank, ...]
    missing: frozenset[str]
    """Columns of calls that no source gave: what needs them is absent, never zero."""
    calls_root: str | None = None

    def beside(self, other: Window) -> Window:
        """Both, where no account is in both."""
        tables = ("activity", "templates", "keys", "users", "models", "bank_hits", "repeats")
        joined = {name: pa.concat_tables([getattr(self, name), getattr(other, name)]) for name in tables}
        return Window(
            since_day=self.since_day,
            until_day=self.until_day,
            banks=tuple(dict.fromkeys((*self.banks, *other.banks))),
            missing=self.missing | other.missing,
            calls_root=self.calls_root,
            **joined,
        )
