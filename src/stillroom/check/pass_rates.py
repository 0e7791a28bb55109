"""How difficult each question is, by a file that says how often some model answered it right."""

from __future__ import annotations

from pathlib import Path

from stillroom.base.errors import DataError
from stillroom.check.elsewhere import ReadRows
from stillroom.text.columns import as_text, value_of


def read_pass_rates(path: Path, read_rows: ReadRows) -> dict[str, float]:
    """Pass rate by question. Raises DataError for a file that cannot be read, and for a row that gives no such rate."""
    rates: dict[str, float] = {}
    for place, row in read_rows(path, path.name):
        question_id = as_text(value_of(row, "question_id", place), "question_id", place)
        rate = value_of(row, "pass_rate", place)
        if rate is None:
            continue  # nobody answered it, or nothing could be judged
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate <= 1:
            raise DataError(
                f"{place}: pass_rate is {rate!r}, not a share from 0 to 1.", "Give right answers / samples."
            )
        if rates.setdefault(question_id, float(rate)) != rate:
            raise DataError(f"{place}: question {question_id} has two pass rates.", "Give each question one.")
    return rates
