"""Whether a GGUF file is the student: read back, run by llama.cpp, and held against the Hugging Face folder.

B one row, T tokens of a prompt or reply, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from gguf import GGUFReader
from transformers import PreTrainedTokenizerBase

from stillroom.base.errors import ModelError
from stillroom.export.gguf_converter import Precision
from stillroom.export.llama_cpp import Heard, Order, hear
from stillroom.generate.load import LocalModel, load_model
from stillroom.generate.prompt import conversation_text, encode
from stillroom.text.think import CLOSE, OPEN

REPLY_TOKENS = 32
CONVERSATIONS: tuple[tuple[dict[str, str], ...], ...] = (
    ({"role": "user", "content": "What is 17 plus 26? Think step by step."},),
    ({"role": "user", "content": "Name three rivers of Europe, and say where each begins."},),
    (
        {"role": "user", "content": "Write a line of Python that sums 1 to 10."},
        {"role": "assistant", "content": "`print(sum(range(1, 11)))`"},
        {"role": "user", "content": "Now with a loop."},
    ),
)
TEXTS = (
    "She's 12, he'll be 3456789 on 2024-01-31; it cost $1,299.50 (−4 %)!",
    "def f(x):\n    if x  >=  10:\n\t\treturn x**2  # ok\n\n\nprint(f(3.14))",
    "Größe, naïve, façade; Привет мир; 今天天气很好; こんにちは; नमस्ते; 🙂🙂👍🏽",
    f"{OPEN}\n2 + 3 = 5, so x = \\frac{{5}}{{2}}.\n{CLOSE}\n\n\\boxed{{2.5}}",
)
LARGEST_GAP: dict[Precision, float] = {"f32": 0.1, "f16": 0.1, "bf16": 0.5, "q8_0": 1.0}
"""How far below the student's best token one may lie, in logits, that llama.cpp takes for the best.

A file with other weights, or with the right ones in the wrong places, is off by many times as much.
"""
SPOILT = "No file was written. Serve the student with stillroom serve instead."


@dataclass(frozen=True, slots=True)
class Agreement:
    prompts: int
    tokens: int
    """Of all replies of llama.cpp."""
    same: int
    """Of them, those that the student would have taken at the same place."""
    largest_gap: float
    """How far below its best token, in logits, the student puts the one that llama.cpp took; the worst of all."""


def check_gguf(
    file: Path, student: Path, tokenizer: PreTrainedTokenizerBase, end_ids: frozenset[int], precision: Precision
) -> Agreement:
    """Raises ModelError unless llama.cpp reads, ends and answers what the student does.

    The student is loaded in float32, after llama.cpp has let go of the file.
    """
    prompts = [encode(tokenizer, conversation_text(tokenizer, messages)) for messages in CONVERSATIONS]
    tags = _think_tags(tokenizer)
    heard = hear(
        Order(
            file=str(file),
            conversations=CONVERSATIONS,
            texts=TEXTS,
            prompts=prompts,
            reply_tokens=REPLY_TOKENS,
            marks=[*sorted(end_ids), *tags.values()],
            threads=torch.get_num_threads(),
        )
    )
    for ids, wanted in zip([*heard.texts, *heard.conversations], [*_text_ids(tokenizer), *prompts], strict=True):
        _refuse_other_ids(ids, wanted, tokenizer)
    _refuse_lost_marks(heard, sorted(end_ids), tags, tokenizer)
    return _agreement(load_model(student), prompts, heard.replies, LARGEST_GAP[precision])


def match_begin(reader: GGUFReader, tokenizer: PreTrainedTokenizerBase) -> None:
    """Have the file, open for writing, say that a prompt begins with the BOS token where the chat template writes one.

    The converter goes by the tokenizer, which puts one before every text, or none, whatever the template does.
    """
    begins = encode(tokenizer, conversation_text(tokenizer, CONVERSATIONS[0]))[0] == tokenizer.bos_token_id
    field = reader.get_field("tokenizer.ggml.add_bos_token")
    if field is not None:
        field.parts[field.data[0]][0] = begins
        reader.data.flush()


def refuse_other_template(reader: GGUFReader, tokenizer: PreTrainedTokenizerBase) -> None:
    """Raises ModelError unless the file has the student's chat template, letter by letter."""
    field = reader.get_field("tokenizer.chat_template")
    if field is None or field.contents() != tokenizer.get_chat_template():
        raise ModelError("The chat template in the GGUF file is not the student's.", SPOILT)


