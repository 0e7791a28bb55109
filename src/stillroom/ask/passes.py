"""The passes over a run's questions: all of them, then those again whose replies somebody wants anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from stillroom.ask.earlier import Earlier
from stillroom.ask.enough import AskUntilRight, IsRight
from stillroom.ask.requests import requests, requests_with_questions, with_replies
from stillroom.ask.settings import AskSettings, TeacherSettings
from stillroom.ask.standing import Standing
from stillroom.base.clock import SystemClock
from stillroom.base.errors import RecipeError
from stillroom.base.progress import Progress
from stillroom.client.blocking import run_to_end
from stillroom.client.counts import facts_of as counts_facts_of
from stillroom.client.engine import EngineCounts, ask_all
from stillroom.client.permit_file import load_permit
from stillroom.client.request import ChatRequest
from stillroom.store.journal import Finished, Journal, Spent
from stillroom.store.permits import keep_permit
from stillroom.store.tables import count_rows


class Asking:
    """The passes over a run's questions, all through one journal."""

    def __init__(
        self,
        folder: Path,
        teacher: TeacherSettings,
        settings: AskSettings,
        journal: Journal,
        progress: Progress,
        is_right: IsRight | None,
    ) -> None:
        self._folder = folder
        self._questions = folder / "questions.parquet"
        self._rows = count_rows(self._questions)
        self._teacher, self._settings, self._journal, self._progress = teacher, settings, journal, progress
        if settings.stop_after_right is not None and is_right is None:
            raise RecipeError("stop_after_right needs somebody who can tell what is right.", "Hand in is_right.")
        self._is_right = is_right
        self._spent_before = journal.spent()
        """When the pass began, earlier runs included."""
        self._began_us = SystemClock().now_us()
        self._standing: Standing | None = None

    def where_it_stands(self) -> str | None:
        """What is left, failed and spent, in sentences; None where nothing has come yet."""
        is_limited = self._settings.max_tokens is not None
        return None if self._standing is None else self._standing.in_words(self._journal, is_limited=is_limited)

    def all_questions(self) -> EngineCounts:
        questions, teacher, settings = self._questions, self._teacher, self._settings
        wanted, most = settings.stop_after_right, settings.most_samples
        total = self._rows * most
        earlier = self.earlier(requests(questions, teacher, settings))
        if wanted is not None and self._is_right is not None:  # those that are whole have to be judged, too
            enough = AskUntilRight(wanted, most, self._is_right)
            first = requests_with_questions(questions, teacher, settings, wanted)
            return self.ask(first, total, before=earlier.samples, follow_up=enough)
        passed_over = earlier.samples_of_whole
        lacking = requests(questions, teacher, settings, without=earlier)
        counts = self.ask(lacking, total, before=earlier.samples, passed_over=passed_over)
        counts.requests += passed_over
        counts.settled += passed_over
        return counts

    def earlier(self, asked: Iterator[ChatRequest]) -> Earlier:
        """What earlier runs settled of what will be asked."""
        earlier = Earlier(self._journal, self._teacher.addresses)
        if self._spent_before.calls:  # a run that begins has nothing to look up, and a million digests to make
            earlier.look(asked)
        return earlier

    def cut_replies(self, limit: int) -> int:
        """Ask those again that a smaller limit cut. Returns how many."""
        return self._ask_again(
            lambda found: found.status == "truncated" and found.max_tokens is not None and found.max_tokens < limit,
            limit,
        )

    def replies_that_are(self, status: str) -> int:
        """Ask those again whose reply had this status when the run was started. Returns how many."""
        return self._ask_again(lambda found: found.status == status and found.asked_at < self._began_us, None)

    def _ask_again(self, only: Callable[[Finished], bool], limit: int | None) -> int:
        def chosen() -> Iterator[ChatRequest]:
            asked = requests(self._questions, self._teacher, self._settings, limit)
            return with_replies(self._journal, asked, only)

        if total := sum(len(request.samples) for request in chosen()):
            self._spent_before = self._journal.spent()
            self.ask(chosen(), total, only=only)
        return total

    def ask(
        self, to_ask: Iterator[ChatRequest], total: int, before: int = 0, passed_over: int = 0, **options: Any
    ) -> EngineCounts:
        """One pass. `before`: samples that earlier runs settled, of which `passed_over` are not in `to_ask`."""
        settings = self._settings
        is_counted = settings.max_calls is not None or settings.max_total_tokens is not None
        spent_before = self._spent_before if is_counted else None
        is_most = settings.stop_after_right is not None
        if self._teacher.permit is not None:
            keep_permit(self._folder, *load_permit(Path(self._teacher.permit)))

        def report(counts: EngineCounts) -> None:
            # The engine meets what is settled on its way, long after it is known; and a little that was settled since.
            done = max(before, passed_over + counts.settled) + counts.shared + counts.replies
            self._standing = Standing(done, total, is_most, dict(counts.by_status), dict(counts.failures))
            self._progress.update("ask", done, total, **facts_of(counts, settings, spent_before))

        self._standing = Standing(before, total, is_most, {}, {})
        counts = EngineCounts(spent_usd=self._spent_before.usd)
        self._progress.update("ask", before, total, **facts_of(counts, settings, spent_before))  # minutes may pass now
        counts = run_to_end(
            ask_all(
                to_ask,
                self._teacher,
                self._journal,
                pace=settings.pace(),
                limits=settings.limits(),
                retries=settings.retries,
                strict_limit=False,
                on_progress=report,
                announce=self._progress.say,
                **options,
            )
        )
        if counts.bad_receipts > 1:
            bad = counts.bad_receipts
            self._progress.say(f"{bad:,} calls were answered with a receipt that is none: their replies have none.")
        return counts


def facts_of(counts: EngineCounts, settings: AskSettings, before: Spent | None) -> dict[str, object]:
    """`stillroom.client.counts.facts_of`, and whether there may be fewer replies than the settings allow."""
    is_most = settings.stop_after_right is not None
    return {**counts_facts_of(counts, settings.limits(), before), "total_is_most": is_most}
