"""What a test found, in plain words: the same on its page and in the terminal."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from scipy.stats import binom, norm

from stillroom.probe import exclusions
from stillroom.probe.plan import LIKELIHOOD
from stillroom.probe.statement import AccountResult, Result, Statement
from stillroom.report.words import SPACE, chance, count, interval, p_value, percent
from stillroom.text.counted import counted, listed
from stillroom.text.one_line import one_line

MEASURES = {
    "combined": "what the answers would lead one to expect, rare runs of words and few words to change, in one",
    "ngrams": "rare runs of words in common",
    "edit": "few words to change",
    "start": "the same beginning",
    "samples": "what the suspect’s answers would lead one to expect",
    "likelihood": "how likely the suspect holds each text",
}
"""What a measure looks at. Another one is called by its name alone."""
LEFT_OUT: dict[str, str] = {
    **{str(reason): said for reason, said in exclusions.IN_WORDS.items()},
    "spent": "opened by an earlier plan",
    "of_another_plan": "another plan waits with it",
    "of_another_account": "another account’s, or one with a reply that another account has, too",
    "not_chosen": "the plan has as many as it wanted",
}
"""Why a pair is not in a plan. Another reason is called by its name alone."""
USUAL_LEVEL = 0.05
"""Of a plan that names none."""
MOST_NAMED = 3
"""Accounts in a sentence: the table names all."""

Outcome = Literal["traced", "not_traced", "is_the_teacher", "too_few", "pilot"]


@dataclass(frozen=True, slots=True)
class Verdict:
    outcome: Outcome
    headline: str
    sentence: str


def verdict(statement: Statement) -> Verdict:
    """The answer: in one line, and in what it rests on."""
    outcome = outcome_of(statement)
    headline = {
        "traced": _traced(statement),
        "not_traced": (
            f"Too little to say that these replies reached {suspect_of(statement)}."
            if _is_near_miss(statement)
            else f"No trace of these replies in {suspect_of(statement)}."
        ),
        "is_the_teacher": f"{suspect_of(statement)} answers like the teacher itself: this test cannot tell.",
        "too_few": "This test could not have found anything.",
        "pilot": "A pilot: no evidence, whatever it shows.",
    }[outcome]
    return Verdict(outcome, headline, " ".join([_seen(statement.result), _what_follows(statement, outcome)]))


def outcome_of(statement: Statement) -> Outcome:
    if statement.plan.is_pilot:
        return "pilot"
    if statement.is_positive:
        return "traced"
    if smallest_p(statement.result) > statement.plan.level:
        return "too_few"
    if statement.closeness is not None and statement.closeness.verdict == "indistinguishable":
        return "is_the_teacher"
    return "not_traced"


def _is_near_miss(statement: Statement) -> bool:
    """Whether a usual level would have been reached, and the plan's stricter one was not: no result to call a null."""
    return statement.plan.level < statement.result.p_value <= USUAL_LEVEL


def suspect_of(statement: Statement) -> str:
    return one_line(statement.plan.suspect, 80)


def asks_another(statement: Statement) -> bool:
    """Whether who asked calls the model by a name that the plan's does not have in it, nor it in the plan's."""
    planned, asked = statement.plan.suspect.rstrip("/").rpartition("/")[2], statement.asking.model
    return planned not in asked and asked not in statement.plan.suspect


def smallest_p(result: Result) -> float:
    """The p-value if every coin had fallen for the served side."""
    return float(0.5**result.informative)


def accused(statement: Statement) -> list[AccountResult]:
    """The accounts to which the evidence points: none of a test that found nothing, and none of a pilot."""
    return [each for each in statement.accounts if each.is_accused and statement.is_positive]


def measure_in_words(name: str) -> str:
    return MEASURES.get(name, name)


def left_out_in_words(reason: str) -> str:
    return LEFT_OUT.get(reason, reason.replace("_", " "))


def moment(at_us: int) -> str:
    """To the minute. An asker may have written any number."""
    try:
        return f"{datetime.fromtimestamp(at_us / 1e6, UTC):%Y-%m-%d %H:%M} UTC"
    except (OverflowError, ValueError, OSError):
        return "at no time that a calendar has"


def innocent(result: Result, level: float) -> str:
    """What a model that never saw the served replies would have looked like."""
    if not result.informative:
        return "No pair tells the two sides apart: there is nothing that such a model could have looked like."
    low, high = (int(binom.ppf(share, result.informative, 0.5)) for share in (0.025, 0.975))
    return (
        f"A model that never saw the served replies is nearer to the served one of two as often as a coin shows heads: "
        f"of {count(result.informative)}, {count(low)} to {count(high)} times in 95 of 100 such tests. "
        f"This suspect: {count(result.nearer_served)} times. {_weighed(result, level)}"
    )


def _weighed(result: Result, level: float) -> str:
    """What the count alone does not say: the trace is often in few pairs."""
    spreads = result.statistic / result.spread if result.spread else 0.0
    side = "served" if spreads >= 0 else "sealed"
    return (
        f"A pair that leans far to one side counts more than one that hardly leans: summed up so, this suspect stands "
        f"{abs(spreads):.1f} standard deviations on the {side} side. A model that never "
        f"saw these replies is further than {norm.isf(level):.1f} on the served side {chance(level)}."
    )


