"""Rows packed one behind the other into one sequence without padding, where none of them sees another.

Everything in a decoder but attention looks at one token at a time. So rows may share a sequence if each counts its
positions from 0 and attention is computed row by row: with FlashAttention's kernel for rows of uneven lengths where it
is installed, elsewhere with PyTorch's attention called once for each row. Neither needs a mask, whose size would be the
square of the whole sequence's.

Shapes: B = 1 sequence, S tokens of all rows in it, H attention heads, K key heads, E elements of a head, R rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from itertools import accumulate, pairwise
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from stillroom.base.errors import ModelError
from stillroom.train.render import Row

Packing = Literal["auto", "on", "off"]

ROW_BY_ROW = "sdpa_row_by_row"
FLASH = "flash_attention_2"
UNTRAINED = -100
"""A target that the loss does not fall on."""


def prepare(model: Any, packing: Packing, device: torch.device) -> bool:
    """Whether rows are to be packed. If so, `model`, already on `device`, gets an attention that keeps them apart.

    Call it under the autocast of training: FlashAttention wants 16 bits. `auto` packs where it can be used. Raises
    ModelError where packing is asked for and a row of this model would still see another one, as with layers of linear
    attention, convolution or recurrence, which carry something from token to token that attention knows nothing of.
    """
    flash = device.type == "cuda" and torch.is_autocast_enabled("cuda") and find_spec("flash_attn") is not None
    if packing == "off" or (packing == "auto" and not flash):
        return False
    plain = plain_model(model)
    before = plain.config._attn_implementation
    if plain._supports_sdpa and plain._can_set_attn_implementation():
        plain.set_attn_implementation(FLASH if flash else ROW_BY_ROW)
        if keeps_rows_apart(plain, device):
            return True
        plain.set_attn_implementation(before)
    if packing == "auto":
        return False
    raise ModelError(
        f"Rows of this student ({plain.config.model_type}) cannot be packed: a row would see the one before it.",
        "Set train.packing to off.",
    )


def plain_model(model: Any) -> PreTrainedModel:
    """The model of transformers inside one that peft has wrapped; another one is returned as it is."""
    plain: PreTrainedModel = model.get_base_model() if hasattr(model, "get_base_model") else model
    return plain


def collate_packed(rows: Sequence[Row], device: torch.device) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """ids_BS of all rows, targets_BS (the token that each position has to predict, or -100 where the loss does not
    fall), and what else the model is called with."""
    ids_S = torch.from_numpy(np.concatenate([row.ids for row in rows])).long()
    targets_S = torch.cat([targets_of(row) for row in rows])
    lengths = [len(row.ids) for row in rows]
    return ids_S[None].to(device), targets_S[None].to(device), packed_arguments(lengths, device)


def targets_of(row: Row) -> Tensor:
    """targets_T of one row: the last of its tokens has nothing to predict."""
    ids_T = torch.from_numpy(row.ids).long()
    targets_T = torch.full_like(ids_T, UNTRAINED)
    targets_T[:-1] = torch.where(torch.from_numpy(row.trained[1:]), ids_T[1:], UNTRAINED)
    return targets_T


def packed_arguments(lengths: Sequence[int], device: torch.device) -> dict[str, Any]:
    """What a model of transformers is called with, beside the ids, where rows of these lengths are one sequence."""
    positions_S = torch.cat([torch.arange(length) for length in lengths])
    starts_R = torch.tensor([0, *accumulate(lengths)], dtype=torch.int32)
    return {
        "position_ids": positions_S[None].to(device),
        "cu_seq_lens_q": starts_R.to(device),
        "cu_seq_lens_k": starts_R.to(device),
        "max_length_q": max(lengths),
        "max_length_k": max(lengths),
    }


def keeps_rows_apart(model: PreTrainedModel, device: torch.device) -> bool:
    """Tries it: changing the first of two packed rows leaves the second's hidden states as they are, and two rows of
    the same tokens have the same, so that both count their positions from 0."""
    embeddings: Any = model.get_input_embeddings()
    row_T = torch.arange(8, device=device) % embeddings.num_embeddings
    arguments = packed_arguments([8, 8], device)
    training = model.training
    model.train(False)
    try:
        with torch.no_grad():
            twice_SD, behind_SD = (
                model.base_model(input_ids=torch.cat([first_T, row_T])[None], use_cache=False, **arguments)[0][0]
                for first_T in (row_T, row_T.flip(0))
            )
    finally:
        model.train(training)
    same_place = torch.allclose(twice_SD[:8].float(), twice_SD[8:].float(), rtol=1e-2, atol=1e-2)
    return same_place and torch.equal(twice_SD[8:], behind_SD[8:])


def attend_row_by_row(
    module: torch.nn.Module,
    query_BHSE: Tensor,
    key_BKSE: Tensor,
    value_BKSE: Tensor,
    mask: Tensor | None,
    **others: Any,
) -> tuple[Tensor, None]:
    """Attention as transformers calls it: within each packed row; where nothing is packed, as its `sdpa` does it."""
    starts_R = others.pop("cu_seq_lens_q", None)
    if starts_R is None:
        return sdpa_attention_forward(module, query_BHSE, key_BKSE, value_BKSE, mask, **others)
    attended_BSHE = [
        sdpa_attention_forward(
            module, query_BHSE[:, :, start:end], key_BKSE[:, :, start:end], value_BKSE[:, :, start:end], None, **others
        )[0]
        for start, end in pairwise(starts_R.tolist())
    ]
    return torch.cat(attended_BSHE, dim=1), None


def mask_unless_packed(
    *, q_length: int, kv_length: int, attention_mask: Tensor | None, allow_is_causal_skip: bool, **others: Any
) -> Tensor | None:
    """None where rows are packed (transformers allows no plain causal mask there, and nothing is padded): rows are kept
    apart by `attend_row_by_row`, and a mask of S x S would only be thrown away. Else the mask of `sdpa`."""
    if attention_mask is None and not allow_is_causal_skip and q_length == kv_length:
        return None
    mask: Tensor | None = sdpa_mask(
        q_length=q_length,
        kv_length=kv_length,
        attention_mask=attention_mask,
        allow_is_causal_skip=allow_is_causal_skip,
        **others,
    )
    return mask


AttentionInterface.register(ROW_BY_ROW, attend_row_by_row)
AttentionMaskInterface.register(ROW_BY_ROW, mask_unless_packed)
