"""Charts and members of a finding, out of the window that it was found in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from stillroom.watch import tables, window
from stillroom.watch.review.from_window import LEAST_QUESTIONS, charts_of, members_of
from stillroom.watch.window import Bank, Window

DAYS = (100, 128)


def rows(schema: pa.Schema, *given: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist([dict.fromkeys(schema.names) | each for each in given], schema=schema)


def a_window(questions: int) -> Window:
    """Two accounts share the first `questions` of a bank; a third, which is in no finding, asks all of both banks."""
    hits = [
        {"account": account, "bank": "train", "question": question, "calls": 2, "exact_calls": 1, "first_at": 5}
        for account, asked in (("b", range(0, questions, 2)), ("a", range(1, questions, 2)), ("c", range(400)))
        for question in asked
    ]
    hits += [{"account": "c", "bank": "test", "question": question, "calls": 1} for question in range(100)]
    activity = [
        {
            "account": "a",
            "day": 101,
            "organisation": "org_a",
            "calls": 3,
            "permitted_calls": 9,
            "first_at": 7,
            "last_at": 8,
            "hour_05": 3,
        },
        {"account": "a", "day": 100, "organisation": "org_a", "calls": 2, "first_at": 3, "last_at": 4, "hour_00": 2},
        {"account": "a", "day": 102, "organisation": "org_a", "calls": 0, "permitted_calls": 4},
        {
            "account": "b",
            "day": 120,
            "organisation": "org_b",
            "calls": 1,
            "permitted_calls": 0,
            "first_at": 6,
            "last_at": 6,
            "hour_23": 1,
        },
        {
            "account": "c",
            "day": 120,
            "organisation": "org_c",
            "calls": 500,
            "first_at": 1,
            "last_at": 9,
            "hour_23": 500,
        },
    ]
    return Window(
        *DAYS,
        activity=rows(tables.ACTIVITY, *activity),
        templates=rows(window.TEMPLATES),
        keys=rows(window.KEYS),
        users=rows(window.USERS),
        models=rows(window.MODELS),
        bank_hits=rows(window.BANK_HITS, *hits),
        repeats=rows(window.REPEATS),
        banks=(Bank("train", 400, "train"), Bank("test", 100, "test")),
        missing=frozenset(),
    )


def values(spec: dict[str, Any]) -> list[dict[str, Any]]:
    return list(spec["data"]["values"])


def test_members_are_each_account_by_itself() -> None:
    first, second = members_of(a_window(200), ["a", "b", "nobody"], {"billing": ["b"], "ip": ["a", "b"]})
    assert (first.account, first.organisation, first.calls, first.permitted_calls) == ("a", "org_a", 5, 13)
    assert (first.first_at, first.last_at, first.bank_questions) == (3, 8, {"train": 100})
    assert (first.links, second.links) == (frozenset({"ip"}), frozenset({"billing", "ip"}))
    assert {member.links for member in members_of(a_window(0), ["a", "b"])} == {None}
    assert members_of(a_window(0), ["a"])[0].bank_questions == {}


def test_charts_of_a_group() -> None:
    coverage, overlap, activity = charts_of(a_window(200), ["a", "b"])
    assert coverage["description"].startswith("200 questions of the 400 of train")
    assert [row["seen"] for row in values(overlap)][:3] == [200, 200, 0]
    hour_ms = 3_600_000
    assert [(cell["row"], cell["from"] // hour_ms - 2_400, cell["calls"]) for cell in values(activity)] == [
        ("a", 0, 2),
        ("a", 28, 3),
        ("b", 500, 1),
    ]


def test_charts_of_one_account_and_of_little() -> None:
    order, _ = charts_of(a_window(200), ["b"])
    assert [point["question"] for point in values(order)] == list(np.arange(0, 200, 2) + 1)
    assert len(charts_of(a_window(LEAST_QUESTIONS - 1), ["a", "b"])) == 1
    both = charts_of(a_window(0), ["a", "c"])
    assert ["train" in spec["description"] for spec in both] == [True, True, False, False, False]
