"""Rows packed into one sequence: what each of them is worth is what it is worth alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from stillroom.base.errors import ModelError
from stillroom.generate.load import load_model
from stillroom.train.lora import with_lora
from stillroom.train.loss import batch_loss, collate
from stillroom.train.packing import ROW_BY_ROW, collate_packed, prepare
from stillroom.train.render import Row
from stillroom.train.settings import LoraSettings

CPU = torch.device("cpu")


def row(*ids: int, prompt: int = 1, weight: float = 1.0) -> Row:
    return Row("q", np.array(ids, np.int32), np.where(np.arange(len(ids)) < prompt, 0, weight).astype(np.float32))


ROWS = [row(*range(5, 17), prompt=4), row(*range(40, 47)), row(60, 61, prompt=1, weight=0.5), row(*range(90, 99))]


@pytest.fixture
def packing_model(tiny_model: Path) -> Any:
    model: Any = load_model(tiny_model).model
    # Wide weights, so that a row that saw another one would show it.
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(3)
    assert prepare(model, "on", CPU)
    return model


def loss_and_gradients(model: Any, rows: list[Row], packed: bool) -> list[torch.Tensor]:
    model.zero_grad()
    loss = batch_loss(model, rows, pad_id=0, device=CPU, packed=packed)
    torch.autograd.backward(loss)
    return [loss.detach(), *(weight.grad.clone() for weight in model.parameters() if weight.grad is not None)]


def test_packed_rows_have_the_loss_and_gradient_that_they_have_padded(packing_model: Any) -> None:
    packed = loss_and_gradients(packing_model, ROWS, packed=True)
    padded = loss_and_gradients(packing_model, ROWS, packed=False)
    for one, other in zip(packed, padded, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_a_row_does_not_see_the_one_before_it(packing_model: Any) -> None:
    """Neither its hidden states nor the gradient of its loss change with it, to the last bit."""
    first, second, *_ = ROWS
    other = row(*reversed(first.ids.tolist()), prompt=len(first.ids))
    unseen = row(*first.ids.tolist(), prompt=len(first.ids))
    behind = [loss_and_gradients(packing_model, [before, second], packed=True)[0] for before in (unseen, other)]
    assert torch.equal(*behind)
    states = []
    for before in (first, other):
        ids_BS, _, arguments = collate_packed([before, second], CPU)
        embedded_BSD = packing_model.get_input_embeddings()(ids_BS).detach().requires_grad_()
        hidden_BSD = packing_model.base_model(inputs_embeds=embedded_BSD, use_cache=False, **arguments)[0]
        torch.autograd.backward(hidden_BSD[:, len(first.ids) :].square().sum())
        assert embedded_BSD.grad is not None
        assert not embedded_BSD.grad[:, : len(first.ids)].any()
        states.append(hidden_BSD[:, len(first.ids) :])
    assert torch.equal(*states)


def test_a_plain_mask_would_have_shown_it(packing_model: Any) -> None:
    """The same with positions that do not begin anew: the second row sees the first."""
    first, second, *_ = ROWS
    ids_BS, _, _ = collate_packed([first, second], CPU)
    alone = packing_model.base_model(input_ids=ids_BS[:, len(first.ids) :], use_cache=False)[0]
    seen = packing_model.base_model(input_ids=ids_BS, use_cache=False)[0][:, len(first.ids) :]
    assert not torch.allclose(alone, seen, rtol=1e-2, atol=1e-2)


def test_the_same_tokens_are_trained_packed_and_padded() -> None:
    _, padded_BT = collate(ROWS, 0, CPU)
    _, packed_BS, _ = collate_packed(ROWS, CPU)
    assert packed_BS[packed_BS != -100].tolist() == padded_BT[padded_BT != -100].tolist()
    assert int((packed_BS != -100).sum()) == sum(int(each.trained.sum()) for each in ROWS)


def test_the_prepared_model_still_knows_padding_on_the_left_and_a_cache(packing_model: Any) -> None:
    """As where it is examined between two steps."""
    ids_BT = torch.tensor([[0, 0, 5, 6, 7], [1, 2, 3, 4, 5]])
    seen_BT = torch.tensor([[0, 0, 1, 1, 1], [1, 1, 1, 1, 1]])
    inputs = {"input_ids": ids_BT, "attention_mask": seen_BT, "position_ids": (seen_BT.cumsum(1) - 1).clamp(min=0)}
    ours = packing_model.generate(**inputs, max_new_tokens=6, do_sample=False)
    assert packing_model.config._attn_implementation == ROW_BY_ROW
    packing_model.set_attn_implementation("sdpa")
    assert torch.equal(ours, packing_model.generate(**inputs, max_new_tokens=6, do_sample=False))


def test_models_that_carry_something_past_attention_are_refused() -> None:
    from transformers import Lfm2Config, Lfm2ForCausalLM

    config = Lfm2Config(
        vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, layer_types=["conv", "full_attention"],
    )  # fmt: skip
    model = Lfm2ForCausalLM(config)
    before = model.config._attn_implementation
    with pytest.raises(ModelError, match=r"Rows of this student \(lfm2\) cannot be packed"):
        prepare(model, "on", CPU)
    assert model.config._attn_implementation == before


@pytest.mark.parametrize("packing", ["auto", "off"])
def test_on_a_cpu_rows_are_packed_when_asked_for_only(tiny_model: Path, packing: Any) -> None:
    model: Any = load_model(tiny_model).model
    before = model.config._attn_implementation
    assert not prepare(model, packing, CPU)
    assert model.config._attn_implementation == before


def test_a_model_with_an_adapter_is_packed_like_one_without(tiny_model: Path) -> None:
    model = with_lora(load_model(tiny_model).model, LoraSettings(rank=4), seed=0)
    assert prepare(model, "on", CPU)
    packed = loss_and_gradients(model, ROWS, packed=True)
    padded = loss_and_gradients(model, ROWS, packed=False)
    for one, other in zip(packed, padded, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
