"""What a result does not show, and what could make it wrong: told for the very test at hand."""

from __future__ import annotations

from collections.abc import Iterator

from stillroom.probe.statement import CoinChecks, Statement
from stillroom.probe.words import MOST_NAMED, asks_another, outcome_of, suspect_of
from stillroom.report.words import chance, count
from stillroom.text.counted import counted, listed
from stillroom.text.one_line import one_line

UNUSUAL = 0.01
"""Coins that look less fair than that are told of."""


def does_not_show(statement: Statement) -> list[str]:
    """What a hasty reader would take it for."""
    outcome = outcome_of(statement)
    if outcome == "traced":
        return [
            "By which way the replies got there. A data set that somebody published, or a customer who passed them "
            "on, looks the same as taking them from here.",
            "Who did it. An account is named because it was served these replies, and not because it trained anything.",
            "That a model was trained. A service that keeps earlier replies and gives them again looks the same.",
            "How large a part of the training they were, or what the suspect gained from them.",
        ]
    if outcome == "pilot":
        return [
            "Anything about the suspect: a pilot says how many pairs a test needs, and its pairs are not used again."
        ]
    if outcome == "too_few":
        return ["Anything about the suspect, for or against it."]
    if outcome == "is_the_teacher":
        return [
            "Anything about what the suspect was trained on. A service that passes questions on to the teacher was not "
            "trained at all, and may yet break its terms; a copy of the teacher’s weights looks the same.",
        ]
    return [
        "Innocence. It says “not these replies”: others may have been used, or these reworded, or as a small part of "
        "much else, or in a training that left too faint a trace for so many answers.",
        "That the suspect owes nothing to the teacher. What it may have learned from other models that learned from "
        "the teacher is not looked for.",
    ]


def could_be_wrong(statement: Statement) -> list[str]:
    """What the result rests on, beside arithmetic."""
    return [
        *_of_the_coins(statement),
        *_of_the_references(statement),
        *_of_the_plan(statement),
        *_of_the_asking(statement),
        *_of_the_pairs(statement),
    ]


def _of_the_coins(statement: Statement) -> Iterator[str]:
    if statement.plan.grade == "recorded":
        yield (
            "A coin chose which of two replies was served, and the gateway committed to both and to the coin when it "
            "served. Whoever ran the gateway ran the coin, too: that it was fair, and that no sealed reply was given "
            "away, is the owner’s word."
        )
    else:
        yield (
            "There was no coin for these pairs: the second reply was drawn later. If the model had changed by then, "
            "or ran on other hardware, or with another setting, the suspect may be nearer to the served replies "
            "without ever having seen them. The p-value holds only if none of that was so."
        )
    if statement.coins is not None:
        yield from _of_fairness(statement.coins)
    yield (
        "It is exact where the questions of a customer did not follow from the replies it had been served. Questions "
        "with a reply in them are left out, and of a question that was repeated only the first time counts; what a "
        "customer thought of by itself after a reply cannot be left out."
    )


def _of_fairness(coins: CoinChecks) -> Iterator[str]:
    if coins.split_p_value <= UNUSUAL:
        yield (
            f"The first of two replies was served {counted(coins.first_served, 'time', 'times')}: fair coins give so "
            f"uneven a split {chance(coins.split_p_value)}. What drew the coins has to be looked at before this result."
        )
    if coins.length_p_value <= UNUSUAL:
        yield (
            f"The served reply is the longer one {counted(coins.served_longer, 'time', 'times')} and the shorter one "
            f"{count(coins.served_shorter)}: coins alone make lengths differ so {chance(coins.length_p_value)}. Pairs "
            "may be missing by what was served, as when clients hang up on long replies; a suspect that is brief, or "
            "lengthy, then looks guilty."
        )
    if coins.odds_tolerated is not None:
        yield (
            "The result would still stand if every coin had leant to the reply that this suspect is nearer to, by "
            f"{coins.odds_tolerated:.2f} to 1; not beyond."
        )


