"""The organisations of a window, as the search for groups reads them: who holds which key, asked what, and when.

Letters of array names: O organisations, R rows (of a table), V values of a key, Q questions of a bank, H hours of the
window.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csr_matrix

from stillroom.watch.signals.organisations import Organisations
from stillroom.watch.tables import HOURS
from stillroom.watch.window import Window

Integers = npt.NDArray[np.int64]
LINKING_KINDS = ("ip", "billing", "client", "system")


@dataclass(frozen=True, slots=True)
class Holding:
    """Which organisations hold which values of one kind of key, each pair once."""

    organisation_R: Integers
    value_R: Integers
    values: pa.Array[Any]
    holders_V: Integers
    """How many organisations hold each value."""
    first_row_O: Integers
    """Rows are sorted by organisation: where those of each begin, and at last where they end (O + 1)."""

    def rows_of(self, members: Integers) -> Integers:
        """The rows of these organisations."""
        return rows_of(self.first_row_O, members)


@dataclass(frozen=True, slots=True)
class Templates:
    """Which organisations fill which templates (V): one row for each pair, sorted by template."""

    organisation_R: Integers
    template_R: Integers
    calls_R: Integers
    prompts_R: Integers
    prints: pa.Array[Any]
    first_row_V: Integers
    """Where each template's rows begin, and at last where they end (V + 1)."""


