"""Fixtures that several folders of tests share. torch and transformers load only where a model is asked for."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

# On a busy machine any example may be slow, and slow to make, and no test of ours is about time. The examples follow
# from the test alone: a commit passes or fails, whatever the day. `pytest --hypothesis-profile=default` tries others.
hypothesis.settings.register_profile(
    "stillroom", deadline=None, derandomize=True, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("stillroom")

CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)

TAUGHT = {
    "sum": "<think>\n2 + 3 = 5\n</think>\n\nIt is 5.",
    "plain": "no thoughts, naïve ☕",
    "count": "<think>\n1 2 3 4 5 6 7 8\n</think>\n\none, two, three, four",
}
"""What `taught_model` replies to each of these questions, word for word, when it is asked greedily."""


@pytest.fixture
def whole_day() -> None:
    """For what is counted by days of UTC and by the real clock: in the last minute of one, wait for the next."""
    left_s = 86_400 - time.time() % 86_400
    if left_s < 60:
        time.sleep(left_s + 1)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama with random weights (float16 on disk) that knows 256 bytes, two merges and a few special tokens."""
    return _save(_new_model(_byte_tokenizer()), _byte_tokenizer(), tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def taught_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model after it has learned TAUGHT by heart."""
    import torch

    tokenizer = _byte_tokenizer()
    model = _new_model(tokenizer)
    rows = []
    for question, reply in TAUGHT.items():
        prompt = tokenizer.apply_chat_template(
            [{"role": "user", "content": question}], tokenize=False, add_generation_prompt=True
        )
        prompt_ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        reply_ids = [*tokenizer(reply, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
        rows.append((torch.tensor([prompt_ids + reply_ids]), torch.tensor([[-100] * len(prompt_ids) + reply_ids])))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.0)
    for _ in range(400):
        losses = [model(input_ids=ids_BT, labels=labels_BT).loss for ids_BT, labels_BT in rows]
        optimizer.zero_grad()
        torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if max(loss.item() for loss in losses) < 0.005:
            break
    return _save(model, tokenizer, tmp_path_factory.mktemp("models") / "taught")


def _new_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=512,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def _byte_tokenizer() -> PreTrainedTokenizerFast:
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("h", "e"), ("t", "he")]
    vocabulary = [*alphabet, *("".join(pair) for pair in merges)]
    tokenizer = Tokenizer(models.BPE(vocab={token: index for index, token in enumerate(vocabulary)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"])
    tokenizer.add_tokens([AddedToken("<think>", normalized=False), AddedToken("</think>", normalized=False)])
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        eos_token="<|end|>",
        pad_token="<|pad|>",
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
    )


def _save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> Path:
    import torch

    torch.nn.Module.to(model, torch.float16)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
