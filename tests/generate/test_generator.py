"""Continuous batching changes when a reply is written, never what is written."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from stillroom.base.errors import ModelError
from stillroom.generate.cache import Pairs
from stillroom.generate.generator import Generation, Generator
from stillroom.generate.load import LocalModel, load_model
from stillroom.generate.sampling import Sampling

SECONDS = 120
VOCABULARY = 96
SMALL: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 256,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": 0,
    "tie_word_embeddings": False,
}


class SlowGenerator(Generator):
    """A step takes a while, so that what happens between two steps can be seen."""

    def _step(self) -> None:
        time.sleep(0.01)
        super()._step()


class CountingGenerator(Generator):
    prompts_read = 0

    def _prefill(self, joining: list[Generation], longest: int) -> Pairs | None:
        self.prompts_read += len(joining)
        return super()._prefill(joining, longest)


@pytest.fixture(scope="module")
def local(tiny_model: Path) -> LocalModel:
    return load_model(tiny_model)


@pytest.fixture
def generator(local: LocalModel) -> Iterator[Generator]:
    generator = Generator(local, threads=1)
    yield generator
    generator.close()


def _prompts(count: int, *, shortest: int = 1, longest: int = 60, vocabulary: int = VOCABULARY) -> list[list[int]]:
    draw = random.Random(11)
    return [[draw.randrange(vocabulary) for _ in range(draw.randint(shortest, longest))] for _ in range(count)]


def _wrap(model: PreTrainedModel, path: Path, context: int = 256) -> LocalModel:
    # A generator looks at no tokenizer.
    return LocalModel(path, model.train(False), SimpleNamespace(), frozenset(), context)  # type: ignore[arg-type]


def _finish(generation: Generation) -> list[int]:
    generation.finished.result(SECONDS)
    return generation.tokens


@pytest.mark.parametrize(
    "model_type",
    [
        (LlamaConfig(**SMALL), LlamaForCausalLM),
        (Qwen3Config(**SMALL), Qwen3ForCausalLM),
        (MistralConfig(**SMALL, sliding_window=128), MistralForCausalLM),
        (Gemma3TextConfig(**SMALL, sliding_window=128), Gemma3ForCausalLM),
        (
            GPT2Config(
                vocab_size=VOCABULARY,
                n_embd=32,
                n_layer=2,
                n_head=4,
                n_positions=256,
                eos_token_id=None,
                bos_token_id=None,
            ),
            GPT2LMHeadModel,
        ),
    ],
    ids=lambda pair: pair[1].__name__,
)
def test_a_batch_writes_what_transformers_writes_alone(model_type: tuple[Any, Any], tmp_path: Path) -> None:
    config, architecture = model_type
    torch.manual_seed(1)
    model = architecture(config).train(False)
    # The spread of random logits is so small that rounding could change the likeliest token.
    model.lm_head.weight.data *= 20
    generator = Generator(_wrap(model, tmp_path, context=128), threads=1)
    prompts = _prompts(9)
    limits = [5 + 7 * index for index in range(9)]
    together = [
        generator.submit(prompt, Sampling(limit, temperature=0)) for prompt, limit in zip(prompts, limits, strict=True)
    ]
    for prompt, limit, generation in zip(prompts, limits, together, strict=True):
        with torch.inference_mode():
            expected = model.generate(
                torch.tensor([prompt]),
                attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
                max_new_tokens=limit,
                do_sample=False,
                pad_token_id=0,
            )
        assert _finish(generation) == expected[0, len(prompt) :].tolist()
    generator.close()


def test_coming_and_going_changes_nothing(local: LocalModel) -> None:
    prompts = _prompts(40)
    draw = random.Random(2)
    settings = [
        Sampling(
            draw.randint(1, 90), temperature=draw.choice([0.0, 0.7, 1.0]), top_p=draw.choice([0.9, 1.0]), seed=seed
        )
        for seed in range(len(prompts))
    ]
    alone = Generator(local, threads=1, max_batch=1)
    expected = [_finish(alone.submit(*asked)) for asked in zip(prompts, settings, strict=True)]
    alone.close()
    together = Generator(local, threads=1, max_batch=7)
    generations = []
    for prompt, sampling in zip(prompts, settings, strict=True):
        generations.append(together.submit(prompt, sampling))
        time.sleep(draw.choice([0, 0, 0.01]))
    assert [_finish(generation) for generation in generations] == expected
    together.close()


def test_memory_too_small_for_the_batch_changes_nothing(local: LocalModel) -> None:
    prompts = _prompts(8)
    roomy = Generator(local, threads=1)
    expected = [_finish(roomy.submit(prompt, Sampling(70, seed=4))) for prompt in prompts]
    roomy.close()
    # 512 bytes of keys and values per token: room for some two rows at full length.
    tight = CountingGenerator(local, threads=1, cache_bytes=2 * 130 * 512)
    generations = [tight.submit(prompt, Sampling(70, seed=4)) for prompt in prompts]
    assert [_finish(generation) for generation in generations] == expected
    tight.close()
    assert tight.prompts_read > len(prompts)


def test_a_short_request_that_comes_later_finishes_first(local: LocalModel) -> None:
    generator = SlowGenerator(local, threads=1)
    begun = threading.Event()
    long = generator.submit([1, 2, 3], Sampling(400, temperature=0), begun.set)
    assert begun.wait(SECONDS)
    short = generator.submit([4, 5], Sampling(5, temperature=0))
    assert len(_finish(short)) == 5
    assert not long.finished.done()
    long.cancel()
    assert long.finished.result(SECONDS) == "cancelled"
    generator.close()


def test_a_full_batch_makes_others_wait_and_a_cancelled_one_never_starts(local: LocalModel) -> None:
    generator = SlowGenerator(local, threads=1, max_batch=1)
    first = generator.submit([1], Sampling(20, temperature=0))
    second = generator.submit([2], Sampling(20, temperature=0))
    third = generator.submit([3], Sampling(2))
    second.cancel()
    _finish(third)
    assert first.finished.done()
    assert second.finished.result(SECONDS) == "cancelled"
    assert second.tokens == []
    generator.close()


def test_reasons_to_finish(generator: Generator, local: LocalModel, taught_model: Path) -> None:
    length = generator.submit([1, 2], Sampling(3, temperature=0))  # by chance it might end by itself
    assert length.finished.result(SECONDS) == "length"
    assert len(length.tokens) == 3
    context = generator.submit([1] * (local.context - 4), Sampling(1000, temperature=0))
    assert context.finished.result(SECONDS) == "length"
    assert len(context.tokens) == 4
    taught = Generator(load_model(taught_model), threads=1)
    tokenizer = taught.local.tokenizer
    stop = taught.submit(tokenizer("<|user|>plain<|end|><|assistant|>")["input_ids"], Sampling(100, temperature=0))
    assert stop.finished.result(SECONDS) == "stop"
    assert stop.tokens[-1] == tokenizer.eos_token_id
    taught.close()


def test_impossible_requests_are_refused(generator: Generator, local: LocalModel) -> None:
    for prompt, limit in (([], 5), ([1] * local.context, 5), ([1], 0)):
        with pytest.raises(ValueError, match="not possible"):
            generator.submit(prompt, Sampling(limit))
    with pytest.raises(ValueError, match="the prompt holds number 9999"):
        generator.submit([1, 9999], Sampling(5))


def test_seeds(generator: Generator) -> None:
    def write(seed: int | str | None) -> list[int]:
        return _finish(generator.submit([1, 2, 3], Sampling(20, seed=seed)))

    assert write(1) == write(1)
    assert len({tuple(write(seed)) for seed in (1, -1, 2, "1 0")}) == 4
    assert len({tuple(write(None)) for _ in range(4)}) > 1  # two alone are both empty once in 70,000 times


def test_closing_fails_what_is_unfinished(local: LocalModel) -> None:
    generator = SlowGenerator(local, threads=1, max_batch=1)
    generations = [generator.submit([1], Sampling(400, temperature=0)) for _ in range(3)]
    alive = [generator.alive]
    generator.close()
    alive.append(generator.alive)
    for generation in generations:
        with pytest.raises(ModelError, match="stopped before"):
            generation.result()
    assert alive == [True, False]
    with pytest.raises(ModelError, match="closed"):
        generator.submit([1], Sampling(1))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_model_that_breaks_leaves_nobody_waiting(tmp_path: Path) -> None:
    generator = Generator(_wrap(LlamaForCausalLM(LlamaConfig(**SMALL)), tmp_path), threads=1)
    fine = generator.submit([1, 2], Sampling(2))
    assert len(_finish(fine)) == 2
    generator.local.model.get_input_embeddings().weight.data = torch.zeros(1, 32)  # knows token 0 alone
    broken = generator.submit([1, 2], Sampling(2))
    with pytest.raises(ModelError, match="stopped before"):
        broken.result()
    generator.close()


def test_a_model_without_keys_and_values_is_refused(tmp_path: Path) -> None:
    model = MambaForCausalLM(MambaConfig(vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=2, state_size=4))
    with pytest.raises(ModelError, match="MambaForCausalLM keeps something other than keys and values"):
        Generator(_wrap(model, tmp_path))
