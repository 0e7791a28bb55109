"""Predicted memory is what is really taken: tensor for tensor where they can be counted, and of a whole process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    GPT2Config,
    LlamaConfig,
    PreTrainedConfig,
    Qwen2Config,
    Qwen3Config,
)

from stillroom.train.lora import with_lora
from stillroom.train.memory import Footprint, footprint, predict
from stillroom.train.packing import prepare
from stillroom.train.settings import LoraSettings

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "train_memory.py"
WITHIN = 0.3
"""How far a whole process may be from its prediction. The models here are small, so that what PyTorch itself takes
counts for more than in real ones."""
SHAPE: dict[str, Any] = {
    "hidden_size": 48,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 300,
    "max_position_embeddings": 4096,
}
FAMILIES: list[PreTrainedConfig] = [
    LlamaConfig(**SHAPE),
    LlamaConfig(**{**SHAPE, "attn_implementation": "eager"}),
    Qwen2Config(**SHAPE, tie_word_embeddings=True),
    Qwen3Config(**SHAPE, head_dim=32),
    Gemma2Config(**SHAPE, head_dim=16),
    GPT2Config(n_embd=48, n_layer=3, n_head=4, vocab_size=300, n_positions=512),
]


def new_model(config: PreTrainedConfig) -> Any:
    torch.manual_seed(0)
    auto: Any = AutoModelForCausalLM  # untyped there
    return auto.from_config(config).train()


def kept_bytes(model: Any, rows: int, tokens: int, bfloat16: bool) -> int:
    """What autograd keeps of a batch: counted on the whole of it, by the tensors' own sizes."""
    own = {each.untyped_storage().data_ptr() for each in (*model.parameters(), *model.buffers())}
    kept: dict[int, Any] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage
        return tensor

    ids_BT = torch.randint(0, 300, (rows, tokens))
    hooks = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
    with hooks, torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        model.base_model(input_ids=ids_BT, use_cache=False)
    return sum(storage.nbytes() for storage in kept.values())


@pytest.mark.parametrize("bfloat16", [False, True])
@pytest.mark.parametrize("config", FAMILIES, ids=lambda config: f"{config.model_type}-{config._attn_implementation}")
def test_what_three_short_rows_keep_tells_what_a_batch_keeps(config: PreTrainedConfig, bfloat16: bool) -> None:
    model = new_model(config)
    found = footprint(model, bfloat16=bfloat16)
    for rows, tokens in ((1, 400), (5, 100)):
        expected = kept_bytes(model, rows, tokens, bfloat16)
        # A causal mask that rows share is counted for each of them: rather too much than too little.
        assert 0.98 * expected < found.casts + found.kept(rows * tokens, tokens) < 1.05 * expected


def test_attention_that_keeps_its_scores_grows_with_the_square() -> None:
    fused, eager = (footprint(new_model(config), bfloat16=False) for config in FAMILIES[:2])
    assert fused.kept_per_pair == pytest.approx(0, abs=1e-6)
    assert eager.kept_per_pair >= 3 * 4 * 4  # layers x heads x bytes


def test_weights_gradients_and_moments_are_those_of_a_real_step() -> None:
    for adapt in (False, True):
        model = new_model(FAMILIES[2])
        if adapt:
            with_lora(model, LoraSettings(rank=4), seed=0)
        memory = predict(footprint(model, bfloat16=False), tokens=10, longest=10, trained=5, checkpointing=False)
        trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(trainable, fused=True)
        model(input_ids=torch.arange(10)[None]).logits.sum().backward()
        optimizer.step()
        moments = [state[key] for state in optimizer.state.values() for key in ("exp_avg", "exp_avg_sq")]
        assert memory.weights == sum(parameter.nbytes for parameter in model.parameters())
        assert memory.gradients == sum(parameter.grad.nbytes for parameter in trainable if parameter.grad is not None)
        assert memory.moments == sum(moment.nbytes for moment in moments)


def test_the_adapters_of_the_advice_are_those_that_lora_makes() -> None:
    model = new_model(FAMILIES[2])
    advised = footprint(model, bfloat16=False).with_lora()
    with_lora(model, LoraSettings(), seed=0)
    real = footprint(model, bfloat16=False)
    assert (real.parameters, real.trainable) == (advised.parameters, advised.trainable)
    assert (real.head_trained, advised.head_trained) == (False, False)


def test_counting_leaves_the_run_as_it_is() -> None:
    model = new_model(GPT2Config(n_embd=48, n_layer=2, n_head=4, vocab_size=300, n_positions=512))  # it has dropout
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    footprint(model, bfloat16=True)
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(parameter, before[name]) for name, parameter in model.named_parameters())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert model.training


def test_a_student_with_little_context_and_a_packed_one_are_counted() -> None:
    short = new_model(GPT2Config(n_embd=48, n_layer=2, n_head=4, vocab_size=300, n_positions=20))
    assert footprint(short, bfloat16=False).kept_per_token > 0
    model = new_model(FAMILIES[0])
    plain = footprint(model, bfloat16=False)
    assert prepare(model, "on", torch.device("cpu"))
    packed = footprint(model, bfloat16=False, packed=True)
    assert plain.kept_per_token <= packed.kept_per_token < 1.3 * plain.kept_per_token


LARGE = Footprint(
    parameters=10**9, trainable=10**9, layers=20, hidden=2000, vocabulary=50_000, head_trained=True, adapters=10**7,
    kept_per_token=2e6, kept_per_pair=0.0, casts=0,
)  # fmt: skip


def test_what_saves_memory_saves_it() -> None:
    def total(student: Footprint = LARGE, tokens: int = 8000, checkpointing: bool = False) -> int:
        return predict(student, tokens=tokens, longest=1000, trained=tokens, checkpointing=checkpointing).total

    assert total(checkpointing=True) < total() - 10**10
    assert total(tokens=4000) == pytest.approx(total() - 4000 * 2e6, rel=0.01)
    assert total(LARGE.with_lora()) < total() - 11 * 10**9


def measured(tmp_path: Path, shape: dict[str, Any], *arguments: str) -> dict[str, float]:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"model_type": "llama", **shape}))
    command = [sys.executable, str(BENCHMARK), "--config", str(config), "--here", "--threads", "1", *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    found: dict[str, float] = json.loads(ran.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize(
    ("layers", "arguments"),
    [(3, ["--tokens", "250", "--rows", "8"]), (2, ["--tokens", "3000"]), (3, ["--tokens", "3000", "--checkpointing"])],
    ids=["several rows", "a long row", "a long row, checkpointed"],
)
def test_a_process_takes_what_is_predicted(tmp_path: Path, layers: int, arguments: list[str]) -> None:
    shape = {
        "hidden_size": 64,
        "intermediate_size": 3000,
        "num_hidden_layers": layers,
        "num_attention_heads": 1,
        "num_key_value_heads": 1,
        "vocab_size": 8000,
        "tie_word_embeddings": True,
    }
    found = measured(tmp_path, shape, *arguments)
    assert found["predicted"] == pytest.approx(found["measured"], rel=WITHIN)
    assert found["measured"] > 150e6
