"""Keys and values of a running batch whose rows come and go.

B rows in use (R allocated), H key-value heads, L columns in use (C allocated), D head width.

All rows end at the same column: row b of length n lies in columns [end - n, end), so that a step writes one column for
the whole batch, and what lies to the left of a row is hidden by the mask. A row that leaves is replaced by the last
row, so nobody else moves. Only when the columns run out, or rows join that do not fit, is the batch copied.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer

BLOCK = 64
"""Columns are allocated in multiples of this."""


Pairs = list[tuple[torch.Tensor, torch.Tensor]]
"""(keys_BHLD, values_BHLD) of each layer."""


def keys_and_values(cache: DynamicCache) -> Pairs:
    pairs = []
    for layer in cache.layers:
        assert isinstance(layer, DynamicLayer)
        assert layer.keys is not None
        assert layer.values is not None
        pairs.append((layer.keys, layer.values))
    return pairs


class BatchCache(Cache):
    """What the model's attention layers read and write during a step. `like` shows the shapes of one row."""

    def __init__(self, like: Pairs) -> None:
        # The base class wants to know its layers; ours are below, and so is every method that it would ask them.
        super().__init__(layer_class_to_replicate=DynamicLayer)
        self._keys = [keys_BHLD[:0, :, :0] for keys_BHLD, _ in like]
        self._values = [values_BHLD[:0, :, :0] for _, values_BHLD in like]
        self._mask_R11C = self._keys[0].new_empty(0, 1, 1, 0)
        self._lengths: list[int] = []
        self._start = 0
        """First column that any row uses."""
        self._end = 0
        """Column after the last."""

    @property
    def longest(self) -> int:
        return self._end - self._start

    def add_rows(self, prefilled: Pairs | None, lengths: list[int]) -> None:
        """Append a row for each of `lengths`: row i takes the first lengths[i] columns of row i of `prefilled`.

        `prefilled` is None where all lengths are 0.
        """
        first = len(self._lengths)
        self._make_room(first + len(lengths), max(lengths))
        self._lengths += lengths
        for offset, length in enumerate(lengths):
            row, own = first + offset, slice(self._end - length, self._end)
            self._mask_R11C[row] = float("-inf")
            self._mask_R11C[row, :, :, own] = 0.0
            if prefilled is None or length == 0:
                continue
            for layer, (keys_BHLD, values_BHLD) in enumerate(prefilled):
                self._keys[layer][row, :, own] = keys_BHLD[offset, :, :length]
                self._values[layer][row, :, own] = values_BHLD[offset, :, :length]
        self._start = self._end - max(self._lengths)

    def remove_row(self, row: int) -> None:
        """Drop a row; the last row takes its place."""
        last = len(self._lengths) - 1
        if row != last:
            own = slice(self._end - self._lengths[last], self._end)
            for tensor in (*self._keys, *self._values):
                tensor[row, :, own] = tensor[last, :, own]
            self._mask_R11C[row] = self._mask_R11C[last]
            self._lengths[row] = self._lengths[last]
        del self._lengths[last]
        self._start = self._end - max(self._lengths, default=0)
        if not self._lengths:
            self._reallocate(0, 0, 0)

    def open_column(self) -> torch.Tensor:
        """Make the column that the next step writes, and return the additive mask_B11L of that step."""
        rows = len(self._lengths)
        self._make_room(rows, 0)
        self._mask_R11C[:rows, :, :, self._end] = 0.0
        self._end += 1
        self._lengths = [length + 1 for length in self._lengths]
        return self._mask_R11C[:rows, :, :, self._start : self._end]

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, layer_idx: int, *_args: Any, **_kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write the open column of one layer, and return the layer's columns in use. Called by the model."""
        keys_RHCD, values_RHCD = self._keys[layer_idx], self._values[layer_idx]
        rows, start, end = len(self._lengths), self._start, self._end
        keys_RHCD[:rows, :, end - 1 : end] = key_states
        values_RHCD[:rows, :, end - 1 : end] = value_states
        return keys_RHCD[:rows, :, start:end], values_RHCD[:rows, :, start:end]

    def get_seq_length(self, layer_idx: int = 0) -> int:  # noqa: ARG002 - all layers have one length
        return max(self.longest - 1, 0)

    def get_mask_sizes(self, query_length: int, layer_idx: int) -> tuple[int, int]:  # noqa: ARG002
        return self.longest, 0

    def _make_room(self, rows: int, longest_new: int) -> None:
        """Room for `rows` rows, for a row of `longest_new` columns that ends at the common end, and for one column."""
        allocated_rows, _, _, allocated_columns = self._mask_R11C.shape
        if rows <= allocated_rows and longest_new <= self._end < allocated_columns:
            return
        longest = max(self.longest, longest_new)
        # Twice what is needed, in both directions: copying then costs a row no more than a few columns' worth.
        self._reallocate(1 << (rows - 1).bit_length(), (2 * longest // BLOCK + 1) * BLOCK, longest)

    def _reallocate(self, rows: int, columns: int, end: int) -> None:
        kept, used = len(self._lengths), self.longest
        old, new = slice(self._start, self._end), slice(end - used, end)
        mask_R11C = self._mask_R11C.new_full((rows, 1, 1, columns), float("-inf"))
        mask_R11C[:kept, :, :, new] = self._mask_R11C[:kept, :, :, old]
        self._mask_R11C = mask_R11C
        for tensors in (self._keys, self._values):
            for layer, tensor in enumerate(tensors):
                # Zeros and not whatever lies there: a hidden column counts for nothing only while it is finite.
                tensors[layer] = tensor.new_zeros(rows, tensor.shape[1], columns, tensor.shape[3])
                tensors[layer][:kept, :, new] = tensor[:kept, :, old]
        self._start, self._end = end - used, end
