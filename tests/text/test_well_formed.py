from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stillroom.text.well_formed import well_formed


@given(st.text(st.characters()))
def test_what_comes_out_can_be_written(text: str) -> None:
    written = well_formed(text).encode().decode()
    assert well_formed(written) == written


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_what_can_be_written_stays(text: str) -> None:
    assert well_formed(text) == text


def test_halves() -> None:
    assert well_formed("a\ud83e") == "a\N{REPLACEMENT CHARACTER}"
    assert well_formed("\ud83e\udd5a") == "\N{EGG}"
