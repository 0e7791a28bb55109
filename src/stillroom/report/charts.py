"""Vega-Lite specifications, drawn from the stages' figures. Pure functions: data in, a dict out.

Colours are the page's own CSS variables, so that one drawing serves light, dark and print.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stillroom.report.looks import looks_of
from stillroom.report.run_files import Accuracy, Taker
from stillroom.report.words import in_order, interval, percent, short, taker_name

Spec = dict[str, Any]

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
"""Names the grammar's version. Nothing is fetched from there."""

FAMILIES_DRAWN = 16
"""Beyond this many families a chart is no longer read; the table holds them all."""


def accuracy_chart(takers: Mapping[str, Taker]) -> Spec:
    """One row per taker: the accuracy as a mark with its figure, the 95 % interval as a line."""
    names = in_order(list(takers))
    rows = [accuracy_row(name, takers[name]) for name in names]
    taker = {"field": "taker", "type": "nominal"}
    y = {**taker, "sort": None, "title": None, "axis": {"labelFontSize": 14, "labelFontWeight": 500, "labelLimit": 150}}
    figure = {"type": "text", "dy": -15, "fontSize": 13, "fontWeight": 600, "color": "var(--ink)"}
    return specification(
        description="Accuracy of each taker with its 95 % interval. " + "; ".join(_said(row) for row in rows),
        data=rows,
        height=52 * len(names),
        encoding={"y": y},
        layer=[
            {"mark": interval_mark(3), "encoding": interval_encoding(names)},
            {"mark": point_mark(170), "encoding": point_encoding(names)},
            {"mark": figure, "encoding": {"x": share_axis("accuracy"), "text": {"field": "said"}}},
        ],
    )


def family_chart(takers: Mapping[str, Taker]) -> Spec | None:
    """Accuracy of each taker in each family; None where there is only one family, or too many to draw.

    It has no legend of its own: the page writes one above it, which wraps on a narrow screen.
    """
    names = in_order(list(takers))
    families = list(dict.fromkeys(family for name in names for family in takers[name].families))
    if not 1 < len(families) <= FAMILIES_DRAWN:
        return None
    rows = [
        {"family": short(family, 40), **accuracy_row(name, takers[name].families[family])}
        for family in families
        for name in names
        if family in takers[name].families
    ]
    y = {"field": "family", "type": "nominal", "sort": None, "title": None, "scale": {"paddingInner": 0.22}}
    return specification(
        description="Accuracy of each taker in each family, with 95 % intervals; the table holds the figures.",
        data=rows,
        height=len(families) * (15 * len(names) + 16),
        encoding={
            "y": {**y, "axis": {"labelFontSize": 13, "labelLimit": 150}},
            "yOffset": {"field": "taker", "type": "nominal", "sort": None},
        },
        layer=[
            {"mark": interval_mark(2), "encoding": interval_encoding(names)},
            {"mark": point_mark(105), "encoding": point_encoding(names)},
        ],
    )


def accuracy_row(name: str, taker: Accuracy) -> dict[str, Any]:
    """What a taker's mark and interval are drawn from, and said."""
    return {
        "taker": short(taker_name(name), 40),
        "accuracy": taker.accuracy,
        "low": taker.low,
        "high": taker.high,
        "n": taker.n,
        "said": percent(taker.accuracy),
        "interval": interval(taker.low, taker.high),
    }


def _said(row: dict[str, Any]) -> str:
    return f"{row['taker']} {row['said']} ({row['interval']}, n = {row['n']})"


def share_axis(field: str) -> dict[str, Any]:
    axis = {"labelExpr": "format(datum.value * 100, '.0f') + ' %'", "values": [0, 0.25, 0.5, 0.75, 1], "domain": False}
    return {"field": field, "type": "quantitative", "title": None, "scale": {"domain": [0, 1]}, "axis": axis}


def interval_mark(width: float) -> dict[str, Any]:
    return {"type": "rule", "strokeWidth": width, "strokeCap": "round", "opacity": 0.45}


def point_mark(size: float) -> dict[str, Any]:
    return {"type": "point", "filled": True, "size": size, "opacity": 1, "stroke": "var(--paper)", "strokeWidth": 1.5}


def colour_encoding(names: Sequence[str]) -> dict[str, Any]:
    """The encoding that tells takers apart by colour."""
    colours = [f"var(--taker-{looks.key})" for looks in looks_of(names).values()]
    return {"color": {"field": "taker", "scale": _scale(names, colours), "legend": None}}


def shape_encoding(names: Sequence[str]) -> dict[str, Any]:
    """The encoding that tells takers' marks apart by shape, and says what they stand for where one points at them."""
    shapes = [looks.shape for looks in looks_of(names).values()]
    return {
        "shape": {"field": "taker", "scale": _scale(names, shapes), "legend": None},
        "tooltip": [
            {"field": "taker"},
            {"field": "said", "title": "right"},
            {"field": "interval", "title": "95 % interval"},
            {"field": "n", "title": "questions", "format": ","},
        ],
    }


def _scale(names: Sequence[str], values: list[str]) -> dict[str, Any]:
    return {"domain": [short(taker_name(name), 40) for name in names], "range": values}


def interval_encoding(names: Sequence[str]) -> dict[str, Any]:
    return {"x": share_axis("low"), "x2": {"field": "high"}, **colour_encoding(names)}


def point_encoding(names: Sequence[str]) -> dict[str, Any]:
    return {"x": share_axis("accuracy"), **colour_encoding(names), **shape_encoding(names)}


def specification(*, description: str, data: list[dict[str, Any]], **rest: Any) -> Spec:
    return {
        "$schema": SCHEMA,
        "description": description,
        "width": "container",
        "autosize": {"type": "fit-x", "contains": "padding"},
        "background": None,
        "data": {"values": data},
        "config": _CONFIG,
        **rest,
    }


_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', sans-serif"
_CONFIG: dict[str, Any] = {
    "font": _FONT,
    "view": {"stroke": None},
    "axis": {
        "labelColor": "var(--muted)",
        "titleColor": "var(--muted)",
        "titleFontWeight": "normal",
        "titleFontSize": 12,
        "labelFontSize": 12,
        "gridColor": "var(--line)",
        "domainColor": "var(--line)",
        "ticks": False,
        "labelPadding": 8,
        "domain": False,
    },
    "axisY": {"labelColor": "var(--ink)"},
    "legend": {"labelColor": "var(--ink)", "labelFontSize": 13, "symbolStrokeWidth": 0},
    "text": {"font": _FONT},
}
