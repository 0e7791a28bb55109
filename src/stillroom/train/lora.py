"""Training low-rank adapters (LoRA, arXiv 2106.09685) beside the student's frozen weights, with peft.

The student that comes out has its adapters merged into its weights, so that whatever loads the base loads it. The
adapter alone, which peft and vLLM load beside the base, is kept as well.

Shapes: V vocabulary, D hidden size, N tokens looked at.
"""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from safetensors.torch import save_file
from torch import Tensor
from transformers import PreTrainedTokenizerBase
from transformers.pytorch_utils import Conv1D

from stillroom.base.errors import ModelError
from stillroom.store.files import sync
from stillroom.train.render import Row
from stillroom.train.settings import LoraSettings

ADAPTER = "adapter"
AT_THE_MEAN = 0.02
"""A row of an embedding that is nearer to the mean of all than this share of what is usual has never been trained.
Where transformers adds tokens, it puts their rows at the mean, to within about a 30,000th."""


def with_lora(model: Any, settings: LoraSettings, seed: int) -> PeftModel:
    """Put a new adapter beside every linear layer of `model`'s decoder, in place, and freeze everything else.

    Embeddings and the output layer have none. What trains is `with_lora(...).get_base_model()`, which is `model`
    itself: it computes what it computed before, until a step is made. The same `seed` gives the same adapters.

    Raises ModelError for a model without linear layers, or with experts that are none.
    """
    layers = _linear_layers(model)
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,  # type: ignore[arg-type] # any number: it is divided by the rank
        target_modules=sorted({name.rpartition(".")[2] for name in layers}),
        fan_in_fan_out=any(isinstance(layer, Conv1D) for layer in layers.values()),
        task_type="CAUSAL_LM",
    )
    devices = sorted({parameter.device.index for parameter in model.parameters() if parameter.is_cuda})
    with torch.random.fork_rng(devices), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated")  # peft asks for it
        torch.manual_seed(seed)
        adapted: PeftModel = get_peft_model(model, config)
    return adapted


def _linear_layers(model: Any) -> dict[str, torch.nn.Module]:
    """The linear layers of the decoder, by name."""
    if any(parameter.dim() == 3 and ".experts." in name for name, parameter in model.named_parameters()):
        what = "The student is a mixture of experts, whose weights are not linear layers: LoRA would not teach them."
        raise ModelError(what, "Leave out train.lora, or take a student without experts.")
    head = model.get_output_embeddings()
    layers: dict[str, torch.nn.Module] = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear | Conv1D) and module is not head
    }
    if not layers:
        raise ModelError("The student has no linear layers that LoRA could adapt.", "Leave out train.lora.")
    return layers


def merged(adapted: PeftModel) -> Any:
    """The plain transformers model, with the adapters added into its weights: the adapters are gone afterwards."""
    model: Any = adapted.merge_and_unload()
    return model


def save_adapter(adapted: PeftModel, out: Path, base: str) -> None:
    """`out/adapter` in peft's form (adapter_config.json, adapter_model.safetensors), whole or not there at all.

    `base` is what the adapter says that it belongs to: the model's folder, or its name on the hub.
    """
    partial = out / f"{ADAPTER}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    # peft's own save_pretrained asks the hub about the base, and adds a card without content.
    weights = get_peft_model_state_dict(adapted, save_embedding_layers=False)
    on_disk = {name: weight.detach().cpu().contiguous() for name, weight in weights.items()}
    save_file(on_disk, partial / "adapter_model.safetensors", metadata={"format": "pt"})
    config = adapted.peft_config["default"]
    config.base_model_name_or_path = base
    config.inference_mode = True
    config.save_pretrained(str(partial))
    for file in partial.iterdir():
        file.chmod(0o644)  # safetensors writes files that only their owner can read
        sync(file)
    sync(partial)
    shutil.rmtree(out / ADAPTER, ignore_errors=True)
    partial.replace(out / ADAPTER)
    sync(out)


def lora_facts(adapted: PeftModel) -> dict[str, Any]:
    """What train.json says of the adapters."""
    config: Any = adapted.peft_config["default"]
    trained = sum(parameter.numel() for parameter in adapted.parameters() if parameter.requires_grad)
    return {"rank": config.r, "alpha": config.lora_alpha, "trained_parameters": trained}


def refuse_new_tokens(
    rows: Sequence[Row], model: Any, tokenizer: PreTrainedTokenizerBase, end_ids: Collection[int]
) -> None:
    """Raises ModelError where LoRA would have to teach tokens that the model has never learned.

    Embeddings and the output layer stay as they are. A token that was added to the tokenizer (a think tag, an end
    token) and never trained cannot be told apart in them, so that the student would never write it. That is looked for
    among the added tokens of what is trained: a row of zeros, a row that another token has too, or one at the mean of
    all rows, where transformers puts new ones. A row of random numbers, as others put there, looks like a trained one.
    """
    trained = set(np.concatenate([row.ids[row.trained] for row in rows]).tolist())
    added = trained & (set(tokenizer.added_tokens_decoder) | set(end_ids))
    ends = (model.get_input_embeddings().weight, model.get_output_embeddings().weight)
    unknown = sorted({number for weight_VD in ends for number in untrained_rows(weight_VD, sorted(added))})
    if unknown:
        names = ", ".join(repr(tokenizer.convert_ids_to_tokens(number)) for number in unknown)
        raise ModelError(
            f"The student has never learned the tokens that it is to write: {names} (their embeddings are all alike, "
            "or all zero). LoRA leaves embeddings as they are.",
            "Leave out train.lora, so that they are trained, or take a student that knows these tokens.",
        )


def untrained_rows(weight_VD: Tensor, numbers: Sequence[int]) -> list[int]:
    """Which of the rows `numbers` are all zero, equal to another row, or at the mean of all rows."""
    if not numbers:
        return []
    weight_VD = weight_VD.detach().float()
    mean_D = weight_VD.mean(dim=0)
    usual = torch.linalg.vector_norm(weight_VD - mean_D, dim=1).median()
    found = []
    for number in numbers:
        row_D = weight_VD[number]
        is_at_mean = torch.linalg.vector_norm(row_D - mean_D) < AT_THE_MEAN * usual
        alike = int((weight_VD == row_D).all(dim=1).sum())
        if not row_D.any() or is_at_mean or alike > 1:
            found.append(number)
    return found
