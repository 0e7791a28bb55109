"""The questions of a run and of its examination, read from their sources into tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path

from stillroom.ask.distinct import Distinct, Place
from stillroom.ask.files import file_rows
from stillroom.ask.first_look import refuse_what_cannot_be_asked, refuse_what_cannot_be_called
from stillroom.ask.sources import read_placed
from stillroom.base.canonical import digest
from stillroom.base.errors import DataError
from stillroom.base.progress import Progress
from stillroom.base.records import Question
from stillroom.exam.paper import also_among, read_paper, refuse_overlap
from stillroom.local_models import refuse_no_model, refuse_no_takers, teacher_folder, teacher_settings
from stillroom.recipe import ClassroomSource, Recipe, Source
from stillroom.run_folder import SILENT, keep_recipe, run_if_changed, source_digest
from stillroom.store.files import write_json
from stillroom.store.tables import write_questions
from stillroom.text.naming import named


def begin(recipe: Recipe, runs: Path, sources: Sequence[Source]) -> Path:
    """The folder of a run that may be new: then nothing is made before what it needs was looked at."""
    folder = runs / recipe.name
    if folder.is_dir():
        return folder
    local = teacher_folder(recipe)
    if local is not None:
        refuse_no_model(local)
    elif recipe.teacher is not None:
        refuse_what_cannot_be_asked(teacher_settings(recipe, {}), recipe.ask)
    for other in recipe.exam.others if recipe.exam else ():
        if other.base_url:
            refuse_what_cannot_be_called(other.endpoint())
    for source in sources:
        for _first in islice(_questions(source), 1):
            pass
    for file in recipe.check.files():
        for _row in islice(file_rows(Path(file), Path(file).name), 1):
            pass
    return folder


def gather_questions(recipe: Recipe, folder: Path, progress: Progress) -> None:
    _gather(folder / "questions.parquet", "questions", recipe.questions, folder, progress)
    keep_recipe(recipe, folder)


def gather_papers(recipe: Recipe, folder: Path, progress: Progress) -> list[Path]:
    """Each set of the exam's questions, fit for one: each can be judged, and no other run's student knows it."""
    assert recipe.exam is not None
    own = folder / "questions.parquet"
    refuse_no_takers(recipe, folder.parent)
    learned_from = {
        folder.parent / other.run / "traces.parquet": other.name for other in recipe.exam.others if other.run
    }
    paths = exam_questions(recipe, folder, progress)
    for path in paths:
        questions = read_paper(path)
        for table, taker in learned_from.items():
            refuse_overlap(questions, table, taker)
        shared = also_among(questions, own) if recipe.train and own.exists() else []
        if shared:
            progress.say(
                f"exam: {len(shared):,} of {len(questions):,} questions are also among the teacher's, "
                f"{named(shared[0])} for one. The check leaves out their replies as contaminated."
            )
    return paths


def exam_questions(recipe: Recipe, folder: Path, progress: Progress) -> list[Path]:
    """The table of each set of the exam's questions, whatever is in it."""
    assert recipe.exam is not None
    paths = []
    for paper, sources in zip(recipe.exam.papers(), recipe.exam.sources(), strict=True):
        paths.append(folder / paper.file)
        _gather(paths[-1], f"exam questions {paper.name or ''}".strip(), sources, folder, progress)
    return paths


def _gather(path: Path, stage: str, sources: Sequence[Source], folder: Path, progress: Progress) -> None:
    """Read the questions of all sources into one table, once."""
    files = [Path(held) for source in sources if (held := getattr(source, "path", None)) is not None]

    def work() -> bool:
        questions = Distinct(chain.from_iterable(map(_questions, sources)))
        count = write_questions(path, questions)
        if count == 0:
            raise DataError(f"There are no {stage}: the sources gave none.", "Look at the recipe's questions.")
        write_json(path.with_suffix(".json"), {"questions": count, "repeated": questions.repeated})
        progress.update(stage, count, count, repeated=questions.repeated or None)
        return True

    inputs = {
        "sources": digest([source.model_dump(mode="json", by_alias=True) for source in sources]),
        **{str(file): source_digest(file) for file in files},
    }
    try:
        run_if_changed(folder, stage, inputs, [str(path.relative_to(folder))], work, SILENT)
    finally:
        with suppress(OSError):  # a folder that was made for questions which could not be read is empty
            for parent in path.parents[: len(path.relative_to(folder).parts)]:
                parent.rmdir()


def _questions(source: Source) -> Iterator[tuple[Place, Question]]:
    if isinstance(source, ClassroomSource):
        from stillroom.classroom.questions import questions as classroom_questions  # loads reasoning_gym

        made = classroom_questions(source.count, source.seed, source.split, source.families)
        return ((Place("classroom question", number), question) for number, question in enumerate(made))
    return read_placed(source, base_folder=Path())
