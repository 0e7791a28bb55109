"""The card of a trained student: README.md in its folder, in the form of the Hugging Face hub."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from stillroom.report import words
from stillroom.report.demands import TermsOfRows, demands_of
from stillroom.report.licences import Licence, named
from stillroom.report.lineage import LINEAGE, Lineage
from stillroom.report.markdown import card, cell, code, environment, public_host
from stillroom.report.run_files import Accuracy, Comparison, Examined, ExamPart, read_stage_file
from stillroom.report.training_file import Trained
from stillroom.store.files import write_atomically
from stillroom.store.stages import CARD, model_digest
from stillroom.text.think import CLOSE, OPEN

STUDENT = "student"
TRAINED = ("student", "answers_only")
"""The takers of an examination that a run has trained itself."""
WITHOUT_SETS = "questions"
"""What a card calls the questions of an examination without sets."""
MOST_TOKENS = 512
"""Of a reply in the card's example, where no examination says what was asked for."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    lineage: Lineage
    trained: Trained
    weights: str
    """The digest of the student."""
    examined: Examined | None
    """The examination in which these very weights were a taker."""
    me: str | None
    """What that taker is called."""
    opens_think: bool
    """Whether the student's chat template ends its prompt with `<think>`."""
    tags_are_special: bool
    """Whether decoding without special tokens would drop the think block's tags."""

    @property
    def terms(self) -> list[TermsOfRows]:
        rows: dict[str | None, int] = {}
        for teacher in self.lineage.teachers:
            rows[teacher.terms] = rows.get(teacher.terms, 0) + teacher.rows
        return [TermsOfRows(terms, number, demands_of(terms, self.lineage.grant)) for terms, number in rows.items()]


def write_model_cards(folder: Path) -> list[Path]:
    """Write the card of each student that the run in `folder` has trained, with the figures of its examination if there
    is one of the same weights. Returns the cards' paths. Raises StoreError for a damaged file.
    """
    examined = read_stage_file(folder / "exam.json", Examined)
    cards = []
    for place in sorted((folder / "train").glob("*")):
        facts = _facts_in(place, examined)
        if facts is not None:
            write_atomically(place / STUDENT / CARD, render_model_card(facts))
            cards.append(place / STUDENT / CARD)
    return cards


def model_card_as(name: str, folder: Path, method: str) -> str | None:
    """The card of a student that is given away under another name than its run's; None where nothing is known of it."""
    facts = _facts_in(folder / "train" / method, read_stage_file(folder / "exam.json", Examined))
    if facts is None:
        return None
    return render_model_card(replace(facts, lineage=facts.lineage.model_copy(update={"run": name})))


def _facts_in(place: Path, examined: Examined | None) -> ModelFacts | None:
    lineage, trained = read_stage_file(place / LINEAGE, Lineage), read_stage_file(place / "train.json", Trained)
    if lineage is None or trained is None or not (place / STUDENT).is_dir():
        return None
    return _facts(place / STUDENT, lineage, trained, examined)


def _facts(student: Path, lineage: Lineage, trained: Trained, examined: Examined | None) -> ModelFacts:
    weights = str(model_digest(student))
    # A model that a run serves is named after its weights.
    mark = f"@{weights.removeprefix('sha256:')[:8]}"
    takers = examined.takers if examined else {}
    me = next((name for name in TRAINED if name in takers and (takers[name].model or "").endswith(mark)), None)
    return ModelFacts(
        lineage=lineage,
        trained=trained,
        weights=weights,
        examined=examined if me else None,
        me=me,
        opens_think=_opens_think(student),
        tags_are_special=_tags_are_special(student),
    )


def _opens_think(student: Path) -> bool:
    template = student / "chat_template.jinja"
    text = template.read_text(encoding="utf-8", errors="replace") if template.is_file() else ""
    _, found, generation = text.rpartition("add_generation_prompt")
    return bool(found) and generation.rfind(OPEN) > generation.rfind(CLOSE)


def _tags_are_special(student: Path) -> bool:
    path = student / "tokenizer.json"
    added = json.loads(path.read_text(encoding="utf-8")).get("added_tokens", []) if path.is_file() else []
    return any(token.get("content") == CLOSE and token.get("special") for token in added)


def student_licence(base: str | None, terms: list[TermsOfRows]) -> Licence:
    """What the card may name: nothing is made up where a licence or the teacher's terms are not known."""
    if base is None:
        return Licence("unknown", None, "The licence of the base is not recorded.")
    if any(each.id is None for each in terms):
        return Licence("unknown", None, "The terms of a teacher are not stated.")
    if any(each.demands is None for each in terms):
        return Licence("other", "see-terms", "The teacher's terms apply beside the licence of the base.")
    if set().union(*(each.licences for each in terms)) - {base.strip().lower()}:
        return Licence("other", "several", "The base has one licence, and the teacher's terms demand another.")
    return named(base, "It is the licence of the base, and the teacher's terms demand no other.")


