"""The loss of a batch, with logits for trained positions only.

Shapes: B rows, T tokens of the longest row, N trained positions, D hidden size, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from stillroom.train.render import Row

CHUNK = 8192
"""Trained positions whose logits exist at one time: at a vocabulary of 150,000, 4.9 GB in float32."""


def collate(rows: Sequence[Row], pad_id: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """ids_BT, padded on the right, and targets_BT: targets_BT[b, t] is the token that position t has to predict, or
    -100 where the loss does not fall.

    There is no attention mask: padding comes after all that is trained, and a causal model never looks ahead.
    """
    longest = max(len(row.ids) for row in rows)
    ids_BT = torch.full((len(rows), longest), pad_id, dtype=torch.long)
    targets_BT = torch.full((len(rows), longest), -100, dtype=torch.long)
    for b, row in enumerate(rows):
        ids = torch.from_numpy(row.ids).long()
        ids_BT[b, : len(row.ids)] = ids
        targets_BT[b, : len(row.ids) - 1] = torch.where(torch.from_numpy(row.trained[1:]), ids[1:], -100)
    return ids_BT.to(device), targets_BT.to(device)


def collate_weights(rows: Sequence[Row], device: torch.device) -> Tensor | None:
    """weights_N of the trained positions, in the order in which `loss_sum` takes them; None where all are 1."""
    weights = [row.weights[1:][row.trained[1:]] for row in rows]
    if all(bool((of_row == 1).all()) for of_row in weights):
        return None
    return torch.cat([torch.from_numpy(of_row) for of_row in weights]).to(device)


def loss_sum(model: Any, ids_BT: Tensor, targets_BT: Tensor, weights_N: Tensor | None = None) -> Tensor:
    """Sum (not mean) of the cross-entropy in nats over the trained positions, each times its weight: a step divides by
    the weights of all of its own."""
    hidden_BTD = model.base_model(input_ids=ids_BT, use_cache=False).last_hidden_state
    at_BT = targets_BT != -100
    hidden_ND, targets_N = hidden_BTD[at_BT], targets_BT[at_BT]
    head = model.get_output_embeddings()
    total: Tensor = hidden_ND.new_zeros((), dtype=torch.float32)
    for start in range(0, len(targets_N), CHUNK):
        logits_NV = head(hidden_ND[start : start + CHUNK]).float()
        chunk = targets_N[start : start + CHUNK]
        if weights_N is None:
            total = total + nn.functional.cross_entropy(logits_NV, chunk, reduction="sum")
        else:
            loss_N = nn.functional.cross_entropy(logits_NV, chunk, reduction="none")
            total = total + loss_N @ weights_N[start : start + CHUNK]
    return total


def head_is_plain(model: Any, ids_BT: Tensor) -> bool:
    """Whether the model's own logits are its output embedding of the last hidden state and nothing more.

    Some families scale or cap their logits after the head; for those `loss_sum` would train on other logits.
    """
    with torch.no_grad():
        hidden_BTD = model.base_model(input_ids=ids_BT, use_cache=False).last_hidden_state
        ours_BTV = model.get_output_embeddings()(hidden_BTD)
        theirs_BTV = model(input_ids=ids_BT, use_cache=False).logits
    return torch.allclose(ours_BTV.float(), theirs_BTV.float(), rtol=1e-3, atol=1e-3)
