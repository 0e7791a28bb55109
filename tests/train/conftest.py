"""Students of many families, without models: each has its family's chat template and a tokenizer of the same sort."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from transformers import PreTrainedTokenizerFast

DATA = Path(__file__).parent.parent / "data"
TEMPLATES = DATA / "chat_templates"
THINK_TAGS = ("<think>", "</think>")
QWEN = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")


@dataclass(frozen=True)
class Family:
    """How a family of models is set up."""

    template: str
    special: tuple[str, ...]
    eos: str
    ends: tuple[str, ...]
    """Of the generation config; the tokenizer's EOS is one of the student's ends anyhow."""
    pieces: str = "bytes"
    """`bytes` as GPT-2 has them, or `blanks` as SentencePiece has them: a text begins with a blank of its own."""
    bos: str | None = None
    pad: str | None = None
    tags_are_tokens: bool = False
    marks_take_blanks: bool = False
    """A special token takes the white space behind it with it."""
    turn_end: str | None = None
    """What its template ends a turn with, where that is not EOS."""


FAMILIES = {
    "chatml": Family("chatml", ("<|im_start|>", "<|im_end|>"), "<|im_end|>", (), pad="<|im_end|>"),
    "chatml on a base": Family("chatml", QWEN, "<|endoftext|>", (), turn_end="<|im_end|>"),
    "qwen2.5": Family("qwen2.5", QWEN, "<|im_end|>", ("<|im_end|>", "<|endoftext|>"), pad="<|endoftext|>"),
    "qwen3": Family("qwen3", QWEN, "<|im_end|>", ("<|im_end|>", "<|endoftext|>"), tags_are_tokens=True),
    "qwen3 thinking": Family("qwen3_thinking", QWEN, "<|im_end|>", ("<|endoftext|>",), tags_are_tokens=True),
    "deepseek r1": Family(
        "deepseek_r1",
        ("<|begin_of_sentence|>", "<|end_of_sentence|>", "<|User|>", "<|Assistant|>"),
        "<|end_of_sentence|>",
        (),
        bos="<|begin_of_sentence|>",
        pad="<|end_of_sentence|>",
        tags_are_tokens=True,
    ),
    "llama 3": Family(
        "llama3",
        (
            "<|begin_of_text|>",
            "<|end_of_text|>",
            "<|start_header_id|>",
            "<|end_header_id|>",
            "<|eom_id|>",
            "<|eot_id|>",
        ),
        "<|eot_id|>",
        ("<|end_of_text|>", "<|eom_id|>", "<|eot_id|>"),
        bos="<|begin_of_text|>",
    ),
    "gemma 2": Family(
        "gemma2",
        ("<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>"),
        "<eos>",
        (),
        pieces="blanks",
        bos="<bos>",
        turn_end="<end_of_turn>",
    ),
    "gemma 3": Family(
        "gemma3",
        ("<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>"),
        "<eos>",
        ("<eos>", "<end_of_turn>"),
        pieces="blanks",
        bos="<bos>",
        turn_end="<end_of_turn>",
    ),
    "mistral v1": Family("mistral_v1", ("<s>", "</s>"), "</s>", (), pieces="blanks", bos="<s>", pad="</s>"),
    "mistral v3": Family(
        "mistral_v3",
        ("<s>", "</s>", "[INST]", "[/INST]", "[TOOL_CALLS]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]"),
        "</s>",
        (),
        pieces="blanks",
        bos="<s>",
    ),
    "llama 2": Family("llama2", ("<s>", "</s>"), "</s>", (), pieces="blanks", bos="<s>"),
    "zephyr": Family("zephyr", ("<s>", "</s>"), "</s>", (), pieces="blanks", bos="<s>", pad="</s>"),
    "phi 3": Family(
        "phi3",
        ("<s>", "<|endoftext|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"),
        "<|endoftext|>",
        ("<|endoftext|>", "<|end|>", "<|assistant|>"),
        pieces="blanks",
        marks_take_blanks=True,
        turn_end="<|end|>",
    ),
    "phi 4": Family("phi4", ("<|endoftext|>", "<|im_start|>", "<|im_sep|>", "<|im_end|>"), "<|im_end|>", ()),
}


@dataclass(frozen=True)
class Student:
    name: str
    tokenizer: Any
    end_ids: frozenset[int]
    turn_end: str
    """The text of the token that ends its turns."""

    def text(self, ids: Any) -> str:
        decoded: str = self.tokenizer.backend_tokenizer.decode([int(each) for each in ids], skip_special_tokens=False)
        return decoded

    def served(self, messages: list[dict[str, Any]], tools: Any = None) -> list[int]:
        """The prompt that `stillroom serve` gives the model for a request."""
        return asyncio.run(_served_prompt(self, messages, tools))


@pytest.fixture(params=list(FAMILIES))
def student(request: pytest.FixtureRequest) -> Student:
    """Of each family in turn."""
    return make_student(request.param)


@pytest.fixture(scope="session")
def students() -> Callable[..., Student]:
    """The student of a family by its name, with the template of another one where that is named."""
    return make_student


@cache
def make_student(name: str, template: str | None = None) -> Student:
    family = FAMILIES[name]
    tokenizer = build_tokenizer(family, template or family.template)
    ends = {int(str(tokenizer.convert_tokens_to_ids(text))) for text in (family.eos, *family.ends)}
    return Student(name, tokenizer, frozenset(ends), family.turn_end or family.eos)


def build_tokenizer(family: Family, template: str) -> PreTrainedTokenizerFast:
    from tokenizers import AddedToken

    backend = _trained(family.pieces)
    marks = [
        AddedToken(text, special=True, normalized=False, rstrip=family.marks_take_blanks) for text in family.special
    ]
    backend.add_special_tokens(marks)
    if family.tags_are_tokens:
        backend.add_tokens([AddedToken(tag, special=False, normalized=False) for tag in THINK_TAGS])
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=backend,
        bos_token=family.bos,
        eos_token=family.eos,
        pad_token=family.pad,
        chat_template=(TEMPLATES / f"{template}.jinja").read_text(encoding="utf-8"),
    )


def _trained(pieces: str) -> Any:
    """A BPE that has learned from school problems, as GPT-2's or as Llama's."""
    from tokenizers import Tokenizer

    return Tokenizer.from_str(_trained_json(pieces))


@cache
def _trained_json(pieces: str) -> str:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    lines = (DATA / "gsm8k" / "test_excerpt.jsonl").read_text("utf-8")
    texts = [" ".join(map(str, json.loads(line).values())) for line in lines.splitlines()]
    if pieces == "bytes":
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        tokenizer.train_from_iterator(
            texts, trainers.BpeTrainer(vocab_size=700, initial_alphabet=alphabet, show_progress=False)
        )
        return str(tokenizer.to_str())
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    special = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256))]
    tokenizer.train_from_iterator(
        (word for text in texts for word in text.split()),
        trainers.BpeTrainer(vocab_size=700, special_tokens=special, show_progress=False),
    )
    kept = json.loads(tokenizer.to_str())
    kept["added_tokens"] = kept["added_tokens"][:1]  # the bytes are pieces like any other
    return json.dumps(kept)


async def _served_prompt(student: Student, messages: list[dict[str, Any]], tools: Any) -> list[int]:
    from stillroom.serve.chat_request import ChatBody
    from stillroom.serve.completion import Completion

    prompts: list[list[int]] = []

    def submit(prompt: list[int], *_: Any) -> Any:
        prompts.append(prompt)
        return SimpleNamespace(finished=Future(), tokens=[])

    local = SimpleNamespace(tokenizer=student.tokenizer, end_ids=student.end_ids, context=100_000)
    generator: Any = SimpleNamespace(local=local, submit=submit)
    Completion(generator, ChatBody.model_validate({"model": "m", "messages": messages, "tools": tools}))
    (prompt,) = prompts
    return prompt
