"""A judge: a model that is asked whether an answer is right, where nothing else can tell.

It is asked through the same engine as a teacher: paid once, within a budget and a pace of its own, and going on where
it stopped. Its errors are counted on answers whose verdict is known: see `judge_measurement`.

    with Judge(settings, run / "judge.sqlite", progress) as judge:
        judge.ask(items)                          # all that the journal does not hold yet
        verdicts = [judge.judgement(item) for item in items]
        measured = judge.measure(known)           # known: items with the verdict of a verifier
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from stillroom.base.errors import BudgetReached, RecipeError
from stillroom.base.progress import Progress, Silent
from stillroom.base.records import Question, Reply, Verdict
from stillroom.client.blocking import run_to_end
from stillroom.client.engine import EngineCounts, ask_all
from stillroom.client.reply import read_reply
from stillroom.client.request import ChatRequest, RequestSettings, sent_messages
from stillroom.store.journal import Journal, Spent
from stillroom.verify.judge_measurement import JudgeMeasurement, KnownItem, measure_judge
from stillroom.verify.judge_prompt import JudgePrompt, prompts_for
from stillroom.verify.judge_reply import JudgeReply, read_verdict
from stillroom.verify.judgement import Judgement
from stillroom.verify.settings import JudgeSettings

_SILENT = Silent()
_MEANING: dict[str, Verdict] = {
    "right": "right",
    "wrong": "wrong",
    "same": "right",
    "different": "wrong",
    "unsure": "unsure",
}
_VERDICTS = {"is_right": ("right", "wrong", "unsure"), "same_result": ("same", "different", "unsure")}


@dataclass(frozen=True, slots=True)
class JudgeItem:
    """An answer (without its reasoning) to be judged. Of `question`, the messages and the reference are used."""

    question: Question
    answer: str
    shows_reference: bool = True
    """False: the judge is not shown the reference, though there is one."""


class Judge:
    """Opens, or creates, the journal at `journal_path`. Use it as a context manager, or call `close`.

    Raises StoreError where the journal is in use or damaged.
    """

    def __init__(self, settings: JudgeSettings, journal_path: Path, progress: Progress = _SILENT) -> None:
        self.settings = settings
        self._progress = progress
        self._journal = Journal(journal_path)
        self._request_settings = RequestSettings(settings, settings.sampling())
        self._has_compared: set[bool] = set()
        """The ways in which it was asked: with a reference, without one."""

    def __enter__(self) -> Judge:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._journal.close()

    def compares(self, item: JudgeItem) -> bool:
        """Whether the answer is compared with the question's reference."""
        return self.settings.compare_with_reference and item.shows_reference and item.question.answer is not None

    def ask(self, items: Iterable[JudgeItem], total: int | None = None) -> EngineCounts:
        """Ask about every item; what the journal holds is not asked again. `items` are taken as they are needed.

        `total`: how many there are at most, for the progress. Raises what the engine raises: TeacherError where the
        judge will not answer at all, BudgetReached at a limit of its settings, RecipeError for an unknown price or a
        missing key.
        """
        settings = self.settings
        orders = 2 if settings.compare_with_reference else 1
        most = None if total is None else total * orders * settings.samples

        def report(counts: EngineCounts) -> None:
            done = counts.settled + counts.shared + counts.replies
            self._progress.update(
                "judge", done, most, calls=counts.calls, cost_usd=counts.cost_usd, in_flight=counts.in_flight
            )

        try:
            return run_to_end(
                ask_all(
                    self._all_requests(items),
                    settings,
                    self._journal,
                    pace=settings.pace(),
                    limits=settings.limits(),
                    retries=settings.retries,
                    strict_limit=False,
                    on_progress=report,
                    announce=self._progress.say,
                )
            )
        except (BudgetReached, RecipeError) as error:
            raise type(error)(error.what, error.remedy.replace("ask.", "check.judge.")) from error

    def judgement(self, item: JudgeItem) -> Judgement:
        """What the judge said of an item that it was asked about; unsure where it said nothing that can be read."""
        if not item.answer.strip():
            return Judgement("wrong", "the answer is empty")
        said = [self._said(prompt, request) for prompt, request in self._requests(item)]
        verdict, reason = _verdict(said)
        mended = " (its JSON was mended)" if any(reply.is_repaired for order in said for reply in order) else ""
        seconds = sum(reply.seconds for order in said for reply in order)
        return Judgement(verdict, f"the judge{mended} {reason}", seconds=seconds)

    def measure(self, known: Sequence[KnownItem]) -> dict[str, JudgeMeasurement]:
        """Ask about answers whose verdict is known, and count the judge's errors. `known`: see `known_sample`.

        By the way in which `ask` has asked so far: `with_reference`, `without_reference`, or both. Raises what `ask`
        raises.
        """
        measured = {}
        for shows in sorted(self._has_compared or {self.settings.compare_with_reference}, reverse=True):
            usable = [item for item in known if not shows or item.question.answer is not None]
            items = [JudgeItem(item.question, item.answer, shows) for item in usable]
            self.ask(items, len(items))
            pairs = [(each.verdict, self.judgement(item)) for each, item in zip(usable, items, strict=True)]
            replies = [reply for item in items for reply in self._replies(item)]
            measured["with_reference" if shows else "without_reference"] = measure_judge(pairs, replies)
        return measured

    def _replies(self, item: JudgeItem) -> list[JudgeReply]:
        """All replies about an item, of both orders, as they were read."""
        return [reply for prompt, request in self._requests(item) for reply in self._said(prompt, request)]

    def spent(self) -> Spent:
        """What all calls to the judge cost, those of earlier starts included."""
        return self._journal.spent()

    def _all_requests(self, items: Iterable[JudgeItem]) -> Iterator[ChatRequest]:
        for item in items:
            self._has_compared.add(self.compares(item))
            yield from (request for _, request in self._requests(item))

    def _requests(self, item: JudgeItem) -> Iterator[tuple[JudgePrompt, ChatRequest]]:
        if not item.answer.strip():
            return
        reference = item.question.answer if self.compares(item) else None
        samples = tuple(range(self.settings.samples))
        for prompt in prompts_for(item.question, item.answer, reference, self.settings.rubric, self._journal.id):
            messages = sent_messages(prompt.messages)
            yield prompt, ChatRequest(item.question.id, messages, self._request_settings, samples)

    def _said(self, prompt: JudgePrompt, request: ChatRequest) -> list[JudgeReply]:
        """The replies to one request, one for each sample."""
        found = self._journal.replies_of(request.keys)
        return [_read(found.get(key), prompt) for key in request.keys]


