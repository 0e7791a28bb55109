"""What a run of the engine did, and what it noticed about who answered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from stillroom.client.budget import BudgetLimits
from stillroom.client.outcome import Result
from stillroom.client.reply import ParsedReply
from stillroom.store.journal import Spent
from stillroom.text.one_line import one_line


@dataclass(slots=True)
class EngineCounts:
    """What one run of the engine did, in samples. requests == settled + shared + replies, once it has ended."""

    requests: int = 0
    settled: int = 0
    """An earlier reply serves."""
    shared: int = 0
    """The same request was in flight for another question."""
    calls: int = 0
    by_status: Counter[str] = field(default_factory=Counter)
    """Replies of this run."""
    failures: Counter[str] = field(default_factory=Counter)
    """Calls of this run that brought no usable reply, by error_kind, those that were called again included."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: Decimal = Decimal(0)
    """Of this run's calls, as far as it is known."""
    spent_usd: Decimal = Decimal(0)
    """Of all runs, unknown outcomes at their worst."""
    in_flight: int = 0
    pace: str = ""
    """Why the run is as fast as it is."""
    bad_receipts: int = 0
    """Calls of this run whose receipt was none: their replies are kept without."""
    latest: tuple[bytes, str] | None = None
    """Messages (canonical JSON) and answer of the reply that came last."""

    @property
    def replies(self) -> int:
        return self.by_status.total()

    def count_call(self, result: Result, messages: bytes, spent_usd: Decimal) -> None:
        """A call has come back."""
        first = result.first
        self.calls += 1
        self.prompt_tokens += first.usage.prompt_tokens or 0
        self.completion_tokens += first.usage.completion_tokens or 0
        self.cost_usd += result.used.usd if result.used is not None else 0
        self.spent_usd = spent_usd
        if first.error_kind is not None:
            self.failures[first.error_kind] += 1
        elif first.answer:
            self.latest = (messages, first.answer)


def facts_of(counts: EngineCounts, limits: BudgetLimits, before: Spent | None) -> dict[str, object]:
    """What a person sees while it runs. Counts are of this pass; `spent_usd` and `*_of_all_runs` of the whole journal.

    `before`: what the journal held when the pass began, where calls or tokens are limited; else None.
    """
    facts: dict[str, object] = {
        "replies": counts.replies,
        "calls": counts.calls,
        "completion_tokens": counts.completion_tokens,
        "in_flight": counts.in_flight,
        "cost_usd": counts.cost_usd,
        "spent_usd": counts.spent_usd,
        "budget_usd": limits.budget_usd,
        "pace": counts.pace,
        "failures": dict(counts.failures),
        "latest": counts.latest,
    }
    if before is not None:
        tokens = counts.prompt_tokens + counts.completion_tokens
        facts |= {
            "max_calls": limits.max_calls,
            "calls_of_all_runs": before.calls + counts.calls + counts.in_flight,
            "max_total_tokens": limits.max_total_tokens,
            "total_tokens": tokens,
            "tokens_of_all_runs": before.tokens + tokens,
        }
    return facts


class Served:
    """The models and fingerprints that the server has reported: a change in mid-run is worth a word."""

    def __init__(self) -> None:
        self._models: set[str] = set()
        self._fingerprints: set[str] = set()

    def changes(self, outcome: ParsedReply) -> Iterator[str]:
        """Sentences about what is new in this reply, compared with those before."""
        if outcome.status == "failed":
            return
        if outcome.served_model is not None and outcome.served_model not in self._models:
            self._models.add(outcome.served_model)
            if len(self._models) > 1:
                yield f"The server answers with another model now: {one_line(outcome.served_model, 80)}."
        if outcome.fingerprint is not None and outcome.fingerprint not in self._fingerprints:
            self._fingerprints.add(outcome.fingerprint)
            if len(self._fingerprints) == 2:  # with several behind one address they come in turn
                name = one_line(outcome.fingerprint, 80)
                yield f"The server's fingerprint has changed to {name}: its model or settings may have."
