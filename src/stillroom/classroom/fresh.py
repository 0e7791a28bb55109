"""A model of the classroom before it has learned anything: a small Llama, random weights, the shared tokenizer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict
from transformers import LlamaConfig, LlamaForCausalLM

from stillroom.base.records import Trace
from stillroom.classroom.lessons import lessons
from stillroom.classroom.textbook import worked_solutions
from stillroom.classroom.vocabulary import END, MAX_TOKENS, PAD, build_tokenizer

HEAD_SIZE = 32


class Size(BaseModel):
    """The shape of a model; `hidden` is a multiple of 32."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hidden: int
    layers: int
    inner: int
    """Width of the feed-forward part."""


def write_fresh_model(folder: Path, size: Size, seed: int) -> None:
    """A Hugging Face folder with random float32 weights, the same for the same seed."""
    tokenizer = build_tokenizer(_texts())
    end, pad = (tokenizer.get_vocab()[token] for token in (END, PAD))
    torch.manual_seed(seed)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=size.hidden,
            intermediate_size=size.inner,
            num_hidden_layers=size.layers,
            num_attention_heads=size.hidden // HEAD_SIZE,
            num_key_value_heads=size.hidden // HEAD_SIZE,
            max_position_embeddings=MAX_TOKENS,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=end,
            pad_token_id=pad,
        )
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _texts() -> Iterator[str]:
    """Enough of what the classroom writes to meet every word of it."""
    return (text for traces in (lessons(20_000, 0), worked_solutions(20_000, 0)) for t in traces for text in _parts(t))


def _parts(trace: Trace) -> Iterator[str]:
    for message in trace.messages:
        yield message.content
        # The breaks around a think block are pieces too.
        yield f"\n{message.reasoning}\n\n" if message.reasoning else "\n\n"
