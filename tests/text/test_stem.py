from __future__ import annotations

import pytest

from stillroom.text.stem import stem


@pytest.mark.parametrize(
    "words",
    ["run running runs", "bake bakes baked baking", "stop stopped stopping", "city cities", "carry carried carrying",
     "watch watches watched", "box boxes", "save saved saving", "glass glasses", "house houses", "muffin muffins"],
)  # fmt: skip
def test_a_word_s_forms_have_one_stem(words: str) -> None:
    assert len({stem(word) for word in words.split()}) == 1


@pytest.mark.parametrize(("left", "right"), [("Austria", "Australia"), ("bus", "busy"), ("use", "bus"), ("is", "as")])
def test_other_words_have_others(left: str, right: str) -> None:
    assert stem(left) != stem(right)
