"""What docs/train.md says that students of four sizes need is what the prediction gives for them.

Their weights are too large for a test, so what they keep of a token is written down here, term by term, and held to
what is counted on a small student of the same kind.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from transformers import AutoModelForCausalLM, LlamaConfig, Qwen2Config

from stillroom.train.memory import Footprint, footprint, gigabytes, predict
from stillroom.train.settings import LoraSettings

DOCS = Path(__file__).parents[2] / "docs" / "train.md"
Sizes = dict[str, Any]
SMOLLM2: Sizes = {"hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30, "vocab_size": 49152}
QWEN_SMALL: Sizes = {
    "hidden_size": 896,
    "intermediate_size": 4864,
    "num_hidden_layers": 24,
    "vocab_size": 151936,
}
QWEN_MIDDLE: Sizes = {
    "hidden_size": 1536,
    "intermediate_size": 8960,
    "num_hidden_layers": 28,
    "vocab_size": 151936,
}
QWEN_LARGE: Sizes = {
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "num_hidden_layers": 28,
    "vocab_size": 152064,
}
SHARED: Sizes = {"tie_word_embeddings": True}
OWN: Sizes = {"tie_word_embeddings": False}
CONFIGS: dict[str, LlamaConfig | Qwen2Config] = {
    "SmolLM2-135M": LlamaConfig(num_attention_heads=9, num_key_value_heads=3, **SMOLLM2, **SHARED),
    "Qwen2.5-0.5B": Qwen2Config(num_attention_heads=14, num_key_value_heads=2, **QWEN_SMALL, **SHARED),
    "Qwen2.5-1.5B": Qwen2Config(num_attention_heads=12, num_key_value_heads=2, **QWEN_MIDDLE, **SHARED),
    "Qwen2.5-7B": Qwen2Config(num_attention_heads=28, num_key_value_heads=4, **QWEN_LARGE, **OWN),
}
PARAMETERS = {
    "SmolLM2-135M": 134_515_008,
    "Qwen2.5-0.5B": 494_032_768,
    "Qwen2.5-1.5B": 1_543_714_304,
    "Qwen2.5-7B": 7_615_616_512,
}


def written_down(config: Any, *, bfloat16: bool) -> Footprint:
    """The footprint of a Llama or Qwen2 with these sizes, D wide with I inside its layers and queries of Q numbers."""
    layers, heads, wide, inside = (
        config.num_hidden_layers,
        config.num_attention_heads,
        config.hidden_size,
        config.intermediate_size,
    )
    head = wide // heads
    keys = config.num_key_value_heads * head
    linear = 2 * wide * wide + 2 * wide * keys + 3 * wide * inside
    biases = wide + 2 * keys if config.model_type == "qwen2" else 0
    ends = config.vocab_size * wide * (1 if config.tie_word_embeddings else 2)
    if bfloat16:  # norms in float32, and a copy in 16 bits for each of five linear layers
        layer = 2 * (8 * wide + 4) + 5 * 2 * wide + 4 * wide + 4 * keys + 4 * heads + 8 * inside
    else:
        layer = 4 * (2 * (3 * wide + 1) + 2 * wide + 2 * keys + heads + 4 * inside)
    return Footprint(
        parameters=layers * (linear + biases + 2 * wide) + wide + ends,
        trainable=layers * (linear + biases + 2 * wide) + wide + ends,
        layers=layers,
        hidden=wide,
        vocabulary=config.vocab_size,
        head_trained=True,
        adapters=layers * LoraSettings().rank * (9 * wide + 2 * keys + 3 * inside),
        kept_per_token=layers * layer + 4 * (2 * wide + 1) + 8 + 8 * head,
        kept_per_pair=0.0,
        casts=2 * layers * linear if bfloat16 else 0,
    )


@pytest.mark.parametrize("bfloat16", [False, True])
@pytest.mark.parametrize("kind", [LlamaConfig, Qwen2Config])
def test_what_is_written_down_is_what_is_counted(kind: Any, bfloat16: bool) -> None:
    sizes = {"hidden_size": 96, "intermediate_size": 224, "num_hidden_layers": 3, "vocab_size": 500}
    config = kind(num_attention_heads=6, num_key_value_heads=2, tie_word_embeddings=False, **sizes)
    auto: Any = AutoModelForCausalLM  # untyped there
    counted, written = footprint(auto.from_config(config), bfloat16=bfloat16), written_down(config, bfloat16=bfloat16)
    assert written.kept_per_token == pytest.approx(counted.kept_per_token, rel=0.01)
    assert written.casts == pytest.approx(counted.casts, rel=0.01)
    for name in ("parameters", "trainable", "adapters", "layers", "hidden", "vocabulary", "head_trained"):
        assert getattr(written, name) == getattr(counted, name), name


def test_sizes_are_those_of_the_published_students() -> None:
    assert {name: written_down(each, bfloat16=False).parameters for name, each in CONFIGS.items()} == PARAMETERS


def predicted(config: Any, recipe: dict[str, Any], *, gpu: bool) -> str:
    student = written_down(config, bfloat16=gpu)
    if recipe.get("lora"):
        assert recipe["lora"] == {"rank": LoraSettings().rank}
        student = student.with_lora()
    tokens = recipe["batch_tokens"]
    checkpointing = bool(recipe.get("gradient_checkpointing", False))
    return gigabytes(predict(student, tokens=tokens, longest=tokens, trained=tokens, checkpointing=checkpointing).total)


def guide() -> dict[str, list[str]]:
    """The cells of each student: a CPU, a GPU of 24 GB, one of 80 GB."""
    section = DOCS.read_text("utf-8").partition("\n### What fits where\n")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    return {found[1]: row[1:] for row in rows if (found := re.search(r"\((\S+)\)", row[0]))}


@pytest.mark.parametrize("name", CONFIGS)
def test_the_guide_has_the_predictions(name: str) -> None:
    cells = guide()[name]
    assert len(cells) == 3
    for limit, cell in zip((None, 24, 80), cells, strict=True):
        stated = re.findall(r"`(\{.*?\})` ([\d.]+ GB)", cell)
        assert stated or "nothing" in cell
        for recipe, memory in stated:
            assert predicted(CONFIGS[name], yaml.safe_load(recipe), gpu=limit is not None) == memory
            assert limit is None or float(memory.split()[0]) < 0.91 * limit
        if "nothing" in cell and limit:
            weights = PARAMETERS[name] * torch.float32.itemsize
            assert f"take {gigabytes(weights)} in float32" in cell
            assert weights > limit * 1e9
