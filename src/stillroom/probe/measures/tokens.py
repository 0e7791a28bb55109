"""The tokens that texts are compared by: as they stand, for a model that learned a text learned how it is written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import blake2b
from itertools import islice

import numpy as np

from stillroom.text.flat import Flat

# Scripts that put no spaces between words: every character counts as a word.
_UNSPACED = r"\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_TOKEN = re.compile(rf"[{_UNSPACED}]|\d+|(?:(?![{_UNSPACED}])[^\W\d_])+|\n+|[^\w\s]|_")


def tokens(text: str) -> list[str]:
    """Words with their case, numbers, every mark of punctuation by itself, and ends of lines; other white space is
    left out."""
    return _TOKEN.findall(text)


def first_tokens(text: str, count: int) -> str:
    """The text as far as its first `count` tokens; all of it where it has no more."""
    found = list(islice(_TOKEN.finditer(text), max(count, 0) + 1))
    return text if len(found) <= count else text[: found[count - 1].end()] if count > 0 else ""


def token_codes(texts: Sequence[str]) -> Flat:
    """Each text's tokens as 64-bit hashes, which are the same on every machine."""
    known: dict[str, int] = {}
    codes: list[int] = []
    lengths: list[int] = []
    for text in texts:
        found = tokens(text)
        for token in found:
            code = known.get(token)
            if code is None:
                code = known[token] = _code(token)
            codes.append(code)
        lengths.append(len(found))
    starts = np.concatenate(([0], np.cumsum(lengths, dtype=np.int64))).astype(np.int64)
    return Flat(np.array(codes, np.uint64), starts)


def cut(texts: Flat, longest: np.typing.NDArray[np.int64]) -> Flat:
    """Of each text its first tokens, at most `longest[i]` of text `i`."""
    place = np.arange(len(texts.values)) - np.repeat(texts.starts[:-1], np.diff(texts.starts))
    return texts.where(place < np.repeat(longest, np.diff(texts.starts)))


def _code(token: str) -> int:
    return int.from_bytes(blake2b(token.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
