"""The examination's page: every model on every set of questions, side by side. Loads nothing, as the report's does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from stillroom import __version__
from stillroom.report import exam_charts, words
from stillroom.report.charts import Spec
from stillroom.report.exam_samples import read_differences
from stillroom.report.looks import looks_of
from stillroom.report.rendering import SCRIPTS, environment, script, text_of
from stillroom.report.run_files import (
    Accuracy,
    Comparison,
    Examined,
    ExamPart,
    RunFiles,
    Ship,
    ShipSet,
    Taker,
    read_run,
)
from stillroom.report.warnings import warnings_of_exam
from stillroom.report.words import count, counted, in_order, p_value, percent, points_between, short, taker_name
from stillroom.store.files import write_atomically

PAGE = "exam.html"
ALL = "all questions"
FEW_QUESTIONS = 100
"""Below so many, one question is a point or more."""


def write_exam_page(folder: Path) -> Path | None:
    """Write `exam.html` from `exam.json` and `exam/answers.parquet`; None where there is no examination.

    The same files give the same page. Raises DataError where there is no such folder, StoreError for a damaged file.
    """
    run = read_run(folder)
    if run.examined is None:
        return None
    path = folder / PAGE
    write_atomically(path, render(run, run.examined))
    return path


def render(run: RunFiles, examined: Examined) -> str:
    names = in_order(list(examined.takers))
    takers = {name: examined.takers[name] for name in names}
    answers = run.folder / "exam" / "answers.parquet"
    scripts = [script(name) for name in SCRIPTS]
    parts = _parts(examined)
    return (
        environment()
        .get_template("exam.html.j2")
        .render(
            run=run,
            examined=examined,
            takers=takers,
            looks=looks_of(names),
            headline=_headline(examined, takers),
            ship=_ship(examined.ship),
            warnings=[*warnings_of_exam(examined), *_few_questions(examined)],
            parts={name: part.takers for name, part in parts.items()},
            asked={name: _asked(part, examined) for name, part in parts.items()},
            charts=_charts(examined, parts, names),
            pairs=[(name, [_pair(one) for one in part.comparisons]) for name, part in _compared(parts)],
            sampled=list(_sampled(parts)),
            groups=_groups(parts),
            differences=read_differences(answers, names) if answers.exists() and len(names) > 1 else [],
            version=__version__,
            style=Markup(text_of("page.css") + text_of("exam.css")),
            scripts=[each.text for each in scripts],
            script_sources=" ".join(each.source for each in scripts),
        )
    )


def _parts(examined: Examined) -> dict[str, ExamPart]:
    """The sets, and all of them together; without sets, or with one, that alone."""
    if len(examined.sets) == 1:
        return dict(examined.sets)
    return {**examined.sets, ALL: examined}


def _compared(parts: Mapping[str, ExamPart]) -> Iterator[tuple[str, ExamPart]]:
    """The parts that have comparisons, all questions first."""
    ordered = [name for name in parts if name == ALL] + [name for name in parts if name != ALL]
    return ((name, parts[name]) for name in ordered if parts[name].comparisons)


def _headline(examined: Examined, takers: Mapping[str, Taker]) -> str:
    best = sorted(takers, key=lambda name: -takers[name].accuracy)
    first, *others = best[:4]
    questions = counted(examined.n, "question", "questions")
    said = f"{short(taker_name(first))} answers {percent(takers[first].accuracy)} of {questions}"
    said += " right" + "".join(f", {short(taker_name(name))} {percent(takers[name].accuracy)}" for name in others)
    more = len(best) - 4
    said += f", and {counted(more, 'model', 'models')} less" if more > 0 else ""
    said = f"{said[0].upper()}{said[1:]}." if first in words.TAKERS else f"{said}."  # a model is called as it is called
    ship = examined.ship.model_dump() if examined.ship else None
    return " ".join([said, *words.not_better(ship)])


def _ship(ship: Ship | None) -> dict[str, Any] | None:
    """The verdict on the student, with what it rests on."""
    if ship is None:
        return None
    return {"why": ship.why, "margin": f"{100 * ship.margin:g}", "sets": [_of_ship(each) for each in ship.sets]}


def _of_ship(found: ShipSet) -> dict[str, Any]:
    corrected = found.p_value if found.p_holm is None else found.p_holm
    difference = "–"
    if found.difference is not None and found.low is not None and found.high is not None:
        difference = points_between(found.difference, found.low, found.high)
    return {
        "name": found.name or ALL,
        "wanted": "to be kept" if found.keep else "to gain",
        "outcome": words.OUTCOMES.get(found.outcome, found.outcome),
        "difference": difference,
        "p": "–" if found.keep or corrected is None else p_value(corrected).removeprefix("p = "),
        "n": found.n,
    }


def _few_questions(examined: Examined) -> Iterator[str]:
    few = {name: part.n for name, part in examined.sets.items() if part.n < FEW_QUESTIONS}
    if not examined.sets and examined.n < FEW_QUESTIONS:
        few = {ALL: examined.n}
    if few:
        said = ", ".join(f"{short(name)} {count(n)}" for name, n in few.items())
        yield f"Few questions ({said}): one of them is worth {100 / max(few.values()):.1f} points or more."


def _asked(part: ExamPart, examined: Examined) -> str:
    """How a set was asked, in a few words."""
    limit = part.max_tokens or examined.max_tokens
    words_of = [counted(part.n, "question", "questions")]
    if part.samples and part.samples > 1:
        words_of.append(f"{part.samples} samples each")
    if part.temperature is not None:
        words_of.append(f"temperature {part.temperature:g}")
    if limit and part is not examined:
        words_of.append(f"at most {count(limit)} tokens")
    return ", ".join(words_of)


def _charts(examined: Examined, parts: Mapping[str, ExamPart], names: Sequence[str]) -> dict[str, Spec]:
    by_part: dict[str, Mapping[str, Accuracy]] = {name: part.takers for name, part in parts.items()}
    if len(parts) > 1:
        means = {name: taker.mean_of_sets for name, taker in examined.takers.items() if taker.mean_of_sets}
        by_part |= {"mean of the sets": means} if len(means) == len(names) else {}
    drawn = {
        "accuracy": exam_charts.accuracy_by_set(by_part, names),
        "differences": exam_charts.difference_chart(examined.comparisons),
        **{part["chart"]: exam_charts.pass_chart(part["takers"]) for part in _sampled(parts)},
    }
    return {name: spec for name, spec in drawn.items() if spec is not None}


def _sampled(parts: Mapping[str, ExamPart]) -> Iterator[dict[str, Any]]:
    """The parts whose questions were asked several times, each with the k of its pass@k and the name of its chart."""
    for number, (name, part) in enumerate(parts.items()):
        found = [taker.pass_at for taker in part.takers.values() if taker.pass_at]
        if len(found) == len(part.takers):
            yield {"name": name, "chart": f"pass-{number}", "ks": list(found[0]), "takers": part.takers}


@dataclass(frozen=True, slots=True)
class Pair:
    """A comparison as the table has it."""

    names: str
    difference: str
    is_shown: bool
    """Whether it is beyond chance when all pairs of the table are taken into account."""
    p: str
    p_holm: str
    test: str
    questions: str


def _pair(one: Comparison) -> Pair:
    corrected = one.p_value if one.p_holm is None else one.p_holm
    split = f"{count(one.better_a)} : {count(one.better_b)} of {count(one.questions)}"
    return Pair(
        names=words.compare_names(one.a, one.b),
        difference=points_between(one.difference, one.low, one.high),
        is_shown=corrected < words.P_SHOWN,
        p=p_value(one.p_value).removeprefix("p = "),
        p_holm=p_value(corrected).removeprefix("p = "),
        test=words.TESTS.get(one.test, one.test),
        questions=split + (f", {count(one.left_out)} left out" if one.left_out else ""),
    )


def _groups(parts: Mapping[str, ExamPart]) -> list[dict[str, Any]]:
    """The groups of each part that has some, with their comparisons."""
    return [
        {"part": name, "groups": part.groups, "pairs": part.group_comparisons}
        for name, part in parts.items()
        if part.groups
    ]
