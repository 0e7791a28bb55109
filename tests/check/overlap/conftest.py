"""A search for overlap among a few texts, as the tests write it down."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from stillroom.base.records import Message, Question
from stillroom.check.overlap.find import find_overlap
from stillroom.check.overlap.hits import Overlap
from stillroom.check.overlap.opinion import SecondOpinion
from stillroom.check.overlap.settings import OverlapSettings
from stillroom.store.tables import read_rows, write_questions


class Result(NamedTuple):
    found: Overlap
    rows: list[dict[str, Any]]

    @property
    def pairs(self) -> list[tuple[str, str, str]]:
        return [(row["question_id"], row["rule"], row["other_id"]) for row in self.rows]


Search = Callable[..., Result]


@pytest.fixture(name="question")
def question_fixture() -> Callable[..., Question]:
    return question


def question(identity: str, text: str, system: str | None = None, **fields: Any) -> Question:
    messages = [Message(role="user", content=text)]
    if system is not None:
        messages.insert(0, Message(role="system", content=system))
    return Question(id=identity, messages=tuple(messages), source="made", **fields)


@pytest.fixture
def search(tmp_path: Path) -> Search:
    def searched(
        questions: Sequence[Question | str],
        examined: Sequence[str | Question] = (),
        second_opinion: SecondOpinion | None = None,
        **settings: Any,
    ) -> Result:
        """Questions given as text get the ids q0, q1, ..., examined ones e0, e1, ..."""
        asked, table = tmp_path / "questions.parquet", tmp_path / "overlap.parquet"
        made = [each if isinstance(each, Question) else question(f"q{at}", each) for at, each in enumerate(questions)]
        write_questions(asked, made)
        examinations = []
        if examined and isinstance(examined[0], Question):
            examinations.append(tmp_path / "exam.parquet")
            write_questions(examinations[0], [each for each in examined if isinstance(each, Question)])
        elif examined:
            examinations.append(tmp_path / "exam.jsonl")
            lines = [json.dumps({"id": f"e{at}", "question": each}) for at, each in enumerate(examined)]
            examinations[0].write_text("\n".join(lines), encoding="utf-8")
        found = find_overlap(asked, examinations, OverlapSettings(**settings), table, second_opinion=second_opinion)
        rows = list(read_rows(table))
        assert found.questions == len(made)
        assert sum(found.hits.values()) == len(rows)
        assert set(found.left_out) == {row["question_id"] for row in rows if row["action"] == "left_out"}
        return Result(found, rows)

    return searched
