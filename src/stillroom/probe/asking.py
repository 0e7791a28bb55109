"""Asking a suspect the questions of the pairs: a journal of what was paid for; answers.parquet and asked.json out.

Whoever asks holds no coins: a question does not say which reply to it was served.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from stillroom.base.canonical import canonical_bytes
from stillroom.base.clock import SystemClock
from stillroom.base.errors import BudgetReached, TeacherError, UsageError
from stillroom.base.progress import Progress, Silent
from stillroom.base.records import Reply
from stillroom.client.blocking import run_to_end
from stillroom.client.budget import BudgetLimits
from stillroom.client.counts import EngineCounts, facts_of
from stillroom.client.engine import ask_all
from stillroom.client.pacing import PaceLimits
from stillroom.client.price import usd
from stillroom.client.reply import read_reply
from stillroom.client.request import ChatRequest, RequestSettings
from stillroom.client.settings import Endpoint, Sampling
from stillroom.probe.asked import Asked, reason_of, write_asked
from stillroom.probe.pack_messages import messages_of
from stillroom.store.files import remove_unfinished
from stillroom.store.journal import Journal
from stillroom.store.siblings import Answer, Pair, write_rows
from stillroom.text.think import join_think

ANSWERS = "answers.parquet"
JOURNAL = "asking.sqlite"
_AT_ONCE = 500
_SILENT = Silent()


@dataclass(frozen=True, slots=True)
class AskingSettings:
    """How fast, and for how much: nothing of it changes an answer."""

    pace: PaceLimits = field(default_factory=lambda: PaceLimits(concurrency=16))
    limits: BudgetLimits = field(default_factory=BudgetLimits)
    retries: int = 5


def questions_of(pairs: Iterable[Pair]) -> dict[str, str]:
    """Each question's messages (JSON), by its id, in the order in which the pairs have them first."""
    questions: dict[str, str] = {}
    for pair in pairs:
        questions.setdefault(pair.question_id, pair.messages)
    return questions


def ask_suspect(
    questions: Mapping[str, str],
    endpoint: Endpoint,
    folder: Path,
    *,
    samples: int,
    sampling: Sampling,
    settings: AskingSettings | None = None,
    plan: str | None = None,
    by: str | None = None,
    is_local: bool = False,
    progress: Progress = _SILENT,
) -> list[Answer]:
    """Ask each of `questions` (messages as JSON, by question id) `samples` times, and write what came into `folder`.

    What an earlier call with the same model and sampling was answered, in the same folder, is not asked again; where
    it is stopped, what came is written, and the same call goes on. Every sample has a row, also one that failed: it
    has no text, and its `finish_reason` says why. Each is a call of its own, with `sampling.seed` + its number: an
    endpoint that honours seeds answers the same again, whatever failed on the way. `plan` is the digest of the plan
    that the questions came with. `is_local`: the endpoint is a model of this machine.

    Raises DataError for questions that are none, TeacherError where the suspect does not answer at all, BudgetReached
    at a limit, RecipeError for an unknown price or a missing key.
    """
    settings = settings or AskingSettings()
    _refuse_unlimited(settings.limits, sampling)
    shared = RequestSettings(endpoint, sampling)
    messages = {each: canonical_bytes(messages_of(each, text)) for each, text in questions.items()}

    def requests() -> Iterator[ChatRequest]:
        for question_id, sent in messages.items():
            for sample in range(samples):
                yield ChatRequest(question_id, sent, shared, (sample,))

    facts = {
        "plan": plan,
        "by": by,
        "model": endpoint.model,
        "address": None if is_local else endpoint.base_url,
        "samples": samples,
        "sampling": sampling,
        "questions": len(messages),
    }
    with Journal(folder / JOURNAL) as journal:
        remove_unfinished(folder / ANSWERS)
        try:
            _ask(requests(), len(messages) * samples, endpoint, journal, settings, progress)
        except (KeyboardInterrupt, BudgetReached, TeacherError):
            _write(folder, journal, requests(), facts, is_whole=False)
            raise
        return _write(folder, journal, requests(), facts, is_whole=True)


def answer_of(reply: Reply, question_id: str, sample: int) -> Answer:
    """Of one that failed the text is left out: what came of it says nothing of the whole."""
    read = read_reply(reply)
    text = "" if reply.status == "failed" else join_think(read.reasoning, read.answer)
    ended = reason_of(reply.status, reply.error_kind or read.finish_reason)
    return Answer(question_id, sample, text, ended, reply.asked_at)


def _refuse_unlimited(limits: BudgetLimits, sampling: Sampling) -> None:
    if sampling.max_tokens is None and (limits.budget_usd is not None or limits.max_total_tokens is not None):
        raise UsageError(
            "A budget needs to know the most that an answer can cost, and the answers have no token limit.",
            "Plan with a limit of tokens, or ask without a budget.",
        )


def _ask(
    requests: Iterator[ChatRequest],
    total: int,
    endpoint: Endpoint,
    journal: Journal,
    settings: AskingSettings,
    progress: Progress,
) -> None:
    before = journal.spent()

    def report(counts: EngineCounts) -> None:
        done = counts.settled + counts.shared + counts.replies
        progress.update("ask", done, total, **facts_of(counts, settings.limits, before))

    report(EngineCounts(spent_usd=before.usd))
    run_to_end(
        ask_all(
            requests,
            endpoint,
            journal,
            pace=settings.pace,
            limits=settings.limits,
            retries=settings.retries,
            on_progress=report,
            announce=progress.say,
        )
    )


def _write(
    folder: Path, journal: Journal, requests: Iterator[ChatRequest], facts: Mapping[str, Any], *, is_whole: bool
) -> list[Answer]:
    answers: list[Answer] = []
    statuses: Counter[str] = Counter()
    served: set[str] = set()
    while block := list(islice(requests, _AT_ONCE)):
        for reply, question_id, sample in _replies(journal, block):
            answers.append(answer_of(reply, question_id, sample))
            statuses[reply.status] += 1
            served |= {reply.served_model} if reply.served_model else set()
    write_rows(folder / ANSWERS, Answer, answers)
    times = [answer.asked_at for answer in answers if answer.asked_at is not None] or [SystemClock().now_us()]
    asked = Asked(
        **facts,
        served_models=tuple(sorted(served)),
        by_status=dict(sorted(statuses.items())),
        first_at=min(times),
        last_at=max(times),
        is_whole=is_whole,
        spent_usd=usd(journal.spent().usd),
    )
    write_asked(folder, asked)
    return answers


def _replies(journal: Journal, block: Sequence[ChatRequest]) -> Iterator[tuple[Reply, str, int]]:
    """In the order of the questions, never in that of arrival."""
    found = journal.replies_of([key for request in block for key in request.keys])
    for request in block:
        for sample, key in zip(request.samples, request.keys, strict=True):
            if key in found:
                yield found[key], request.question_id, sample
