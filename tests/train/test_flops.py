from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch.utils.flop_counter import FlopCounterMode

from stillroom.generate.load import load_model
from stillroom.train.flops import measured_matrix_rate, training_flops

CPU = torch.device("cpu")


@pytest.mark.parametrize("trained", [24, 10])
def test_the_formula_counts_what_pytorch_counts_but_for_attention(tiny_model: Path, trained: int) -> None:
    model: Any = load_model(tiny_model).model
    model.set_attn_implementation("sdpa")
    ids_BT = torch.arange(24)[None]
    with FlopCounterMode(display=False) as counter:
        hidden_BTD = model.base_model(input_ids=ids_BT, use_cache=False).last_hidden_state
        model.lm_head(hidden_BTD[:, :trained]).sum().backward()
    products = sum(
        count for operation, count in counter.get_flop_counts()["Global"].items() if "attention" not in str(operation)
    )
    # The rotary embedding multiplies its frequencies by the positions: 2 for each of them, and no weights.
    assert training_flops(model, 24, trained) == pytest.approx(products, rel=0.01)


def test_weights_that_are_not_trained_spare_a_third(tiny_model: Path) -> None:
    model: Any = load_model(tiny_model).model
    all_trained = training_flops(model, 100, 50)
    model.requires_grad_(False)
    assert training_flops(model, 100, 50) == pytest.approx(all_trained * 2 / 3)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")  # peft asks for it
def test_an_adapter_adds_its_own_products_and_that_of_the_head_is_at_trained_positions(tiny_model: Path) -> None:
    frozen: Any = load_model(tiny_model).model.requires_grad_(False)
    plain = training_flops(frozen, 100, 50)
    for targets, tokens in ((["q_proj"], 100), (["lm_head"], 50)):
        model = get_peft_model(load_model(tiny_model).model, LoraConfig(r=4, target_modules=targets))
        added = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
        assert training_flops(model, 100, 50) == pytest.approx(plain + 6 * added * tokens)


def test_a_rate_is_measured_at_the_models_own_shapes(tiny_model: Path) -> None:
    model: Any = load_model(tiny_model).model
    assert 1e6 < measured_matrix_rate(model, CPU) < 1e15
