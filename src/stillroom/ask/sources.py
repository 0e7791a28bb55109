"""Where questions come from: files and generators, checked row by row as they are taken."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from stillroom.ask.distinct import Distinct
from stillroom.ask.files import read_file
from stillroom.ask.source_settings import FileSource, ReasoningGymSource
from stillroom.ask.tasks import make_questions
from stillroom.base.records import Question


def read_questions(source: FileSource | ReasoningGymSource, *, base_folder: Path) -> Iterator[Question]:
    """The questions of one source, each once. Relative paths are taken from `base_folder`.

    Raises DataError for a file or a row that is not what it should be, naming the line; RecipeError for settings that
    the generator does not take.
    """
    if isinstance(source, FileSource):
        return Distinct(read_file(source, base_folder))
    return Distinct(make_questions(source))


def check_questions(questions: Iterable[Question]) -> Distinct:
    """The questions of several sources together, each once; `.repeated` counts those that were left out.

    Raises DataError for one id with two different texts or answers.
    """
    return Distinct((question.source, question) for question in questions)
