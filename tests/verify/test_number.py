from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillroom.verify.number import verify_number
from stillroom.verify.numerals import numerals, tidied


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        ("18", "18"),
        ("18", "18."),
        ("18", "18.00"),
        ("18", "She has 3 left, so 9 * 2 = 18 dollars a day."),
        ("18", "The answer is 18. I used 2 steps."),
        ("18", "The answer is $18$ because 9 and 2 make 18."),
        ("18", "The final answer is: **18**"),
        ("18", "**Answer:** 18 apples"),
        ("18", "**Final Answer**\n\n18"),
        ("18", "Answer: x = 9 * 2 = 18"),
        ("18", "So \\boxed{18}. That took 4 steps."),
        ("18", "so \\boxed{\\text{18 dollars}}"),
        ("18", "The answer is:\n\n$$\\boxed{18}$$"),
        ("18", "9 + 9 = 18\n#### 18"),
        ("18", "#### 18\n\nQuestion: what are 5 and 6?"),
        ("18", "#### Step 1\nnine twice\n#### Step 2\nwhich makes 18"),
        ("18", "<answer>18</answer> (2 steps)"),
        ("18", "The answer is 20. Wait, no: the answer is 18."),
        ("18", "The answer to the question in part 2 is 18."),
        ("18", "The area is 18 cm^2"),
        ("18", "The area is 18 m²"),
        ("18", "\\$18"),
        ("18", "US$18"),
        ("18 dollars", "$18"),
        ("-5", "The answer is -5"),
        ("-5", "\u22125"),
        ("-5", "x = $-5$"),
        ("-5", "a loss of -$5"),
        ("3", "8-5=3"),
        ("1,234", "1234"),
        ("1234", "1,234"),
        ("1234", "1{,}234"),
        ("1234", "1\\,234"),
        ("1234", "1\u202f234"),
        ("1234", "1 234"),
        ("1234567", "1.234.567"),
        ("1234.5", "1.234,50"),
        ("100000", "1,00,000"),
        ("0.5", "1/2"),
        ("0.5", ".5"),
        ("1/2", "0.5"),
        ("1/2", "\\frac{1}{2}"),
        ("1/2", "\\dfrac12"),
        ("\\frac{1}{2}", "2/4"),
        ("1/2", "½"),
        ("2.5", "2½ cups"),
        ("2.5", "2 1/2 cups"),
        ("2.5", "2\\frac{1}{2}"),
        ("50%", "50 %"),
        ("50%", "50"),
        ("50", "50\\%"),
        ("50", "50 percent"),
        ("0.5", "50%"),
        ("50%", "0.5"),
        ("1500", "1.5e3"),
        ("1500", "1.5 × 10^3"),
        ("1500", "1.5 \\times 10^{3}"),
        ("1000", "10^3"),
        ("1000", "10³"),
        ("5000000", "5 million"),
        ("18", "1. Add 9 and 9.\n2. Get 18."),
        ("18", "- 9 twice\n- 18"),
        ("70000", "#### 70000"),
        ("12", "The answer is twelve"),
        ("12", "It makes twelve."),
        ("18 dollars", "1800 cents"),
        ("18 km", "18,000 metres"),
    ],
)
def test_right(reference: str, answer: str) -> None:
    assert verify_number(reference, answer).verdict == "right", verify_number(reference, answer)


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        ("18", "81"),
        ("18", "18.5"),
        ("18", "-18"),
        ("18", "180"),
        ("18", "1/18"),
        ("18", "I do not know."),
        ("18", "The answer is 20, not 18."),
        ("18", "First 18, then the answer is 20"),
        ("18", "18 is too low. \\boxed{20}"),
        ("2", "The area is 18 cm^2"),
        ("2", "The area is 18 cm²"),
        ("2", "H2 and O make 18"),
        ("0.5", "5"),
        ("9007199254740993", "9007199254740992"),
        ("3.5", "The answer is 4.0"),
        ("1/3", "2/3"),
        ("18 km", "18 m"),
        ("18 dollars", "18 euros"),
    ],
)
def test_wrong(reference: str, answer: str) -> None:
    assert verify_number(reference, answer).verdict == "wrong", verify_number(reference, answer)


@pytest.mark.parametrize(
    ("reference", "answer", "word"),
    [
        ("5", "The answer is 5 or 6", "joined"),
        ("6", "It is 5 or 6.", "joined"),
        ("5", "The answer is 5-6", "joined"),
        ("5", "The answer is 5 apples and 3 oranges", "joined"),
        ("3", "The answer is 3 + 4", "joined"),
        ("5", "Answer: 5, 6, 7", "joined"),
        ("3", "Answer: 3:30", "joined"),
        ("3.5", "3,5", "no single meaning"),
        ("5", "5 million", "two meanings"),
        ("1.234", "1,234", "two meanings"),
        ("18", "18,000", "two meanings"),
        ("0.5", "0.5%", "percent"),
        ("3.33", "3.3333", "rounding"),
        ("1/3", "0.333", "rounding"),
        ("0.1", "0.1000000000000000000001", "rounding"),
        ("8", "9 - 1 = 8 apples in 4 boxes", "joined"),
        ("4", "9 - 1 = 8 apples in 4 boxes", "joined"),
        ("15", "9 - 1 = 8 apples after 15 days", "equals"),
        ("11", "It makes five six.", "in words"),
        ("2", "\\boxed{2\\sqrt{3}}", "expression"),
        ("1 mile", "1.609 km", "rounding"),
        ("18 apples", "18 pears", "pears"),
        ("many", "18", "not one number"),
        ("3 and 4", "4", "not one number"),
        ("7", "9^999999999", "cannot be read"),
        ("7", "1e999999999", "cannot be read"),
        ("7", "1/0", "cannot be read"),
    ],
)
def test_unsure(reference: str, answer: str, word: str) -> None:
    judgement = verify_number(reference, answer)
    assert judgement.verdict == "unsure", judgement
    assert word in judgement.reason


def test_says_what_it_judged() -> None:
    assert verify_number("18", "The answer is $1,018.50 a day").extracted == "$1,018.50"


@given(st.integers(-(10**12), 10**12), st.integers(0, 6), st.sampled_from(["{}", "The answer is {}.", "\\boxed{{{}}}"]))
def test_every_decimal_in_every_frame_is_read_as_itself(digits: int, decimals: int, frame: str) -> None:
    value = Fraction(digits, 10**decimals)
    whole, rest = divmod(abs(digits), 10**decimals)
    plain = f"{'-' if digits < 0 else ''}{whole:,}" + (f".{rest:0{decimals}d}" if decimals else "")
    assert verify_number(str(value), frame.format(plain)).verdict == "right"


@given(st.integers(-999, 999), st.integers(-999, 999))
def test_two_numbers_are_right_only_when_equal(one: int, two: int) -> None:
    assert (verify_number(str(one), f"so it is {two}").verdict == "right") == (one == two)


@given(st.text(max_size=200))
def test_any_text_gets_a_verdict(text: str) -> None:
    assert verify_number("18", text).verdict in ("right", "wrong", "unsure")


@given(st.text(alphabet="0123456789.,/^-% e$\\{}frac", max_size=60))
def test_any_heap_of_digits_is_read_without_floats(text: str) -> None:
    for numeral in numerals(tidied(text)):
        assert numeral.value is None or isinstance(numeral.value, Fraction)