def _think_tags(tokenizer: PreTrainedTokenizerBase) -> dict[str, int]:
    """Those that are one token in this vocabulary."""
    ids = {tag: encode(tokenizer, tag) for tag in (OPEN, CLOSE)}
    return {tag: found[0] for tag, found in ids.items() if len(found) == 1}


def _text_ids(tokenizer: PreTrainedTokenizerBase) -> Iterator[list[int]]:
    for text in TEXTS:
        yield encode(tokenizer, text)


def _refuse_other_ids(ids: Sequence[int], wanted: Sequence[int], tokenizer: PreTrainedTokenizerBase) -> None:
    if list(ids) == list(wanted):
        return
    place = next((i for i, (one, other) in enumerate(zip(ids, wanted, strict=False)) if one != other), None)
    place = min(len(ids), len(wanted)) if place is None else place
    before, ours, theirs = (
        str(tokenizer.decode(list(part)))
        for part in (wanted[max(0, place - 5) : place], wanted[place : place + 3], ids[place : place + 3])
    )
    raise ModelError(
        f"llama.cpp would read other tokens than the student was trained on: after {before!r}, {theirs!r} "
        f"in place of {ours!r}.",
        SPOILT,
    )


def _refuse_lost_marks(
    heard: Heard, end_ids: Sequence[int], tags: dict[str, int], tokenizer: PreTrainedTokenizerBase
) -> None:
    marks = iter(heard.marks)
    for number, mark in zip(end_ids, marks, strict=False):
        if not mark.ends:
            token = tokenizer.convert_ids_to_tokens(number)
            raise ModelError(f"llama.cpp would not end a reply at {token}, where the student ends it.", SPOILT)
    for tag, mark in zip(tags, marks, strict=True):
        if mark.shown != tag or mark.ends:
            raise ModelError(f"llama.cpp would show {mark.shown!r} where the student writes {tag}.", SPOILT)


def _agreement(
    local: LocalModel, prompts: Sequence[list[int]], replies: Sequence[list[int]], largest: float
) -> Agreement:
    gaps: list[float] = []
    for prompt, reply in zip(prompts, replies, strict=True):
        gaps += token_gaps(local, prompt, reply)
    worst = max(gaps, default=float("inf"), key=lambda gap: float("inf") if gap != gap else gap)
    if not worst <= largest:
        raise ModelError(
            f"llama.cpp writes what the student would not: it took a token whose logit is {worst:.2f} below the "
            f"student's best, and at most {largest} is rounding.",
            SPOILT,
        )
    return Agreement(len(prompts), len(gaps), sum(gap == 0 for gap in gaps), worst)


def token_gaps(local: LocalModel, prompt: Sequence[int], reply: Sequence[int]) -> list[float]:
    """For each token of the reply, how far below the best one, in logits, the model puts it after all before it."""
    if not reply:
        return []
    ids_BT = torch.tensor([[*prompt, *reply]], device=local.model.device)
    with torch.inference_mode():
        logits_TV = local.model(input_ids=ids_BT[:, :-1]).logits[0, len(prompt) - 1 :].float()
    chosen_T = logits_TV.gather(1, ids_BT[0, len(prompt) :, None])[:, 0]
    gaps: list[float] = (logits_TV.amax(1) - chosen_T).tolist()
    return gaps
