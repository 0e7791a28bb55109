"""What a model of SmolLM2's says to questions, thousands at a time, on whatever device it is on."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from stillroom.base.canonical import digest
from stillroom.generate.load import LocalModel
from stillroom.generate.prompt import conversation_text

TOKENS = 48
ROWS_AT_ONCE = {"cuda": 2048, "cpu": 64}


@torch.inference_mode()
def draw(
    local: LocalModel, asked: Sequence[str], temperature: float, salt: str, tokens: int = TOKENS
) -> list[tuple[str, str]]:
    """Text and finish reason of a reply to each question; temperature 0 is greedy.

    The same for the same salt, device and number of questions.
    """
    local.tokenizer.padding_side = "left"
    rows_at_once, said = ROWS_AT_ONCE[local.model.device.type], []
    torch.manual_seed(int(digest([salt, temperature])[-12:], 16))
    for start in range(0, len(asked), rows_at_once):
        prompts = [
            conversation_text(local.tokenizer, [{"role": "user", "content": text}])
            for text in asked[start : start + rows_at_once]
        ]
        batch = local.tokenizer(prompts, add_special_tokens=False, padding=True, return_tensors="pt")
        chosen = {"do_sample": True, "temperature": temperature, "top_k": 0} if temperature else {"do_sample": False}
        ids_BT = local.model.generate(  # type: ignore[operator]
            **batch.to(local.model.device),
            **chosen,
            max_new_tokens=tokens,
            eos_token_id=sorted(local.end_ids),
            pad_token_id=local.tokenizer.pad_token_id or 0,
        )
        for ids in ids_BT[:, batch["input_ids"].shape[1] :].tolist():
            ends = [place for place, token in enumerate(ids) if token in local.end_ids]
            text = local.tokenizer.decode(ids[: ends[0]] if ends else ids, skip_special_tokens=True)
            said.append((str(text), "stop" if ends else "length"))
    return said
