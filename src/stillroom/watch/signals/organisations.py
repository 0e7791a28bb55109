"""The unit of account findings: an organisation with all of its accounts, which are one customer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Column = npt.NDArray[np.float64]
"""One value for each organisation; nan where it is not known."""
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Organisations:
    """Who called in a window, sorted. An account whose organisation nobody names is one by itself."""

    names: tuple[str, ...]
    accounts: pa.Array[Any]
    """Sorted, of strings."""
    of_account: Rows
    """For each account, its organisation's place among the names."""

    @classmethod
    def of(cls, activity: pa.Table) -> Organisations:
        """`activity`: schema `tables.ACTIVITY`. An account that changed its organisation is counted to the last one."""
        rows = activity.select(["account", "day", "organisation"]).filter(activity["account"].is_valid())
        rows = rows.sort_by([("account", "ascending"), ("day", "ascending")])
        rows = rows.combine_chunks()
        owners = pc.coalesce(rows["organisation"], rows["account"]).to_numpy(zero_copy_only=False)
        is_named = rows["organisation"].is_valid().to_numpy()
        accounts = rows["account"].to_numpy(zero_copy_only=False)
        kept, first, at = np.unique(accounts, return_index=True, return_inverse=True) if len(accounts) else _NOBODY
        owner_of = owners[first] if len(accounts) else owners
        owner_of[at[is_named]] = owners[is_named]  # by day: the last one that is named stays
        names, of_account = np.unique(owner_of, return_inverse=True) if len(owner_of) else (owner_of, first)
        return cls(tuple(names.tolist()), pa.array(kept, pa.string()), of_account.astype(np.int64))

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def _accounts_of(self) -> list[list[str]]:
        lists: list[list[str]] = [[] for _ in self.names]
        for account, organisation in zip(self.accounts.to_pylist(), self.of_account.tolist(), strict=True):
            lists[organisation].append(account)
        return lists

    def accounts_of(self, organisation: int) -> tuple[str, ...]:
        return tuple(self._accounts_of[organisation])

    def rows(self, table: pa.Table) -> tuple[Rows, pa.Table]:
        """The organisation of each row of a table with a column `account`, and the rows of those that are here."""
        found: Any = pc.index_in(table["account"], value_set=self.accounts)
        if found.null_count:
            table, found = table.filter(found.is_valid()), found.drop_null()
        return self.of_account[found.to_numpy().astype(np.int64)], table

    def total(self, rows: Rows, counts: npt.NDArray[Any] | None = None) -> Column:
        return np.bincount(rows, counts, minlength=len(self)).astype(np.float64)


_NOBODY = (np.empty(0, object), np.empty(0, np.int64), np.empty(0, np.int64))


def numbers(table: pa.Table, column: str) -> Column:
    """A column of counts; what is null is none."""
    counts: Any = table[column]
    return np.asarray(pc.fill_null(counts, 0).to_numpy(), np.float64)


def codes(column: pa.ChunkedArray[Any]) -> tuple[Rows, Sequence[str]]:
    """A number for each different string, and the strings."""
    strings: Any = pc.unique(column)
    return np.asarray(pc.index_in(column, value_set=strings).to_numpy(), np.int64), strings.to_pylist()


def ratio(part: Column, whole: Column, least: float = 1.0) -> Column:
    """nan where the whole is less than `least`: too few to say."""
    shares = np.full(len(whole), np.nan)
    np.divide(part, whole, out=shares, where=whole >= max(least, 1e-12))
    return shares


@dataclass(frozen=True, slots=True)
class Measured:
    """What one module finds: columns of signals, of the numbers that sentences name, and labels."""

    values: dict[str, Column]
    facts: dict[str, Column]
    labels: dict[str, list[str | None]]
