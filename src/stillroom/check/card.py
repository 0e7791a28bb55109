"""The card of a data set: README.md, in the form of the Hugging Face hub."""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from stillroom.check.card_facts import Facts
from stillroom.report import words
from stillroom.report.markdown import card, environment, public_host
from stillroom.report.run_files import Asked, Rate
from stillroom.store.files import write_atomically

KINDS = {
    "math": "compared with the known answer part by part, values exactly; math-verify has to agree",
    "number": "compared with the known number, within the question's own tolerance if it has one",
    "exact": "compared with the known answer as text, whatever its case and spaces",
    "choice": "the letter that the answer settles on, compared with the known one",
    "json": "read as JSON, and compared with the known answer, a schema, or both",
    "code": "run against the question's tests",
    "task": "scored by the reasoning-gym task that made the question",
    "instructions": "each instruction about the form of the answer, checked by a program",
    "none": "no known answer",
}
"""How the answers to each kind of question are judged."""

RULES = {
    "same_text": "two questions have the same text",
    "same_parameters": "two questions are one generated task with the same parameters",
    "near_duplicate": "two questions are nearly the same",
    "copy": "an examination has the same question",
    "near_copy": "an examination has it in other words",
    "quoted_part": "a part of an examination's question stands in it, or a part of it in one",
    "numbers_swapped": "an examination has it with other numbers",
}
"""What each rule of the search for overlap finds."""

WAYS = {
    "with_reference": "asked whether the answer means the same as the known one, in either order",
    "without_reference": "asked whether the answer is right, without the known one",
}
"""How a judge was asked."""

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_LARGER = ((10_000_000, "1M<n<10M"), (100_000_000, "10M<n<100M"), (1_000_000_000, "100M<n<1B"))


def write_card(path: Path, facts: Facts) -> None:
    write_atomically(path, render_card(facts))


def render_card(facts: Facts) -> str:
    served = facts.asked.served_models if facts.asked else ()
    text = (
        _environment()
        .get_template("card.md.j2")
        .render(
            facts=facts,
            origin=facts.origin,
            host=public_host(facts.origin.host),
            served=served if served != (facts.origin.model,) else (),
        )
    )
    return card(card_head(facts), text)


def card_head(facts: Facts) -> dict[str, Any]:
    """What the hub reads: the keys that are known, and no others."""
    licence = facts.licence
    # Where nothing was kept, a split without a file is named all the same: a reader that is told of none looks for
    # tables by itself, and would take what was rejected for what is to be trained on.
    splits = [split for split in ("train", "held_out") if split in facts.rows] or ["train"]
    files = [{"split": split, "path": f"data/{split}-*.parquet"} for split in splits]
    return {
        "pretty_name": facts.origin.name,
        **({"language": [facts.origin.language]} if facts.origin.language else {}),
        "license": licence.identifier,
        **({"license_name": licence.name} if licence.name else {}),
        "size_categories": [_size(facts.kept)],
        "task_categories": ["text-generation"],
        "tags": ["distillation", "synthetic", "stillroom"],
        "configs": [{"config_name": "default", "data_files": files}],
    }


def _size(rows: int) -> str:
    return next((name for below, name in (*_SIZES, *_LARGER) if rows < below), "n>1B")


def _setting(value: float | None) -> Markup:
    return Markup("left to the server") if value is None else Markup(value)


def _rate(rate: Rate) -> Markup:
    if rate.share is None or rate.low is None or rate.high is None:
        return Markup("none of them to count")
    return Markup(f"{words.percent(rate.share)} ({words.interval(rate.low, rate.high)}, {rate.count} of {rate.n})")


def _cost(asked: Asked) -> Markup:
    """In dollars as the ledger has it: never rounded."""
    if asked.cost_usd is not None:
        return Markup(f"cost {Decimal(asked.cost_usd):f} USD")
    return Markup("cost nothing, as the recipe says" if asked.price_id is None else "cost not known")


@cache
def _environment() -> Environment:
    made = environment("stillroom.check", {"rate": _rate, "setting": _setting, "cost": _cost})
    made.globals |= {"KINDS": KINDS, "RULES": RULES, "WAYS": WAYS}
    return made
