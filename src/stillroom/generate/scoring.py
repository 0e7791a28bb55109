"""How likely a model holds tokens that are given to it.

B rows, T tokens, K positions from `first` on, V vocabulary.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

MOST_LOGITS = 1 << 27
"""Logits that exist at one time: half a gigabyte."""


@dataclass(frozen=True, slots=True)
class TokenScores:
    """Natural logarithms of probabilities, of the token behind each of K positions."""

    given_BK: Tensor
    """Of the tokens that are there."""
    likeliest_BK: Tensor
    """Of the tokens that the model holds likeliest there."""
    likeliest_id_BK: Tensor


@torch.inference_mode()
def score_tokens(model: Any, ids_BT: Tensor, first: int = 0) -> TokenScores:
    """Scores of the tokens at places first + 1 to T - 1, given all before them; T is 2 or more, and first < T - 1.

    Rows may be padded on the right: a causal model never looks ahead. Where the logits of all positions would be more
    than MOST_LOGITS, the model reads the rows piece by piece, if its layers keep keys and values.
    """
    ids_BT = ids_BT.to(model.device)
    rows, length = ids_BT.shape
    vocabulary = int(model.config.get_text_config().vocab_size)
    at_once = max(1, MOST_LOGITS // (rows * vocabulary))
    parameters = inspect.signature(model.forward).parameters
    if length - 1 - first <= at_once or "past_key_values" not in parameters:
        return _scores(_logits(model, ids_BT[:, :-1], first, parameters), ids_BT[:, first + 1 :])
    pieces = []
    cache = None
    for start in range(0, length - 1, at_once):
        piece_BP = ids_BT[:, start : min(start + at_once, length - 1)]
        output = model(input_ids=piece_BP, past_key_values=cache, use_cache=True)
        cache = output.past_key_values
        skipped = max(0, first - start)
        if skipped < piece_BP.shape[1]:
            behind = slice(start + skipped + 1, start + piece_BP.shape[1] + 1)
            pieces.append(_scores(output.logits[:, skipped:], ids_BT[:, behind]))
    return TokenScores(
        torch.cat([piece.given_BK for piece in pieces], dim=1),
        torch.cat([piece.likeliest_BK for piece in pieces], dim=1),
        torch.cat([piece.likeliest_id_BK for piece in pieces], dim=1),
    )


def _logits(model: Any, ids_BT: Tensor, first: int, parameters: Any) -> Tensor:
    """logits_BKV of the positions from `first` on."""
    if "logits_to_keep" in parameters:
        keep_K = torch.arange(first, ids_BT.shape[1], device=ids_BT.device)
        logits_BKV: Tensor = model(input_ids=ids_BT, use_cache=False, logits_to_keep=keep_K).logits
        return logits_BKV
    logits_BTV: Tensor = model(input_ids=ids_BT, use_cache=False).logits
    return logits_BTV[:, first:]


def _scores(logits_BKV: Tensor, given_BK: Tensor) -> TokenScores:
    # One row after the other: the exponentials of all would take as much memory again as the logits.
    total_BK = torch.stack([logits_KV.float().logsumexp(-1) for logits_KV in logits_BKV])
    likeliest_BK, likeliest_id_BK = logits_BKV.max(-1)
    chosen_BK = logits_BKV.gather(-1, given_BK[..., None])[..., 0]
    return TokenScores(chosen_BK.float() - total_BK, likeliest_BK.float() - total_BK, likeliest_id_BK)
