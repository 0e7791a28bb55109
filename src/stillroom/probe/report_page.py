"""The page of a bundle, for a reader who is no statistician. It loads nothing, and has no script.

Replies, answers and names on it come from models and strangers: every one is escaped, see `report.rendering`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import resources

from jinja2 import Environment, FunctionLoader
from markupsafe import Markup

from stillroom import __version__
from stillroom.probe import caveats, picture, words
from stillroom.probe.plan import LIKELIHOOD
from stillroom.probe.statement import LoggedPlan, Statement
from stillroom.probe.telling import RUN, side_by_side
from stillroom.report import rendering as report
from stillroom.report.words import p_value
from stillroom.store.siblings import Answer, Opening, Pair

PLANS_SHOWN = 50
"""Of the log, from its end: the page says how many there are before."""
SAMPLINGS = {"temperature": "temperature {}", "top_p": "top-p {}", "max_tokens": "at most {} tokens", "seed": "seed {}"}


def report_page(
    statement: Statement, pairs: Sequence[Pair], openings: Sequence[Opening], answers: Sequence[Answer]
) -> str:
    """HTML. The same arguments give the same page.

    Of `pairs`, `openings` and `answers` only the telling pairs of the statement are shown; they have to be there, or
    this is a KeyError.
    """
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            statement=statement,
            plan=statement.plan,
            by_likelihood=statement.plan.primary.name == LIKELIHOOD,
            result=statement.result,
            verdict=words.verdict(statement),
            suspect=words.suspect_of(statement),
            accused=[each.account for each in words.accused(statement)],
            innocent=words.innocent(statement.result, statement.plan.level),
            closeness=words.closeness_in_words(statement),
            references=words.references_in_words(statement),
            plans=words.plans_in_words(statement),
            logged=statement.log.plans[-PLANS_SHOWN:],
            before=max(0, len(statement.log.plans) - PLANS_SHOWN),
            does_not_show=caveats.does_not_show(statement),
            could_be_wrong=caveats.could_be_wrong(statement),
            drawing=picture.draw(statement.picture) if statement.result.informative else None,
            box=(picture.WIDTH, picture.HEIGHT, picture.BOTTOM),
            telling=side_by_side(statement.telling, pairs, openings, answers),
            run=RUN,
            sampling=_sampling(statement),
            version=__version__,
            style=Markup(report.text_of("page.css") + _text_of("page.css")),
        )
    )


def _sampling(statement: Statement) -> str:
    given = statement.plan.sampling.model_dump(exclude_none=True)
    said = [SAMPLINGS[name].format(value) for name, value in given.items()]
    return ", ".join(said) or "as the suspect does by itself"


@cache
def _environment() -> Environment:
    made = report.environment().overlay(loader=FunctionLoader(_text_of))
    made.filters = {
        **made.filters,
        "moment": words.moment,
        "measure": words.measure_in_words,
        "bare_p": lambda p: p_value(p).removeprefix("p = "),
        "left_out": words.left_out_in_words,
        "state": _state,
    }
    return made


def _state(logged: LoggedPlan) -> str:
    return f"{logged.state}, a pilot" if logged.is_pilot else logged.state


def _text_of(name: str) -> str:
    return resources.files("stillroom.probe").joinpath(name).read_text(encoding="utf-8")
