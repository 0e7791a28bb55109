from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillroom.text.words import number, tokens


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Janet’s ducks lay 16 eggs.", ["Janets", "ducks", "lay", "16", "eggs"]),
        ("a 30-pound bag", ["a", "30", "-", "pound", "bag"]),
        ("It costs $1,234.50, or 1,23?", ["It", "costs", "$", "1234.50", "or", "1", "23"]),
        ("Compute 5! and (n)! now!", ["Compute", "5", "!", "and", "(", "n", ")", "!", "now"]),
        ("x^2 + 3x", ["x", "^", "2", "+", "3", "x"]),
        ("so\u00adft\u200b hy\u2011phen", ["soft", "hy", "-", "phen"]),
        ("ｆｕｌｌ １２", ["full", "12"]),
        ("日本語です 3", ["日", "本", "語", "で", "す", "3"]),
        ("naïve Straße", ["naïve", "Straße"]),
        ("?!… “”", []),
        ("", []),
    ],
)
def test_tokens(text: str, expected: list[str]) -> None:
    assert tokens(text) == expected


@pytest.mark.parametrize(
    ("token", "expected"),
    [("007", "7"), ("3.50", "3.5"), ("3.0", "3"), ("0", "0"), ("Seven", "7"), ("twenty", "20"), ("zero", "0"),
     ("٣٤", "34"), ("one", None), ("egg", None), ("+", None)],
)  # fmt: skip
def test_numbers(token: str, expected: str | None) -> None:
    assert number(token) == expected


TEXTS = st.text(st.characters(codec="ascii"), max_size=60) | st.text("aBéß 12.,!?'\"-’“\n\t", max_size=40)


@given(TEXTS)
def test_case_white_space_and_typography_make_no_difference(text: str) -> None:
    plain = [token.casefold() for token in tokens(text)]
    changed = text.replace("'", "’").replace('"', "”").replace("-", "–").replace(" ", " \u00a0\n").upper()
    assert [token.casefold() for token in tokens(f"\u200b {changed}\n")] == plain


@given(st.text(max_size=60))
def test_any_text_has_tokens_none_of_which_is_empty_or_blank(text: str) -> None:
    for token in tokens(text):
        assert token
        assert not token.isspace()
        number(token)
