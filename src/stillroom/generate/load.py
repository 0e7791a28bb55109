"""A causal language model and its tokenizer from a local folder, and nothing that could run somebody's code."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from gguf import GGUFReader
from safetensors import SafetensorError
from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as transformers_logging

from stillroom.base.errors import ModelError

LOADING_ERRORS = (
    AttributeError,
    LookupError,
    OSError,
    RuntimeError,
    SafetensorError,
    TypeError,
    ValueError,
    struct.error,
)
"""What transformers raises for a damaged or unknown model: it checks little, so that these come from anywhere in it."""
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")


@dataclass(frozen=True, slots=True)
class LocalModel:
    path: Path
    model: PreTrainedModel
    """In evaluation mode, float32, on the CPU."""
    tokenizer: PreTrainedTokenizerBase
    """A fast tokenizer with a chat template."""
    end_ids: frozenset[int]
    """Tokens that end a reply, from the generation config, the model's config and the tokenizer."""
    context: int
    """Most tokens that prompt and reply together may have."""


def load_model(path: Path) -> LocalModel:
    """The model in a Hugging Face folder (safetensors), in a folder with one .gguf file, or in a .gguf file.

    Weights become float32 whatever they are on disk; those of a GGUF file are dequantised. Nothing is downloaded and
    no code from the folder is run. Raises ModelError, with what is missing or refused.
    """
    gguf = _gguf_file(path)
    if gguf is None:
        _refuse_incomplete(path)
        folder, extra = path, {"use_safetensors": True}
    else:
        folder, extra = gguf.parent, _gguf_arguments(gguf)
    model = _load_weights(folder, extra)
    tokenizer = _load_tokenizer(folder, gguf)
    return LocalModel(
        path=path,
        model=model.train(False),
        tokenizer=tokenizer,
        end_ids=_end_ids(model.generation_config, model.config, tokenizer),
        context=_context(model.config, path),
    )


def load_tokenizer(path: Path, *, with_weights: bool = True) -> tuple[PreTrainedTokenizerBase, frozenset[int], int]:
    """The tokenizer, end ids and context that `load_model` gives for this path, without reading the weights.

    Raises ModelError as it does; without `with_weights` the folder need not have any.
    """
    gguf = _gguf_file(path)
    folder, extra = (path, {}) if gguf is None else (gguf.parent, {"gguf_file": gguf.name})
    if gguf is None:
        _refuse_incomplete(path, with_weights=with_weights)
    with quiet(), _as_model_error(folder):
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False, **extra)
    generation = None
    if (folder / "generation_config.json").is_file():
        with _as_model_error(folder):
            generation = GenerationConfig.from_pretrained(folder, local_files_only=True)
    tokenizer = _load_tokenizer(folder, gguf)
    return tokenizer, _end_ids(generation, config, tokenizer), _context(config, path)


def _gguf_file(path: Path) -> Path | None:
    if path.suffix == ".gguf" and path.is_file():
        return path
    if not path.is_dir():
        raise ModelError(f"There is no model folder at {path}.", "Name a folder with config.json and safetensors.")
    files = sorted(path.glob("*.gguf"))
    if not files or (path / "config.json").exists():
        return None
    if len(files) > 1:
        names = ", ".join(file.name for file in files)
        raise ModelError(f"{path} holds several GGUF files: {names}.", "Name one of the files.")
    return files[0]


def _gguf_arguments(gguf: Path) -> dict[str, Any]:
    try:
        from transformers import GgufConfig
    except ImportError as error:
        raise ModelError(f"{gguf} needs a newer transformers.", "Run: pip install -U transformers") from error
    return {"gguf_file": gguf.name, "quantization_config": GgufConfig(dequantize=True)}


def _refuse_incomplete(folder: Path, *, with_weights: bool = True) -> None:
    """Name what is missing before a library stumbles over it."""
    config_path = folder / "config.json"
    if not config_path.is_file():
        raise ModelError(f"{folder} has no config.json.", "Name a folder that holds a whole model, not an adapter.")
    try:
        config = json.loads(config_path.read_bytes())
    except ValueError as error:
        raise ModelError(f"{config_path} is not JSON: {error}.", "Get the file again.") from error
    if not isinstance(config, dict) or "model_type" not in config:
        raise ModelError(f"{config_path} does not say its model_type.", "Name a folder with a causal language model.")
    if with_weights and not any(folder.glob("*.safetensors")):
        if any(next(folder.glob(pattern), None) for pattern in PICKLES):
            raise ModelError(
                f"{folder} has its weights as pickle, which can run code when it is read.",
                "Convert them to safetensors.",
            )
        raise ModelError(f"{folder} has no weights (*.safetensors).", "Name a folder that holds a whole model.")
    if not (folder / "tokenizer.json").is_file():
        raise ModelError(f"{folder} has no tokenizer.json.", "Save the model's fast tokenizer in the folder.")


