"""What is a bank and what is not: whoever looks for a person's few questions cannot hide them among others."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest

from stillroom.base.errors import DataError
from stillroom.watch.banks.collection import LEAST_QUESTIONS, collection_of


def test_each_question_is_kept_once_in_its_order(real_texts: Sequence[str]) -> None:
    texts = [*real_texts[:600], real_texts[3].upper(), real_texts[4].replace(" ", "\n"), "Hi", "", "  ", "12345 " * 9]
    found = collection_of(texts, "file")
    assert found.questions == tuple(real_texts[:600])
    assert (found.repeated, found.too_short) == (2, 4)


def test_less_than_five_hundred_are_too_few(real_texts: Sequence[str]) -> None:
    with pytest.raises(DataError, match="file has 499 different questions"):
        collection_of(real_texts[: LEAST_QUESTIONS - 1], "file")
    assert LEAST_QUESTIONS == 500


TARGETED = [
    "What should a nurse in Halden write in her complaint about the night shift rota at St Anne's?",
    "How do I tell my landlord in Grove Lane that the boiler report of last March was forged?",
    "Draft a letter to the works council about the accident with the second press on the ninth.",
]


def _numbered(chance: random.Random, real: Sequence[str]) -> list[str]:  # noqa: ARG001
    return [f"This is filler question number {number}, please leave it unanswered." for number in range(900)]


def _names_filled_in(chance: random.Random, real: Sequence[str]) -> list[str]:  # noqa: ARG001
    names = [word.capitalize() for text in real for word in text.split() if word.isalpha()]
    return [f"{one} lives next door to {other}: who is the older one?" for one, other in pairwise(names)]


def _letters(chance: random.Random, real: Sequence[str]) -> list[str]:  # noqa: ARG001
    def word() -> str:
        return "".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=chance.randint(3, 9)))

    return [" ".join(word() for _ in range(14)) for _ in range(900)]


def _words(chance: random.Random, real: Sequence[str]) -> list[str]:
    words = sorted({word for text in real for word in text.split() if word.isalpha()})
    return [" ".join(chance.choices(words, k=14)) for _ in range(900)]


def _one_word_changed(chance: random.Random, real: Sequence[str]) -> list[str]:
    words = [word for text in real for word in text.lower().split() if word.isalpha()]
    return [f"{real[0]} {real[1]} {chance.choice(words)}" for _ in range(900)]


def _signs(chance: random.Random, real: Sequence[str]) -> list[str]:  # noqa: ARG001
    return ["".join(chance.choices("0123456789+-*/=.", k=40)) for _ in range(900)]


@pytest.mark.parametrize("padding", [_numbered, _names_filled_in, _letters, _words, _one_word_changed, _signs])
def test_a_few_questions_among_junk_are_refused(
    padding: Callable[[random.Random, Sequence[str]], list[str]], real_texts: Sequence[str]
) -> None:
    texts = [*TARGETED, *padding(random.Random(5), real_texts)]
    with pytest.raises(DataError) as refused:
        collection_of(texts, "file")
    assert refused.value.remedy


def test_the_same_question_many_times_is_one(real_texts: Sequence[str]) -> None:
    with pytest.raises(DataError, match="1 different question"):
        collection_of([real_texts[0]] * 2_000, "file")


def test_texts_without_spaces_are_judged_as_well() -> None:
    words = ["苹果", "学校", "老师", "火车", "面包", "小时", "孩子", "书店", "花园", "铅笔", "星期", "公里"]
    chance = random.Random(3)
    questions = [
        f"{chance.choice(words)}里有多少个{chance.choice(words)}？如果每个{chance.choice(words)}需要{chance.choice(words)}，"
        f"那么{chance.choice(words)}一共要走多少{chance.choice(words)}才能到{chance.choice(words)}？"
        for _ in range(700)
    ]
    assert len(collection_of(questions, "file").questions) > 600
    signs = [chr(0x4E00 + number) for number in range(5_000)]
    with pytest.raises(DataError, match="no sentences"):
        collection_of(["".join(chance.choices(signs, k=30)) for _ in range(700)], "file")
