"""How many tokens a text has, roughly, where nobody counted: a stream that was cut, an upstream that says no usage."""

from __future__ import annotations

_BYTES_PER_TOKEN = 4
_BESIDE = 2
"""Tokens around a text: those that begin and end it."""


def estimated_tokens(text: str) -> int:
    """One for every four bytes of UTF-8, rounded up, and two around it; 0 for no text.

    Of long English replies the usual tokenizers make some 4.4 bytes a token: this is a little too many, so that a call
    whose usage got lost is not billed below what it cost. Of short ones, and of tool calls (JSON), it is too few.
    """
    size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    return -(-size // _BYTES_PER_TOKEN) + _BESIDE if size else 0
