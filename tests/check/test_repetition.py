from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillroom.check.repetition import LEAST_COPIES, LEAST_LENGTH, LONGEST_UNIT, find_loop

PROSE = (
    "There are 12 apples in the first basket, and the second one holds 5 more than that, which makes 17. Together they "
    "hold 29. She gives away a third of the pears, of which there were 27, so that 18 are left. Now it is asked how "
    "many pieces of fruit there are: 29 and 18 make 47. "
)


@pytest.mark.parametrize(
    "unit",
    [
        "so ",
        "Wait, let me check that again. ",
        "Wait, no. Wait, no. Hmm, perhaps 17 + 1 = 18? ",
        "\n\nLet me verify: 12 + 5 = 17.\n\nBut wait, the problem says that the second basket holds five more.",
        PROSE * 4,
    ],
    ids=len,
)
def test_a_loop_is_found_at_the_end_and_inside(unit: str) -> None:
    copies = max(LEAST_COPIES, LEAST_LENGTH // len(unit) + 1)
    for text in (PROSE + unit * copies, PROSE + unit * copies + "So the answer is 47. " + PROSE[:100], unit * copies):
        loop = find_loop(text)
        assert loop is not None
        assert loop.copies >= copies - 1
        assert loop.unit in unit * 2
        assert len(unit) % len(loop.unit) == 0, "the unit, or what the unit itself is made of"


def test_a_loop_that_breaks_off_in_the_middle_of_a_copy() -> None:
    unit = "The sum of the first two is 9, and I should add the third one. "
    loop = find_loop(PROSE + unit * 9 + unit[:30])
    assert loop is not None
    assert loop.copies == 9


@pytest.mark.parametrize(
    "text",
    [
        "",
        "47",
        PROSE,
        PROSE + PROSE,
        "The same again: " + PROSE * 2 + "And then: " + PROSE,
        "-" * 400,
        "|---|---|---|---|\n" * 20,
        "0.3333333333333333333333333333333333333333",
        "\n".join(f"Case {n}: {n} squared is {n * n}, and that is not 529." for n in range(2, 23)),
        "la la la la la, row, row, row your boat, gently down the stream; row, row, row your boat",
        "&".join(["0"] * 200),
    ],
)
def test_what_is_no_loop(text: str) -> None:
    assert find_loop(text) is None


def test_thousands_of_signs_without_a_letter_are_one() -> None:
    loop = find_loop(PROSE + "..." * 1000)
    assert loop is not None
    assert loop.unit == "."


@pytest.mark.parametrize(
    "text",
    ["ab" * 150 + "x", "a" * 30 + "b", ("a" * 30 + "b") * 3, "abcdefgh" * 37, "-" * 50 + "=" * 50],
    ids=["299 letters", "short", "three copies", "296 letters", "rules"],
)
def test_hostile_texts_take_a_time_that_grows_with_their_length(text: str) -> None:
    # Built so that a probe finds a copy everywhere, and no run is long enough: quadratic, this would take hours.
    broken = "".join(f"{text}{n}" for n in range(1_000_000 // len(text)))
    find_loop(broken)


some_text = st.text(alphabet="ab .\n", max_size=40)


@settings(max_examples=300, deadline=None)
@given(some_text, st.text(alphabet="abcd 1.\n", min_size=1, max_size=60), st.integers(0, 40), some_text)
def test_what_is_found_is_there(before: str, unit: str, copies: int, after: str) -> None:
    text = before + unit * copies + after
    loop = find_loop(text)
    if loop is not None:
        found = text[loop.start : loop.start + loop.length]
        assert len(found) == loop.length >= LEAST_LENGTH
        assert loop.copies >= LEAST_COPIES
        assert (loop.unit * (loop.copies + 1))[: loop.length] == found
    elif any(character.isalpha() for character in unit) and len(unit) * copies >= LEAST_LENGTH + 100:
        assert copies <= LEAST_COPIES + 1 or len(unit) > LONGEST_UNIT
