"""Questions are named by what a person can find: words, lines and numbers."""

from __future__ import annotations

from typing import Any

import pytest

from stillroom.base.records import Message, Question
from stillroom.text.naming import first_words, named, place

DIGEST = "sha256:" + "0" * 64


def question(text: str = "How many\n bolts?", **rest: Any) -> Question:
    return Question(**{"id": DIGEST, "messages": (Message(role="user", content=text),), "source": "q.jsonl"} | rest)


@pytest.mark.parametrize(
    ("rest", "name"),
    [
        ({}, '"How many bolts?"'),
        ({"id": "my-7"}, '"How many bolts?" (id my-7)'),
        ({"meta": {"source_place": "q.jsonl line 12"}, "id": "my-7"}, '"How many bolts?" (q.jsonl line 12)'),
        ({"meta": {"source_place": 12}}, '"How many bolts?"'),
        (
            {"meta": {"task": "legs", "entry": {"metadata": {"source_index": 3}}}, "source": "reasoning-gym"},
            '"How many bolts?" (legs number 3)',
        ),
        ({"meta": {"task": "legs", "entry": {"metadata": {"source_index": 3}}}}, '"How many bolts?"'),
        ({"meta": {"task": "legs", "entry": "x"}, "source": "reasoning-gym"}, '"How many bolts?"'),
    ],
)
def test_names(rest: dict[str, Any], name: str) -> None:
    assert named(question(**rest)) == name
    assert DIGEST not in named(question(**rest))


def test_a_long_text_is_cut_and_the_users_last_turn_is_what_is_quoted() -> None:
    words = first_words((Message(role="user", content="x" * 61), Message(role="assistant", content="no")))
    assert words == '"' + "x" * 59 + '…"'
    assert first_words((Message(role="assistant", content="only this"),)) == '"only this"'
    assert place(question()) is None
