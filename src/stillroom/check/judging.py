"""What the answers are worth: by the verifiers, else by agreement among samples, else by a judge."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, TypeVar

from stillroom.base.batches import batched
from stillroom.base.progress import Progress
from stillroom.base.records import Question
from stillroom.check.decide import Decision
from stillroom.verify import verify_many
from stillroom.verify.agreement import agree
from stillroom.verify.judge import Judge, JudgeItem
from stillroom.verify.judge_measurement import KnownItem, known_sample
from stillroom.verify.settings import JudgeSettings

QUESTIONS_AT_ONCE = 256
"""How many questions' replies are verified side by side. Twice as many are in memory."""

Decided = tuple[Question, list[Decision]]
_T = TypeVar("_T")


def verified(questions: Iterable[Decided], agreement: float | None) -> Iterator[Decided]:
    """Judge what has no reason against it yet by the verifiers, and where they can't, by agreement (its least share).

    While one batch is being verified, the next one is taken from `questions`.
    """
    batches = batched(questions, QUESTIONS_AT_ONCE)
    with ThreadPoolExecutor(max_workers=1) as thread:
        running: Future[list[Decided]] | None = None
        for batch in batches:
            waiting = running
            running = thread.submit(_verify, batch, agreement)
            if waiting is not None:
                yield from waiting.result()
        if running is not None:
            yield from running.result()


def _verify(batch: list[Decided], agreement: float | None) -> list[Decided]:
    waiting = [(question, each) for question, decisions in batch for each in decisions if each.reason is None]
    judgements = verify_many([(question, decision.reply["answer"]) for question, decision in waiting])
    for (_, decision), judgement in zip(waiting, judgements, strict=True):
        decision.judge(judgement, "verifier")
    if agreement is not None:
        for question, decisions in batch:
            _agree(question, decisions, agreement)
    return batch


def _agree(question: Question, decisions: Sequence[Decision], agreement: float) -> None:
    """Where nothing is known to verify with: judge the samples by each other. One found unfit agrees with nobody."""
    samples = [decision for decision in decisions if not decision.is_from_elsewhere]
    verdicts = {decision.judgement.verdict for decision in samples if decision.judgement is not None}
    if verdicts != {"unverifiable"}:
        return
    answers = [decision.reply["answer"] if decision.judgement is not None else None for decision in samples]
    for decision, judgement in zip(samples, agree(question.kind, answers, agreement), strict=True):
        if decision.judgement is not None:
            decision.judge(judgement, "agreement")


def judged(
    questions: Iterable[Decided], settings: JudgeSettings, folder: Path, progress: Progress, facts: dict[str, Any]
) -> Iterator[Decided]:
    """Ask a judge about every answer whose verdict is still `unsure` or `unverifiable`; measure it on the others.

    All questions are gone through before the first is given back: they wait on the disk. `facts` is filled with what
    check.json says of the judge. Its journal is `judge.sqlite` in the run's folder.
    """
    with tempfile.TemporaryFile(dir=folder) as spool, Judge(settings, folder / "judge.sqlite", progress) as judge:
        asked, known = _spool(questions, spool, settings.measure_on)
        judge.ask((item for batch in _spooled(spool) for _, item in _items(batch)), asked)
        measured = judge.measure(known)
        facts |= {
            "model": settings.model,
            "answers": asked,
            "cost_usd": None if settings.price == "none" else str(judge.spent().usd),
            "measured": {way: figures.as_json() for way, figures in measured.items()},
        }
        for batch in _spooled(spool):
            for decision, item in _items(batch):
                decision.judge(judge.judgement(item), "judge")
            yield batch


def _spool(questions: Iterable[Decided], spool: IO[bytes], measure_on: int) -> tuple[int, list[KnownItem]]:
    """Put all on the disk. Returns how many answers the judge is to be asked about, and what it is measured on."""
    count = 0

    def known() -> Iterator[KnownItem]:
        nonlocal count
        for question, decisions in questions:
            pickle.dump((question, decisions), spool, pickle.HIGHEST_PROTOCOL)
            count += sum(1 for _ in _items((question, decisions)))
            for decision in decisions:
                verdict = decision.judgement.verdict if decision.judgement else None
                if decision.judged_by == "verifier" and (verdict == "right" or verdict == "wrong"):
                    yield KnownItem(question, decision.reply["answer"], verdict)

    sample = known_sample(known(), measure_on)
    return count, sample


def _spooled(spool: IO[bytes]) -> Iterator[Decided]:
    end = spool.seek(0, 2)
    spool.seek(0)
    place = 0
    while place < end:
        spool.seek(place)  # two may read at the same time
        decided: Decided = pickle.load(spool)
        place = spool.tell()
        yield decided


def _items(decided: Decided) -> Iterator[tuple[Decision, JudgeItem]]:
    question, decisions = decided
    for decision in decisions:
        if decision.judgement is not None and decision.judgement.verdict in ("unsure", "unverifiable"):
            yield decision, JudgeItem(question, decision.reply["answer"])
