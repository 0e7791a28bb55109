"""Rows that are taken several at a time. Python 3.12 has it as `itertools.batched`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

_T = TypeVar("_T")


def batched(items: Iterable[_T], size: int) -> Iterator[list[_T]]:
    """Lists of `size` items, in their order; the last one may be shorter. Items are taken as they are needed."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
