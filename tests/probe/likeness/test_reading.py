"""What a ranking is made from: only what says something, and from files that nobody vouches for."""

from __future__ import annotations

from pathlib import Path

import pytest

from stillroom.base.errors import DataError
from stillroom.probe.likeness.reading import read_answers, read_questions
from stillroom.store.siblings import Answer, Pair, write_rows


def test_the_first_usable_answer_to_each_question_counts(tmp_path: Path) -> None:
    rows = [
        Answer("q1", 1, "second"),
        Answer("q1", 0, "first"),
        Answer("q2", 0, " "),
        Answer("q2", 1, "later"),
        Answer("q3", 0, "I cannot say", "refused: policy"),
        Answer("q4", 0, "cut sho", "length"),
    ]
    write_rows(tmp_path / "answers.parquet", Answer, rows)
    expected = {"q1": "first", "q2": "later", "q4": "cut sho"}
    assert read_answers(tmp_path) == expected
    assert read_answers(tmp_path / "answers.parquet") == expected
    write_rows(tmp_path / "none.parquet", Answer, [Answer("q1", 0, "")])
    with pytest.raises(DataError, match="holds no answer that says anything"):
        read_answers(tmp_path / "none.parquet")
    with pytest.raises(DataError, match="is not there"):
        read_answers(tmp_path / "missing.parquet")
    (tmp_path / "scored").mkdir()
    (tmp_path / "scored" / "asked.json").write_text("{}")
    with pytest.raises(DataError, match="has likelihoods and no answers"):
        read_answers(tmp_path / "scored")


def test_of_a_question_that_stands_there_twice_the_first_pair_counts(tmp_path: Path) -> None:
    messages = '[{"role": "system", "content": "Be short."}, {"role": "user", "content": "2 + 3?"}]'
    rows = [Pair("b", "q", messages, "of b", "x"), Pair("a", "q", messages, "of a", "y")]
    write_rows(tmp_path / "pairs.parquet", Pair, rows)
    assert read_questions(tmp_path) == ({"q": "Be short.\n\n2 + 3?"}, {"q": "of a"})


@pytest.mark.parametrize("messages", ["no JSON", "{}", "[1]", '"text"'])
def test_messages_that_are_none_name_their_pair(messages: str, tmp_path: Path) -> None:
    write_rows(tmp_path / "pairs.parquet", Pair, [Pair("call_7", "q", messages, "a", "b")])
    with pytest.raises(DataError, match="pair call_7"):
        read_questions(tmp_path)
