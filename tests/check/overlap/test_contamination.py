from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Made = Callable[..., Any]

DUCKS = (
    "Janet's ducks lay 16 eggs per day. She eats three for breakfast every morning and bakes muffins for her friends"
    " every day with four. She sells the remainder at the farmers' market daily for $2 per fresh duck egg. How much in"
    " dollars does she make every day at the farmers' market?"
)
OTHERS = [
    "A robe takes 2 bolts of blue fiber and half that much white fiber. How many bolts in total does it take?",
    "James decides to run 3 sprints 3 times a week. He runs 60 meters each sprint. How many total meters is that?",
    "Toula went to the bakery and bought three dozen donuts, which cost $68 per dozen. What was the total cost?",
]
CLEAN = [
    "Natalia sold clips to 48 of her friends in April, and half as many in May. How many clips did she sell?",
    "Weng earns $12 an hour for babysitting. Yesterday she just did 50 minutes of it. How much did she earn?",
    "A deep-sea monster rises from the waters once every hundred years to feast on a ship. How many people is that?",
]
FRAME = "Please solve this task with care, step by step, and write the result in a box at the end of your answer. {}"


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (DUCKS, "copy"),
        (DUCKS.upper(), "copy"),
        (f"Question: {DUCKS}\nAnswer:", "copy"),
        (DUCKS.replace("'", "’").replace(" ", "  "), "copy"),
        (
            DUCKS.replace("ducks", "hens").replace("per day", "a day").replace("bakes muffins", "makes cakes"),
            "near_copy",
        ),
        (
            "Every morning three of the 16 eggs that Janet's ducks lay are her breakfast, and four go into muffins for"
            " friends. What is left she sells at the farmers' market, for $2 an egg. How many dollars is that a day?",
            "near_copy",
        ),
        (DUCKS.replace("16", "23").replace("four", "five").replace("$2", "$3"), "numbers_swapped"),
        (
            DUCKS.replace("16", "23").replace("$2", "$3").replace("Janet", "Olga").replace("four", "6"),
            "numbers_swapped",
        ),
        (f"Translate into German: {DUCKS[:130]} ... What was hard about it, and why?", "quoted_part"),
    ],
)
def test_what_is_made_from_an_examined_question_is_found_by_its_rule(search: Made, text: str, rule: str) -> None:
    result = search([*CLEAN, text], [DUCKS, *OTHERS])
    assert result.pairs == [("q3", rule, "e0")]
    [row] = result.rows
    assert (row["question"], row["other"]) == (text, DUCKS)
    assert row["other_source"].endswith("exam.jsonl")
    assert 0 < row["score"] <= 1
    if rule == "numbers_swapped":
        assert (row["action"], result.found.left_out) == ("kept", {})
    else:
        assert result.found.left_out["q3"].reason == "contaminated"
        assert result.found.left_out["q3"].detail.startswith(f"{rule} of exam.jsonl e0")


def test_numbers_swapped_are_removed_where_the_settings_say_so(search: Made) -> None:
    result = search([DUCKS.replace("16", "23").replace("$2", "$3")], [DUCKS], numbers_swapped="remove")
    assert [row["action"] for row in result.rows] == ["left_out"]


@pytest.mark.parametrize(
    ("text", "examined", "rule"),
    [
        ("Who painted Guernica?", "Who painted Guernica?", "copy"),
        ("Tell me: who painted guernica", "Who painted Guernica?", "copy"),
        ("Guernica was painted by whom?", "Who painted Guernica?", "near_copy"),
        ("What is the square root of 1764?", "Find the square root of 1764.", "near_copy"),
        ("Is 437 a prime number?", "Is 391 a prime number?", "numbers_swapped"),
        ("Compute $41^2 - 27^2$.", "Compute $32^2 - 18^2$.", "numbers_swapped"),
    ],
)
def test_short_questions(search: Made, text: str, examined: str, rule: str) -> None:
    assert search([*CLEAN, text], [examined, *OTHERS]).pairs == [("q3", rule, "e0")]


@pytest.mark.parametrize(
    ("text", "examined"),
    [
        ("What is the capital of Austria?", "What is the capital of Australia?"),
        ("Who invented the printing press?", "When was the printing press invented?"),
        ("Compute 3 + 4.", "Compute 3 - 4."),
        ("Name three noble families.", "Name three noble gases."),
        ("Write a knock knock joke about lettuce.", "Write a knock knock joke about bananas."),
        ("Why?", "Why is the sky blue?"),
        ("Why is the grass green, and why is it that nobody ever asks about the sky?", "Why?"),
    ],
)
def test_short_questions_that_are_merely_alike(search: Made, text: str, examined: str) -> None:
    assert search([*CLEAN, text], [examined, *OTHERS]).rows == []


def test_clean_questions_are_not_found(search: Made) -> None:
    assert search(CLEAN, [DUCKS, *OTHERS]).rows == []
    framed = [FRAME.format(text) for text in (DUCKS, *OTHERS)]
    assert search([FRAME.format(text) for text in CLEAN], framed).rows == []
    assert search(CLEAN, framed).rows == []


def test_formulas_are_compared_and_not_the_words_around_them(search: Made) -> None:
    examined = r"Find the minimum value of \[2x^2 + 2xy + 4y + 5y^2 - x\]over all real numbers $x$ and $y.$"
    other = r"Find the minimum value of $x^4 - 2xy + 4x + 5y^3 + 2z$ over all real numbers $x,$ $y$ and $z.$"
    same = r"Over all real $x$ and $y$, how small a value can $2x^2 + 2xy + 4y + 5y^2 - x$ have? Find this minimum."
    assert search([other], [examined]).found.left_out == {}
    assert search([same], [examined]).pairs == [("q0", "near_copy", "e0")]


def test_generated_tasks_of_the_examination_are_told_by_their_parameters(search: Made, question: Made) -> None:
    def task(identity: str, size: int) -> Any:
        text = f"A bakery bakes {size} rolls and half as many loaves every morning. How many does it bake in a week?"
        return question(identity, text, kind="task", family="bakery", meta={"parameters": {"size": size}})

    result = search([task("a", 30), task("b", 45)], [task("x", 45), task("y", 99)], numbers_swapped="remove")
    assert result.pairs == [("b", "copy", "x")]


def test_an_overruled_question_stays_and_is_listed(search: Made) -> None:
    result = search([DUCKS, DUCKS.lower(), *CLEAN], [DUCKS], overrule=("q0",))
    assert [(row["question_id"], row["action"]) for row in result.rows] == [
        ("q0", "overruled"),
        ("q1", "left_out"),
        ("q1", "left_out"),
    ]
    assert set(result.found.left_out) == {"q1"}
    assert result.found.left_out["q1"].reason == "contaminated"


def test_all_rules_are_counted_in_the_report(search: Made) -> None:
    result = search([DUCKS, DUCKS, DUCKS.replace("16", "23"), *CLEAN], [DUCKS])
    assert result.found.report() == {
        "questions": 6,
        "kept": 4,
        "left_out": {"contaminated": 2},
        "hits": {"copy": 2, "numbers_swapped": 1, "same_text": 1},
    }


@pytest.mark.parametrize("setting", ["contaminated"])
def test_contaminated_questions_can_be_kept(search: Made, setting: str) -> None:
    result = search([DUCKS], [DUCKS], **{setting: "keep"})
    assert (result.rows[0]["action"], result.found.left_out) == ("kept", {})
