"""The charts of a finding: Vega-Lite specifications from plain arrays, bounded however many accounts there are.

Colours are the page's own CSS variables. A chart's `description` is its caption.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from stillroom.report.charts import Spec, specification
from stillroom.report.words import short
from stillroom.text.counted import counted

Integers = npt.NDArray[np.integer]

ROWS = 48
"""Beyond so many accounts, neighbours in the order of the rows share one."""
LABELLED_ROWS = 24
COLUMNS = 168
POINTS = 1_200
"""Of more than so many, every other one is drawn, or fewer."""
ASKED_BY_MOST = 6
"""In the chart of how often questions were asked, the last bar is `6 and more`."""
_DAY_MS, _HOUR_MS = 86_400_000, 3_600_000
LABEL = 16
_OPACITY = (0.16, 1.0)


def coverage_chart(accounts: Sequence[str], asked_by: Integers, question: Integers, questions: int, bank: str) -> Spec:
    """Which account asked which questions of a bank of `questions`. Shards are a staircase, overlap is beside it.

    `asked_by`: place in `accounts`, `question`: place in the bank, both shape (hits,), repeats allowed. Accounts are in
    the order of how much they asked; along x are the questions, each below the topmost account that asked it.
    """
    pairs = _once_each(asked_by, question)
    rank = _rank(-np.bincount(pairs[:, 0], minlength=len(accounts)))
    topmost = np.full(questions, len(accounts))
    np.minimum.at(topmost, pairs[:, 1], rank[pairs[:, 0]])
    asked = int((topmost < len(accounts)).sum())
    labels = _labels([accounts[each] for each in np.argsort(rank)])
    row = rank[pairs[:, 0]] * len(labels) // max(1, len(accounts))
    return specification(
        description=(
            f"{counted(asked, 'question')} of the {questions:,} of {bank}, by account. Each question stands below the "
            "topmost account that asked it: parts that do not overlap are one staircase, and what others asked as well "
            f"lies beside it. {counted(questions - asked, 'question was', 'questions were')} asked by none of them."
        ),
        data=_coverage_cells(row, _rank(topmost)[pairs[:, 1]], questions, labels),
        height=_height(len(labels)),
        encoding={"y": _row_axis(labels)},
        layer=[_coverage_layer(questions), _asked_layer(asked, questions)],
    )


def _coverage_cells(row: Integers, place: Integers, questions: int, labels: Sequence[str]) -> list[dict[str, Any]]:
    """How much of each column of questions each row asked. `place`: of the question along x."""
    columns = min(COLUMNS, questions)
    once = _once_each(row, place)
    cells, filled = np.unique(once[:, 0] * columns + once[:, 1] * columns // questions, return_counts=True)
    edges = -(-np.arange(columns + 1) * questions // columns)  # of the columns, in questions
    size = np.diff(edges)
    return [
        {
            "row": labels[cell // columns],
            "from": int(edges[cell % columns]),
            "to": int(edges[cell % columns + 1]),
            "share": round(count / int(size[cell % columns]), 3),
        }
        for cell, count in zip(cells.tolist(), filled.tolist(), strict=True)
    ]


def _coverage_layer(questions: int) -> Spec:
    x = {"type": "quantitative", "scale": {"domain": [0, questions], "nice": False}}
    axis = {"title": "questions", "grid": False, "format": ",d", "tickCount": 6}
    tooltip = [
        {"field": "row", "title": "account"},
        {"field": "share", "title": "of these questions", "format": ".0%"},
    ]
    return {
        "mark": {"type": "rect", "color": "var(--accent)"},
        "encoding": {
            "x": {"field": "from", **x, "axis": axis},
            "x2": {"field": "to"},
            "opacity": _opacity("share"),
            "tooltip": tooltip,
        },
    }


def _asked_layer(asked: int, questions: int) -> Spec:
    """A line where the questions begin that nobody asked."""
    x = {"field": "asked", "type": "quantitative", "scale": {"domain": [0, questions], "nice": False}}
    return {
        "mark": {"type": "rule", "color": "var(--muted)", "strokeDash": [3, 3]},
        "data": {"values": [{"asked": asked}]},
        "encoding": {"x": x, "y": None},
    }


def overlap_chart(accounts: int, asked_by: Integers, question: Integers, questions: int, bank: str) -> Spec:
    """How many questions of a bank were asked by no account, by one, by two, and so on.

    Beside it what would be expected if each of the `accounts` had drawn as many questions by itself. `asked_by` and
    `question` as for `coverage_chart`.
    """
    pairs = _once_each(asked_by, question)
    askers = np.minimum(np.bincount(pairs[:, 1], minlength=questions), ASKED_BY_MOST)
    seen = np.bincount(askers, minlength=ASKED_BY_MOST + 1)
    expected = questions * _chance_of_askers(np.bincount(pairs[:, 0], minlength=accounts) / questions)
    names = [*map(str, range(ASKED_BY_MOST)), f"{ASKED_BY_MOST} and more"]
    last = max(2, int(np.flatnonzero(seen).max()), int(np.flatnonzero(expected >= 0.5).max()))
    data = [
        {"askers": name, "seen": count, "expected": round(by_chance, 1)}
        for name, count, by_chance in zip(names, seen.tolist(), expected.tolist(), strict=True)
    ][: last + 1]
    axis = {"title": "questions", "format": ",d", "tickCount": 4}
    return specification(
        description=(
            f"By how many of the {accounts:,} accounts each question of {bank} was asked. Bars: as it is. Lines: as it "
            "would be if each account had drawn as many questions at random."
        ),
        data=data,
        height=190,
        encoding={
            "x": {"field": "askers", "type": "nominal", "sort": None, "title": "asked by", "axis": {"labelAngle": 0}},
            "tooltip": [
                {"field": "askers", "title": "asked by"},
                {"field": "seen", "title": "questions", "format": ",d"},
                {"field": "expected", "title": "by chance", "format": ",.0f"},
            ],
        },
        layer=[
            {
                "mark": {"type": "bar", "color": "var(--accent)", "width": {"band": 0.62}},
                "encoding": {"y": {"field": "seen", "type": "quantitative", "axis": axis}},
            },
            {
                "mark": {"type": "tick", "color": "var(--ink)", "thickness": 2.5, "width": {"band": 0.8}},
                "encoding": {"y": {"field": "expected", "type": "quantitative"}},
            },
        ],
    )


def order_chart(question: Integers, at: Integers, questions: int, bank: str) -> Spec:
    """When each question of a bank was first asked: a line is the bank's own order, a cloud is none.

    `question`: place in the bank, `at`: UTC in microseconds, both shape (hits,).
    """
    by_time = np.argsort(at, kind="stable")[:: -(-len(at) // POINTS) or 1]
    data = [
        {"at": when // 1000, "question": place + 1}
        for when, place in zip(at[by_time].tolist(), question[by_time].tolist(), strict=True)
    ]
    x = {"field": "at", "type": "temporal", "scale": {"type": "utc"}}
    y = {"field": "question", "type": "quantitative", "scale": {"domain": [0, questions], "nice": False}}
    tooltip = [{**x, "title": "first asked (UTC)", "format": "%-d %b %H:%M"}, {"field": "question", "format": ",d"}]
    return specification(
        description=(
            f"When each question of {bank} was first asked, by its place in the bank. A line: they were asked in the "
            "bank's own order. A cloud: in no order."
        ),
        data=data,
        height=230,
        mark={"type": "point", "filled": True, "size": 14, "opacity": 0.55, "color": "var(--accent)"},
        encoding={
            "x": {**x, "axis": {"title": None, "grid": False, "tickCount": 6, "format": "%-d %b %H:%M"}},
            "y": {**y, "axis": {"title": "place in the bank", "format": ",d", "tickCount": 5}},
            "tooltip": tooltip,
        },
    )


def activity_chart(
    accounts: Sequence[str], account: Integers, day: Integers, hour: Integers, calls: Integers, days: tuple[int, int]
) -> Spec:
    """When each account was active, first comers at the top: turns, steps and relays can be seen.

    `account` (place in `accounts`), `day` (since 1970 in UTC), `hour` (0 to 23) and `calls`, all of shape (rows,);
    `days`: the first of the window, and the one after its last.
    """
    since, until = days
    hours = _hours_a_column(until - since)
    is_active = calls > 0
    account, at, calls = account[is_active], ((day - since) * 24 + hour)[is_active], calls[is_active]
    first = np.full(len(accounts), (until - since) * 24)
    np.minimum.at(first, account, at)
    rank = _rank(first)
    labels = _labels([accounts[each] for each in np.argsort(rank)])
    table = np.zeros((len(labels), -(-(until - since) * 24 // hours)))
    np.add.at(table, (rank[account] * len(labels) // max(1, len(accounts)), at // hours), calls)
    x = {"type": "temporal", "scale": {"type": "utc", "domain": [since * _DAY_MS, until * _DAY_MS]}}
    axis = {"title": None, "grid": False, "format": "%-d %b", "tickCount": 7}
    tooltip = [
        {"field": "row", "title": "account"},
        {"field": "from", "type": "temporal", "title": "from (UTC)", "format": "%-d %b %H:%M"},
        {"field": "calls", "format": ",d"},
    ]
    return specification(
        description=(
            f"When {counted(len(accounts), 'account')} called, in columns of {_columns_named(hours)} (UTC). Darker: "
            "more of the row's own calls. Rows are in the order in which they began."
        ),
        data=_activity_cells(table, since, until, hours, labels),
        height=_height(len(labels)),
        mark={"type": "rect", "color": "var(--accent)"},
        encoding={
            "x": {"field": "from", **x, "axis": axis},
            "x2": {"field": "to"},
            "y": _row_axis(labels),
            "opacity": _opacity("share"),
            "tooltip": tooltip,
        },
    )


def _activity_cells(
    table: npt.NDArray[np.float64], since: int, until: int, hours: int, labels: Sequence[str]
) -> list[dict[str, Any]]:
    """The cells of `table` (rows, columns of so many hours) that have calls."""
    share = np.sqrt(table / np.maximum(table.max(axis=1, keepdims=True, initial=0), 1))
    return [
        {
            "row": labels[row],
            "from": since * _DAY_MS + column * hours * _HOUR_MS,
            "to": min(since * _DAY_MS + (column + 1) * hours * _HOUR_MS, until * _DAY_MS),
            "calls": int(table[row, column]),
            "share": round(float(share[row, column]), 3),
        }
        for row, column in np.argwhere(table > 0).tolist()
    ]


def _hours_a_column(days: int) -> int:
    """The fewest that make `COLUMNS` or less of them; whole days, where it is more than one."""
    fits = (each for each in (1, 2, 3, 4, 6, 8, 12) if days * 24 <= COLUMNS * each)
    return next(fits, 24 * -(-days // COLUMNS))


def score_chart(scores: Sequence[tuple[int, float]], threshold: float | None = None) -> Spec:
    """The score of a finding over weeks, from (UTC in microseconds, score); beside it the line above which it shows."""
    data = [{"at": at // 1000, "score": round(score, 3)} for at, score in scores]
    x = {"field": "at", "type": "temporal", "scale": {"type": "utc"}}
    axis = {"title": None, "format": "%-d %b", "grid": False, "tickCount": 6}
    y = {"type": "quantitative", "scale": {"zero": True}, "axis": {"title": "score", "tickCount": 4}}
    tooltip = [{**x, "title": "found (UTC)", "format": "%-d %b %H:%M"}, {"field": "score", "format": ".2f"}]
    line = {"type": "line", "color": "var(--accent)", "strokeWidth": 2}
    point = {"type": "point", "filled": True, "size": 70, "opacity": 1, "color": "var(--accent)"}
    layers = [
        {"mark": line, "encoding": {"x": {**x, "axis": axis}, "y": {"field": "score", **y}}},
        {"mark": point, "encoding": {"x": {**x, "axis": axis}, "y": {"field": "score", **y}, "tooltip": tooltip}},
    ]
    if threshold is not None:
        rule = {"type": "rule", "color": "var(--muted)", "strokeDash": [4, 4]}
        layers.append(
            {"mark": rule, "data": {"values": [{"line": threshold}]}, "encoding": {"y": {"field": "line", **y}}}
        )
    above = "" if threshold is None else " The broken line is where findings begin."
    return specification(
        description=f"The score of each version of the finding.{above}", data=data, height=160, layer=layers
    )


def _chance_of_askers(share: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """The chance that a question is asked by 0, 1, ... accounts, where each asks this share of all of them by itself.

    Shape (ASKED_BY_MOST + 1,); the last entry is that many or more.
    """
    chance = np.zeros(ASKED_BY_MOST + 1)
    chance[0] = 1
    for each in share:
        more = chance * each
        chance -= more
        chance[1:] += more[:-1]
        chance[-1] += more[-1]
    return chance


def _rank(values: Integers) -> Integers:
    """The place of each in ascending order; equal ones stay in the order in which they are."""
    rank = np.empty(len(values), np.int64)
    rank[np.argsort(values, kind="stable")] = np.arange(len(values))
    return rank


def _once_each(first: Integers, second: Integers) -> Integers:
    """The different pairs: shape (pairs, 2)."""
    return np.unique(np.stack([first, second], axis=1).astype(np.int64), axis=0)


def _labels(ordered: Sequence[str]) -> list[str]:
    """One for each row: its account, or which of the accounts share it. No two alike.

    The account of rank r is in row r * rows // accounts.
    """
    if len(ordered) <= ROWS:
        shortened = [short(account, LABEL) for account in ordered]
        return shortened if len(set(shortened)) == len(ordered) else list(ordered)
    starts = [-(-row * len(ordered) // ROWS) for row in range(ROWS + 1)]
    return [f"accounts {first + 1:,} to {last:,}" for first, last in pairwise(starts)]


def _row_axis(labels: Sequence[str]) -> Spec:
    is_labelled = len(labels) <= LABELLED_ROWS
    axis = {"labels": is_labelled, "labelLimit": 130, "labelFontSize": 11, "title": None, "grid": False}
    scale = {"domain": list(labels), "paddingInner": 0.12}
    return {"field": "row", "type": "nominal", "sort": None, "axis": axis, "scale": scale}


def _height(rows: int) -> int:
    return max(60, rows * (16 if rows <= LABELLED_ROWS else 9))


def _opacity(field: str) -> Spec:
    scale = {"domain": [0, 1], "range": list(_OPACITY)}
    return {"field": field, "type": "quantitative", "scale": scale, "legend": None}


def _columns_named(hours: int) -> str:
    if hours % 24 == 0:
        return "a day" if hours == 24 else f"{hours // 24} days"
    return "an hour" if hours == 1 else f"{hours} hours"
