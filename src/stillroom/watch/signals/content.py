"""Signals of content that need no bank: repeats, templates, and what requests and replies look like."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stillroom.watch.signals.organisations import Column, Measured, Organisations, codes, numbers, ratio
from stillroom.watch.window import Window

FEWEST_SAMPLED = 10
"""Sampled prompts, of sixteen times as many calls."""
FEWEST_KNOWN = 50
FEWEST_FILLINGS = 20
"""Different prompts of one organisation that make a skeleton its template."""
TOP_TEMPLATES = 3


def measure_content(window: Window, organisations: Organisations, calls: Column) -> Measured:
    """`calls`: of each organisation."""
    requests = _requests(window, organisations)
    once = _asked_once(window, organisations)
    templates = _templates(window, organisations, calls)
    single = requests.values["single_turn"]
    asked_once = once.pop("asked_once")
    values = {
        "never_repeated": single * asked_once,
        "breadth": single * asked_once * (1 - templates.facts["templated_share"]),
    }
    return Measured(
        requests.values | templates.values | values, requests.facts | templates.facts | once, templates.labels
    )


def knows_prompts(window: Window, organisations: Organisations) -> npt.NDArray[np.bool_]:
    """Whether the prints of an organisation's prompts are known at all: some were sampled."""
    rows, table = organisations.rows(window.repeats)
    return organisations.total(rows, numbers(table, "sampled")) > 0


def _requests(window: Window, organisations: Organisations) -> Measured:
    rows, table = organisations.rows(window.activity)

    def total(column: str) -> Column:
        return organisations.total(rows, numbers(table, column))

    asks, lengths = total("asks_known"), total("lengths_known")
    values = {
        "single_turn": ratio(total("single_turn"), total("turns_known"), FEWEST_KNOWN),
        "long_replies": ratio(total("long_replies"), lengths, FEWEST_KNOWN),
        "many_samples": ratio(total("many_samples"), total("calls"), FEWEST_KNOWN),  # no `n` asks for one
    }
    for asked in ("asks_reasoning", "asks_logprobs", "asks_grading"):
        values[asked] = ratio(total(asked), asks, FEWEST_KNOWN)
    for name, columns in _NEEDS.items():
        if window.missing & columns:
            values[name] = np.full(len(organisations), np.nan)
    facts = {
        "prompt_tokens": ratio(total("prompt_tokens"), lengths),
        "completion_tokens": ratio(total("completion_tokens"), lengths),
        "failed": total("failed"),
        "turns_known": total("turns_known"),
    }
    return Measured(values, facts, {})


_NEEDS = {
    "single_turn": {"turns"},
    "long_replies": {"prompt_tokens", "completion_tokens"},
    "many_samples": {"n"},
    "asks_reasoning": {"asks_reasoning"},
    "asks_logprobs": {"asks_logprobs"},
    "asks_grading": {"asks_grading"},
}


def _asked_once(window: Window, organisations: Organisations) -> dict[str, Column]:
    rows, table = organisations.rows(window.repeats)
    sampled, different, once = (
        organisations.total(rows, numbers(table, name)) for name in ("sampled", "different", "once")
    )
    share = ratio(once, sampled, FEWEST_SAMPLED)
    if "prompt_print" in window.missing:
        share = np.full(len(organisations), np.nan)
    return {"asked_once": share, "sampled": sampled, "sampled_different": different, "sampled_once": once}


def _templates(window: Window, organisations: Organisations, calls: Column) -> Measured:
    """The three templates of each organisation that were filled in most often, and how many others use the first."""
    rows, table = organisations.rows(window.templates)
    skeleton, _ = codes(table["skeleton_print"])
    of_pair, at = np.unique(rows * (skeleton.max(initial=0) + 1) + skeleton, return_inverse=True)
    width = skeleton.max(initial=0) + 1
    owner, template = of_pair // width, of_pair % width
    prompts = np.bincount(at, numbers(table, "prompts"), minlength=len(of_pair))
    uses = np.bincount(at, numbers(table, "calls"), minlength=len(of_pair))
    users = np.bincount(template, minlength=width)  # organisations

    is_filled = prompts >= FEWEST_FILLINGS
    order = np.lexsort((-prompts, owner))
    order = order[is_filled[order]]
    started = np.flatnonzero(np.diff(owner[order], prepend=-1))  # the first row of each organisation
    rank = np.arange(len(order)) - np.repeat(started, np.diff(np.append(started, len(order))))
    top, largest = order[rank < TOP_TEMPLATES], order[rank == 0]

    fillings, in_top = organisations.total(owner[top], prompts[top]), organisations.total(owner[top], uses[top])
    filled = organisations.total(owner[is_filled], uses[is_filled])
    others, largest_fillings = np.full(len(organisations), np.nan), np.zeros(len(organisations))
    others[owner[largest]] = users[template[largest]] - 1
    largest_fillings[owner[largest]] = prompts[largest]

    is_known = knows_prompts(window, organisations) | (in_top > 0)
    if window.missing & {"skeleton_print", "prompt_print"}:
        is_known[:] = False
    known = np.where(is_known, calls, 0)
    values = {
        "template_concentration": np.minimum(ratio(in_top, known, FEWEST_KNOWN), 1),
        "template_fillings": np.minimum(ratio(fillings, known, FEWEST_KNOWN), 1),
    }
    facts = {
        "templates": organisations.total(owner[is_filled]),
        "fillings": fillings,
        "largest_fillings": largest_fillings,
        "template_others": others,
        "templated_share": np.minimum(ratio(filled, known, FEWEST_KNOWN), 1),
    }
    return Measured(values, facts, {})
