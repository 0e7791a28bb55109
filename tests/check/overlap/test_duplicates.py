from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

Made = Callable[..., Any]

BAKER = (
    "A baker in a small town bakes 300 rolls and 60 baguettes every morning. How many loaves does he bake in a week?"
)
SLOT = (
    "Write a short essay of about five paragraphs on the topic below. Begin with an interesting question, give two"
    " arguments for and two against it, and end with your own opinion. The topic is {}."
)
TOPICS = (
    "bridges",
    "volcanoes",
    "chess",
    "honey",
    "opera",
    "snow",
    "glaciers",
    "jazz",
    "kites",
    "lace",
    "maps",
    "nuts",
)


@pytest.mark.parametrize(
    "copy",
    [
        BAKER,
        BAKER.upper(),
        "  " + BAKER.replace(" ", "\n"),
        f"“{BAKER}”",
        BAKER.rstrip("?"),
        BAKER.replace(" ", "\u00a0"),
        BAKER.replace("e", "e\u200b"),
    ],
)
def test_the_same_text_is_a_duplicate_of_the_first_by_id(search: Made, copy: str) -> None:
    result = search([BAKER, copy])
    assert result.pairs == [("q1", "same_text", "q0")]
    assert result.found.left_out["q1"].reason == "duplicate_question"
    assert "q0" in result.found.left_out["q1"].detail
    assert (result.rows[0]["question"], result.rows[0]["other"], result.rows[0]["score"]) == (copy, BAKER, 1.0)


@pytest.mark.parametrize("text", ["?", "", "日本", "+", "🙂", "\ud83d\ude42 a"])
def test_any_text_is_a_duplicate_of_itself(search: Made, text: str) -> None:
    text = text.encode("utf-16", "surrogatepass").decode("utf-16")
    assert search([text, text]).pairs == [("q1", "same_text", "q0")]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("Compute 3 + 4.", "Compute 3 - 4."),
        ("What is 5!", "What is 5?"),
        ("He runs", "He run"),
        ("f(x)=1", "f[x]=1"),
        ("?", "??!"),
    ],
)
def test_other_texts_are_no_duplicates(search: Made, left: str, right: str) -> None:
    assert search([left, right]).rows == []


@pytest.mark.parametrize(
    "copy",
    [
        BAKER.replace("small", "little"),
        BAKER.replace("every morning", "each and every morning"),
        BAKER.replace(" small", ""),
        BAKER.replace("300", "300.0").replace("rolls", "roll"),
    ],
)
def test_nearly_the_same_text_is_a_near_duplicate(search: Made, copy: str) -> None:
    result = search([BAKER, copy, "Something else entirely, about ships that sail over seven wide and stormy seas"])
    assert result.pairs == [("q1", "near_duplicate", "q0")]
    assert result.found.left_out["q1"].reason == "near_duplicate_question"
    assert 0.7 <= result.rows[0]["score"] <= 1


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (BAKER, BAKER.replace("300", "310")),
        (BAKER, BAKER[:-1] + " of 5 days?"),
        ("If x = 3 and y = 4, what is x + y in all?", "If x = 3 and y = 4, what is x - y in all?"),
        ("If 3x + 2y = 7, x - y = 4, what is the value of x?", "If 3x + 2y = 7, x - y = 4, what is the value of y?"),
        ("What is the capital of Austria?", "What is the capital of Australia?"),
        ("Generate a detailed article on photosynthesis", "Generate a detailed article on mitosis"),
    ],
)  # fmt: skip
def test_what_makes_another_question_makes_no_near_duplicate(search: Made, left: str, right: str) -> None:
    assert search([left, right]).rows == []


def test_another_system_message_makes_another_question(search: Made, question: Made) -> None:
    same = [question("a", BAKER, "Answer in French."), question("b", BAKER, "Answer in rhyme."), question("c", BAKER)]
    assert search(same).rows == []
    assert search([*same, question("d", BAKER, "Answer in rhyme.")]).pairs == [("d", "same_text", "b")]


def test_a_long_system_message_makes_nothing_alike(search: Made, question: Made) -> None:
    system = "You are a patient teacher of mathematics who explains every single step of a solution. " * 20
    made = [question(f"q{at}", f"{BAKER} In {topic}?", system) for at, topic in enumerate(TOPICS[:3])]
    others = [
        question(f"r{at}", f"Describe {topic} to a child of five, please.", system) for at, topic in enumerate(TOPICS)
    ]
    assert {pair[0] for pair in search(made + others).pairs} <= {"q1", "q2"}


def test_what_stands_in_a_template_s_gap_is_the_question(search: Made) -> None:
    assert search([SLOT.format(topic) for topic in TOPICS]).rows == []


def test_generated_tasks_are_compared_by_their_parameters(search: Made, question: Made) -> None:
    def task(identity: str, text: str, **meta: Any) -> Any:
        return question(identity, text, kind="task", family="bakery", meta=meta)

    near = BAKER.replace("small", "little")
    result = search(
        [
            task("a", BAKER, parameters={"size": 1}),
            task("b", near, parameters={"size": 2}),
            task("c", "How many rolls are there?", parameters={"size": 1}),
            task("d", "A bakery's rolls", entry={"question": "rolls", "metadata": {"source_index": 3, "rolls": 5}}),
            task("e", "A baker's rolls", entry={"question": "rolls", "metadata": {"source_index": 9, "rolls": 5}}),
        ]
    )
    assert result.pairs == [("c", "same_parameters", "a"), ("e", "same_parameters", "d")]
    # A family without parameters is somebody's name for a subject.
    subject = [question("a", BAKER, family="bakery"), question("b", near, family="bakery")]
    assert search(subject).pairs == [("b", "near_duplicate", "a")]


def test_every_left_out_near_duplicate_has_one_that_stays(search: Made) -> None:
    chance = random.Random(0)
    words = BAKER.split()
    texts = []
    for _ in range(6):
        words = list(words)
        words[chance.randrange(len(words) - 3)] = chance.choice(TOPICS)
        texts.append(" ".join(words))
    result = search(texts)
    assert {row["other_id"] for row in result.rows}.isdisjoint(result.found.left_out)


def test_the_threshold_is_the_share_of_runs_and_words(search: Made) -> None:
    copy = BAKER.replace("small", "little")
    [row] = search([BAKER, copy]).rows
    assert search([BAKER, copy], near=row["score"]).rows == [row]
    assert search([BAKER, copy], near=min(row["score"] + 0.01, 1)).rows == []


@pytest.mark.parametrize("setting", ["duplicates", "near_duplicates"])
def test_what_is_kept_is_listed_nevertheless(search: Made, setting: str) -> None:
    copy = BAKER.upper() if setting == "duplicates" else BAKER.replace("small", "little")
    result = search([BAKER, copy], **{setting: "keep"})
    assert [row["action"] for row in result.rows] == ["kept"]
    assert result.found.left_out == {}
    assert result.found.report()["kept"] == 2
