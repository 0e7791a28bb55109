"""The search for overlap: questions and examinations in, overlap.parquet and the questions to leave out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from stillroom.base.progress import Progress, Silent
from stillroom.check.overlap.hits import LeftOut, Overlap
from stillroom.check.overlap.settings import OverlapSettings
from stillroom.store.tables import OVERLAP, count_rows, read_questions, write_table

SecondOpinion = Callable[[Sequence[tuple[str, str]]], Sequence[bool]]
"""Given pairs of texts (a question, an examination's question): is each pair the same question in other words?"""
_SILENT = Silent()


def find_overlap(
    questions: Path,
    examinations: Sequence[Path],
    settings: OverlapSettings,
    table: Path,
    progress: Progress = _SILENT,
    second_opinion: SecondOpinion | None = None,
) -> Overlap:
    """Compare the questions with each other and with the examinations' questions, and write every hit to `table`.

    `questions` is a questions.parquet; `examinations` are questions.parquet too, or files of JSON lines, CSV or Parquet
    (`settings.against` is added to them). `second_opinion` is asked about pairs that the rules alone cannot decide.
    The order of rows does not matter. Raises StoreError and DataError for files that cannot be read.
    """
    found = Overlap(questions=count_rows(questions))
    rows = []
    first: dict[str, tuple[str, str]] = {}
    ordered = sorted(
        (question.id, "\n".join(m.content for m in question.messages)) for question in read_questions(questions)
    )
    for identity, text in ordered:
        plain = " ".join(text.casefold().split())
        if plain not in first:
            first[plain] = (identity, text)
            continue
        other_id, other = first[plain]
        action = (
            "overruled" if identity in settings.overrule else "left_out" if settings.duplicates == "remove" else "kept"
        )
        if action == "left_out":
            found.left_out[identity] = LeftOut("duplicate_question", f"the same text as {other_id}")
        found.hits["same_text"] += 1
        rows.append(
            {
                "question_id": identity,
                "other_id": other_id,
                "other_source": None,
                "rule": "same_text",
                "score": 1.0,
                "action": action,
                "opinion": None,
                "question": text,
                "other": other,
            }
        )
    write_table(table, OVERLAP, rows)
    return found
