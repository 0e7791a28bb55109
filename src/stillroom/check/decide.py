"""Which replies of one question are kept, and why the others are not.

The reasons, in the order in which they are looked for: a reply has the first that fits.

failed, refused, empty, truncated   the reply's status
no_reasoning                        none that can be read, where the settings require it
summary_reasoning                   only a summary of it, unless the settings accept that
broken_think_block                  a think block that does not close, or more tags than one block has
empty_answer                        reasoning and nothing after it
wrong, unsure                       the verifier's verdict
unverifiable                        a question that should have a verifier and has none that works
duplicate                           the same text as an earlier sample of the question
not_selected                        right, and more than the settings keep
"""

from __future__ import annotations

from dataclasses import dataclass

from stillroom.base.records import Question
from stillroom.check.rows import Asked, Row
from stillroom.check.settings import CheckSettings
from stillroom.text.think import CLOSE, OPEN
from stillroom.verify import Judgement


@dataclass(slots=True)
class Decision:
    """One reply on its way through the check. `reason` is None as long as it is kept."""

    reply: Row
    reason: str | None = None
    detail: str | None = None
    judgement: Judgement | None = None

    def reject(self, reason: str, detail: str) -> None:
        self.reason, self.detail = reason, detail


def before_judging(asked: Asked, settings: CheckSettings) -> list[Decision]:
    """A decision for each reply; those without a reason are to be judged."""
    decisions = [Decision(reply) for reply in asked.replies]
    for decision in decisions:
        found = _unfit(decision.reply, settings)
        if found:
            decision.reject(*found)
    return decisions


def after_judging(question: Question, decisions: list[Decision], settings: CheckSettings) -> float | None:
    """Decide on the judged replies of one question. Returns its pass rate: right ones among those that were verified.

    None where nothing was verified. An unsure verdict counts as verified and not right.
    """
    judged = [decision for decision in decisions if decision.judgement is not None]
    verdicts = [decision.judgement.verdict for decision in judged if decision.judgement is not None]
    for decision, verdict in zip(judged, verdicts, strict=True):
        assert decision.judgement is not None
        if verdict in ("wrong", "unsure") or (verdict == "unverifiable" and question.kind != "none"):
            decision.reject(verdict, decision.judgement.reason)
    _reject_duplicates(decisions)
    _select(decisions, settings)
    verified = len(verdicts) - verdicts.count("unverifiable")
    return verdicts.count("right") / verified if verified else None


def _unfit(reply: Row, settings: CheckSettings) -> tuple[str, str] | None:
    reasoning, answer = (reply["reasoning"] or "").strip(), (reply["answer"] or "").strip()
    if reply["status"] == "truncated":
        return "truncated", f"cut at {reply['completion_tokens'] or reply['max_tokens']} tokens"
    if reply["status"] != "ok":
        return reply["status"], reply["error_kind"] or reply["finish_reason"] or "no more is known"
    if settings.require_reasoning and not reasoning:
        hidden = reply["reasoning_form"] == "hidden"
        return "no_reasoning", "the API does not show it" if hidden else "the reply holds none"
    if reply["reasoning_form"] == "summary" and not settings.accept_summaries:
        return "summary_reasoning", "the API gives a summary of the reasoning only"
    if reply["block"] in ("unclosed", "not_well_formed"):
        return "broken_think_block", reply["block"].replace("_", " ")
    if any(tag in text for tag in (OPEN, CLOSE) for text in (reasoning, answer)):
        return "broken_think_block", "a think tag stands inside the text"
    if not answer:
        return "empty_answer", "nothing follows the reasoning" if reasoning else "the reply is blank"
    return None


def _reject_duplicates(decisions: list[Decision]) -> None:
    first: dict[tuple[str, str], int] = {}
    for decision in _kept(decisions):
        text = ((decision.reply["reasoning"] or "").strip(), decision.reply["answer"].strip())
        if text in first:
            decision.reject("duplicate", f"the same text as sample {first[text]}")
        else:
            first[text] = decision.reply["sample"]


def _select(decisions: list[Decision], settings: CheckSettings) -> None:
    kept = _kept(decisions)
    limit = settings.per_question
    if settings.keep == "shortest_right":
        limit = limit or 1
        # One measure for all: characters, where a server did not count the tokens of each.
        counted = all(decision.reply["completion_tokens"] is not None for decision in kept)
        kept.sort(key=lambda decision: decision.reply["completion_tokens"] if counted else _characters(decision.reply))
    if limit is not None:
        for decision in kept[limit:]:
            decision.reject("not_selected", f"{settings.keep} keeps {limit} of {len(kept)} for each question")


def _kept(decisions: list[Decision]) -> list[Decision]:
    return [decision for decision in decisions if decision.reason is None]


def _characters(reply: Row) -> int:
    return len(reply["reasoning"] or "") + len(reply["answer"])
