"""The requests that a run's questions make, with the samples that are to be asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

from stillroom.ask.earlier import Earlier
from stillroom.ask.prompt import prompt_messages, with_prompt
from stillroom.ask.settings import AskSettings, TeacherSettings
from stillroom.base.batches import batched
from stillroom.base.canonical import canonical_bytes
from stillroom.client.request import ChatRequest, RequestSettings, sent_json
from stillroom.store.journal import Finished, Journal
from stillroom.store.tables import read_question_rows, read_questions

_LOOKED_UP_AT_ONCE = 500


def requests(
    questions: Path,
    teacher: TeacherSettings,
    settings: AskSettings,
    limit: int | None = None,
    without: Earlier | None = None,
) -> Iterator[ChatRequest]:
    """A request for each question, with every sample that could be asked. `limit`: tokens, in place of the recipe's.

    `without`: what has looked at these requests before; those that were whole are left out.
    """
    shared = RequestSettings(teacher, settings.sampling(), limit)
    samples = tuple(range(settings.most_samples))
    before = prompt_messages(settings, Path())
    rows = read_question_rows(questions)
    for question_id, stored in rows if without is None else without.lacking(rows):
        messages = sent_json(stored)
        if before:
            messages = canonical_bytes(with_prompt(before, json.loads(messages)))
        yield ChatRequest(question_id, messages, shared, samples)


def requests_with_questions(
    questions: Path, teacher: TeacherSettings, settings: AskSettings, samples: int
) -> Iterator[ChatRequest]:
    """The same with the questions themselves, for whoever judges the answers, and with the first samples only."""
    for request, question in zip(requests(questions, teacher, settings), read_questions(questions), strict=True):
        first = request.only(range(samples))
        first.question = question
        yield first


def with_replies(
    journal: Journal, to_ask: Iterator[ChatRequest], only: Callable[[Finished], bool]
) -> Iterator[ChatRequest]:
    """Of each request the samples whose reply `only` says yes to; requests without one are left out."""
    for block in batched(to_ask, _LOOKED_UP_AT_ONCE):
        found = journal.finished([key for request in block for key in request.keys])
        for request in block:
            samples = [
                sample
                for sample, key in zip(request.samples, request.keys, strict=True)
                if key in found and only(found[key])
            ]
            if samples:
                yield request.only(samples)
