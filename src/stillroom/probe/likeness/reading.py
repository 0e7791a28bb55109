"""The files that a ranking is made from: the pairs, whose replies are the teacher's, and each model's answers."""

from __future__ import annotations

from pathlib import Path

from stillroom.base.errors import DataError
from stillroom.probe.asked import is_usable, read_said
from stillroom.probe.bounded import read_bounded_rows
from stillroom.probe.pack import PAIRS
from stillroom.probe.question_text import question_text
from stillroom.store.siblings import Answer, Pair


def read_questions(folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """(text, reply of the teacher) of each question of a folder that holds pairs, by the question's id.

    The reply is the first one drawn, whether it was served or not; of a question that stands there several times, that
    of the first pair in the order of their ids. Raises DataError.
    """
    texts: dict[str, str] = {}
    replies: dict[str, str] = {}
    for pair in sorted(read_bounded_rows(folder / PAIRS, Pair), key=lambda pair: pair.pair_id):
        if pair.question_id not in texts:
            texts[pair.question_id] = question_text(pair)
            replies[pair.question_id] = pair.first
    return texts, replies


def read_answers(path: Path) -> dict[str, str]:
    """The first usable answer to each question, from a folder that `probe ask` wrote or a file of answers.

    Raises DataError where there is none.
    """
    said = read_said(path) if path.is_dir() else read_bounded_rows(path, Answer)
    found: dict[str, str] = {}
    for answer in sorted(said, key=lambda answer: answer.sample):
        if is_usable(answer):
            found.setdefault(answer.question_id, answer.text)
    if not found:
        raise DataError(f"{path} holds no answer that says anything.", "Ask this model again, or leave it out.")
    return found