def _load_weights(folder: Path, extra: dict[str, Any]) -> PreTrainedModel:
    with quiet(), _as_model_error(folder):
        loader: Any = AutoModelForCausalLM  # typed there as giving the model alone
        model, report = loader.from_pretrained(
            folder,
            dtype=torch.float32,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are in the report, with their names
            **extra,
        )
    # transformers fills what the file lacks with random numbers and only warns: such a model would answer nonsense.
    lacking = sorted(report["missing_keys"]) + sorted(key for key, *_ in report["mismatched_keys"])
    if lacking:
        more = f" and {len(lacking) - 3} more" if len(lacking) > 3 else ""
        raise ModelError(
            f"The weights in {folder} do not fit its config: {', '.join(lacking[:3])}{more}.", "Get the model again."
        )
    assert isinstance(model, PreTrainedModel)
    return model


def _load_tokenizer(folder: Path, gguf: Path | None) -> PreTrainedTokenizerBase:
    extra = {} if gguf is None else {"gguf_file": gguf.name}
    with quiet(), _as_model_error(folder):
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False, **extra)
    if not tokenizer.is_fast:
        raise ModelError(f"The tokenizer in {folder} is not a fast one.", "Save it as tokenizer.json.")
    if not tokenizer.chat_template:
        raise ModelError(
            f"{folder} has no chat template, so a conversation can't be put to this model.",
            "Use an instruct model, or add chat_template.jinja to the folder.",
        )
    assert isinstance(tokenizer, PreTrainedTokenizerBase)
    if gguf is not None and _pre_tokenizer(gguf) == "smollm":
        # transformers does not know this way of splitting: each digit by itself, then as GPT-2 does.
        tokenizer.backend_tokenizer.pre_tokenizer = Sequence([Digits(individual_digits=True), ByteLevel(False)])
    # Some files come with a length at which they cut, and one to which they pad.
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    return tokenizer


def _pre_tokenizer(gguf: Path) -> str | None:
    """llama.cpp's name for how a text is split before it becomes tokens."""
    with _as_model_error(gguf):
        field = GGUFReader(gguf).get_field("tokenizer.ggml.pre")
    return None if field is None else str(field.contents())


def _end_ids(
    generation: GenerationConfig | None, config: PreTrainedConfig, tokenizer: PreTrainedTokenizerBase
) -> frozenset[int]:
    ids: set[int] = set()
    for value in (getattr(generation, "eos_token_id", None), config.eos_token_id, tokenizer.eos_token_id):
        if isinstance(value, int):
            ids.add(value)
        elif value is not None:
            ids.update(value)
    return frozenset(ids)


def _context(model_config: PreTrainedConfig, path: Path) -> int:
    config = model_config.get_text_config()
    limits = [getattr(config, name, None) for name in ("max_position_embeddings", "n_positions", "n_ctx")]
    known = [limit for limit in limits if isinstance(limit, int)]
    if not known:
        raise ModelError(f"The config in {path} does not say max_position_embeddings.", "Add it to config.json.")
    # Up to its window, sliding attention is full attention; past it the cache would have to forget, and does not.
    window = getattr(config, "sliding_window", None)
    in_use = getattr(config, "use_sliding_window", True)
    return min([*known, window] if isinstance(window, int) and window > 0 and in_use else known)


@contextmanager
def _as_model_error(folder: Path) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise ModelError(f"{folder} needs a library that is not installed: {error}.", "Install it.") from error
    except LOADING_ERRORS as error:
        first_line = str(error).strip().partition("\n")[0]
        raise ModelError(
            f"{folder} could not be loaded ({type(error).__name__}: {first_line}).",
            "It must be a causal language model that transformers knows without code from elsewhere.",
        ) from error


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars: other things are printed while a model loads."""
    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if shown:
            transformers_logging.enable_progress_bar()  # type: ignore[no-untyped-call]
