"""What a whole run will cost and take, from a few real calls. Their replies are kept, and not asked for again."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from stillroom.ask.passes import Asking
from stillroom.ask.requests import requests
from stillroom.ask.settings import AskSettings, TeacherSettings
from stillroom.base.batches import batched
from stillroom.base.progress import Progress, Silent
from stillroom.base.records import Reply
from stillroom.client.price import pricing, usd
from stillroom.client.request import ChatRequest, RequestSettings
from stillroom.client.usage import Usage
from stillroom.client.waiting import TAKEN_AT_ONCE
from stillroom.store.journal import Journal
from stillroom.store.tables import count_rows

CALLS = 12
"""Questions that are asked: each costs money, and the range narrows only with the root of their number."""
_RESAMPLES = 2000
_SILENT = Silent()


def estimate(
    folder: Path, teacher: TeacherSettings, settings: AskSettings, progress: Progress = _SILENT, questions: int = CALLS
) -> dict[str, Any]:
    """Ask some questions of the run, chosen at random, and say what the rest will cost and take.

    Returns `asked` (questions), `left`, `samples` ([fewest, most] for each question), `completion_tokens` (mean of a
    reply), `truncated` (replies cut by the limit), `seconds_per_reply` (median), `cost_usd`: {`each`, `expected`,
    `low`, `high`, `at_most`} of what is left, null where the teacher costs nothing or says no usage, and `seconds`:
    {`low`, `high`}. low and high are the 5th and the 95th hundredth of 2,000 resamples of the questions; `at_most`:
    every reply as long as the limit. The time's `low` is at full concurrency, or at the rate that the settings allow;
    `high` no faster than these few calls went. `spent_usd` and `budget_usd`: so far, and at most. Raises what `ask`
    raises.
    """
    path = folder / "questions.parquet"
    rows = count_rows(path)
    chosen = set(random.Random(rows).sample(range(rows), min(questions, rows)))

    asked = settings.stop_after_right or settings.samples

    def some() -> Iterator[ChatRequest]:
        for row, request in enumerate(requests(path, teacher, settings)):
            if row in chosen:
                yield request.only(range(asked))

    started = time.monotonic()
    with Journal(folder / "ask.sqlite") as journal:
        calls_before = journal.spent().calls
        asking = Asking(folder, teacher, settings, journal, progress, lambda *_: False)
        asking.ask(some(), len(chosen) * asked, before=asking.earlier(some()).samples)
        took_s, calls = time.monotonic() - started, journal.spent().calls - calls_before
        spent = journal.spent().usd
        replies = [list(journal.replies_of(request.keys).values()) for request in some()]
        left = rows - _complete(journal, path, teacher, settings)
    came = [of_question for of_question in replies if of_question]
    each = [reply for of_question in came for reply in of_question]
    samples = [settings.stop_after_right or settings.samples, settings.most_samples]
    latency_s = sorted(reply.latency_us / 1e6 for reply in each)[len(each) // 2] if each else None
    return {
        "asked": len(came),
        "left": left,
        "samples": samples,
        "completion_tokens": _mean([reply.completion_tokens for reply in each]),
        "truncated": sum(reply.status == "truncated" for reply in each),
        "seconds_per_reply": latency_s,
        "cost_usd": _cost(came, left, samples, teacher, settings),
        "seconds": _seconds(
            left * samples[0], left * samples[1], latency_s, settings, calls / took_s if calls else None
        ),
        "spent_usd": usd(spent),
        "budget_usd": usd(settings.budget_usd),
    }


def _complete(journal: Journal, path: Path, teacher: TeacherSettings, settings: AskSettings) -> int:
    """Questions that have as many replies as will be asked for at least."""
    asked = settings.stop_after_right or settings.samples
    complete = 0
    all_requests = (request.only(range(asked)) for request in requests(path, teacher, settings))
    for block in batched(all_requests, TAKEN_AT_ONCE):
        found = journal.finished([key for request in block for key in request.keys])
        complete += sum(all(key in found for key in request.keys) for request in block)
    return complete


def _cost(
    came: Sequence[Sequence[Reply]],
    left: int,
    samples: Sequence[int],
    teacher: TeacherSettings,
    settings: AskSettings,
) -> dict[str, str | None] | None:
    costs = [
        sum((Decimal(reply.cost_usd) for reply in replies if reply.cost_usd), Decimal(0))
        for replies in came
        if any(reply.cost_usd for reply in replies)
    ]
    if not costs:
        return None
    draw = random.Random(len(costs))
    means = sorted(sum(draw.choices(costs, k=len(costs)), Decimal(0)) / len(costs) for _ in range(_RESAMPLES))
    fewest, most = left, left * Decimal(samples[1]) / samples[0]
    mean = sum(costs, Decimal(0)) / len(costs)
    prompt = max((reply.prompt_tokens or 0 for replies in came for reply in replies), default=0)
    limit = RequestSettings(teacher, settings.sampling()).max_tokens
    longest = limit and pricing(teacher).cost(Usage(prompt, 0, limit * samples[1]), came[0][0].asked_at)
    return {
        "each": _cents(mean),
        "expected": _cents(mean * (fewest + most) / 2),
        "low": _cents(means[_RESAMPLES // 20] * fewest),
        "high": _cents(means[-_RESAMPLES // 20] * most),
        "at_most": _cents(longest * left) if longest else None,
    }


def _seconds(
    fewest: int, most: int, latency_s: float | None, settings: AskSettings, calls_per_s: float | None
) -> dict[str, float | None]:
    """`low`: every place taken, or as many a minute as the settings allow. `high`: no faster than these few went."""
    if latency_s is None:
        return {"low": None, "high": None}
    fast = settings.concurrency / max(latency_s, 1e-3)
    slow = fast / 4 if calls_per_s is None else min(fast, calls_per_s)
    if settings.requests_per_minute is not None:
        fast, slow = (min(rate, settings.requests_per_minute / 60) for rate in (fast, slow))
    return {"low": round(fewest / fast + latency_s, 3), "high": round(most / slow + latency_s, 3)}


def _mean(values: Sequence[int | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(sum(known) / len(known), 1) if known else None


def _cents(amount: Decimal) -> str:
    """Three digits that count: an estimate has no more."""
    return usd(Decimal(f"{amount:.3g}")) or "0"
