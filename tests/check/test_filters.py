from __future__ import annotations

from typing import Any

import pytest

from stillroom.base.records import Message, Question
from stillroom.check.filters import Filters
from stillroom.check.reasons import MAY_BE_WRONG, REASONS
from stillroom.check.rows import ROWS, Row
from stillroom.check.settings import CheckSettings

ENGLISH = (
    "There are twelve apples in the first basket, and the second one holds five more than that, so it must be "
    "seventeen. Together they hold twenty-nine, and that is what the question asks for. "
)
SPANISH = (
    "Hay doce manzanas en la primera cesta, y en la segunda hay cinco más, así que deben ser diecisiete en total. "
    "Entre las dos tienen veintinueve, y eso es lo que se pregunta en el problema. "
)
LONG_ENGLISH, LONG_SPANISH = ("".join(f"{n}. {text}" for n in range(20)) for text in (ENGLISH, SPANISH))
CHINESE = (
    "第一个篮子里有十二个苹果，第二个篮子里比第一个多五个，所以第二个篮子里有十七个苹果，两个篮子里一共有二十九个苹果。"
)


def question(text: str = ENGLISH, kind: Any = "number") -> Question:
    return Question(id="q", messages=(Message(role="user", content=text),), kind=kind, answer="29", source="s")


def reply(**columns: Any) -> Row:
    row: Row = dict.fromkeys(ROWS.names)
    row |= {
        "status": "ok",
        "reasoning_form": "full",
        "reasoning": ENGLISH,
        "answer": "There are 29.",
        "block": "none",
        "completion_tokens": 50,
    }
    return row | columns


def found(row: Row, asked: Question | None = None, **settings: Any) -> str | None:
    (finding,) = Filters(CheckSettings(**settings)).unfit(asked or question(), [row])
    return finding and finding[0]


def test_a_fit_reply_passes() -> None:
    assert found(reply()) is None
    assert found(reply(reasoning=None, answer="29", reasoning_form="none")) is None


@pytest.mark.parametrize("marked", ["so \\boxed{29}", "The answer is 29", "\n#### 29", "<answer>29</answer>"])
@pytest.mark.parametrize("columns", [{"status": "empty", "error_kind": "no_answer"}, {}])
def test_an_answer_that_stands_in_the_reasoning_only(marked: str, columns: dict[str, str]) -> None:
    row = reply(reasoning=ENGLISH + marked, answer="", **columns)
    assert found(row) == "answer_in_reasoning"
    plain = "empty" if columns else "empty_answer"
    assert found(row, ignore=["answer_in_reasoning"]) == plain
    assert found(reply(answer="", **columns)) == plain, "no answer is marked in this reasoning"


@pytest.mark.parametrize(
    "answer",
    [
        "I'm sorry, but I can't help with that.",
        "I\u2019m sorry, but I can\u2019t assist with this request.",
        "I am sorry, I cannot provide instructions for this.",
        "Sorry, I can't do that.",
        "I cannot comply with this request.",
        "**I can't help with that.**",
        "As an AI language model, I cannot answer questions about private people.",
        "Unfortunately, I am unable to assist with that.",
        "I apologize, but I cannot fulfil this request, since it could do harm.",
        "I won't help create that.",
        "I'm not able to help with that one. Is there something else?",
    ],
)
def test_refusals_in_words(answer: str) -> None:
    assert found(reply(answer=answer), question(kind="none")) == "refused_in_words"
    assert found(reply(answer=answer), ignore=["refused_in_words"]) is None


@pytest.mark.parametrize(
    "answer",
    [
        "29",
        "I can help with that: 29.",
        "It cannot be determined from what is given.",
        "I'm sorry to hear that. There are 29.",
        "I cannot see a shorter way: 12 + 17 = 29.",
        "Sorry, I made a mistake above; it is 29.",
        "I am sorry, but I can't help noticing the typo. The answer is 29.",
        "The clerk said: I'm sorry, I can't help you. So she left with 29 coins.",
        "I'm sorry, but I can't help with that." + " ".join(f"There were {n} of them." for n in range(40)),
    ],
)
def test_what_is_no_refusal(answer: str) -> None:
    assert found(reply(answer=answer), question(kind="none")) is None


def test_loops_in_the_reasoning_and_in_the_answer() -> None:
    loop = "Wait, let me check that again. " * 12
    for row in (reply(reasoning=ENGLISH + loop), reply(answer="It is 29. " + loop)):
        assert found(row) == "repetition"
        assert found(row, ignore=["repetition"]) is None


