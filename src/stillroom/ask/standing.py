"""Where an interrupted run stands: what is left, what failed and how it is asked again, what was spent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from stillroom.client.price import usd
from stillroom.store.journal import Journal
from stillroom.text.counted import counted
from stillroom.text.failure_words import failures_in_words


class Standing(NamedTuple):
    """Of one pass over the questions, in samples."""

    done: int
    total: int
    """That the pass would ask for."""
    is_most: bool
    """It may ask for fewer."""
    by_status: Mapping[str, int]
    """Replies of the pass."""
    failures: Mapping[str, int]
    """Calls of the pass that failed, by error_kind."""

    def in_words(self, journal: Journal, *, is_limited: bool) -> str:
        """A sentence a line. `is_limited`: the token limit is the recipe's, and not only the model's own."""
        if left := self.total - self.done:
            most = "At most " if self.is_most else ""
            verb = "is" if left == 1 else "are"
            sentences = [f"{most}{left:,} of {counted(self.total, 'sample')} {verb} left to ask."]
        else:
            sentences = ["Nothing is left to ask."]
        if failed := self.by_status.get("failed"):
            again = "going on asks those again that may pass, stillroom ask --reask failed all of them"
            sentences.append(f"{counted(failed, 'sample')} failed: {again}.")
        if truncated := self.by_status.get("truncated"):
            again = ": stillroom ask --reask truncated asks with a larger one" if is_limited else ""
            cut = counted(truncated, "sample was", "samples were")
            sentences.append(f"{cut} cut by the token limit{again}.")
        if self.failures:
            sentences.append(f"Calls that failed: {failures_in_words(self.failures)}.")
        return "\n".join([*sentences, *_spent(journal)])


def _spent(journal: Journal) -> list[str]:
    spent, open_calls = journal.spent(), journal.open_intents()  # these are among the unknown ones
    calls = counted(spent.calls, "call")
    words = f"Spent so far: {usd(spent.usd)} USD in {calls}" if spent.usd else f"Made so far: {calls}"
    if spent.unknown_calls:
        words += f"; the outcome of {spent.unknown_calls:,} is unknown"
        words += f", which counts as {usd(spent.unknown_usd)} USD of it" if spent.unknown_usd else ""
    sentences = [f"{words}."]
    if open_calls:
        verb = "was" if open_calls == 1 else "were"
        sentences.append(f"{open_calls:,} of the unknown ones {verb} let go in flight just now.")
    return sentences