def model_card_head(facts: ModelFacts) -> dict[str, Any]:
    """What the hub reads: the keys that are known, and no others."""
    lineage, licence = facts.lineage, student_licence(facts.lineage.base.licence, facts.terms)
    results = list(_results(facts))
    return {
        **({"base_model": lineage.base.name, "base_model_relation": "finetune"} if lineage.base.at_hub else {}),
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "license": licence.identifier,
        **({"license_name": licence.name} if licence.name else {}),
        **({"language": [lineage.language]} if lineage.language else {}),
        **({"datasets": list(lineage.hub_datasets)} if lineage.hub_datasets else {}),
        "tags": ["distillation", "stillroom"],
        **({"model-index": [{"name": lineage.run, "results": results}]} if results else {}),
    }


def _results(facts: ModelFacts) -> Iterator[dict[str, Any]]:
    """This model's accuracy on each set, as the hub's model-index has it."""
    if facts.examined is None or facts.me is None:
        return
    for name, part in _parts(facts.examined).items():
        yield {
            "task": {"type": "text-generation"},
            "dataset": {"name": name, "type": name},
            "metrics": [{"type": "accuracy", "value": round(part.takers[facts.me].accuracy, 4)}],
        }


def _parts(examined: Examined) -> dict[str, ExamPart]:
    return dict(examined.sets) or {WITHOUT_SETS: examined}


def render_model_card(facts: ModelFacts) -> str:
    examined, trained = facts.examined, facts.trained
    ship = examined.ship if examined and facts.me == STUDENT else None
    text = (
        _environment()
        .get_template("model_card.md.j2")
        .render(
            lineage=facts.lineage,
            trained=trained,
            learned=trained.method,
            weights=facts.weights,
            host=public_host(facts.lineage.host),
            terms=facts.terms,
            licence=student_licence(facts.lineage.base.licence, facts.terms),
            settings=list(_settings(trained, facts.lineage.settings)),
            opens_think=facts.opens_think,
            tags_are_special=facts.tags_are_special,
            most_tokens=(examined.max_tokens if examined else None) or MOST_TOKENS,
            examined=examined,
            me=facts.me,
            parts=_parts(examined) if examined else {},
            takers=_takers(examined, facts.me),
            comparisons=[one for one in examined.comparisons if facts.me in (one.a, one.b)] if examined else [],
            ship=ship,
        )
    )
    return card(model_card_head(facts), text)


def _takers(examined: Examined | None, me: str | None) -> list[str]:
    """This model first."""
    names = words.in_order(list(examined.takers)) if examined else []
    return sorted(names, key=lambda name: name != me)


def _settings(trained: Trained, settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The training's figures and settings, as far as they are known."""
    known = {
        "epochs": trained.epochs,
        "steps": trained.steps,
        "rows": trained.rows if trained.rows is not None else trained.traces,
        "trained tokens": trained.trained_tokens,
    }
    for name, number in known.items():
        if number is not None:
            yield name, words.count(number)
    if trained.learning_rate is not None:
        yield "learning rate, highest", f"{trained.learning_rate:g}"
    for name in ("warmup", "final_learning_rate", "weight_decay", "max_grad_norm", "step_tokens", "max_tokens"):
        if name in settings:
            yield name.replace("_", " "), str(settings[name])
    if isinstance(settings.get("weights"), Mapping) and len(set(settings["weights"].values())) > 1:
        yield "weights in the loss", ", ".join(f"{part} {weight}" for part, weight in settings["weights"].items())
    if settings.get("precision"):
        yield "precision", str(settings["precision"])
    for name, number in {"seed": trained.seed, "threads": trained.threads, "processes": trained.processes}.items():
        if number is not None:
            yield name, str(number)


def _taker(name: str) -> Markup:
    return Markup(words.TAKERS[name]) if name in words.TAKERS else code(name)


def _taker_cell(name: str) -> Markup:
    return Markup(words.TAKERS[name]) if name in words.TAKERS else cell(name)


def _accuracy(value: Accuracy) -> Markup:
    return Markup(f"{words.percent(value.accuracy)} ({words.interval(value.low, value.high)})")


def _difference(one: Comparison) -> Markup:
    corrected = one.p_value if one.p_holm is None else one.p_holm
    holm = "" if one.p_holm is None else ", corrected for all pairs"
    return Markup(f"{words.points_between(one.difference, one.low, one.high)}, {words.p_value(corrected)}{holm}")


@cache
def _environment() -> Environment:
    filters: dict[str, Callable[..., Markup]] = {
        "taker": _taker,
        "taker_cell": _taker_cell,
        "accuracy": _accuracy,
        "difference": _difference,
        "figure": lambda number: Markup(int(number)),
    }
    return environment("stillroom.report", filters)
