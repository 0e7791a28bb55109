"""Which models of a panel may be compared with a suspect: the others are left out, each with its reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stillroom.probe.likeness.form import differences, form_of
from stillroom.text.counted import counted

LEAST_ANSWERED = 0.8
"""Of the questions that teacher and suspect both answered."""
SAME_MODEL = 0.9
"""Two models that give the same answer, word for word, to so many questions are one model under two names."""

Answers = Mapping[str, str]
"""A model's answers by question id."""


@dataclass(frozen=True, slots=True)
class Panel:
    matched: tuple[str, ...]
    left_out: Mapping[str, str]
    """Why, by name."""


def matched_panel(answers_by_model: Mapping[str, Answers], teacher: str, suspect: str, panel: Sequence[str]) -> Panel:
    """The panel's models that write in the suspect's form, and are neither the teacher, the suspect nor one another."""
    asked = sorted(answers_by_model[teacher].keys() & answers_by_model[suspect].keys())
    kept: list[str] = []
    left_out: dict[str, str] = {}
    for name in panel:
        why = _why_not(answers_by_model, name, suspect, [teacher, suspect, *kept], asked)
        if why is None:
            kept.append(name)
        else:
            left_out[name] = why
    return Panel(tuple(kept), left_out)


def _why_not(
    answers_by_model: Mapping[str, Answers], name: str, suspect: str, others: Sequence[str], asked: Sequence[str]
) -> str | None:
    answers = answers_by_model[name]
    answered = [question for question in asked if question in answers]
    if len(answered) < LEAST_ANSWERED * len(asked) or not answered:
        return f"it answers {len(answered):,} of {counted(len(asked), 'question')}"
    for other in others:
        both = [question for question in answered if question in answers_by_model[other]]
        same = sum(answers[question] == answers_by_model[other][question] for question in both)
        if both and same >= SAME_MODEL * len(both):
            return f"it gives the same answers as {other} to {same:,} of {counted(len(both), 'question')}"
    form = form_of([answers[question] for question in answered])
    other_form = form_of([answers_by_model[suspect][question] for question in answered])
    found = differences(form, other_form)
    return None if found is None else f"it writes in another form than the suspect: {found}"
