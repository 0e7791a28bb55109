"""What does not fit is refused before the first step, with changes that make it fit; checkpointing changes nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig

from stillroom.base.errors import ModelError
from stillroom.train.lora import with_lora
from stillroom.train.loss import batch_loss
from stillroom.train.memory_plan import Plan, is_out_of_memory, plan, turn_on_checkpointing
from stillroom.train.render import Row
from stillroom.train.settings import LoraSettings, TrainSettings

CPU = torch.device("cpu")


def new_model(hidden: int = 64) -> Any:
    torch.manual_seed(0)
    auto: Any = AutoModelForCausalLM  # untyped there
    config = LlamaConfig(
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=300,
        max_position_embeddings=10_000,
        attention_dropout=0.0,
    )
    return auto.from_config(config).train()


def rows_of(*lengths: int) -> list[Row]:
    return [
        Row(f"q{n}", np.arange(length, dtype=np.int32) % 300, (np.arange(length) >= length // 4).astype(np.float32))
        for n, length in enumerate(lengths)
    ]


def planned(free: float, *, lengths: tuple[int, ...] = (500,) * 20, lora: bool = False, **settings: Any) -> Plan:
    """The plan on a machine that has so many bytes free."""
    model = new_model()
    if lora:
        with_lora(model, LoraSettings(), seed=0)
        settings["lora"] = {}
    chosen = TrainSettings(student="s", **{"batch_tokens": 8000, **settings})
    return plan(model, rows_of(*lengths), chosen, bfloat16=False, available=lambda _: int(free))


def refused(free: float, **settings: Any) -> ModelError:
    with pytest.raises(ModelError) as caught:
        planned(free, **settings)
    return caught.value


def test_checkpointing_only_when_asked_for_or_needed() -> None:
    needed = planned(1e12).needed
    assert not planned(1e12).checkpointing
    assert planned(1e12, gradient_checkpointing="on").checkpointing
    tight = planned(0.8 * needed)
    assert tight.checkpointing
    assert tight.needed < 0.8 * needed
    assert tight.report() == {"predicted_bytes": tight.memory.total, "gradient_checkpointing": True}
    error = refused(0.8 * needed, gradient_checkpointing="off")
    assert "train.gradient_checkpointing: on (saves " in error.remedy


def test_a_batch_is_rows_that_fit_or_the_longest_alone() -> None:
    assert planned(1e12).tokens == 8000
    assert planned(1e12, lengths=(500, 500)).tokens == 1000
    assert planned(1e12, lengths=(500, 9000)).tokens == 9000


@pytest.mark.parametrize("share", [0.9, 0.5, 0.25, 0.12])
def test_whoever_follows_the_advice_is_not_refused_again(share: float) -> None:
    lengths = (300, 500, 700, 1000, 4000, 9000)
    free = share * planned(1e12, lengths=lengths, gradient_checkpointing="on").needed
    error = refused(free, lengths=lengths)
    assert re.search(r"Training needs \d[\d,.]* [GM]B beside the weights, and \d[\d,.]* [GM]B are free", error.what)
    follow = error.remedy.removeprefix("Set all of these: ") if "all of these" in error.remedy else None
    choices = [follow] if follow else error.remedy.removeprefix("Set ").split("; or ")
    assert choices
    for choice in choices:
        changed: dict[str, Any] = {}
        if found := re.findall(r"train\.batch_tokens: (?:[\d,]+ -> )?([\d,]+)", choice):
            changed["batch_tokens"] = int(found[-1].rstrip(",").replace(",", ""))
        left: tuple[int, ...] = lengths
        if found := re.findall(r"train\.max_tokens: [\d,]+ -> ([\d,]+\d)", choice):
            left = tuple(length for length in lengths if length <= int(found[-1].replace(",", "")))
            assert f"leaves out {len(lengths) - len(left)} of {len(lengths)} rows" in choice
        planned(free, lengths=left, lora="train.lora" in choice, **changed)


def test_where_nothing_helps_a_smaller_student_does() -> None:
    assert refused(10_000).remedy.startswith(
        "Take a smaller student or more memory: whatever the recipe says, it needs"
    )


def test_processes_on_one_machine_share_its_memory() -> None:
    needed = planned(1e12).needed
    settings = TrainSettings(student="s", batch_tokens=8000)
    free: Callable[[Any], int] = lambda _: int(1.5 * needed)  # noqa: E731
    alone, shared = (
        plan(new_model(), rows_of(*[500] * 20), settings, bfloat16=False, sharing=processes, available=free)
        for processes in (1, 2)
    )
    assert (alone.checkpointing, shared.checkpointing) == (False, True)


def test_a_student_without_checkpointing_says_so() -> None:
    model = new_model()
    model.supports_gradient_checkpointing = False
    settings = TrainSettings(student="s", gradient_checkpointing="on")
    with pytest.raises(ModelError, match="has no gradient checkpointing"):
        plan(model, rows_of(100), settings, bfloat16=False)


@pytest.mark.parametrize("adapt", [False, True])
def test_checkpointing_leaves_every_gradient_as_it_is(adapt: bool) -> None:
    gradients = []
    for checkpointed in (False, True):
        model = new_model()
        if adapt:
            with_lora(model, LoraSettings(rank=4), seed=0)
        if checkpointed:
            turn_on_checkpointing(model)
        loss = batch_loss(model, rows_of(40, 70), pad_id=0, device=CPU, packed=False)
        torch.autograd.backward(loss)
        gradients.append([each.grad for each in model.parameters() if each.grad is not None])
    assert len(gradients[0]) == len(gradients[1]) > 0
    assert all(torch.equal(one, other) for one, other in zip(*gradients, strict=True))


def test_checkpointing_keeps_only_the_layers_inputs() -> None:
    kept: list[int] = []

    def count(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor.nbytes)
        return tensor

    sums = []
    for checkpointed in (False, True):
        model = new_model()
        if checkpointed:
            turn_on_checkpointing(model)
        kept.clear()
        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            batch_loss(model, rows_of(300), pad_id=0, device=CPU, packed=False)
        sums.append(sum(kept))
    assert sums[1] < sums[0] / 2


def test_memory_that_runs_out_says_what_to_change() -> None:
    found = planned(1e12)
    for failure in (
        lambda: torch.empty(1 << 50),  # the CPU's allocator itself
        lambda: _raise(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")),
        lambda: _raise(MemoryError()),
    ):
        with (
            pytest.raises(ModelError, match=r"for which .* were predicted") as caught,
            found.explaining_out_of_memory(),
        ):
            failure()
        assert "train.batch_tokens: 8,000 -> 4,000 (saves " in caught.value.remedy


def test_other_failures_are_not_taken_for_it() -> None:
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"), planned(1e12).explaining_out_of_memory():
        torch.ones(2, 3) @ torch.ones(2, 3)
    assert not is_out_of_memory(ValueError("not enough memory"))


def _raise(error: BaseException) -> None:
    raise error
