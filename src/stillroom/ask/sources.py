"""Where questions come from: files, data sets, documents and generators, checked row by row as they are taken."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from stillroom.ask.distinct import Distinct, Place
from stillroom.ask.documents import read_documents
from stillroom.ask.files import read_file
from stillroom.ask.huggingface import read_data_set
from stillroom.ask.source_settings import DocumentSource, FileSource, HuggingFaceSource, ReasoningGymSource
from stillroom.base.records import Question


def read_placed(
    source: FileSource | HuggingFaceSource | DocumentSource | ReasoningGymSource, *, base_folder: Path
) -> Iterator[tuple[Place, Question]]:
    """The questions of one source as they come, each with its place. Relative paths are taken from `base_folder`.

    Raises DataError for a file or a row that is not what it should be, naming the line; RecipeError for settings that
    the generator does not take.
    """
    match source:
        case FileSource():
            return read_file(source, base_folder)
        case HuggingFaceSource():
            return read_data_set(source, base_folder)
        case DocumentSource():
            return read_documents(source, base_folder)
        case ReasoningGymSource():
            from stillroom.ask.tasks import make_questions  # loads reasoning_gym

            return make_questions(source)


def read_questions(
    source: FileSource | HuggingFaceSource | DocumentSource | ReasoningGymSource, *, base_folder: Path
) -> Distinct:
    """The same, each question once; `.repeated` counts those that were left out.

    Raises DataError, too, for one id with two different texts or answers.
    """
    return Distinct(read_placed(source, base_folder=base_folder))
