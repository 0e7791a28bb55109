"""Further draws of the teacher for each question: what anybody would say to it.

And how near a model comes to the siblings that *is* the teacher.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError

from stillroom.base.canonical import canonical_bytes, digest
from stillroom.base.errors import DataError, UsageError
from stillroom.base.progress import Progress, Silent
from stillroom.client.blocking import run_to_end
from stillroom.client.counts import EngineCounts, facts_of
from stillroom.client.engine import ask_all
from stillroom.client.request import ChatRequest, RequestSettings
from stillroom.client.settings import Endpoint, Sampling
from stillroom.client.stream import read_json
from stillroom.probe.asking import AskingSettings, answer_of
from stillroom.store.journal import Journal
from stillroom.store.siblings import Answer, Opening, Pair

_LIMITS = ("max_completion_tokens", "max_tokens", "max_output_tokens")
_SAMPLING = ("temperature", "top_p")
_AS_IT_IS = {
    *("top_k", "min_p", "stop", "presence_penalty", "frequency_penalty", "repetition_penalty", "logit_bias"),
    *("response_format", "reasoning_effort", "verbosity", "chat_template_kwargs", "tools", "tool_choice"),
}
"""What decides a reply on the chat route beside these. Not the seed: with it, a draw would be one of the two again."""
_SILENT = Silent()


def draw_again(
    pairs: Sequence[Pair],
    openings: Sequence[Opening],
    endpoint: Endpoint,
    journal: Path,
    *,
    samples: int = 1,
    default: Sampling | None = None,
    settings: AskingSettings | None = None,
    progress: Progress = _SILENT,
) -> list[Answer]:
    """`samples` replies of the teacher, by the chat route, to each question of the pairs: with its request's settings.

    Each is a call of its own, and has no seed. `default`: the settings for pairs that came without a request. Of a
    question that several accounts asked, the first pair's settings are taken. What an earlier call with the same
    journal was answered is not asked again. The caller may write them as a table: `thirds.parquet`.

    Raises UsageError where a pair has no request and `default` is None; what `stillroom.client.engine.ask_all` raises.
    """
    settings = settings or AskingSettings()
    by_pair = {opening.pair_id: opening for opening in openings}
    requests = list(_requests(pairs, by_pair, endpoint, default, samples))
    with Journal(journal) as opened:
        before = opened.spent()

        def report(counts: EngineCounts) -> None:
            done = counts.settled + counts.shared + counts.replies
            progress.update("ask", done, len(requests), **facts_of(counts, settings.limits, before))

        report(EngineCounts(spent_usd=before.usd))
        how: dict[str, Any] = {"pace": settings.pace, "limits": settings.limits, "retries": settings.retries}
        run_to_end(ask_all(requests, endpoint, opened, **how, on_progress=report, announce=progress.say))
        found = opened.replies_of([request.key for request in requests])
    return [answer_of(found[each.key], each.question_id, each.samples[0]) for each in requests if each.key in found]


def statuses_of(thirds: Iterable[Answer]) -> Counter[str]:
    """How many came to an end of which sort, by `finish_reason`."""
    return Counter(answer.finish_reason or "unknown" for answer in thirds)


def _requests(
    pairs: Iterable[Pair],
    openings: Mapping[str, Opening],
    endpoint: Endpoint,
    default: Sampling | None,
    samples: int,
) -> Iterator[ChatRequest]:
    shared: dict[str, RequestSettings] = {}
    asked: set[str] = set()
    for pair in pairs:
        if pair.question_id in asked:
            continue
        asked.add(pair.question_id)
        sampling, extra = _recorded(pair, openings.get(pair.pair_id), default)
        name = digest([sampling.model_dump(mode="json"), extra])
        if name not in shared:
            body = {**endpoint.extra_body, **extra}
            shared[name] = RequestSettings(endpoint.model_copy(update={"extra_body": body}), sampling)
        messages = canonical_bytes(orjson.loads(pair.messages))
        for sample in range(samples):
            yield ChatRequest(pair.question_id, messages, shared[name], (sample,))


def _recorded(pair: Pair, opening: Opening | None, default: Sampling | None) -> tuple[Sampling, dict[str, Any]]:
    """How the recorded request wanted its reply drawn."""
    if opening is None or opening.request is None:
        if default is None:
            raise UsageError(
                f"Pair {pair.pair_id} came without its request: how its replies were drawn is not known.",
                "Say the temperature, top_p and the limit of tokens that the model was asked with.",
            )
        return default, {}
    body = read_json(opening.request)
    if not isinstance(body, dict):
        raise DataError(f"The request of pair {pair.pair_id} is not JSON.", "Gather the pairs again.")
    limit = next((body[name] for name in _LIMITS if body.get(name) is not None), None)
    known = {name: body[name] for name in _SAMPLING if body.get(name) is not None}
    try:
        sampling = Sampling(**known, max_tokens=limit)
    except ValidationError as error:
        what = f"The request of pair {pair.pair_id} asks for a reply as no model draws one: {error.errors()[0]['msg']}."
        raise DataError(what, "Leave this pair out.") from error
    extra = {name: body[name] for name in _AS_IT_IS if body.get(name) is not None} if opening.route == "chat" else {}
    if opening.route == "messages" and body.get("stop_sequences"):
        extra["stop"] = body["stop_sequences"]
    if opening.route == "completions" and body.get("stop"):
        extra["stop"] = body["stop"]
    return sampling, extra
