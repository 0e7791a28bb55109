"""The loss of a batch: logits for trained positions only, and only for some of them at a time.

Shapes: B rows, T tokens of the longest row, N trained positions, D hidden size, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from stillroom.train.packing import UNTRAINED, collate_packed, plain_model, targets_of
from stillroom.train.render import Row

CHUNK = 1024
"""Trained positions whose logits exist at one time: at a vocabulary of 150,000, 0.6 GB in float32."""


def batch_loss(model: Any, rows: Sequence[Row], *, pad_id: int, device: torch.device, packed: bool) -> Tensor:
    """Sum (not mean) of the cross-entropy in nats over the trained positions of `rows`, each times its weight.

    A step divides by the weights of all of its own rows, so that its gradient is the same however it is split into
    batches. `packed`: the rows go through the model one behind the other instead of one above the other, without
    padding; `stillroom.train.packing.prepare` has to have prepared the model for it. `model` may be wrapped by peft.
    """
    weights_N = collate_weights(rows, device)
    if packed:
        ids_BT, targets_BT, arguments = collate_packed(rows, device)
    else:
        (ids_BT, targets_BT), arguments = collate(rows, pad_id, device), {}
    return loss_sum(model, ids_BT, targets_BT, weights_N, **arguments)


def collate(rows: Sequence[Row], pad_id: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """ids_BT, padded on the right, and targets_BT: targets_BT[b, t] is the token that position t has to predict, or
    -100 where the loss does not fall.

    There is no attention mask: padding comes after all that is trained, and a causal model never looks ahead.
    """
    longest = max(len(row.ids) for row in rows)
    ids_BT = torch.full((len(rows), longest), pad_id, dtype=torch.long)
    targets_BT = torch.full((len(rows), longest), UNTRAINED, dtype=torch.long)
    for b, row in enumerate(rows):
        ids_BT[b, : len(row.ids)] = torch.from_numpy(row.ids)
        targets_BT[b, : len(row.ids)] = targets_of(row)
    return ids_BT.to(device), targets_BT.to(device)


def collate_weights(rows: Sequence[Row], device: torch.device) -> Tensor | None:
    """weights_N of the trained positions, in the order in which `loss_sum` takes them; None where all are 1."""
    weights = [row.weights[1:][row.trained[1:]] for row in rows]
    if all(bool((of_row == 1).all()) for of_row in weights):
        return None
    return torch.cat([torch.from_numpy(of_row) for of_row in weights]).to(device)


def loss_sum(
    model: Any, ids_BT: Tensor, targets_BT: Tensor, weights_N: Tensor | None = None, **arguments: Any
) -> Tensor:
    """The same of what has been collated; `arguments` go to the model."""
    plain: Any = plain_model(model)
    hidden_BTD = plain.base_model(input_ids=ids_BT, use_cache=False, **arguments).last_hidden_state
    at_BT = targets_BT != UNTRAINED
    targets_N = targets_BT[at_BT]
    if weights_N is None:
        weights_N = torch.ones(len(targets_N), device=targets_N.device)
    return head_loss_sum(plain.get_output_embeddings(), hidden_BTD[at_BT], targets_N, weights_N)


def head_loss_sum(head: nn.Module, hidden_ND: Tensor, targets_N: Tensor, weights_N: Tensor) -> Tensor:
    """The loss of positions whose last hidden states are given; the logits of at most CHUNK of them exist at a time."""
    if torch.is_grad_enabled():
        trainable = [parameter for parameter in head.parameters() if parameter.requires_grad]
        loss: Tensor = _HeadLoss.apply(head, targets_N, weights_N, hidden_ND, *trainable)  # type: ignore[no-untyped-call]
        return loss
    total = hidden_ND.new_zeros((), dtype=torch.float32)
    for chunk in _chunks(hidden_ND, targets_N, weights_N):
        total += _cross_entropy(head, *chunk)
    return total


class _HeadLoss(torch.autograd.Function):
    """Forward computes the gradients as well, so that no chunk's logits are kept for backward, which only has to scale
    them: the loss is one number."""

    @staticmethod
    def forward(
        ctx: Any, head: nn.Module, targets_N: Tensor, weights_N: Tensor, hidden_ND: Tensor, *trainable: Tensor
    ) -> Tensor:
        total = hidden_ND.new_zeros((), dtype=torch.float32)
        hidden_grads = []
        grads: list[Tensor] = []
        for part_ND, targets, weights in _chunks(hidden_ND, targets_N, weights_N):
            part_ND = part_ND.detach().requires_grad_()
            with torch.enable_grad():
                loss = _cross_entropy(head, part_ND, targets, weights)
            hidden_grad, *more = torch.autograd.grad(loss, [part_ND, *trainable])
            total += loss.detach()
            hidden_grads.append(hidden_grad)
            if not grads:
                grads = more
            else:
                torch._foreach_add_(grads, more)
        ctx.save_for_backward(torch.cat(hidden_grads), *grads)
        return total

    @staticmethod
    def backward(ctx: Any, scale: Tensor) -> tuple[Tensor | None, ...]:
        # In place: the output layer's gradient is often the largest tensor of all, and nobody else has it.
        return None, None, None, *(grad.mul_(scale) for grad in ctx.saved_tensors)


def _chunks(*tensors_N: Tensor) -> Iterator[tuple[Tensor, ...]]:
    return zip(*(torch.split(tensor_N, CHUNK) for tensor_N in tensors_N), strict=True)


def _cross_entropy(head: nn.Module, hidden_ND: Tensor, targets_N: Tensor, weights_N: Tensor) -> Tensor:
    return nn.functional.cross_entropy(head(hidden_ND).float(), targets_N, reduction="none") @ weights_N


def head_is_plain(model: Any, ids_BT: Tensor) -> bool:
    """Whether the model's own logits are its output embedding of the last hidden state and nothing more.

    Some families scale or cap their logits after the head; for those `loss_sum` would train on other logits.
    """
    plain: Any = plain_model(model)
    with torch.no_grad():
        hidden_BTD = plain.base_model(input_ids=ids_BT, use_cache=False).last_hidden_state
        ours_BTV = plain.get_output_embeddings()(hidden_BTD)
        theirs_BTV = plain(input_ids=ids_BT, use_cache=False).logits
    return torch.allclose(ours_BTV.float(), theirs_BTV.float(), rtol=1e-3, atol=1e-3)
