"""overlap.parquet: every hit with both texts, what came of it, and which questions are left out for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa

from stillroom.base.batches import batched
from stillroom.base.errors import DataError
from stillroom.check.overlap.hits import REASON_OF, Action, LeftOut, Overlap
from stillroom.check.overlap.opinion import SecondOpinion
from stillroom.check.overlap.settings import OverlapSettings
from stillroom.check.overlap.texts import said
from stillroom.store.schemas import OVERLAP
from stillroom.store.tables import read_rows, write_table

SURE = 0.6
"""A rewording with this share of common words needs no second opinion."""
_ASKED_AT_ONCE = 256
_ORDER = (
    "copy",
    "near_copy",
    "quoted_part",
    "numbers_swapped",
    "in_doubt",
    "same_text",
    "same_parameters",
    "near_duplicate",
)


class Found(NamedTuple):
    """A pair that a rule holds to overlap."""

    question: str
    rule: str
    score: float
    other: str
    source: str | None = None
    """The examination's file; None where the other one is a question of the run."""
    other_text: str | None = None


def write_overlap(
    table: Path,
    questions: Path,
    found: Sequence[Found],
    total: int,
    settings: OverlapSettings,
    second_opinion: SecondOpinion | None,
    folder: Path,
) -> Overlap:
    """Write the pairs in the order of their questions' ids. Returns what is to be left out of the `total` questions."""
    result = Overlap(questions=total)
    rows = _with_opinions(_with_texts(found, questions, folder), second_opinion)
    write_table(table, OVERLAP, _decided(rows, settings, result))
    return result


def _with_texts(found: Sequence[Found], questions: Path, folder: Path) -> Iterator[dict[str, Any]]:
    ordered = sorted(
        found, key=lambda hit: (hit.question, _ORDER.index(hit.rule), -hit.score, hit.source or "", hit.other)
    )
    hits = pa.table(
        {
            "place": pa.array(range(len(ordered)), pa.int64()),
            "question": _texts([hit.question for hit in ordered]),
            "rule": _texts([hit.rule for hit in ordered]),
            "score": pa.array([hit.score for hit in ordered], pa.float64()),
            "other": _texts([hit.other for hit in ordered]),
            "source": _texts([hit.source for hit in ordered]),
            "other_text": _texts([hit.other_text for hit in ordered]),
        }
    )
    joined = folder / "joined.parquet"
    source, target = (str(path).replace("'", "''") for path in (questions, joined))
    with duckdb.connect(":memory:", config={"memory_limit": "512MB", "threads": 2}) as connection:
        connection.execute("set temp_directory = $1", [str(folder)])
        connection.register("hits", hits)
        connection.execute(
            f"""copy (
                select hits.*, q.messages as question_messages, o.messages as other_messages
                from hits join read_parquet('{source}') q on q.id = hits.question
                left join read_parquet('{source}') o on o.id = hits.other and hits.source is null
                order by place
            ) to '{target}' (format parquet)"""
        )
    for row in read_rows(joined):
        yield {
            "question_id": row["question"],
            "other_id": row["other"],
            "other_source": row["source"],
            "rule": row["rule"],
            "score": row["score"],
            "question": said(row["question_messages"])[0],
            "other": row["other_text"] if row["source"] is not None else said(row["other_messages"])[0],
        }


def _texts(values: Sequence[str | None]) -> pa.Array[Any]:
    """Each text once, however often it is there: many questions may repeat one of an examination."""
    numbers: dict[str | None, int] = {}
    indices = [numbers.setdefault(value, len(numbers)) for value in values]
    return pa.DictionaryArray.from_arrays(pa.array(indices, pa.int32()), pa.array(numbers, pa.string()))


def _with_opinions(rows: Iterator[dict[str, Any]], second_opinion: SecondOpinion | None) -> Iterator[dict[str, Any]]:
    for some in batched(rows, _ASKED_AT_ONCE):
        opinions = _asked(some, second_opinion)
        for number, row in enumerate(some):
            opinion = opinions.get(number)
            if row["rule"] == "in_doubt":
                if opinion != "same":
                    continue
                row["rule"] = "near_copy"
            yield row | {"opinion": opinion}


def _asked(rows: Sequence[dict[str, Any]], second_opinion: SecondOpinion | None) -> dict[int, str]:
    if second_opinion is None:
        return {}
    asked = [
        number
        for number, row in enumerate(rows)
        if row["rule"] == "in_doubt" or (row["rule"] == "near_copy" and row["score"] < SURE)
    ]
    if not asked:
        return {}
    answers = list(second_opinion([(rows[number]["question"], rows[number]["other"]) for number in asked]))
    if len(answers) != len(asked):
        raise DataError(
            f"The second opinion gave {len(answers)} answers to {len(asked)} pairs of questions.",
            "It must give one for each pair, in their order.",
        )
    return {number: "same" if answer else "different" for number, answer in zip(asked, answers, strict=True)}


def _decided(rows: Iterable[dict[str, Any]], settings: OverlapSettings, result: Overlap) -> Iterator[dict[str, Any]]:
    overruled = set(settings.overrule)
    for identity, hits in groupby(rows, key=itemgetter("question_id")):
        for row in hits:
            removes = _removes(row, settings)
            action: Action = "kept" if not removes else "overruled" if identity in overruled else "left_out"
            result.hits[row["rule"]] += 1
            if action == "left_out" and identity not in result.left_out:
                result.left_out[identity] = LeftOut(REASON_OF[row["rule"]], _detail(row))
            yield row | {"action": action}


def _removes(row: dict[str, Any], settings: OverlapSettings) -> bool:
    rule = row["rule"]
    if rule == "numbers_swapped":
        return settings.numbers_swapped == "remove"
    if row["opinion"] == "different":
        return False
    of_reason = {
        "duplicate_question": settings.duplicates,
        "near_duplicate_question": settings.near_duplicates,
        "contaminated": settings.contaminated,
    }
    return of_reason[REASON_OF[rule]] == "remove"


def _detail(row: dict[str, Any]) -> str:
    where = f"{Path(row['other_source']).name} " if row["other_source"] else ""
    return f"{row['rule']} of {where}{row['other_id']} ({row['score']:.2f})"
