"""The examination's charts: any number of models, any number of sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stillroom.report.charts import (
    Spec,
    accuracy_row,
    colour_encoding,
    interval_encoding,
    interval_mark,
    point_encoding,
    point_mark,
    shape_encoding,
    share_axis,
    specification,
)
from stillroom.report.run_files import Accuracy, Comparison, Taker
from stillroom.report.words import compare_names, points_between, short

SETS_DRAWN = 12
PAIRS_DRAWN = 24
"""Beyond so many, a chart is no longer read; the tables hold them all."""


def accuracy_by_set(parts: Mapping[str, Mapping[str, Accuracy]], names: Sequence[str]) -> Spec | None:
    """Accuracy of each taker in each part (a set, or all questions); None where there are too many parts to draw."""
    if len(parts) > SETS_DRAWN:
        return None
    rows = [
        {"part": short(part, 40), **accuracy_row(name, takers[name])}
        for part, takers in parts.items()
        for name in names
    ]
    is_one = len(parts) == 1
    y = {"type": "nominal", "sort": None, "title": None}
    axis = {"labelFontSize": 13, "labelFontWeight": 500, "labelLimit": 170}
    encoding = (
        {"y": {**y, "field": "taker", "axis": axis}}
        if is_one
        else {
            "y": {**y, "field": "part", "axis": axis, "scale": {"paddingInner": 0.28}},
            "yOffset": {"field": "taker", "type": "nominal", "sort": None},
        }
    )
    figure = {"type": "text", "dy": -14, "fontSize": 12, "fontWeight": 600, "color": "var(--ink)"}
    said = [{"mark": figure, "encoding": {"x": share_axis("accuracy"), "text": {"field": "said"}}}] if is_one else []
    return specification(
        description="Accuracy of each model with its 95 % interval. " + "; ".join(map(_said, rows)),
        data=rows,
        height=50 * len(names) if is_one else len(parts) * (17 * len(names) + 20),
        encoding=encoding,
        layer=[
            {
                "mark": interval_mark(3),
                "encoding": interval_encoding(names),
            },
            {"mark": point_mark(130), "encoding": point_encoding(names)},
            *said,
        ],
    )


def pass_chart(takers: Mapping[str, Taker]) -> Spec | None:
    """pass@k of each taker over k, with intervals; None where no question was asked twice."""
    sampled = {name: taker.pass_at for name, taker in takers.items() if taker.pass_at}
    if not sampled:
        return None
    names = list(sampled)
    rows = [
        {"k": int(k), **accuracy_row(name, value)} for name, values in sampled.items() for k, value in values.items()
    ]
    ks = sorted({row["k"] for row in rows})
    x = {"field": "k", "type": "quantitative", "title": "k", "scale": {"type": "log", "base": 2}}
    y = {**share_axis("accuracy"), "scale": {"domain": [0, 1]}}
    return specification(
        description="pass@k of each model with 95 % intervals; the table holds the figures.",
        data=rows,
        height=260,
        encoding={"x": {**x, "axis": {"values": ks, "grid": False, "format": "d"}}, **colour_encoding(names)},
        layer=[
            {
                "mark": {"type": "area", "opacity": 0.12 if len(names) < 3 else 0.06},
                "encoding": {"y": {**y, "field": "low"}, "y2": {"field": "high"}},
            },
            {"mark": {"type": "line", "strokeWidth": 2}, "encoding": {"y": y}},
            {"mark": point_mark(90), "encoding": {"y": y, **shape_encoding(names)}},
        ],
    )


def difference_chart(comparisons: Sequence[Comparison]) -> Spec | None:
    """Each pair's difference with its interval, against the line of no difference; None where there are too many."""
    if not 1 < len(comparisons) <= PAIRS_DRAWN:
        return None
    rows = [
        {
            "pair": short(compare_names(one.a, one.b), 60),
            "difference": 100 * one.difference,
            "low": 100 * one.low,
            "high": 100 * one.high,
            "shown": "yes" if one.low > 0 or one.high < 0 else "no",
            "said": points_between(one.difference, one.low, one.high),
        }
        for one in comparisons
    ]
    x = {"type": "quantitative", "title": "difference in percentage points", "axis": {"domain": False, "tickCount": 7}}
    colour = {
        "color": {
            "field": "shown",
            "scale": {"domain": ["yes", "no"], "range": ["var(--accent)", "var(--muted)"]},
            "legend": None,
        }
    }
    y = {
        "field": "pair",
        "type": "nominal",
        "sort": None,
        "title": None,
        "axis": {"labelLimit": 260, "labelFontSize": 13},
    }
    zero = {"mark": {"type": "rule", "color": "var(--ink)", "strokeDash": [3, 3]}, "encoding": {"x": {"datum": 0}}}
    tooltip = [{"field": "pair"}, {"field": "said", "title": "difference"}]
    return specification(
        description="Differences of accuracy with 95 % intervals. "
        + "; ".join(f"{row['pair']}: {row['said']}" for row in rows),
        data=rows,
        height=34 * len(rows),
        layer=[
            zero,
            {
                "mark": interval_mark(3),
                "encoding": {"y": y, "x": {**x, "field": "low"}, "x2": {"field": "high"}, **colour},
            },
            {
                "mark": point_mark(100),
                "encoding": {"y": y, "x": {**x, "field": "difference"}, **colour, "tooltip": tooltip},
            },
        ],
    )


def _said(row: dict[str, Any]) -> str:
    return f"{row['part']}, {row['taker']}: {row['said']} ({row['interval']}, n = {row['n']})"