class Population:
    """All organisations of a window, by number: those of `organisations`, which is sorted."""

    def __init__(self, window: Window) -> None:
        self.window = window
        activity = window.activity
        self.known = Organisations.of(activity)
        self.organisations = self.known.names
        self.size = len(self.known)
        self.activity_organisation_R, activity = self.known.rows(activity)
        self._first_at_R, self._last_at_R = _integers(activity["first_at"]), _integers(activity["last_at"])
        self.day_R = _integers(activity["day"]) - window.since_day
        self.calls_O = self._sum_by_organisation(self.activity_organisation_R, _integers(activity["calls"]))

    @cached_property
    def hours_R(self) -> npt.NDArray[np.int32]:
        """Calls by hour of the day, [R, 24], of each row of the activity."""
        columns = [self.window.activity[hour].to_numpy(zero_copy_only=False) for hour in HOURS]
        return np.stack([np.nan_to_num(column).astype(np.int32) for column in columns], axis=1)

    def hours_of(self, members: Integers) -> npt.NDArray[np.int32]:
        """Calls of each member by hour of the window, [members, H]."""
        days = self.window.until_day - self.window.since_day
        place = np.full(self.size, -1, np.int64)
        place[members] = np.arange(len(members))
        rows = np.flatnonzero(place[self.activity_organisation_R] >= 0)
        hours = np.zeros((len(members), days, 24), np.int32)
        np.add.at(hours, (place[self.activity_organisation_R[rows]], self.day_R[rows]), self.hours_R[rows])
        return hours.reshape(len(members), days * 24)

    @cached_property
    def _active_H(self) -> npt.NDArray[np.float64]:
        """How many organisations called in each hour of the window."""
        days = self.window.until_day - self.window.since_day
        active = np.zeros((days, 24))
        np.add.at(active, self.day_R, self.hours_R > 0)
        return active.reshape(-1)

    @property
    def empty_days(self) -> int:
        """How many days of the window were over before the first call of all: a gateway that is new has no habits."""
        active = np.flatnonzero(self._active_H)
        return int(active[0]) // 24 if len(active) else 0

    def active_share_without(self, members: Integers) -> npt.NDArray[np.float64]:
        """The share of the other organisations that called in each hour (H)."""
        others = max(self.size - len(members), 1)
        share: npt.NDArray[np.float64] = (self._active_H - (self.hours_of(members) > 0).sum(axis=0)) / others
        return share.clip(0.0, 1.0)

    @cached_property
    def _span_O(self) -> tuple[Integers, Integers]:
        first = np.full(self.size, np.iinfo(np.int64).max)
        last = np.zeros(self.size, np.int64)
        rows = np.flatnonzero(self._last_at_R > 0)  # days with permitted calls alone have no first and no last
        np.minimum.at(first, self.activity_organisation_R[rows], self._first_at_R[rows])
        np.maximum.at(last, self.activity_organisation_R[rows], self._last_at_R[rows])
        return first, last

    def span_of(self, members: Integers) -> tuple[Integers, Integers]:
        """When each called first and last in the window: UTC in microseconds."""
        first, last = self._span_O
        return first[members], last[members]

    @cached_property
    def keys(self) -> Mapping[str, Holding]:
        """By kind, of those that may link organisations. A kind that no source gave has no rows."""
        keys = self.window.keys
        return {kind: self._holding(keys.filter(pc.field("kind") == kind)) for kind in LINKING_KINDS}

    def _holding(self, keys: pa.Table) -> Holding:
        organisation, keys = self.known.rows(keys)
        # Who calls with a permit only holds a card, and nothing that it does is looked at.
        is_active = self.calls_O[organisation] > 0
        organisation, keys = organisation[is_active], keys.filter(pa.array(is_active))
        coded = keys["value"].combine_chunks().dictionary_encode()
        organisation, value, _ = _one_row_each(organisation, _integers(coded.indices), len(coded.dictionary))
        holders = np.bincount(value, minlength=len(coded.dictionary))
        first_row = np.searchsorted(organisation, np.arange(self.size + 1))
        return Holding(organisation, value, coded.dictionary, holders, first_row)

    @cached_property
    def templates(self) -> Templates:
        organisation, table = self.known.rows(self.window.templates)
        coded = table["skeleton_print"].combine_chunks().dictionary_encode()
        calls, prompts = _integers(table["calls"]), _integers(table["prompts"])
        value, organisation, (calls, prompts) = _one_row_each(
            _integers(coded.indices), organisation, self.size, calls, prompts
        )
        first_row = np.searchsorted(value, np.arange(len(coded.dictionary) + 1))
        return Templates(organisation, value, calls, prompts, coded.dictionary, first_row)

    @cached_property
    def banks(self) -> Mapping[str, csr_matrix]:
        """Of each bank that anybody asked of: calls, [O, Q]."""
        organisation, hits = self.known.rows(self.window.bank_hits)
        question, calls = _integers(hits["question"]), _integers(hits["calls"])
        found: dict[str, csr_matrix] = {}
        for bank in self.window.banks:
            of_bank = np.flatnonzero(hits["bank"].to_numpy(zero_copy_only=False) == bank.name)
            if len(of_bank):
                place = organisation[of_bank], question[of_bank]
                found[bank.name] = csr_matrix((calls[of_bank], place), shape=(self.size, bank.questions))
        return found

    def _sum_by_organisation(self, organisation_R: Integers, values_R: Integers) -> Integers:
        return np.bincount(organisation_R, values_R, minlength=self.size).astype(np.int64)


def rows_of(first_row: Integers, chosen: Integers) -> Integers:
    """The numbers of all rows that belong to the chosen ones, where `first_row` says where each one's rows begin."""
    counts = first_row[chosen + 1] - first_row[chosen]
    ends = np.cumsum(counts)
    rows: Integers = np.arange(counts.sum()) - np.repeat(ends - counts, counts) + np.repeat(first_row[chosen], counts)
    return rows


def _integers(values: Any) -> Integers:
    array = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    if array.null_count:
        array = array.fill_null(0)
    return np.asarray(array.to_numpy(zero_copy_only=False), np.int64)


def _one_row_each(first: Integers, second: Integers, seconds: int, *sums: Integers) -> tuple[Any, Any, list[Any]]:
    """One row for each pair of the two, sorted, its sums added up. `seconds`: how many the second has at most."""
    pair = first * max(seconds, 1) + second
    unique, place = np.unique(pair, return_inverse=True)
    added = [np.bincount(place, one, minlength=len(unique)).astype(np.int64) for one in sums]
    return unique // max(seconds, 1), unique % max(seconds, 1), added
