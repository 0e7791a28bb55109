"""A run's student for other tools: its Hugging Face folder, or one GGUF file."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from stillroom import __version__
from stillroom.base.errors import StoreError
from stillroom.base.progress import Progress
from stillroom.export.folder import replacing_export, write_facts
from stillroom.export.form import About
from stillroom.export.settings import ModelTarget
from stillroom.export.terms import conditions_in_json, write_terms

CARD = "README.md"


def export_model(
    run: Path,
    to: ModelTarget,
    student: Path,
    out: Path,
    about: About,
    progress: Progress,
    *,
    name: str | None = None,
    card: str | None = None,
) -> dict[str, Any]:
    """Write the student in the folder `student` to the folder `out`. Returns what export.json holds.

    `merged`: its Hugging Face folder as it is; `gguf`: NAME.gguf in 16-bit floats, checked by llama.cpp, and its card.
    `name` is what it is given away as, None the run's; `card` is its card under that name, None the student's own.

    Raises StoreError where there is no student, UsageError where `out` is something else than an earlier export
    or llama.cpp is not installed, ModelError for a student that llama.cpp does not know.
    """
    if not (student / "config.json").is_file():
        raise StoreError(f"The run {run.name} has no student: there is no model at {student}.", "Run stillroom train.")
    with replacing_export(run, out) as folder:
        made: dict[str, Any] = {}
        if to == "gguf":
            from stillroom.export.gguf import export_gguf  # loads torch

            made = {"gguf": export_gguf(student, folder / f"{name or about.name}.gguf", progress=progress)}
            if (student / CARD).is_file():
                shutil.copyfile(student / CARD, folder / CARD)
        else:
            _copy(student, folder, progress)
        if card is not None:
            (folder / CARD).write_text(card, encoding="utf-8")
        write_terms(folder, about.binding)
        facts = {
            "to": to,
            "run": about.name,
            "name": name or about.name,
            "stillroom": __version__,
            "student": about.student,
            "teacher": about.teacher,
            "terms": about.terms,
            **conditions_in_json(about.binding),
            **made,
        }
        return write_facts(folder, facts)


def _copy(student: Path, folder: Path, progress: Progress) -> None:
    files = sorted(path for path in student.rglob("*") if path.is_file())
    for number, path in enumerate(files, 1):
        target = folder / path.relative_to(student)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        progress.update("export merged", number, len(files))
