"""The processes that train one student together: one alone, or several whose gradients are added up.

Each takes its share of a step's batches. The step's loss is a sum over trained tokens that is divided by the weight of
the whole step, so that adding up the gradients gives what one process alone would have: however many there are, and
whichever of them has more to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import torch
from accelerate import PartialState  # type: ignore[import-untyped]
from accelerate.utils import broadcast_object_list, reduce  # type: ignore[import-untyped]

T = TypeVar("T")

BUCKET = 16_000_000
"""Numbers of gradients that are sent at one time: 64 MB in float32."""


class Together:
    """This process among the others. Where none were started beside it, it is the only one, and nothing is sent.

    How many there are, and where, comes from the environment that `torchrun` sets.
    """

    def __init__(self) -> None:
        # Apple's GPU is left alone: it has no float64, and nobody has tried it.
        self._state = PartialState(cpu=not torch.cuda.is_available())
        self.device: torch.device = self._state.device
        self.count: int = self._state.num_processes
        self.is_first: bool = self._state.is_main_process

    def own(self, batches: Sequence[T]) -> Sequence[T]:
        """This process's share of a step's batches; none, where there are more processes than batches."""
        return batches[self._state.process_index :: self.count]

    def add_up_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Put the sum over all processes in the place of each gradient."""
        if self.count == 1:
            return
        bucket: list[torch.nn.Parameter] = []
        for parameter in parameters:
            if parameter.grad is None:  # this process had no batch, or the parameter no part in it
                parameter.grad = torch.zeros_like(parameter)
            bucket.append(parameter)
            if sum(each.numel() for each in bucket) >= BUCKET:
                self._add_up(bucket)
                bucket = []
        if bucket:
            self._add_up(bucket)

    def _add_up(self, bucket: list[torch.nn.Parameter]) -> None:
        gradients = [parameter.grad for parameter in bucket if parameter.grad is not None]
        summed = self.sum(torch.cat([gradient.reshape(-1) for gradient in gradients]))
        for gradient, part in zip(
            gradients, torch.split_with_sizes(summed, [each.numel() for each in gradients]), strict=True
        ):
            gradient.copy_(part.view_as(gradient))

    def sum(self, numbers: torch.Tensor) -> torch.Tensor:
        """The sum over all processes, at each of them."""
        if self.count == 1:
            return numbers
        summed: torch.Tensor = reduce(numbers, reduction="sum")
        return summed

    def from_first(self, value: T) -> T:
        """What the first process has, at each of them. The others' own value is not looked at."""
        if self.count == 1:
            return value
        values: list[Any] = [value]
        broadcast_object_list(values)
        received: T = values[0]
        return received

    def wait(self) -> None:
        """Until all have come here."""
        self._state.wait_for_everyone()
