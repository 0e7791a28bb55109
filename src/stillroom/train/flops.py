"""How much arithmetic a training step is, and how fast this machine does it at most: what a run's speed is a share of.

Counted are matrix products alone, two operations (one multiplication, one addition) for each weight and token:

    forward = 2 * layers * tokens + 2 * head * trained
    step    = forward + backward = 3 * forward, where all weights are trained

`layers` are the elements of the decoder's linear layers, and `head` those of the output layer, which sees trained
positions only. Backward is two products of the same size, one for the gradient of the input and one for that of the
weight; a weight that is not trained (LoRA) spares the latter. Attention's own products, which are few in rows of some
hundred tokens, normalisation, softmax and the optimiser are left out: they make a run's share of the rate smaller.
"""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from stillroom.train.packing import plain_model

TOKENS = 1024
"""As many go through a layer at once while the rate is measured."""
SECONDS = 1.0
"""About as long is measured, over all shapes."""


def training_flops(model: Any, tokens: int, trained: int) -> float:
    """Floating-point operations of forward and backward over `tokens` of which `trained` have a loss, padding
    included in `tokens` where there is any. `model` may be wrapped by peft."""
    plain: Any = plain_model(model)
    head = plain.get_output_embeddings()
    of_head = set(head.modules())  # several where it has an adapter
    return sum(
        float(weight.numel()) * (6 if weight.requires_grad else 4) * (trained if layer in of_head else tokens)
        for layer, weight in _matrices(model)
    )


def measured_matrix_rate(model: Any, device: torch.device, dtype: torch.dtype = torch.float32) -> float:
    """FLOP/s of this machine at the model's own shapes: each of its products as often as a step has it, forward and
    both of backward, in `dtype`, and nothing between them. Takes a second or two.

    A shape's share of the time is that of the model; every layer's own weights are not used, but one of its size.
    """
    shapes = Counter((weight.shape[0], weight.shape[1]) for _, weight in _matrices(model))
    seconds = flops = 0.0
    for (outputs, inputs), layers in shapes.items():
        operations = 6.0 * outputs * inputs * TOKENS
        flops += layers * operations
        seconds += layers * _seconds_of_products(outputs, inputs, device, dtype, SECONDS / len(shapes))
    return flops / seconds


def _matrices(model: Any) -> Iterator[tuple[nn.Module, Tensor]]:
    """The layers that multiply by a matrix, with their weights. (An embedding only looks up its rows.)"""
    for layer in plain_model(model).modules():
        # Its own parameter: a layer with an adapter passes on the weight of the one within.
        weight = dict(layer.named_parameters(recurse=False)).get("weight")
        if weight is not None and weight.dim() == 2 and not isinstance(layer, nn.Embedding):
            yield layer, weight


def _seconds_of_products(
    outputs: int, inputs: int, device: torch.device, dtype: torch.dtype, most_seconds: float
) -> float:
    """The median time of the three products of one layer."""
    input_ND = torch.randn(TOKENS, inputs, device=device, dtype=dtype)
    weight_OD = torch.randn(outputs, inputs, device=device, dtype=dtype)
    grad_NO = torch.randn(TOKENS, outputs, device=device, dtype=dtype)
    times: list[float] = []
    begin = time.perf_counter()
    while len(times) < 3 or time.perf_counter() - begin < most_seconds:
        start = time.perf_counter()
        input_ND @ weight_OD.T
        grad_NO @ weight_OD
        grad_NO.T @ input_ND
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - start)
    return statistics.median(times)
