"""The choices of a multiple-choice question, from columns of their own to letters in an order that nobody can learn."""

from __future__ import annotations

import string
from hashlib import blake2b
from typing import NamedTuple

from stillroom.ask.source_settings import ChoiceColumns
from stillroom.base.errors import DataError
from stillroom.text.columns import Row, text_in


class Lettered(NamedTuple):
    """`A) first`, `B) second`, ... and the letter of the right one."""

    lines: str
    right: str


def lettered(row: Row, columns: ChoiceColumns, question: str, place: object) -> Lettered:
    """The row's choices, in an order that follows from the seed, the question and the choices alone.

    Raises DataError for a column that is not there or is empty, and where two choices are the same.
    """
    choices = [_text(row, column, place) for column in (columns.right, *columns.wrong)]
    if len(set(choices)) < len(choices):
        raise DataError(f"{place} has two choices that are the same.", "Mend the row, or leave it out.")
    right, seed = choices[0], str(columns.seed)
    choices.sort(key=lambda choice: blake2b("\0".join((seed, question, choice)).encode(), digest_size=16).digest())
    letters = string.ascii_uppercase[: len(choices)]
    lines = "\n".join(f"{letter}) {choice}" for letter, choice in zip(letters, choices, strict=True))
    return Lettered(lines, letters[choices.index(right)])


def _text(row: Row, column: str, place: object) -> str:
    text = (text_in(row, column, place) or "").strip()
    if not text:
        raise DataError(f"{place}: {column} is empty, and is one of the choices.", "Fill it, or leave the row out.")
    return text
