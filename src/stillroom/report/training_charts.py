"""The course of the trainings: loss, learning rate and held-out questions by step, one line for each method."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from stillroom.report.charts import Spec, point_mark, share_axis, specification
from stillroom.report.training_figures import method_name, right_share, running_mean
from stillroom.report.training_file import Mark, Trained
from stillroom.report.words import count, interval, percent

DASHES = {"sft": [1, 0], "answers_only": [5, 3]}
SHAPES = {"sft": "circle", "answers_only": "triangle-up"}
TAKERS = {"sft": "student", "answers_only": "answers_only"}
"""The taker that each method of training makes, whose colour and shape its line wears."""
OTHERS = {"dash": [2, 2], "shape": "square", "taker": "base"}

POINTS = 300
"""Of one line: a longer one is thinned."""
LEFT, ROOM = 46, 1.04
"""Pixels left of every chart, and what its steps are given more than they need: words stand at the last one. So the
steps of all charts stand under each other."""


def loss_chart(trained: Mapping[str, Trained]) -> Spec | None:
    """Loss per step, faint, with its running mean, and where there are any, points for the loss on held-out replies."""
    drawn = {method: training for method, training in trained.items() if training.curve}
    if not drawn:
        return None
    rows = [row for method, training in drawn.items() for row in _loss_rows(method, training)]
    held_out = [row for method, training in drawn.items() for row in _held_out_losses(method, training)]
    y: dict[str, Any] = {"type": "quantitative", "title": "loss", "axis": {"tickCount": 5, "minExtent": LEFT}}
    tooltip = [{"field": "method"}, {"field": "step", "format": ","}]
    dash = _dash(drawn)
    faint = {"type": "line", "strokeWidth": 1, "opacity": 0.35, "clip": True}
    mean = {"type": "line", "strokeWidth": 2.2, "clip": True}
    layers: list[dict[str, Any]] = [
        {"mark": faint, "encoding": {"y": {**y, "field": "loss"}}},
        {
            "mark": mean,
            "encoding": {
                "y": {**y, "field": "mean"},
                "strokeDash": {**dash, "legend": None} if held_out else dash,  # the points' shapes stand there then
                "tooltip": [*tooltip, {"field": "mean", "title": "running mean", "format": ".4f"}],
            },
        },
    ]
    if held_out:
        shown = [*tooltip, {"field": "held_out", "title": "loss on held-out replies", "format": ".4f"}]
        points = {"y": {**y, "field": "held_out"}, "tooltip": shown, **_shape(drawn)}
        layers.append({"data": {"values": held_out}, "mark": point_mark(80), "encoding": points})
    return specification(
        description="Training loss by step. " + "; ".join(_loss_said(*each) for each in drawn.items()) + ".",
        data=rows,
        height=240,
        encoding={"x": _steps_axis(trained), **_colour(drawn, of_lines=not held_out)},
        layer=layers,
    )


def rate_chart(trained: Mapping[str, Trained]) -> Spec | None:
    """The learning rate by step; None where no curve was kept."""
    drawn = {method: training for method, training in trained.items() if training.curve}
    if not drawn:
        return None
    rows = [
        {"method": method_name(method), "step": step, "rate": rate}
        for method, training in drawn.items()
        for step, rate in thinned((each.number, each.learning_rate) for each in training.curve)
    ]
    axis = {"tickCount": 2, "format": "~g", "minExtent": LEFT}
    highest = {method: max(step.learning_rate for step in training.curve) for method, training in drawn.items()}
    said = "; ".join(f"{method_name(method)}: at most {rate:g}" for method, rate in highest.items())
    return specification(
        description=f"Learning rate by step. {said}.",
        data=rows,
        height=90,
        mark={"type": "line", "strokeWidth": 2, "clip": True},
        encoding={
            "x": _steps_axis(trained),
            "y": {"field": "rate", "type": "quantitative", "title": "learning rate", "axis": axis},
            "strokeDash": _dash(drawn),
            "tooltip": [{"field": "method"}, {"field": "step", "format": ","}, {"field": "rate", "format": ".3g"}],
            **_colour(drawn, of_lines=True),
        },
    )


def held_out_chart(trained: Mapping[str, Trained]) -> Spec | None:
    """Held-out questions answered right by step, with 95 % intervals and the step whose weights were kept.

    None where no question was held out whose answer can be verified.
    """
    marks = {method: _verified(training) for method, training in trained.items()}
    drawn = {method: trained[method] for method, found in marks.items() if found}
    if not drawn:
        return None
    rows = [_mark_row(method, mark, drawn[method]) for method in drawn for mark in marks[method]]
    y = {**share_axis("right"), "title": "held-out questions right"}
    y["axis"] = {**y["axis"], "minExtent": LEFT}
    ring = {"type": "point", "filled": False, "size": 330, "strokeWidth": 1.5, "opacity": 1, "shape": "circle"}
    words = {"type": "text", "dy": -18, "fontSize": 12, "fontWeight": 600, "color": "var(--ink)"}
    best = {"transform": [{"filter": "datum.best"}]}
    tooltip = [
        {"field": "method"},
        {"field": "step", "format": ","},
        {"field": "said", "title": "right"},
        {"field": "interval", "title": "95 % interval"},
        {"field": "cut", "title": "cut by the limit"},
    ]
    return specification(
        description="Held-out questions answered right by step, with 95 % intervals. "
        + "; ".join(f"{row['method']}, kept: step {row['step']}, {row['said']}" for row in rows if row["best"])
        + ".",
        data=rows,
        height=220,
        encoding={"x": _steps_axis(trained), **_colour(drawn, of_lines=False)},
        layer=[
            {
                "mark": {"type": "rule", "strokeWidth": 2, "strokeCap": "round", "opacity": 0.4},
                "encoding": {"y": {**y, "field": "low"}, "y2": {"field": "high"}},
            },
            {"mark": {"type": "line", "strokeWidth": 1.5, "opacity": 0.7}, "encoding": {"y": y}},
            {"mark": point_mark(90), "encoding": {"y": y, **_shape(drawn), "tooltip": tooltip}},
            {**best, "mark": ring, "encoding": {"y": y}},
            {**best, "mark": words, "encoding": {"y": y, "text": {"field": "said"}, "color": {"value": "var(--ink)"}}},
        ],
    )


def thinned(curve: Iterable[tuple[int, float]], points: int = POINTS) -> list[tuple[int, float | None]]:
    """At most `points` points: each the mean of a run of steps, at the last of them.

    A value that is not finite makes its point None, a gap in the line: it is not averaged away.
    """
    steps = list(curve)
    size = max(1, math.ceil(len(steps) / points))
    runs = [steps[start : start + size] for start in range(0, len(steps), size)]
    return [(run[-1][0], _finite(sum(value for _, value in run) / len(run))) for run in runs]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _loss_rows(method: str, training: Trained) -> list[dict[str, Any]]:
    positions = {each.number: position for position, each in enumerate(training.curve)}
    return [
        {
            "method": method_name(method),
            "step": step,
            "loss": loss,
            "mean": _finite(running_mean(training.curve, positions[step])),
        }
        for step, loss in thinned((each.number, each.loss) for each in training.curve)
    ]


def _held_out_losses(method: str, training: Trained) -> list[dict[str, Any]]:
    marks = training.held_out.curve if training.held_out else ()
    return [
        {"method": method_name(method), "step": mark.step, "held_out": mark.loss}
        for mark in marks
        if mark.loss is not None and math.isfinite(mark.loss)
    ]


def _loss_said(method: str, training: Trained) -> str:
    first, last = training.curve[0].loss, running_mean(training.curve, len(training.curve) - 1)
    return f"{method_name(method)}: {first:.2f} at first, {last:.4f} at the end"


def _verified(training: Trained) -> list[Mark]:
    return [mark for mark in training.held_out.curve if mark.asked] if training.held_out else []


def _mark_row(method: str, mark: Mark, training: Trained) -> dict[str, Any]:
    share = right_share(mark)
    return {
        "method": method_name(method),
        "step": mark.step,
        "right": share.accuracy,
        "low": share.low,
        "high": share.high,
        "said": f"{count(mark.right)} of {count(mark.asked)}",
        "interval": interval(share.low, share.high),
        "cut": percent(None if mark.cut is None else mark.cut / mark.asked),
        "best": training.held_out is not None and mark == training.held_out.best,
    }


def _steps_axis(trained: Mapping[str, Trained]) -> dict[str, Any]:
    """The same for all charts, so that they can be read one under the other."""
    last = [training.curve[-1].number for training in trained.values() if training.curve]
    examined = [mark.step for training in trained.values() for mark in _verified(training)]
    axis = {"grid": False, "tickCount": 6, "format": ",d", "tickMinStep": 1}
    scale = {"domain": [0, ROOM * max([*last, *examined])], "nice": False}
    return {"field": "step", "type": "quantitative", "title": "step", "axis": axis, "scale": scale}


def _by_method(drawn: Mapping[str, Trained], values: list[Any], *, of_lines: bool) -> dict[str, Any]:
    names = [method_name(method) for method in drawn]
    symbol = {"symbolType": "stroke", "symbolStrokeWidth": 2.5} if of_lines else {"symbolStrokeWidth": 0}
    legend = {"orient": "top", "title": None, "symbolOpacity": 1, **symbol}
    return {"field": "method", "type": "nominal", "scale": {"domain": names, "range": values}, "legend": legend}


def _colour(drawn: Mapping[str, Trained], *, of_lines: bool) -> dict[str, Any]:
    colours = [f"var(--taker-{TAKERS.get(method, OTHERS['taker'])})" for method in drawn]
    return {"color": _by_method(drawn, colours, of_lines=of_lines)}


def _dash(drawn: Mapping[str, Trained]) -> dict[str, Any]:
    return _by_method(drawn, [DASHES.get(method, OTHERS["dash"]) for method in drawn], of_lines=True)


def _shape(drawn: Mapping[str, Trained]) -> dict[str, Any]:
    shapes = [SHAPES.get(method, OTHERS["shape"]) for method in drawn]
    return {"shape": _by_method(drawn, shapes, of_lines=False)}
