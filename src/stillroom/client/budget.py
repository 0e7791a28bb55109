"""Money, calls and tokens: what a call can use at most is reserved before it is sent, and settled when it is known."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from stillroom.store.journal import Spent

_MOST_TOKENS = 2**53


class BudgetLimits(BaseModel):
    """The most that all calls of a journal together may use, earlier runs included. None: no limit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    budget_usd: Decimal | None = Field(default=None, gt=0)
    max_calls: int | None = Field(default=None, ge=1)
    max_total_tokens: int | None = Field(default=None, ge=1)
    """Prompt and completion tokens together."""


class Amount(NamedTuple):
    """Of one call."""

    usd: Decimal
    tokens: int


class Excess(NamedTuple):
    """What calls have used at the most, over what they should have: 1 and above."""

    usd: Decimal
    tokens: Decimal


class Budget:
    """Nothing in flight can carry a total past its limit: `reserve` counts every open call at its worst.

    A server that lets a reply grow past its token limit can bill more than was reserved. The first such reply teaches
    it: from then on every reservation is larger by the same factor, `excess`.
    """

    def __init__(self, limits: BudgetLimits, spent: Spent, excess: Excess | None = None) -> None:
        self.limits = limits
        self.calls, self.usd, self.tokens = spent.calls, spent.usd, spent.tokens
        self.unknown_calls, self.unknown_usd = spent.unknown_calls, spent.unknown_usd
        self.reserved = Amount(Decimal(0), 0)
        self._open_calls = 0
        self.excess = excess or Excess(Decimal(1), Decimal(1))

    def worst(self, most: Amount) -> Amount:
        """What to reserve for a call that should use `most` at most."""
        return Amount(most.usd * self.excess.usd, min(math.ceil(most.tokens * self.excess.tokens), _MOST_TOKENS))

    def lacks(self, worst: Amount) -> str | None:
        """The limit that one more call could pass, by its name in the recipe."""
        limits = self.limits
        if limits.max_calls is not None and self.calls + 1 > limits.max_calls:
            return "max_calls"
        if limits.budget_usd is not None and self.usd + self.reserved.usd + worst.usd > limits.budget_usd:
            return "budget_usd"
        tokens = self.tokens + self.reserved.tokens + worst.tokens
        if limits.max_total_tokens is not None and tokens > limits.max_total_tokens:
            return "max_total_tokens"
        return None

    @property
    def is_reserved(self) -> bool:
        """Whether a call is open that may turn out to use less than was reserved for it."""
        return self._open_calls > 0

    def reserve(self, worst: Amount) -> None:
        self.calls += 1
        self._open_calls += 1
        self.reserved = Amount(self.reserved.usd + worst.usd, self.reserved.tokens + worst.tokens)

    def settle(self, worst: Amount, used: Amount | None, most: Amount) -> None:
        """`most`: what the call should have used at most; `worst`, what was reserved for it. `used` None: nobody knows,
        so that all of the reserved counts as spent.
        """
        self._open_calls -= 1
        self.reserved = Amount(self.reserved.usd - worst.usd, self.reserved.tokens - worst.tokens)
        if used is None:
            self.unknown_calls += 1
            self.unknown_usd += worst.usd
            used = worst
        self.usd += used.usd
        self.tokens += used.tokens
        if used is not worst and (used.usd > most.usd or used.tokens > most.tokens):
            self.excess = Excess(
                max(self.excess.usd, used.usd / most.usd if most.usd else Decimal(1)),
                max(self.excess.tokens, Decimal(used.tokens) / most.tokens if most.tokens else Decimal(1)),
            )
