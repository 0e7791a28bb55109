from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillroom.ask.distinct import Distinct, Place
from stillroom.base.errors import DataError
from stillroom.base.records import Message, Question


def question(identity: str, text: str, answer: str | None = None) -> Question:
    return Question(id=identity, messages=(Message(role="user", content=text),), answer=answer, source="here")


_rows = st.lists(
    st.builds(question, st.sampled_from("abcdef"), st.sampled_from(["x", "y"]), st.sampled_from([None, "", "1"]))
)


@given(_rows, st.integers(0, 3))
def test_it_says_what_a_dict_would(rows: list[Question], labels: int) -> None:
    placed = [(Place(f"file {number % (labels + 1)} line", number), row) for number, row in enumerate(rows)]
    first: dict[str, tuple[Place, Question]] = {}
    expected: list[Question] = []
    error = None
    for place, row in placed:
        known_place, known = first.setdefault(row.id, (place, row))
        if known_place == place:
            expected.append(row)
        elif (known.messages, known.answer) != (row.messages, row.answer):
            difference = "text" if known.messages != row.messages else "answer"
            error = f"{place}: .* already stands at {known_place}, with another {difference}"
            break
    distinct = Distinct(placed)
    found: list[Question] = []
    if error:
        with pytest.raises(DataError, match=error):
            found += distinct  # keeps what came before the error
    else:
        found += distinct
    assert found == expected
    if error is None:
        assert distinct.repeated == len(rows) - len(expected)


def test_many_questions_are_told_apart_in_little_memory() -> None:
    count = 15_000

    def placed() -> Iterator[tuple[Place, Question]]:
        for number in range(count):
            yield Place("q.jsonl line", number), question(f"id {number}", f"text {number}")
        yield Place("q.jsonl line", count), question("id 0", "text 0")

    distinct = Distinct(placed())
    tracemalloc.start()
    try:
        assert sum(1 for _ in distinct) == count
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert distinct.repeated == 1
    assert used / count < 80
