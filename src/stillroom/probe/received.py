"""What came back from whoever asked the suspect, and whether it is what the plan asked for."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from stillroom.base.canonical import digest
from stillroom.base.errors import DataError
from stillroom.base.signatures import LATEST
from stillroom.probe.asked import ASKED, Asked, read_asked
from stillroom.probe.bounded import read_bounded_rows
from stillroom.probe.pack import ANSWERS, LIKELIHOODS
from stillroom.probe.plan import Plan, answers_digest_of, likelihoods_digest_of, sampling_of
from stillroom.store.siblings import Answer, Likelihood, Pair

_ROUNDING = 1e-3
"""So far above 0 may be what a model is certain of, by how floating point numbers are added."""
_LEAST = -1e12
"""No model gives less for a million tokens, however rare; with numbers far below, sums would overflow."""


@dataclass(frozen=True, slots=True)
class Received:
    asked: Asked
    answers: list[Answer]
    likelihoods: list[Likelihood]

    @property
    def digest(self) -> str:
        """In whatever order the rows came, and whoever wrote the files."""
        return digest(
            {
                "asked": digest(self.asked.model_dump(mode="json")),
                "answers": answers_digest_of(self.answers),
                "likelihoods": likelihoods_digest_of(self.likelihoods),
            }
        )


def evidence_digest(received: Received, thirds: Sequence[Answer] | None) -> str:
    """What the log has of all that came in before the coins are opened."""
    return digest({"received": received.digest, "thirds": None if thirds is None else answers_digest_of(thirds)})


def read_received(folder: Path) -> Received:
    """Of a folder that `stillroom probe ask` wrote. Raises DataError where it holds neither answers nor figures."""
    asked = read_asked(folder)
    answers = read_bounded_rows(folder / ANSWERS, Answer) if (folder / ANSWERS).exists() else []
    figures = read_bounded_rows(folder / LIKELIHOODS, Likelihood) if (folder / LIKELIHOODS).exists() else []
    if not answers and not figures:
        raise DataError(f"{folder} holds no {ANSWERS} and no {LIKELIHOODS}.", f"Name the folder of {ASKED}.")
    return Received(asked, answers, figures)


def received_problems(
    received: Received, plan: Plan, pairs: Sequence[Pair], planned_at: int, until: int
) -> Iterator[str]:
    """Why these are not the answers that the plan asked for, a sentence each.

    `planned_at`: when the log recorded the plan; `until`: when the coins were opened. UTC microseconds.
    """
    asked = received.asked
    if asked.plan != plan.digest:
        yield "They were not asked for with this plan: asked.json names another one, or none."
    if received.answers or plan.samples:
        if asked.sampling != sampling_of(plan):
            yield f"They were drawn with other settings than planned: {asked.sampling}, and not {sampling_of(plan)}."
        if asked.samples != plan.samples:
            yield f"Each question was asked {asked.samples} times, and not {plan.samples} times as planned."
    yield from _missing(received, plan)
    yield from _untimely(received, planned_at, until)
    yield from _foreign(received, plan, pairs)


def _missing(received: Received, plan: Plan) -> Iterator[str]:
    """Of an asking that was stopped between its parts, one would be taken for all that there is."""
    if plan.samples and not received.answers:
        yield f"The plan has each question asked {plan.samples:,} times, and there is no answer."
    if plan.needs_likelihood:
        wanted = {"suspect"} if plan.base is None else {"suspect", "base"}
        for model in sorted(wanted - {each.model for each in received.likelihoods}):
            yield f"The plan looks at how likely the {model} holds the replies, and there is no figure of it."


def _untimely(received: Received, planned_at: int, until: int) -> Iterator[str]:
    times = [each.asked_at for each in received.answers] + [each.asked_at for each in received.likelihoods]
    if None in times:
        yield f"{times.count(None):,} of them do not say when they were asked for: they may be older than the plan."
    known = [each for each in (*times, received.asked.first_at, received.asked.last_at) if each is not None]
    if min(known) < planned_at:
        early = sum(each < planned_at for each in known)
        yield (
            f"The plan was recorded after the asking: at {_moment(planned_at)}, when {early:,} of them had been asked "
            f"for, the first at {_moment(min(known))}."
        )
    if max(known) > until:
        yield f"Some were asked for after the coins were opened, at {_moment(max(known))}."


def _foreign(received: Received, plan: Plan, pairs: Sequence[Pair]) -> Iterator[str]:
    questions, ids = {pair.question_id for pair in pairs}, {pair.pair_id for pair in pairs}
    strange = {answer.question_id for answer in received.answers} - questions
    if strange:
        yield f"{len(strange):,} of the questions are not in the plan, such as {min(strange)}."
    strange = {each.pair_id for each in received.likelihoods} - ids
    if strange:
        yield f"There are figures of {len(strange):,} pairs that are not in the plan, such as {min(strange)}."
    if any(not 0 <= answer.sample < plan.samples for answer in received.answers):
        yield f"Some answers have numbers that a plan of {plan.samples} samples does not have."
    keys = Counter((answer.question_id, answer.sample) for answer in received.answers)
    if keys and max(keys.values()) > 1:
        yield f"There are two answers of one number to question {keys.most_common(1)[0][0][0]}."
    figures = Counter((each.pair_id, each.model) for each in received.likelihoods)
    if figures and max(figures.values()) > 1:
        yield f"There are two likelihoods of one model for pair {figures.most_common(1)[0][0][0]}."
    for is_wrong, how in ((_is_above, "above 0"), (_is_below, f"below {_LEAST:g}")):
        if wrong := [each.pair_id for each in received.likelihoods if is_wrong(each.first) or is_wrong(each.second)]:
            said = f"such as that of pair {wrong[0]}: no logarithm of a probability is"
            yield f"{len(wrong):,} figures are {how}, {said}."


def _is_above(figure: float) -> bool:
    return figure > _ROUNDING


def _is_below(figure: float) -> bool:
    """An infinite one is a figure that is missing, as one that is no number is."""
    return -math.inf < figure < _LEAST


def _moment(at_us: int) -> str:
    return f"{datetime.fromtimestamp(min(max(at_us // 1_000_000, 0), LATEST), UTC):%Y-%m-%d %H:%M:%S} UTC"
