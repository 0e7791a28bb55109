"""What a question is called where a person reads of it: by its first words and its place, and never by a digest."""

from __future__ import annotations

from collections.abc import Sequence

from stillroom.base.records import Message, Question

PLACE = "source_place"
"""The key of a question's `meta` that says where it was read: `problems.jsonl line 12`."""
LONGEST = 60
"""Characters of a text that are quoted."""


def named(question: Question) -> str:
    """`"How many bolts does it take?" (problems.jsonl line 12)`; without a place, an id that somebody gave it."""
    known = place(question) or (None if question.id.startswith("sha256:") else f"id {question.id}")
    return f"{first_words(question.messages)} ({known})" if known else first_words(question.messages)


def place(question: Question) -> str | None:
    """File and line, or task and number; None where the question does not hold it."""
    held = question.meta.get(PLACE)
    if isinstance(held, str):
        return held
    if question.source != "reasoning-gym":
        return None
    entry = question.meta.get("entry")
    made = entry.get("metadata") if isinstance(entry, dict) else None
    number = made.get("source_index") if isinstance(made, dict) else None
    return f"{question.meta.get('task')} number {number}" if isinstance(number, int) else None


def first_words(messages: Sequence[Message]) -> str:
    """The beginning of the last thing that the user said, in quotes, on one line."""
    said = next((message.content for message in reversed(messages) if message.role == "user"), messages[-1].content)
    text = " ".join(said.split())
    return f'"{text}"' if len(text) <= LONGEST else f'"{text[: LONGEST - 1].rstrip()}…"'