def _of_the_references(statement: Statement) -> Iterator[str]:
    found = statement.references
    if found is None:
        return
    yield (
        "The further replies that each likeness is told beside are the teacher’s, and nobody picked them by which "
        "reply was served: that is the owner’s word. The plan fixed them before the suspect was asked; had they been "
        "written to lean to the sealed replies, a model that resembles them could look guilty."
    )
    if found.leaning_p_value <= UNUSUAL:
        yield (
            f"These further replies are nearer to the served one of two {counted(found.nearer_served, 'time')} and to "
            f"the sealed one {count(found.nearer_sealed)}: drawn without regard to it, they lean so far to one side "
            f"{chance(found.leaning_p_value)}. How they were drawn has to be looked at before this result."
        )
    decides = statement.plan.primary.name == found.measure
    if statement.is_positive and decides and found.p_value_without > statement.plan.level:
        yield "Without these further replies this test would not have been positive: the result rests on them."


def _of_the_plan(statement: Statement) -> Iterator[str]:
    if statement.plan_stamped_at is None:
        yield (
            "No authority outside has stamped the plan’s record: that it is older than the asking stands in the "
            "owner’s log alone."
        )
    elif statement.plan_stamped_at > statement.asking.first_at:
        yield (
            "The plan’s record was stamped outside only after the suspect had been asked: that it is older stands in "
            "the owner’s log alone."
        )
    yield "Plans that the owner keeps in another log are not seen here."
    yield (
        "Which pairs were gathered is the owner’s word. One that had asked the suspect unseen could have left out "
        "those that speak for it, and asking it again, by whomever, would not show that. Against it stands a test of "
        "all that was served to some accounts in some days, which somebody else names."
    )


def _of_the_asking(statement: Statement) -> Iterator[str]:
    asking = statement.asking
    if asks_another(statement):
        yield (
            f"The model that was asked is called {one_line(asking.model, 80)}, and the plan is about "
            f"{suspect_of(statement)}: that the two are one is to be shown first."
        )
    if asking.by is None or asking.by == statement.plan.by:
        who = (
            "Who asked the suspect is not said, so that it may have been the owner’s side"
            if asking.by is None
            else "The owner’s side asked the suspect"
        )
        yield (
            f"{who}: that the answers are those of {suspect_of(statement)} is its word. "
            "Anybody else can ask the same questions again, and see whether the answers are of that kind."
        )
    else:
        yield "That the answers are the suspect’s, unchanged, is the word of whoever asked."
    if statement.counts.unanswered:
        yield (
            f"{counted(statement.counts.unanswered, 'pair', 'pairs')} of {count(statement.counts.pairs)} got no "
            "answer and are left out, the served reply and the sealed one alike. That moves nothing to either side."
        )
    if statement.is_positive and statement.closeness is not None and statement.closeness.verdict == "indistinguishable":
        yield (
            "The suspect cannot be told from the teacher itself, and yet it is nearer to what was served: look for a "
            "store of earlier replies between the two before anything else."
        )


def _of_the_pairs(statement: Statement) -> Iterator[str]:
    sharing = [each for each in statement.accounts if each.shared_units]
    if len(sharing) > MOST_NAMED:
        yield (
            f"Replies to {counted(len(sharing), 'account')} have a text that others received, too (the table says how "
            "many): what it shows, it shows of all who received it."
        )
        return
    for each in sharing:
        others = [one_line(name, 40) for name in each.shared_with[:MOST_NAMED]]
        more = len(each.shared_with) - MOST_NAMED
        yield (
            f"{counted(each.shared_units, 'time')} a reply of {one_line(each.account, 40)}’s pairs is the same text "
            f"that {listed([*others, f'{count(more)} more'] if more > 0 else others)} received, too: what it shows, "
            "it shows of all of them."
        )
