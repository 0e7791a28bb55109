"""One id, one question: rows that repeat a question are merged and counted, rows that contradict one are an error."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from stillroom.base.canonical import digest
from stillroom.base.errors import DataError
from stillroom.base.records import Question


class Distinct:
    """Iterates over the questions that are there, each once, in the order of its first row.

    `placed` gives each question with the place it stands at, for the error. Raises DataError for one id with two
    different texts or two different answers.
    """

    def __init__(self, placed: Iterable[tuple[str, Question]]) -> None:
        self.repeated = 0
        """Rows left out so far because an identical one came before."""
        self._placed = iter(placed)
        self._seen: dict[str, tuple[str, str, str]] = {}

    def __iter__(self) -> Iterator[Question]:
        return self

    def __next__(self) -> Question:
        for place, question in self._placed:
            if self._is_new(place, question):
                return question
            self.repeated += 1
        raise StopIteration

    def _is_new(self, place: str, question: Question) -> bool:
        text = digest([message.model_dump(exclude_none=True) for message in question.messages])
        answer = digest(question.answer)
        if question.id not in self._seen:
            self._seen[question.id] = (text, answer, place)
            return True
        first_text, first_answer, first_place = self._seen[question.id]
        if first_text != text:
            raise DataError(
                f"{place}: id {question.id!r} already stands at {first_place}, with another text.",
                "Give each question an id of its own, or leave ids out.",
            )
        if first_answer != answer:
            raise DataError(
                f"{place}: the same question already stands at {first_place}, with another answer.",
                "Keep the one that is right.",
            )
        return False
