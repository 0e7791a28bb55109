"""A teacher that draws each word of a reply from a few that fit the question, and models that are not it."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from stillroom.store.siblings import Answer, Pair, messages_json, question_id_of

QUESTIONS = 150
SLOTS = 24
Draw = Callable[[int, Random], str]
"""A reply to the question of a number."""


def teacher(question: int, draw: Random, weights: tuple[float, float, float] = (0.6, 0.3, 0.1), own: str = "") -> str:
    """Each slot has three words that fit, of which a draw takes one; half of the words are those of all questions."""
    fits = Random(f"{question} {own}")
    words = []
    for slot in range(SLOTS):
        topic = f"topic{question}" if slot % 2 else "common"
        choices = [f"{topic}word{fits.randrange(40)}" for _ in range(3)]
        words += draw.choices(choices, weights)
    return " ".join(words)


def colder(question: int, draw: Random) -> str:
    return teacher(question, draw, (1.0, 0.0, 0.0))


def another_teacher(question: int, draw: Random) -> str:
    return teacher(question, draw, own="another")


def copies_the_question(question: int, _: Random) -> str:
    return text_of(question)


def one_answer(_question: int, _draw: Random) -> str:
    return "I cannot say."


def text_of(question: int) -> str:
    return f"What of topic {question} is there to be said in so many common words?"


def number_of(text: str) -> int:
    """The question's, from its text."""
    return int(text.split()[3])


def id_of(question: int) -> str:
    return question_id_of([{"role": "user", "content": text_of(question)}])


def siblings(seed: int = 1, questions: int = QUESTIONS) -> list[Pair]:
    draw = Random(seed)
    messages = [[{"role": "user", "content": text_of(question)}] for question in range(questions)]
    return [
        Pair(f"p{number}", question_id_of(each), messages_json(each), teacher(number, draw), teacher(number, draw))
        for number, each in enumerate(messages)
    ]


def answers(of: Draw, seed: int, samples: int = 1, questions: int = QUESTIONS) -> list[Answer]:
    draw = Random(seed)
    return [Answer(id_of(q), sample, of(q, draw), "stop") for q in range(questions) for sample in range(samples)]
