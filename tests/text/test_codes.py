from __future__ import annotations

import pytest

from stillroom.text.codes import FUNCTION, NUMBER, ONE, OPERATOR, SORT, SYMBOL, VARIABLE, Codebook


@pytest.mark.parametrize(
    ("token", "sort"),
    [("12", NUMBER), ("three", NUMBER), ("+", OPERATOR), ("$", SYMBOL), ("The", FUNCTION), ("x", VARIABLE),
     ("α", VARIABLE), ("muffins", 0), ("語", 0)],
)  # fmt: skip
def test_sorts(token: str, sort: int) -> None:
    [code] = Codebook().codes([token])
    assert code & SORT == sort
    assert code < 2**32


@pytest.mark.parametrize(
    ("left", "right"),
    [("Baking", "bakes"), ("3", "three"), ("3.0", "3"), ("X", "x"), ("Cities", "city"), ("STOPPED", "stop")],
)
def test_words_with_one_stem_and_numbers_of_one_value_have_one_code(left: str, right: str) -> None:
    codebook = Codebook()
    assert codebook.codes([left]) == codebook.codes([right])


def test_a_codebook_gives_the_same_codes_as_a_new_one() -> None:
    words = ["Janets", "ducks", "lay", "1", "eggs", "ducks"]
    codebook = Codebook()
    assert codebook.codes(words) == codebook.codes(words) == Codebook().codes(words)
    assert codebook.codes(words)[3] == ONE
