"""What is decided about the replies to one question: which are right, which are the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stillroom.base.records import JudgedBy, Question
from stillroom.check.rows import Row
from stillroom.check.settings import CheckSettings
from stillroom.verify import Judgement
from stillroom.verify.markers import marked_answers


@dataclass(slots=True)
class Decision:
    """One reply on its way through the check. `reason` is None as long as it is kept."""

    reply: Row
    reason: str | None = None
    detail: str | None = None
    judgement: Judgement | None = None
    judged_by: JudgedBy | None = None

    def reject(self, reason: str, detail: str) -> None:
        self.reason, self.detail = reason, detail

    def judge(self, judgement: Judgement, by: JudgedBy) -> None:
        self.judgement = judgement
        self.judged_by = None if judgement.verdict == "unverifiable" else by

    @property
    def is_from_elsewhere(self) -> bool:
        return self.reply["mix"] is not None


def reject_by_verdict(question: Question, decisions: Sequence[Decision], settings: CheckSettings) -> None:
    for decision in decisions:
        if decision.reason is not None or decision.judgement is None:
            continue
        verdict, found = decision.judgement.verdict, decision.judgement.extracted
        is_negative = verdict in ("wrong", "unsure")
        may_be_inside = is_negative and not found and "answer_in_reasoning" not in settings.ignore
        if may_be_inside and marked_answers(decision.reply["reasoning"] or ""):
            decision.reject("answer_in_reasoning", f"what follows it holds no answer: {decision.judgement.reason}")
        elif is_negative or (verdict == "unverifiable" and question.kind != "none"):
            decision.reject(verdict, decision.judgement.reason)


def pass_rate(decisions: Sequence[Decision]) -> float | None:
    """The share of right replies among the teacher's that were judged; None where none was.

    An unsure verdict counts as judged and not right.
    """
    verdicts = [
        decision.judgement.verdict
        for decision in decisions
        if decision.judgement is not None
        and decision.judgement.verdict != "unverifiable"
        and not decision.is_from_elsewhere
    ]
    return verdicts.count("right") / len(verdicts) if verdicts else None


def reject_duplicates(decisions: Sequence[Decision]) -> None:
    first: dict[tuple[str, ...], Decision] = {}
    for decision in kept(decisions):
        reply = decision.reply
        text = ((reply["reasoning"] or "").strip(), reply["answer"].strip(), reply["tool_calls"] or "")
        if text not in first:
            first[text] = decision
        elif first[text].is_from_elsewhere:
            decision.reject("duplicate", "the same text stands in a file that is mixed in")
        else:
            decision.reject("duplicate", f"the same text as sample {first[text].reply['sample']}")


def kept(decisions: Sequence[Decision]) -> list[Decision]:
    return [decision for decision in decisions if decision.reason is None]
