"""Texts in the classroom's words, marked and not, without a model: each word follows the one before by chance alone."""

from __future__ import annotations

from functools import cache

import numpy as np
from transformers import PreTrainedTokenizerBase

from stillroom.classroom.models import teacher_folder
from stillroom.generate.load import load_tokenizer
from stillroom.generate.prompt import encode
from stillroom.generate.tokenizer_digest import tokenizer_digest
from stillroom.probe.watermark.verification import Tokenizer
from stillroom.text.green_list import Mark, green_V


@cache
def classroom_tokenizer() -> PreTrainedTokenizerBase:
    return load_tokenizer(teacher_folder(), with_weights=False)[0]


def classroom() -> Tokenizer:
    tokenizer = classroom_tokenizer()
    return Tokenizer(lambda text: encode(tokenizer, text), tokenizer_digest(tokenizer))


@cache
def words() -> tuple[int, ...]:
    """Tokens that stay what they are when a text of them is written and read again."""
    tokenizer = classroom_tokenizer()
    spaced = [token for token in range(len(tokenizer)) if str(tokenizer.decode([token])).startswith(" ")]
    return tuple(token for token in spaced if encode(tokenizer, str(tokenizer.decode([token] * 2))) == [token] * 2)


def text_tokens(length: int, seed: int, mark: Mark | None = None, tokens: tuple[int, ...] | None = None) -> list[int]:
    """`length` of `tokens` (all `words` where none are given), green ones likelier by the mark's strength."""
    tokens = tokens or words()
    random = np.random.default_rng(seed)
    text = [int(random.choice(tokens))]
    while len(text) < length:
        weight = np.ones(len(tokens))
        if mark is not None:
            weight = np.exp(mark.strength * green_V(mark, text[-1], 1000)[list(tokens)])
        text.append(int(random.choice(tokens, p=weight / weight.sum())))
    return text


def text(length: int, seed: int, mark: Mark | None = None) -> str:
    return str(classroom_tokenizer().decode(text_tokens(length, seed, mark)))
