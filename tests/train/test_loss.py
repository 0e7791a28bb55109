"""The loss against transformers' own, on a real model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from stillroom.generate.load import load_model
from stillroom.train.loss import batch_loss, collate, collate_weights, head_is_plain, head_loss_sum, loss_sum
from stillroom.train.packing import prepare
from stillroom.train.render import Row

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    generator = torch.Generator().manual_seed(0)
    made = []
    for length, prompt in ((9, 4), (20, 13), (14, 1)):
        ids = torch.randint(5, 250, (length,), generator=generator).numpy().astype(np.int32)
        made.append(Row(f"q{length}", ids, (np.arange(length) >= prompt).astype(np.float32)))
    return made


def theirs(model: torch.nn.Module, row: Row) -> torch.Tensor:
    ids = torch.from_numpy(row.ids).long()
    labels = torch.where(torch.from_numpy(row.trained), ids, -100)
    output = model(input_ids=ids[None], labels=labels[None])
    mean: torch.Tensor = output.loss
    return mean * int(row.trained[1:].sum())


def test_a_batch_is_the_sum_of_its_rows_alone(tiny_model: Path, rows: list[Row]) -> None:
    model = load_model(tiny_model).model
    ids_BT, targets_BT = collate(rows, 0, CPU)
    ours = loss_sum(model, ids_BT, targets_BT)
    torch.testing.assert_close(ours, sum((theirs(model, row) for row in rows), torch.zeros(())), rtol=1e-5, atol=1e-5)


def gradients(model: torch.nn.Module, batches: list[list[Row]], packed: bool = False) -> list[torch.Tensor]:
    """Of the loss over all batches, added up batch by batch as a step does it."""
    model.zero_grad()
    for batch in batches:
        torch.autograd.backward(batch_loss(model, batch, pad_id=0, device=CPU, packed=packed))
    return [p.grad.clone() for p in model.parameters() if p.grad is not None]


def splits(rows: list[Row]) -> list[list[list[Row]]]:
    """All ways to cut the rows, in their order, into batches."""
    if not rows:
        return [[]]
    return [[rows[:n], *rest] for n in range(1, len(rows) + 1) for rest in splits(rows[n:])]


@pytest.mark.parametrize("packed", [False, True])
def test_the_gradient_of_a_step_is_the_same_however_it_is_split(
    tiny_model: Path, rows: list[Row], packed: bool
) -> None:
    """Into batches of any sizes, padded or packed, weights included."""
    model = load_model(tiny_model).model
    if packed:
        assert prepare(model, "on", CPU)
    first, *others = rows
    weighted = [Row("half", first.ids, first.weights * np.float32(0.5)), *others, rows[1]]
    whole = gradients(model, [weighted])
    assert len(splits(weighted)) == 8
    for split in splits(weighted):
        for one, other in zip(whole, gradients(model, split, packed), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("bfloat16", [False, True])
def test_the_chunk_changes_neither_loss_nor_gradient(
    tiny_model: Path, rows: list[Row], monkeypatch: pytest.MonkeyPatch, tied: bool, bfloat16: bool
) -> None:
    model: Any = load_model(tiny_model).model
    if tied:
        model.lm_head.weight = model.model.embed_tokens.weight
    found = {}
    for chunk in (1000, 7, 1):
        monkeypatch.setattr("stillroom.train.loss.CHUNK", chunk)
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            loss = batch_loss(model, rows, pad_id=0, device=CPU, packed=False)
        assert loss.dtype == torch.float32
        model.zero_grad()
        torch.autograd.backward(loss / 3)
        found[chunk] = [loss.detach(), *(p.grad.clone() for p in model.parameters() if p.grad is not None)]
    # bfloat16 has 8 bits: a sum of chunks is rounded otherwise than one product over all of them.
    rtol, atol = (2e-2, 2e-2) if bfloat16 else (1e-4, 1e-5)
    for chunk in (7, 1):
        for one, other in zip(found[1000], found[chunk], strict=True):
            torch.testing.assert_close(one, other, rtol=rtol, atol=atol)


def test_the_gradient_is_the_one_of_transformers_own_loss(tiny_model: Path, rows: list[Row]) -> None:
    model: Any = load_model(tiny_model).model
    ours = gradients(model, [rows])
    model.zero_grad()
    for row in rows:
        torch.autograd.backward(theirs(model, row))
    for one, weight in zip(ours, model.parameters(), strict=True):
        torch.testing.assert_close(one, weight.grad, rtol=1e-4, atol=1e-5)


def test_a_head_that_is_not_trained_passes_its_gradient_on(tiny_model: Path, rows: list[Row]) -> None:
    """As with LoRA: the layers below are trained as they would be, and the head has no gradient."""
    model: Any = load_model(tiny_model).model
    whole = dict(zip([name for name, _ in model.named_parameters()], gradients(model, [rows]), strict=True))
    model.lm_head.requires_grad_(False)
    gradients(model, [rows])
    assert model.lm_head.weight.grad is None
    below = model.model.layers[0].mlp.down_proj.weight.grad
    torch.testing.assert_close(below, whole["model.layers.0.mlp.down_proj.weight"], rtol=1e-5, atol=1e-6)


def test_a_loss_without_gradients_is_the_same(tiny_model: Path, rows: list[Row]) -> None:
    model: Any = load_model(tiny_model).model
    with_them = batch_loss(model, rows, pad_id=0, device=CPU, packed=False)
    with torch.no_grad():
        without = batch_loss(model, rows, pad_id=0, device=CPU, packed=False)
    assert not without.requires_grad
    torch.testing.assert_close(without, with_them.detach())


def test_logits_exist_for_some_trained_positions_at_a_time(
    tiny_model: Path, rows: list[Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And none is kept for the backward pass: only the gradients of its inputs are."""
    monkeypatch.setattr("stillroom.train.loss.CHUNK", 8)
    model: Any = load_model(tiny_model).model
    given: list[int] = []
    model.lm_head.register_forward_hook(lambda _m, inputs, _o: given.append(len(inputs[0])))
    batch_loss(model, rows, pad_id=0, device=CPU, packed=False)
    trained = sum(int(row.trained[1:].sum()) for row in rows)
    assert max(given) == 8
    assert sum(given) == trained
    hidden_ND = torch.randn(20, 64, requires_grad=True)
    loss: Any = head_loss_sum(model.lm_head, hidden_ND, torch.arange(20), torch.ones(20))
    assert [kept.shape for kept in loss.grad_fn.saved_tensors] == [(20, 64), model.lm_head.weight.shape]


