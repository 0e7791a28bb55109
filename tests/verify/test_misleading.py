"""Answers that look like the reference and are not it, or not surely: none is judged right."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from stillroom.verify.choice import verify_choice
from stillroom.verify.exact import verify_exact
from stillroom.verify.math import verify_math
from stillroom.verify.number import verify_number
from stillroom.verify.workers import Workers

NUMBERS_THAT_ARE_NOT_5 = r"""
The answer lies strictly above 5.|It should be 5, but I computed 6.|The answer is five hundred.|The answer is 5-fold.
The answer is 5:1.|The answer is 5^2.|The answer is 5 to the power of 2.|Answer: 5 1/2|5 and a half
The answer is 5, give or take 1.|The answer is 5 plus or minus 1|answer = 5?|The answer is "5" (incorrect).|5 ≠ x|x ≠ 5
The answer is 5 less than 20.|The answer is 20 less 5.|The answer is 10 / 2|The answer is 0x5|The answer is 5 mod 7
\boxed{5} is incorrect.|\boxed{5} is not the answer.|\boxed{5}? No.|~~5~~ 6|The answer is ~~5~~ 6
The answer is 5 (no, 6).|The answer is 6 (not 5).|Previously: \boxed{5}. Now: \boxed{6}.|The student's answer is 5.
His answer is 5, mine is 6.|The answer is not necessarily 5.|There is no answer 5.|It's never 5.
The answer is 5 only if it rains.|5⏎6⏎7|1 2 3 4 5|The numbers are 1, 2, 3, 4, 5.|Let x = 5.|x = 5 is impossible.
x=5 or x=-5|x = 5, y = 6|y = 6, x = 5|The answer is |-5||<answer>not 5</answer>|<answer>5 or 6</answer>
<answer>5</answer><answer>6</answer>|#### 5 or 6|#### not 5|#### > 5|The answer is 5 dozen.|The answer is 5k.
The answer is 5M.|The answer is 5 bn|The answer is 5e.|The answer is 5'6"|The answer is 5°C below zero.|The answer is #5
See [5].|<5|5>|The answer is 5, 000|5.000.000|5,000|5_000|5 000 000|I would say 5 but the book says 6.
The answer is 6; an earlier version said 5.|My first guess was 5.|5 was my first guess.|The answer is one of 5, 6.
The minimum is 5 and the maximum is 10.|The answer is the number of digits in 5.|At 5 he stops. The answer is unknown.
The answer is written below.⏎5 apples⏎6 pears|The answer is 5... no, 6.|The answer is 5 → 6|5 => 6|I am 5% sure.
"""

FORMULAS_THAT_ARE_NOT_5 = r"""
$5$ is wrong|$\cancel{5} 6$|\boxed{\cancel{5}}|\boxed{5, 6}|\boxed{\{5,6\}}|$5 \to 6$|\boxed{5 \Rightarrow 6}
\boxed{5^\dagger}|\boxed{5!}|\boxed{\bar{5}}|\boxed{\lfloor 5.5 \rfloor}|\boxed{\neg 5}|\boxed{\text{not } 5}
\boxed{5 \text{ is wrong}}|\boxed{5 \pmod 7}|\boxed{5 \mod 7}|\boxed{5 + O(x)}|\boxed{5 + C}|\boxed{5 \quad 6}
\boxed{5 \\ 6}|\boxed{--5}|\boxed{+-5}|\boxed{5}? No.|\boxed{10/2}|\boxed{5 \to \infty}|\boxed{\ge 5}
not \boxed{5}|-\boxed{5}|\boxed{5}+1|\boxed{5}/2|2\boxed{5}|\sqrt{\boxed{5}}
"""

# A box holds 5, and what stands around it makes something else of it.
BOXES_THAT_DO_NOT_SAY_5 = r"""
not \boxed{5}|The answer isn't $\boxed{5}$.|It is never \(\boxed{5}\)|\neq \boxed{5}|$x \ne \boxed{5}$|-\boxed{5}
$-$\boxed{5}1
1/\boxed{5}|2\boxed{5}|2 \cdot \boxed{5}|3 - \boxed{5}|\sqrt{\boxed{5}}|x > \boxed{5}|\boxed{5}0|\boxed{5}.5|\boxed{5}e3
\boxed{5}+1|$\boxed{5}$ + 1|\boxed{5}/2|\boxed{5}^2|\boxed{5}!+1|\boxed{5}\times 10^3|\boxed{5} million
$\boxed{5}$ thousand
\boxed{5}\text{ million}|\cancel{\boxed{5}}|<del>\boxed{5}</del>|<s>\boxed{5}</s> 6|<!-- \boxed{5} --> 6
\boxed{5}⏎EDIT: 6
\boxed{5} (just kidding, 6)|\boxed{5}\\ \text{is wrong}|<answer>5</answer> no, 6|<answer>5</answer> is wrong
"""

BOXES_THAT_SAY_5 = r"""
**\boxed{5}**|- \boxed{5}|* \boxed{5}|> \boxed{5}|=> \boxed{5}|1. \boxed{5}|x = \boxed{5}|\text{Answer: }\boxed{5}
_\boxed{5}_
$$\boxed{5}$$⏎⏎1. Check: 5 = 2 + 3.|\boxed{5}^\circ|\boxed{5}\text{ cm}|\boxed{5}/day|\boxed{5}, not 6.
\boxed{5} \pmod{7}
\[\boxed{5}.\]|(\boxed{5})|\boxed{5}!|<answer>5</answer>|No. It is \boxed{5}.|It is not 6. \boxed{5}|"\boxed{5}"
"""

PAIRS_OF_FORMULAS = [
    ("x^2", r"\boxed{x^2 + C}"),
    ("x^2 + C", r"\boxed{x^2}"),
    ("(1,2)", r"\boxed{[1,2]}"),
    ("x", r"\boxed{\sqrt{x^2}}"),
    (r"\frac{1}{\sin x}", r"\boxed{\sin^{-1} x}"),
    ("f^{-1}(x)=x+1", r"\boxed{f(x)=x+1}"),
    ("f(x)=x+1", r"\boxed{g(x)=x+1}"),
    (r"\log_2 3", r"\boxed{\log_3 2}"),
    ("2", r"\boxed{\log 100}"),
    ("a_{12}", r"\boxed{a_{1}2}"),
    (r"\overline{AB}", r"\boxed{AB}"),
    (r"\vec{a}", r"\boxed{a}"),
    (r"3\times 4", r"\boxed{3,4}"),
    (r"\infty", r"\boxed{8}"),
    ("0.16", r"\boxed{0.1\overline{6}}"),
    (r"\$5", r"\boxed{5 \text{ cents}}"),
    (r"5\text{ minutes}", r"\boxed{5\text{ hours}}"),
    ("5:30", r"\boxed{5.5}"),
    (r"\text{yes}", r"\boxed{\text{yes or no}}"),
    (r"\text{even}", r"\boxed{\text{not even}}"),
    ("i", r"\boxed{j}"),
    ("e", r"\boxed{2.718}"),
    ("x=1,y=2", r"\boxed{x=2,y=1}"),
    ("y=1,x=2", r"\boxed{(1,2)}"),
    ("1,2,3", r"\boxed{3,2,1}"),
    (r"1\frac{1}{2}", r"\boxed{1 \cdot \frac12}"),
    (r"1\frac{1}{2}", r"\boxed{11/2}"),
    ("x+1", r"\boxed{1+x=0}"),
    ("x+1=0", r"\boxed{x+1}"),
    ("12", r"\boxed{1 2}"),
    ("12", r"\boxed{1,2}"),
    ("0", r"\boxed{\emptyset}"),
    ("6", r"\boxed{3!}"),
    ("[5,2]", r"\boxed{[7,3]}"),
]

CHOICES_THAT_ARE_NOT_B = r"""
(B) is wrong, (C) is right|B, no C|B → C|~~B~~ C|The answer is not B.|\boxed{B} is wrong.|The answer is B (wrong).
I am between B and C|A, B|B/C|B⏎C|B) no⏎C) yes|Option B looks tempting but C is right.|The answer is B if x>0.
The student chose B.|The answer could be B.|B. But C is better.|Group B won.|Blood type B|hepatitis B|Section B
B.C.|The answer is B.C.|B-|B+|The answer is B+|The student's answer is B.|Answer B is what most people say.
not \boxed{B}|\cancel{\boxed{B}}|<del>\boxed{B}</del>
"""

TEXTS_THAT_ARE_NOT_PARIS = r"""
~~Paris~~|Paris⏎⏎London|The answer is Paris (wrong).|The answer is Paris? No.|Answer: Paris⏎Answer: London
The answer is: not Paris|\boxed{Paris} is wrong|Paris?|Paris or London|Comparis|The student's answer is Paris.
not \boxed{Paris}|<answer>Paris</answer> no, London|<!-- \boxed{Paris} --> London
"""


def listed(lines: str) -> list[str]:
    """Answers between bars; ⏎ is a line's end."""
    return [answer.replace("⏎", "\n") for line in lines.strip().splitlines() for answer in line.split("|") if answer]


