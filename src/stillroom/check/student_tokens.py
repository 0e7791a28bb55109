"""Tokens as the student counts them."""

from __future__ import annotations

from pathlib import Path

from stillroom.check.filters import TokenCount
from stillroom.store.files import read_object


def token_count(student: Path) -> TokenCount | None:
    """The number of tokens of a text, by the tokenizer in a model's folder; None where there is none to be read so.

    Raises StoreError for a tokenizer.json that is not JSON. Needs the package `tokenizers`, of the extra `train`.
    """
    file = student / "tokenizer.json"
    if not file.is_file():
        return None
    read_object(file)
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_truncation()  # some files cut at a length of their own
    tokenizer.no_padding()
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)