def test_too_long_is_counted_by_whoever_counts() -> None:
    assert found(reply(completion_tokens=101), max_tokens=100) == "too_long"
    assert found(reply(completion_tokens=100), max_tokens=100) is None
    assert found(reply(completion_tokens=None), max_tokens=10) == "too_long"
    assert found(reply(completion_tokens=None), max_tokens=100) is None
    # Reasoning that was counted and never sent is no part of what is trained on.
    hidden = reply(reasoning=None, reasoning_form="hidden", completion_tokens=900, reasoning_tokens=850)
    assert found(hidden, max_tokens=100) is None
    by_student = Filters(CheckSettings(max_tokens=100), count_tokens=lambda text: len(text))
    (finding,) = by_student.unfit(question(), [reply(completion_tokens=1)])
    assert finding is not None
    assert finding[0] == "too_long"
    assert finding[1].endswith("at most 100 are wanted")
    assert "about" not in finding[1]


@pytest.mark.parametrize(
    ("columns", "asked", "language", "reason"),
    [
        ({"reasoning": SPANISH}, ENGLISH, "same_as_question", "wrong_language"),
        ({"reasoning": LONG_ENGLISH + LONG_SPANISH}, ENGLISH, "same_as_question", "wrong_language"),
        ({"reasoning": SPANISH}, SPANISH, "same_as_question", None),
        ({"reasoning": ENGLISH}, SPANISH, "same_as_question", "wrong_language"),
        ({"reasoning": ENGLISH}, SPANISH, "en", None),
        ({"reasoning": SPANISH}, SPANISH, "en", "wrong_language"),
        ({"reasoning": SPANISH}, ENGLISH, "off", None),
        ({"reasoning": SPANISH}, "2 + 27?", "same_as_question", None),
        ({"reasoning": SPANISH}, "2 + 27?", "en", "wrong_language"),
        ({"reasoning": CHINESE}, ENGLISH, "same_as_question", "mixed_scripts"),
        ({"reasoning": CHINESE}, CHINESE, "same_as_question", None),
        ({"reasoning": CHINESE, "answer": "29"}, "2 + 27?", "same_as_question", None),
        ({"reasoning": ENGLISH + "所以 it is 29."}, "2 + 27?", "same_as_question", "mixed_scripts"),
        ({"reasoning": ENGLISH + "所以 it is 29."}, "What is 2 + 27, or seven?", "same_as_question", "mixed_scripts"),
        ({"reasoning": CHINESE}, "How much is 2 + 27 together?", "same_as_question", "mixed_scripts"),
        ({"reasoning": ENGLISH + "所以 it is 29."}, ENGLISH, "same_as_question", "mixed_scripts"),
        ({"reasoning": ENGLISH + "所以 it is 29."}, ENGLISH, "off", None),
        ({"reasoning": ENGLISH + "所以 it is 29."}, ENGLISH + "What does 所以 mean?", "same_as_question", None),
        ({"reasoning": ENGLISH + "所以 it is 29."}, "Say it in Chinese. " + ENGLISH, "same_as_question", None),
        ({"reasoning": SPANISH}, "Translate this into Spanish. " + ENGLISH, "same_as_question", None),
        ({"reasoning": None, "answer": SPANISH}, ENGLISH, "same_as_question", "wrong_language"),
        ({"reasoning": "$x = 3$", "answer": "$29$"}, ENGLISH, "de", None),
    ],
)
def test_languages(columns: dict[str, Any], asked: str, language: str, reason: str | None) -> None:
    assert found(reply(**columns), question(asked), language=language) == reason


def test_an_open_question_may_be_answered_in_any_language_unless_the_recipe_names_one() -> None:
    row = reply(reasoning=None, answer=SPANISH)
    assert found(row, question(kind="none")) is None
    assert found(row, question(kind="none"), language="en") == "wrong_language"
    assert found(reply(reasoning=SPANISH, answer=SPANISH), question(kind="none")) == "wrong_language"


def test_mixed_scripts_can_be_let_pass() -> None:
    row = reply(reasoning=ENGLISH + "所以 it is 29.")
    assert found(row, ignore=["mixed_scripts"]) is None
    assert found(reply(reasoning=SPANISH), ignore=["mixed_scripts"]) == "wrong_language"


def test_the_first_reason_counts_in_the_order_in_which_they_are_listed() -> None:
    order = list(REASONS)
    everything: dict[str, dict[str, Any]] = {
        "truncated": {"status": "truncated"},
        "broken_think_block": {"block": "unclosed"},
        "too_long": {"completion_tokens": 5000},
        "repetition": {"answer": "It is 29. " + "Or is it? " * 50},
        "wrong_language": {"reasoning": SPANISH},
    }
    assert list(everything) == sorted(everything, key=order.index)
    names = list(everything)
    for position, name in enumerate(names):
        columns: dict[str, Any] = {}
        for later in reversed(names[position:]):
            columns |= everything[later]
        assert found(reply(**columns), max_tokens=1000) == name


def test_every_rule_of_thumb_that_can_be_left_out_is_listed_as_one() -> None:
    assert set(MAY_BE_WRONG) - {"wrong_language"} == {
        "refused_in_words",
        "answer_in_reasoning",
        "repetition",
        "mixed_scripts",
    }
    for name in set(MAY_BE_WRONG) - {"wrong_language"}:
        assert CheckSettings(ignore=(name,)).ignore == (name,)  # type: ignore[arg-type]