def plans_in_words(statement: Statement) -> str:
    """How many chances there were to find something by chance."""
    plans = statement.log.plans
    if len(plans) == 1:
        return "The log holds no other plan."
    of_suspect = sum(each.suspect == statement.plan.suspect for each in plans)
    opened = [each for each in plans if each.state == "opened" and not each.is_pilot]
    said = (
        f"The log holds {counted(len(plans), 'plan')}, this one among them; {of_suspect:,} of them about this suspect. "
        f"Without pilots, {counted(len(opened), 'has', 'have')} a result."
    )
    if len(opened) > 1:
        by_chance = sum(each.level for each in opened)
        said += f" Were all of their suspects innocent, {by_chance:.2g} of them would be expected to look guilty."
    return said


def closeness_in_words(statement: Statement) -> str:
    closeness = statement.closeness
    if closeness is None:
        return (
            "The teacher was not asked a third time, so it is not known whether the suspect is the teacher, or passes "
            "questions on to it."
        )
    suspect = suspect_of(statement)
    figures = (
        "Where a reply of the teacher’s to another question stands at 0 and another draw of it to the same question "
        f"at 1, the suspect’s answers stand at {closeness.suspect:.2f} ({closeness.teacher + closeness.low:.2f} to "
        f"{closeness.teacher + closeness.high:.2f}), on {counted(closeness.questions, 'question')}."
    )
    if closeness.verdict == "indistinguishable":
        return (
            f"{suspect} is indistinguishable from the teacher itself, within the {closeness.margin:g} that was fixed "
            f"beforehand. {figures} A suspect that is the teacher, or passes questions on to it, is as near to the "
            "sealed reply as to the served one, whatever else it did."
        )
    if closeness.verdict == "farther":
        return (
            f"{suspect} answers less like the teacher than the teacher itself, so it does not just pass questions on. "
            f"{figures}"
        )
    return f"Whether {suspect} is the teacher itself, or passes questions on to it, cannot be told. {figures}"


def references_in_words(statement: Statement) -> str:
    """Empty where the plan has none."""
    found = statement.references
    if found is None:
        return ""
    return (
        "By wording, each likeness is told beside that of "
        f"{counted(found.replies, 'further reply of the teacher’s', 'further replies of the teacher’s')} to "
        f"{counted(found.questions, 'question')}, which were drawn before the plan: what anybody is likely to say to a "
        f"question is taken off. Without them, {one_line(found.measure, 40)} would have had "
        f"{p_value(found.p_value_without)}."
    )


def sentences(statement: Statement) -> list[str]:
    """For a terminal, the verdict first."""
    found = verdict(statement)
    said = [found.headline, found.sentence, innocent(statement.result, statement.plan.level)]
    if asks_another(statement):
        said.append(f"The model that was asked is called {one_line(statement.asking.model, 80)}.")
    if len(statement.accounts) > 1 and found.outcome != "pilot":  # which points to nobody, whatever it shows
        named = [each.account for each in accused(statement)]
        said.append(
            f"Accounts that it points to, corrected for there being several: {_some(named) if named else 'none'}."
        )
    if statement.references is not None:
        said.append(references_in_words(statement))
    return [*said, closeness_in_words(statement), plans_in_words(statement)]


def _traced(statement: Statement) -> str:
    named = [each.account for each in accused(statement)]
    whose = f"served to {_some(named)}" if named else "served here"
    reached = f"Replies {whose} reached {suspect_of(statement)}"
    return f"{reached}." if statement.plan.grade == "recorded" else f"{reached}, if nothing else set the two apart."


def _some(names: list[str]) -> str:
    """No more names than a sentence can hold."""
    if len(names) <= MOST_NAMED:
        return listed(one_line(name, 40) for name in names)
    return listed([*(one_line(name, 40) for name in names[:MOST_NAMED]), f"{count(len(names) - MOST_NAMED)} more"])


def _seen(result: Result) -> str:
    by_likelihood = result.measure == LIKELIHOOD
    if result.share is None or result.share_low is None or result.share_high is None:
        return (
            "The suspect holds both replies equally likely everywhere."
            if by_likelihood
            else "The answers are as near to the one reply as to the other everywhere."
        )
    where = (
        "it holds one of the two replies likelier"
        if by_likelihood
        else "its answers are nearer to one of the two replies"
    )
    return (
        f"Where {where}, it is the served one {count(result.nearer_served)} "
        f"of {count(result.informative)} times: {percent(result.share)} "
        f"({interval(result.share_low, result.share_high)}), where an innocent model has 50{SPACE}%."
    )


def _what_follows(statement: Statement, outcome: Outcome) -> str:
    result, level = statement.result, statement.plan.level
    by_chance = f"By coins alone a result like this comes {chance(result.p_value)} ({p_value(result.p_value)})"
    if outcome == "too_few":
        units = counted(result.informative, "pair tells", "pairs tell")
        return f"{units} the two sides apart; with so few, no result at the level of {level:g} was possible."
    if outcome == "pilot":
        if statement.needed is None:
            return f"{by_chance}. How many pairs a test would need cannot be told from it."
        return f"{by_chance}. A test of such a model needs {counted(statement.needed, 'pair')}, none of them from here."
    wanted = f"the plan wanted {level:g} or less"
    if outcome == "traced":
        return f"{by_chance}; {wanted}."
    said = f"{by_chance}, and {wanted}."
    if outcome == "not_traced" and _is_near_miss(statement):
        return f"{said} It is not enough to accuse the model, and does not clear it: more pairs could tell."
    if outcome == "not_traced":
        return f"{said} That means “not these replies, as far as can be seen”, and not that the model is innocent."
    return said
