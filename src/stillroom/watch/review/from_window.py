"""What is kept beside a finding of some accounts, out of the window that it was found in: its charts, its members."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stillroom.report.charts import Spec
from stillroom.watch.review.charts import activity_chart, coverage_chart, order_chart, overlap_chart
from stillroom.watch.review.found import Member
from stillroom.watch.tables import HOURS
from stillroom.watch.window import Bank, Window

Integers = npt.NDArray[np.int64]
_OF_MEMBERS = ["account", "organisation", "calls", "permitted_calls", "first_at", "last_at"]
BANKS_DRAWN = 2
LEAST_QUESTIONS = 50
"""Of a bank of which fewer were asked there is nothing to see."""


def charts_of(window: Window, accounts: Sequence[str]) -> tuple[Spec, ...]:
    """The charts of a finding: how it covers the banks that it covers most, and when its accounts were active."""
    hits = _of_accounts(window.bank_hits, accounts)
    asked = {bank: len(pc.unique(_of_bank(hits, bank)["question"])) for bank in window.banks}
    drawn = sorted((bank for bank in asked if asked[bank] >= LEAST_QUESTIONS), key=lambda bank: -asked[bank])
    of_banks = (_bank_charts(bank, hits, accounts) for bank in drawn[:BANKS_DRAWN])
    return (*(chart for charts in of_banks for chart in charts), _activity(window, accounts))


def members_of(
    window: Window, accounts: Sequence[str], links: Mapping[str, Collection[str]] | None = None
) -> tuple[Member, ...]:
    """Each account of a finding by itself. `links`: the accounts that each kind of link holds for, where known."""
    activity = _of_accounts(window.activity, accounts).select(_OF_MEMBERS).to_pylist()
    hits = (
        _of_accounts(window.bank_hits, accounts)
        .group_by(["account", "bank"])
        .aggregate([("question", "count_distinct")])
    )
    asked: dict[str, dict[str, int]] = {account: {} for account in accounts}
    for account, bank, questions in zip(*(hits[name].to_pylist() for name in hits.column_names), strict=True):
        asked[account][bank] = questions
    permitted = dict.fromkeys(accounts, 0)
    days: dict[str, list[dict[str, Any]]] = {account: [] for account in accounts}
    for row in activity:
        permitted[row["account"]] += row["permitted_calls"] or 0
        if row["calls"]:
            days[row["account"]].append(row)
    return tuple(
        Member(
            account=account,
            organisation=days[account][-1]["organisation"],
            calls=sum(row["calls"] for row in days[account]),
            permitted_calls=permitted[account],
            first_at=min(row["first_at"] for row in days[account]),
            last_at=max(row["last_at"] for row in days[account]),
            bank_questions=asked[account],
            links=None if links is None else frozenset(kind for kind, held in links.items() if account in held),
        )
        for account in accounts
        if days[account]
    )


def _bank_charts(bank: Bank, hits: pa.Table, accounts: Sequence[str]) -> list[Spec]:
    of_bank = _of_bank(hits, bank)
    asked_by, question = _place(of_bank["account"], accounts), _integers(of_bank["question"])
    if len(accounts) == 1:
        return [order_chart(question, _integers(of_bank["first_at"]), bank.questions, bank.name)]
    return [
        coverage_chart(accounts, asked_by, question, bank.questions, bank.name),
        overlap_chart(len(accounts), asked_by, question, bank.questions, bank.name),
    ]


def _activity(window: Window, accounts: Sequence[str]) -> Spec:
    rows = _of_accounts(window.activity, accounts)
    calls = np.stack([_integers(rows[hour]) for hour in HOURS])  # hours, rows
    hours = np.broadcast_to(np.arange(len(HOURS))[:, None], calls.shape).ravel()
    account = np.tile(_place(rows["account"], accounts), len(HOURS))
    day = np.tile(_integers(rows["day"]), len(HOURS))
    return activity_chart(accounts, account, day, hours, calls.ravel(), (window.since_day, window.until_day))


def _of_accounts(table: pa.Table, accounts: Sequence[str]) -> pa.Table:
    return table.filter(pc.is_in(table["account"], value_set=pa.array(accounts, pa.string())))


def _of_bank(hits: pa.Table, bank: Bank) -> pa.Table:
    return hits.filter(pc.equal(hits["bank"], pa.scalar(bank.name)))


def _place(column: pa.ChunkedArray[Any], accounts: Sequence[str]) -> Integers:
    places = {account: place for place, account in enumerate(accounts)}
    held: list[Any] = column.to_pylist()
    return np.array([places[account] for account in held], dtype=np.int64)


def _integers(column: pa.ChunkedArray[Any]) -> Integers:
    """Unknown ones as 0."""
    return np.asarray(column.fill_null(pa.scalar(0, column.type)).to_numpy(), dtype=np.int64)
