"""What the teacher reads before each question, and the student never sees: a system prompt and worked examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from stillroom.ask.json_file import jsonl_rows
from stillroom.ask.text_lines import text_lines
from stillroom.base.errors import DataError
from stillroom.base.records import Message
from stillroom.base.validation import first_problem

_CONFIG = ConfigDict(frozen=True, extra="forbid")


class PromptFile(BaseModel):
    """A part of the prompt that lies in a file of its own."""

    model_config = _CONFIG

    path: str
    """Relative to the recipe's folder."""


class Example(BaseModel):
    """A question with the reply that is wanted."""

    model_config = _CONFIG

    question: str
    answer: str
    reasoning: str | None = None
    """Put before the answer, in the same message: an API takes no reasoning of its own."""

    @field_validator("question", "answer")
    @classmethod
    def _says_something(cls, text: str) -> str:
        if not text.strip():
            raise ValueError("an example needs a question and an answer")
        return text


class TeacherPrompt(BaseModel):
    """None of it is part of the questions: the traces that a student learns from hold the questions' own messages."""

    model_config = _CONFIG

    system: str | PromptFile | None = None
    examples: tuple[Example, ...] | PromptFile = ()
    """Or a file with one example on each line, as JSON."""

    def prompt_files(self) -> list[Path]:
        return [Path(part.path) for part in (self.system, self.examples) if isinstance(part, PromptFile)]


def prompt_messages(prompt: TeacherPrompt, base_folder: Path) -> tuple[Message, ...]:
    """The messages that go before a question's own. Relative paths are taken from `base_folder`.

    Raises DataError for a file that is not there, is empty, or has a line that is no example.
    """
    system = prompt.system
    if isinstance(system, PromptFile):
        path = base_folder / system.path
        system = "".join(line for _, line in text_lines(path, path.name)).strip()
        if not system:
            raise DataError(f"{path} is empty.", "Write the system prompt into it.")
    examples = prompt.examples
    if isinstance(examples, PromptFile):
        examples = _read_examples(base_folder / examples.path)
    messages = [Message(role="system", content=system)] if system else []
    for example in examples:
        reply = example.answer if example.reasoning is None else f"{example.reasoning}\n\n{example.answer}"
        messages += [Message(role="user", content=example.question), Message(role="assistant", content=reply)]
    return tuple(messages)


def with_prompt(before: Sequence[Message], messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What is sent for a question whose own `messages` are given: `before`, then these.

    A question may have a system message of its own. The teacher's goes before it in one message, since many models
    take only one, and the examples follow both.
    """
    first = [message.model_dump(exclude_none=True) for message in before]
    own = [dict(message) for message in messages]
    if own and own[0]["role"] == "system":
        if first and first[0]["role"] == "system":
            first[0]["content"] = f"{first[0]['content']}\n\n{own[0]['content']}"
        else:
            first.insert(0, own[0])
        del own[0]
    return first + own


def _read_examples(path: Path) -> tuple[Example, ...]:
    found = []
    for place, row in jsonl_rows(path, path.name):
        try:
            found.append(Example.model_validate(row))
        except ValidationError as error:
            remedy = "An example has question, answer and, if you like, reasoning."
            raise DataError(f"{place}: {first_problem(error)}.", remedy) from error
    if not found:
        raise DataError(f"{path} holds no examples.", "Write one on each line, as JSON.")
    return tuple(found)
