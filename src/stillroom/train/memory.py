"""The memory that training needs, predicted before the first step.

Weights, gradients and the optimiser's moments follow from the number of parameters. What a student keeps of a batch
until its gradients are computed depends on how it is built, on autocast and on what is frozen. That is not assumed but
counted: three short rows go through the student, and every tensor that autograd keeps of them is counted. What is kept
grows with the number of tokens, and where attention keeps its scores, with the square of a row's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from stillroom.train.loss import CHUNK
from stillroom.train.packing import packed_arguments, plain_model
from stillroom.train.settings import LoraSettings

FLOAT32, BFLOAT16 = 4, 2  # bytes
SHORT = 32
"""Rows of 32, 64 and 96 tokens are counted."""
LOGITS = 3
"""As many numbers exist for each logit while the loss is computed: its log-probability and two gradients."""
IN_HAND = 0.6
"""Gradients of activations that exist at once in backward, as a share of what one layer keeps. Measured: 0.25 to 0.32
in float32, 0.62 with bfloat16."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """What decides how much memory one student needs. Bytes are of a whole student, all its layers together."""

    parameters: int
    trainable: int
    layers: int
    hidden: int
    vocabulary: int
    head_trained: bool
    """Whether the output layer gets gradients."""
    adapters: int
    """Parameters that LoRA of the usual rank would train."""
    kept_per_token: float
    kept_per_pair: float
    """For each pair of tokens of one row; 0 where attention keeps no scores."""
    casts: int
    """Bytes of 16-bit copies of weights that autocast makes, without the output layer's; 0 in float32."""

    def kept(self, tokens: int, longest: int) -> int:
        """Bytes kept of a batch of `tokens`, whose longest row has `longest`."""
        return round(self.kept_per_token * tokens + self.kept_per_pair * tokens * longest)

    def with_lora(self) -> Footprint:
        """The same student with LoRA of the usual rank. What it then keeps of a batch is about the same."""
        parameters = self.parameters + self.adapters
        return replace(self, parameters=parameters, trainable=self.adapters, head_trained=False)


@dataclass(frozen=True, slots=True)
class Memory:
    """A prediction, in bytes. `total` is the peak of a step from the second one on."""

    weights: int
    gradients: int
    moments: int
    activations: int
    """What is kept of the largest batch until backward has used it, and the weights in 16 bits."""
    working: int
    """What exists for a moment: logits of some positions, or what one layer needs in backward."""

    @property
    def total(self) -> int:
        return self.weights + self.gradients + self.moments + self.activations + self.working

    def __str__(self) -> str:
        return (
            f"{gigabytes(self.total)}: weights {gigabytes(self.weights)}, gradients {gigabytes(self.gradients)}, "
            f"optimiser {gigabytes(self.moments)}, activations {gigabytes(self.activations)}, "
            f"loss and backward {gigabytes(self.working)}"
        )


def gigabytes(count: int) -> str:
    """`count` bytes in words: 12.3 GB, or MB where that is less than a tenth."""
    return f"{count / 1e9:,.1f} GB" if count >= 1e8 else f"{count / 1e6:,.0f} MB"


def predict(footprint: Footprint, *, tokens: int, longest: int, trained: int, checkpointing: bool) -> Memory:
    """The memory of training on batches of at most `tokens` tokens (padding included), `trained` of them trained, in
    rows of at most `longest`; all in float32 but for what autocast makes of it."""
    kept = footprint.kept(tokens, longest)
    layer = kept // footprint.layers
    hidden = tokens * footprint.hidden * FLOAT32
    head = footprint.vocabulary * footprint.hidden * FLOAT32 if footprint.head_trained else 0
    loss = 2 * trained * footprint.hidden * FLOAT32 + LOGITS * min(trained, CHUNK) * footprint.vocabulary * FLOAT32
    if footprint.casts:  # the output layer's weights are cast as well
        loss += footprint.vocabulary * footprint.hidden * BFLOAT16
    backward = round(IN_HAND * layer) + (layer if checkpointing else 0)
    return Memory(
        weights=footprint.parameters * FLOAT32,
        gradients=footprint.trainable * FLOAT32,
        moments=footprint.trainable * 2 * FLOAT32,
        activations=footprint.casts + (footprint.layers * hidden if checkpointing else kept),
        working=2 * head + max(loss, backward),
    )


def footprint(model: Any, *, bfloat16: bool, packed: bool = False) -> Footprint:
    """Count what `model` keeps, on the device where it is and with what is frozen in it. It may be wrapped by peft.

    `bfloat16` and `packed` as training will have them. Weights, gradients and random state stay as they are.
    """
    plain: Any = plain_model(model)
    config = plain.config.get_text_config()
    unit = max(1, min(SHORT, getattr(config, "max_position_embeddings", 3 * SHORT) // 3))
    device = next(plain.parameters()).device
    devices = [device.index] if device.type == "cuda" else []
    with torch.random.fork_rng(devices), torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
        one, two, three = (_kept_bytes(plain, times * unit, device, packed) for times in (1, 2, 3))
    per_pair = (three - 2 * two + one) / (2 * unit**2)
    per_token = (two - one) / unit - 3 * unit * per_pair
    head = plain.get_output_embeddings()
    return Footprint(
        parameters=sum(parameter.numel() for parameter in plain.parameters()),
        trainable=sum(parameter.numel() for parameter in plain.parameters() if parameter.requires_grad),
        layers=config.num_hidden_layers,
        hidden=config.hidden_size,
        vocabulary=head.weight.shape[0],
        head_trained=any(parameter.requires_grad for parameter in head.parameters()),
        adapters=_adapter_parameters(plain, head),
        kept_per_token=per_token,
        kept_per_pair=per_pair,
        casts=max(0, round(one - unit * per_token - unit**2 * per_pair)),
    )


def _kept_bytes(plain: Any, tokens: int, device: torch.device, packed: bool) -> int:
    """Bytes that autograd keeps of one row of `tokens`, beside the weights themselves."""
    own = {tensor.untyped_storage().data_ptr() for tensor in (*plain.parameters(), *plain.buffers())}
    kept: dict[int, torch.UntypedStorage] = {}

    def count(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage  # held, so that its address is given to no other tensor
        return tensor

    ids_BT = (torch.arange(tokens, device=device) % plain.get_input_embeddings().num_embeddings)[None]
    arguments = packed_arguments([tokens], device) if packed else {}
    as_it_is: Callable[[Tensor], Tensor] = lambda tensor: tensor  # noqa: E731
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(count, as_it_is):
        plain.base_model(input_ids=ids_BT, use_cache=False, **arguments)
    return sum(storage.nbytes() for storage in kept.values())


def _adapter_parameters(plain: Any, head: nn.Module) -> int:
    layers = (each for each in plain.modules() if isinstance(each, nn.Linear | Conv1D) and each is not head)
    return LoraSettings().rank * sum(sum(layer.weight.shape) for layer in layers)
