"""Adapters that learn beside frozen weights: what they leave alone, what comes out, and what they cannot teach."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import PeftModel
from pydantic import ValidationError
from safetensors.torch import load_file
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    PreTrainedConfig,
    Qwen2Config,
    Qwen3Config,
    Qwen3MoeConfig,
)

from stillroom.base.errors import ModelError
from stillroom.generate.load import LocalModel, load_model
from stillroom.train.lora import merged, refuse_new_tokens, save_adapter, untrained_rows, with_lora
from stillroom.train.render import Row
from stillroom.train.settings import LoraSettings

RANK_4 = LoraSettings(rank=4)


@pytest.fixture
def local(tiny_model: Path) -> LocalModel:
    return load_model(tiny_model)


def ids_BT(local: LocalModel) -> torch.Tensor:
    return torch.tensor([local.tokenizer.encode("<|user|>6 times 7?<|assistant|>42<|end|>")])


def logits(model: Any, ids: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=ids).logits
    return found


def taught(local: LocalModel, seed: int = 0) -> PeftModel:
    """Adapters after a few steps, at a rate that changes what the model says."""
    adapted = with_lora(local.model, RANK_4, seed)
    ids = ids_BT(local)
    optimizer = torch.optim.AdamW([each for each in adapted.parameters() if each.requires_grad], lr=0.03)
    for _ in range(5):
        adapted.get_base_model()(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return adapted


def test_only_adapters_train_and_they_begin_as_nothing(local: LocalModel) -> None:
    before = logits(local.model, ids_BT(local))
    model = with_lora(local.model, RANK_4, seed=0).get_base_model()
    assert model is local.model
    assert torch.equal(logits(model, ids_BT(local)), before)
    trainable = {name for name, each in model.named_parameters() if each.requires_grad}
    # Two layers, seven matrices in each, and two factors for each of these. Neither embeddings nor head.
    assert len(trainable) == 2 * 7 * 2
    assert all(".lora_" in name and name.startswith("model.layers.") for name in trainable)
    assert all(
        each.shape[0 if "lora_A" in name else 1] == 4 for name, each in model.named_parameters() if "lora" in name
    )


def test_the_same_seed_gives_the_same_adapters_and_leaves_other_chance_alone(tiny_model: Path) -> None:
    def factors(seed: int) -> list[torch.Tensor]:
        model = with_lora(load_model(tiny_model).model, RANK_4, seed).get_base_model()
        return [each.detach() for name, each in model.named_parameters() if "lora_A" in name]

    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    first = factors(0)
    assert torch.equal(torch.rand(1), expected)
    assert all(torch.equal(one, other) for one, other in zip(first, factors(0), strict=True))
    assert not any(torch.equal(one, other) for one, other in zip(first, factors(1), strict=True))


def test_training_leaves_the_base_weights_as_they_were(local: LocalModel, tiny_model: Path) -> None:
    weights = {
        name.replace(".base_layer", ""): each for name, each in taught(local).get_base_model().named_parameters()
    }
    for name, before in load_model(tiny_model).model.named_parameters():
        assert torch.equal(weights[name], before), name


def test_merged_it_says_what_the_adapters_said(local: LocalModel, tmp_path: Path) -> None:
    untaught = logits(local.model, ids_BT(local))
    adapted = taught(local)
    beside = logits(adapted.get_base_model(), ids_BT(local))
    assert (beside - untaught).abs().max() > 0.1
    model = merged(adapted)
    assert not any("lora" in name or "base_layer" in name for name in model.state_dict())
    torch.testing.assert_close(logits(model, ids_BT(local)), beside, rtol=1e-4, atol=1e-5)
    # The folder is a plain model's: nothing in it asks for peft.
    model.save_pretrained(tmp_path)
    local.tokenizer.save_pretrained(tmp_path)
    assert not (tmp_path / "adapter_config.json").exists()
    torch.testing.assert_close(logits(load_model(tmp_path).model, ids_BT(local)), beside, rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")  # peft asks for it
def test_peft_loads_the_adapter_beside_the_base(local: LocalModel, tiny_model: Path, tmp_path: Path) -> None:
    adapted = taught(local)
    save_adapter(adapted, tmp_path, "owner/base")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapter"]
    files = {file.name: file.stat().st_mode & 0o777 for file in (tmp_path / "adapter").iterdir()}
    assert files == {"adapter_config.json": 0o644, "adapter_model.safetensors": 0o644}
    config = json.loads((tmp_path / "adapter/adapter_config.json").read_text())
    assert (config["base_model_name_or_path"], config["task_type"], config["r"]) == ("owner/base", "CAUSAL_LM", 4)
    assert set(config["target_modules"]) == {
        "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj",
    }  # fmt: skip
    names = load_file(tmp_path / "adapter/adapter_model.safetensors")
    assert all(name.startswith("base_model.model.model.layers.") and name.endswith(".weight") for name in names)
    again = PeftModel.from_pretrained(load_model(tiny_model).model, str(tmp_path / "adapter"))
    assert torch.equal(logits(again, ids_BT(local)), logits(adapted.get_base_model(), ids_BT(local)))


def new_model(config: PreTrainedConfig) -> Any:
    torch.manual_seed(0)
    auto: Any = AutoModelForCausalLM
    return auto.from_config(config)


SMALL: dict[str, Any] = {"vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
HEADS: dict[str, Any] = {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16}
GPT2: dict[str, Any] = {"bos_token_id": 0, "eos_token_id": 0, "resid_pdrop": 0, "embd_pdrop": 0, "attn_pdrop": 0}


@pytest.mark.parametrize(
    ("config", "adapted_layers"),
    [
        (Qwen2Config(**SMALL, **HEADS, tie_word_embeddings=True), 2 * 7),
        (Qwen3Config(**SMALL, **HEADS), 2 * 7),
        (GPT2Config(vocab_size=64, n_embd=32, n_layer=2, n_head=2, **GPT2), 2 * 4),
    ],
)
def test_families_of_students(config: PreTrainedConfig, adapted_layers: int) -> None:
    model, ids = new_model(config), torch.arange(20)[None]
    embedding = model.get_output_embeddings().weight.detach().clone()
    adapted = with_lora(model, RANK_4, seed=0)
    assert sum(name.endswith("lora_A.default.weight") for name, _ in model.named_parameters()) == adapted_layers
    with torch.no_grad():
        for name, each in model.named_parameters():
            if "lora_B" in name:
                each.normal_(0, 0.02)
    beside = logits(model, ids)
    plain = merged(adapted)
    torch.testing.assert_close(logits(plain, ids), beside, rtol=1e-4, atol=1e-5)
    assert torch.equal(plain.get_output_embeddings().weight, embedding)


def test_experts_that_lora_would_leave_as_they_are_are_refused() -> None:
    config = Qwen3MoeConfig(**SMALL, **HEADS, moe_intermediate_size=16, num_experts=2, num_experts_per_tok=1)
    with pytest.raises(ModelError, match="mixture of experts"):
        with_lora(new_model(config), RANK_4, seed=0)


def test_a_second_adapter_takes_the_place_of_the_first(local: LocalModel, tmp_path: Path) -> None:
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter/old").touch()
    (tmp_path / "adapter.partial").mkdir()
    (tmp_path / "adapter.partial/half").touch()
    save_adapter(with_lora(local.model, RANK_4, seed=0), tmp_path, "base")
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == ["adapter_config.json", "adapter_model.safetensors"]


@pytest.mark.parametrize("settings", [{"rank": 0}, {"alpha": 0}, {"alpha": float("nan")}, {"targets": "all"}])
def test_settings_that_make_no_adapter(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        LoraSettings.model_validate(settings)


# --- tokens that the model has never learned ---


def row(local: LocalModel, reply: str) -> Row:
    prompt, said = (local.tokenizer.encode(text) for text in ("<|user|>?<|assistant|>", reply))
    weights = np.array([0.0] * len(prompt) + [1.0] * len(said), np.float32)
    return Row("q", np.array(prompt + said, np.int32), weights)


def new_rows(local: LocalModel, how: str, *tokens: str, head: bool = True) -> None:
    """Make the rows of `tokens`, in one of the two ends, what they are where a tool has added them."""
    model: Any = local.model
    end = model.get_output_embeddings() if head else model.get_input_embeddings()
    with torch.no_grad():
        mean_D = end.weight.mean(dim=0)
        for token in tokens:
            number = local.tokenizer.convert_tokens_to_ids(token)
            noise_D = 1e-5 * end.weight.std() * torch.randn_like(mean_D)
            end.weight[number] = {"zero": torch.zeros_like(mean_D), "mean": mean_D + noise_D, "one": end.weight[7]}[how]


@pytest.mark.parametrize("how", ["zero", "mean", "one"])
@pytest.mark.parametrize("head", [True, False])
def test_a_new_token_that_lora_cannot_teach_is_refused(local: LocalModel, how: str, head: bool) -> None:
    new_rows(local, how, "<think>", "</think>", head=head)
    thinks = row(local, "<think>six sevens</think>42<|end|>")
    with pytest.raises(ModelError, match=r"never learned .*'<think>', '</think>'.*so that they are trained"):
        refuse_new_tokens([thinks], local.model, local.tokenizer, local.end_ids)
    # Nothing that is trained holds them: they do no harm.
    refuse_new_tokens([row(local, "42<|end|>")], local.model, local.tokenizer, local.end_ids)


def test_an_untrained_end_token_is_refused(local: LocalModel) -> None:
    new_rows(local, "mean", "<|end|>")
    with pytest.raises(ModelError, match=r"'<\|end\|>'"):
        refuse_new_tokens([row(local, "42<|end|>")], local.model, local.tokenizer, local.end_ids)


def test_a_token_that_the_tokenizer_and_then_the_model_was_given(local: LocalModel) -> None:
    """The way of everybody: add_tokens, then resize_token_embeddings."""
    local.tokenizer.add_tokens(["<reflect>"])
    local.model.resize_token_embeddings(len(local.tokenizer))
    with pytest.raises(ModelError, match="'<reflect>'"):
        refuse_new_tokens([row(local, "<reflect>42<|end|>")], local.model, local.tokenizer, local.end_ids)


def test_tokens_that_were_trained_pass(local: LocalModel) -> None:
    model: Any = local.model
    weight_VD = model.get_input_embeddings().weight
    padding = local.tokenizer.pad_token_id  # zero in a new model, and never written
    assert untrained_rows(weight_VD, range(len(weight_VD))) == [padding]
    refuse_new_tokens([row(local, "<think>a</think>42<|end|>")], model, local.tokenizer, local.end_ids)
