"""The loss against transformers' own, on a real model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from stillroom.generate.load import load_model
from stillroom.train.loss import collate, collate_weights, head_is_plain, loss_sum
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


def test_micro_batches_give_the_gradient_of_the_whole_step(tiny_model: Path, rows: list[Row]) -> None:
    model = load_model(tiny_model).model
    gradients = []
    for parts in ([rows], [[row] for row in rows]):
        model.zero_grad()
        for part in parts:
            torch.autograd.backward(loss_sum(model, *collate(part, 0, CPU)))
        gradients.append([p.grad.clone() for p in model.parameters() if p.grad is not None])
    for whole, split in zip(*gradients, strict=True):
        torch.testing.assert_close(whole, split, rtol=1e-4, atol=1e-5)


def test_logits_exist_for_trained_positions_only(tiny_model: Path, rows: list[Row]) -> None:
    model = load_model(tiny_model).model
    seen: list[int] = []
    model.lm_head.register_forward_hook(lambda _m, inputs, _o: seen.append(len(inputs[0])))
    loss_sum(model, *collate(rows, 0, CPU))
    assert seen == [sum(int(row.trained[1:].sum()) for row in rows)]


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