@pytest.mark.parametrize("answer", listed(NUMBERS_THAT_ARE_NOT_5))
def test_numbers(answer: str) -> None:
    assert verify_number("5", answer).verdict != "right"


@pytest.mark.parametrize("answer", listed(BOXES_THAT_DO_NOT_SAY_5))
def test_what_stands_around_a_box_counts(answer: str) -> None:
    assert verify_number("5", answer).verdict != "right"


@pytest.mark.parametrize("answer", listed(BOXES_THAT_SAY_5))
def test_units_and_markdown_around_a_box_do_no_harm(answer: str) -> None:
    assert verify_number("5", answer).verdict == "right"


@pytest.mark.parametrize("answer", listed(CHOICES_THAT_ARE_NOT_B))
def test_choices(answer: str) -> None:
    assert verify_choice("B", answer).verdict != "right"


@pytest.mark.parametrize("answer", listed(TEXTS_THAT_ARE_NOT_PARIS))
def test_texts(answer: str) -> None:
    assert verify_exact("Paris", answer).verdict != "right"


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    workers = Workers("math", limit_s=30.0, count=1)
    yield workers
    workers.close()


@pytest.mark.parametrize(
    ("reference", "answer"), [*(("5", answer) for answer in listed(FORMULAS_THAT_ARE_NOT_5)), *PAIRS_OF_FORMULAS]
)
def test_formulas(workers: Workers, reference: str, answer: str) -> None:
    assert verify_math(reference, answer, workers).verdict != "right"