def test_a_weight_counts_a_token_so_many_times(tiny_model: Path, rows: list[Row]) -> None:
    model = load_model(tiny_model).model
    assert collate_weights(rows, CPU) is None
    first, second, third = rows
    weighted = [first, Row("twice", second.ids, second.weights * 2), third]
    ours = loss_sum(model, *collate(weighted, 0, CPU), collate_weights(weighted, CPU))
    alone = [theirs(model, row) for row in rows]
    torch.testing.assert_close(ours, alone[0] + 2 * alone[1] + alone[2], rtol=1e-5, atol=1e-5)


def test_a_token_of_weight_nothing_is_not_trained(tiny_model: Path, rows: list[Row]) -> None:
    model = load_model(tiny_model).model
    weights = rows[0].weights.copy()
    weights[5] = 0
    row = Row("q", rows[0].ids, weights)
    assert collate_weights([row], CPU) is None
    torch.testing.assert_close(loss_sum(model, *collate([row], 0, CPU)), theirs(model, row), rtol=1e-5, atol=1e-5)


def test_a_head_that_does_more_is_noticed(tiny_model: Path, rows: list[Row]) -> None:
    model = load_model(tiny_model).model
    ids_BT, _ = collate(rows, 0, CPU)
    assert head_is_plain(model, ids_BT)
    plain = model.forward

    def scaled(**inputs: object) -> object:
        output = plain(**inputs)
        output.logits = output.logits * 2
        return output

    model.forward = scaled
    assert not head_is_plain(model, ids_BT)