def judge(
    items: Iterable[JudgeItem], settings: JudgeSettings, journal_path: Path, progress: Progress = _SILENT
) -> Iterator[Judgement]:
    """The judgement of each item, in order, once all of them have been asked about. See `Judge`."""
    listed = list(items)
    with Judge(settings, journal_path, progress) as asked:
        asked.ask(listed, len(listed))
        for item in listed:
            yield asked.judgement(item)


def _read(reply: Reply | None, prompt: JudgePrompt) -> JudgeReply:
    if reply is None:
        return JudgeReply(None, "it was not asked")
    if reply.status != "ok":
        return JudgeReply(None, f"its reply is {reply.status}" + (f" ({reply.error_kind})" if reply.error_kind else ""))
    read = read_verdict(read_reply(reply).answer, _VERDICTS[prompt.task])
    return replace(read, seconds=reply.latency_us / 1e6)


def _meaning(reply: JudgeReply) -> Verdict | None:
    return None if reply.verdict is None else _MEANING[reply.verdict]


def _verdict(said: list[list[JudgeReply]]) -> tuple[Verdict, str]:
    """What the replies of all orders come to, and why: what follows "the judge"."""
    verdicts = [_most_frequent(order) for order in said]
    if None in verdicts:
        order = said[verdicts.index(None)]
        why = next((reply.reason for reply in order if reply.verdict is None), "its replies differ")
        return "unsure", f"came to no verdict: {why}"
    first = verdicts[0]
    assert first is not None
    if len(set(verdicts)) > 1:
        return "unsure", "says otherwise when the two answers change places"
    return first, f"says: {next(reply.reason for reply in said[0] if _meaning(reply) == first)}"


def _most_frequent(replies: list[JudgeReply]) -> Verdict | None:
    """What more than half of the replies say; None where there is no such verdict."""
    ((verdict, count),) = Counter(_meaning(reply) for reply in replies).most_common(1)
    return verdict if 2 * count > len(replies) else None
