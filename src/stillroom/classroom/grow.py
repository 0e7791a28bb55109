"""A larger model that begins as a smaller one: more layers, which at first change nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from stillroom.generate.load import load_model


def write_grown_model(small: Path, folder: Path, layers: int, seed: int) -> None:
    """The Llama in `small` with `layers` layers in all, in `folder`, float32. It answers exactly as before.

    The new layers come last. Their attention and feed-forward parts end in zeros, so that each adds nothing to what
    passes through it until training moves it (the identity start of Net2DeeperNet, 1511.05641).
    """
    loaded = load_model(small)
    config = LlamaConfig(**{**loaded.model.config.to_dict(), "num_hidden_layers": layers})
    torch.manual_seed(seed)
    grown: Any = LlamaForCausalLM(config)
    grown.load_state_dict(loaded.model.state_dict(), strict=False)
    for layer in grown.model.layers[loaded.model.config.num_hidden_layers :]:
        torch.nn.init.zeros_(layer.self_attn.o_proj.weight)
        torch.nn.init.zeros_(layer.mlp.down_proj.weight)
    grown.save_pretrained(folder)
    loaded.tokenizer.save_pretrained(folder)
